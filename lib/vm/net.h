/*
 * net: the networks of VMs that are more than a part of the hypervisor: taps.
 *
 * A guest with --net tap has a point-to-point link to the host: its address
 * is a /32, the gateway's is on the host's side of every tap.  No bridge: so
 * no limit of ports, and guests meet only in the host's forwarding, where the
 * table `inet forge` of nftables keeps them apart (net_nft.h).  With vm.bridge
 * the tap is a port of that bridge instead, whose owner routes and filters.
 *
 * The tap's name is a function of the lease, "forge-" and the address in hex;
 * its alias says whose it is: "forge:STATE:VM".  So what is left behind can be
 * told from what is used, and by whom.
 *
 * What needs libmnl and libnftables is done by libexec/forge-net VERB, JSON on
 * stdin, so that they cost nothing elsewhere:
 *	up	the tap, its addresses, its rules.  {"tap","alias","mac",
 *		"address","gateway","dns","address6","gateway6","bridge",
 *		"egress":{"mode","net4","net6","hosts"}}; nulls where nothing
 *	down	{"tap"}: what `up` made, whatever there is of it
 *	scan	{"alias"}: {"table","unreachable","taps":[{"tap","alias"}],
 *		"guests":[tap...]}: taps whose alias begins so; taps that
 *		rules are for and that are gone
 *	table	{"subnet","dns","subnet6"}: make the table, or renew it
 *	untable	remove it
 *	route, unroute	{"dst","prefix"}: unreachable without a VM there
 *	resolve	as `up`, and "upstream": the resolver of one guest; runs
 *		until it is killed (resolver.h)
 */
#ifndef FORGE_VM_NET_H
#define FORGE_VM_NET_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/json.h"
#include "lib/base/proc.h"
#include "lib/base/tell.h"

struct state;
struct db;
struct subnet;
struct vm_spec;
struct vm_address;

#define TAP_PREFIX "forge-"
#define TAP_SIZE 16
#define NET_GATEWAY6 "fe80::1"

struct net {
	char tap[TAP_SIZE]; /* "": this VM has none */
	int fd; /* its open end; -1 */
	struct child resolver;
};
#define NET_INIT ((struct net){ .fd = -1, .resolver = CHILD_INIT })

/* Does that VM have a tap? */
bool net_is_tap(const struct vm_spec *vm);
/* Is this an egress policy?  Else ERR_USAGE with what is wrong. */
int net_check_egress(const char *text, struct err *err)
	__attribute__((warn_unused_result));
void net_tap_name(uint32_t address, char ret[TAP_SIZE]);

/* What `up` is told; and the change of the host as a person is told. */
int net_spec_json(struct state *st, const struct vm_spec *vm,
	const struct vm_address *a, const struct subnet *s,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * After the VM's row (the intent), before its boot.  Nothing without a tap.
 * lock is the VM's: the helper has it too, so that nobody buries the VM of a
 * supervisor that dies here before the helper is dead as well.
 * ERR_USAGE: not root.
 */
int net_up(struct state *st, const struct vm_spec *vm,
	const struct vm_address *a, const struct subnet *s, int lock,
	struct net *ret, struct err *err) __attribute__((warn_unused_result));
/* After the hypervisor's end, before the row's. */
int net_down(struct net *n, struct err *err)
	__attribute__((warn_unused_result));
/*
 * What the guest is told: strings "address=...", "gateway=", "dns=",
 * "address6=", "gateway6=" with their NUL, as channel.h has them.  Of any
 * network; n is without a tap for others.
 */
void net_config(const struct net *n, const struct vm_address *a,
	const struct subnet *s, struct buf *out);
/* The fd and the memory only. */
void net_release(struct net *n);

/*
 * What a dead supervisor left of its VM's tap; twice is once.  Nothing for a
 * VM without one.
 */
int net_bury(struct db *db, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* Taps of ours without a VM, rules without a tap: told, and with !dry removed. */
int net_fsck(struct state *st, bool dry, tell_fn *told, struct err *err)
	__attribute__((warn_unused_result));

/* forge-net VERB; ret may be NULL. */
int net_ask(const char *verb, const struct json *spec, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));
/* "forge:HASH:", what the alias of each tap of this state begins with. */
char *net_alias(struct state *st);

#endif
