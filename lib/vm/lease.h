/*
 * lease: IPv4 addresses given to VMs, scripts and people, none twice.
 *
 * The subnet is vm.subnet (10.127.0.0/16).  Its first address is the gateway
 * and its second the name server of every guest; leases begin at the 16th.
 * An address that was given back rests: the next lease is the next higher
 * free one, and only at the end of the subnet does it begin again.
 */
#ifndef FORGE_VM_LEASE_H
#define FORGE_VM_LEASE_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;
struct db;

struct subnet {
	uint32_t network;
	int prefix;
	unsigned char network6[16];
	int prefix6; /* 0: no IPv6 */
	const char *bridge; /* vm.bridge, or NULL; the configuration's */
	const char *nameserver; /* vm.nameserver, "": the host's */
};

/*
 * vm.subnet of the configuration, /8 to /28, and what belongs to it:
 * vm.subnet6 (up to /96), vm.bridge, vm.nameserver.
 */
int subnet_load(struct state *st, struct subnet *ret, struct err *err)
	__attribute__((warn_unused_result));
uint32_t subnet_gateway(const struct subnet *s);
uint32_t subnet_dns(const struct subnet *s);

/* "10.127.0.16" into at least 16 bytes; returns buf. */
char *address_format(uint32_t address, char *buf, size_t size);
#define ADDRESS6_SIZE 46
/*
 * The IPv6 address beside a leased one: the same 32 bits at the end of
 * vm.subnet6, so that one lease is both.  Returns buf.
 */
char *address6_format(const struct subnet *s, uint32_t address,
	char buf[ADDRESS6_SIZE]);

/*
 * Inside a transaction of the caller: with the event lease.taken.  vm is the
 * VM it belongs to, whose end gives it back, or NULL.  ERR_EXISTS: holder has
 * one; ERR_LIMIT: the subnet is full.
 */
int lease_add(struct db *db, const struct subnet *s, const char *holder,
	const char *vm, uint32_t *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Likewise; success when there is none. */
int lease_drop(struct db *db, const char *holder, struct err *err)
	__attribute__((warn_unused_result));

/* The address that lease_add() would give now; nothing is changed. */
int lease_next(struct state *st, const struct subnet *s, uint32_t *ret,
	struct err *err) __attribute__((warn_unused_result));

/* The same as a whole, for `forge-vm lease`. */
int lease_take(struct state *st, const char *holder, uint32_t *ret,
	struct err *err) __attribute__((warn_unused_result));
/* ERR_NOTFOUND; ERR_BUSY for the lease of a VM. */
int lease_release(struct state *st, const char *holder, struct err *err)
	__attribute__((warn_unused_result));
/* {"holder","address","vm","taken_at"} by address. */
int lease_each(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
