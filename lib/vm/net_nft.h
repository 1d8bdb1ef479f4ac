/*
 * net_nft: the table `inet forge` of nftables.
 *
 *	egress		map: a guest's tap to what its policy says
 *	forward		nobody begins a connection to a guest; from one:
 *	guests		not to other guests, not to link-local addresses;
 *			else what egress says; else refused
 *	input, host	from guests to this host: DNS, and nothing else
 *	refuse		what says no
 *	postrouting	what leaves for elsewhere gets this host's address
 *	TAP		at the tap itself: its own MAC and addresses only
 *	TAP_out		of egress allow=: these networks, TAP_4 and TAP_6
 *	TAP_4, TAP_6	what allowed names resolved to, each with its time
 *
 * For libexec/forge-net only, which is linked with libnftables.  The specs are
 * those of net.h.
 */
#ifndef FORGE_VM_NET_NFT_H
#define FORGE_VM_NET_NFT_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct json;

/* The script that makes the table, or gives one that is there these rules. */
void nft_table_script(const struct json *spec, struct buf *out);
/* The script of one guest. */
void nft_guest_script(const struct json *spec, struct buf *out);

/* All of a script, or nothing; out (or NULL) gets what it printed, JSON. */
int nft_run(const char *script, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* 1 the table is there, 0 not, -1. */
int nft_table_exists(struct err *err) __attribute__((warn_unused_result));
/* Everything of one guest; success when there is nothing. */
int nft_guest_remove(const char *tap, struct err *err)
	__attribute__((warn_unused_result));
/* The taps that chains or sets are named after, each once. */
int nft_guests(struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The guest may reach address for ttl seconds from now. */
int nft_allow(const char *tap, const char *address, uint32_t ttl,
	struct err *err) __attribute__((warn_unused_result));

#endif
