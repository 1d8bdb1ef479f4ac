/*
 * resolver: the name server of one guest on a tap.
 *
 * It listens on the tap alone, so it knows whom it answers.  With egress all
 * it passes questions and answers on; with egress allow it answers A and AAAA
 * of allowed names and refuses every other: the question is made anew from
 * the name, and the answer from the addresses in it, so neither carries
 * anything else in or out.  Before such an answer goes to the guest its
 * addresses are in the guest's nftables set, for as long as the answer is
 * valid and at least RESOLVER_TTL_MIN seconds.
 *
 * For libexec/forge-net only, which is linked with libldns.
 */
#ifndef FORGE_VM_RESOLVER_H
#define FORGE_VM_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct json;
struct egress;

#define RESOLVER_MESSAGE 4096 /* bytes of the longest message, over UDP */
#define RESOLVER_TTL_MIN 10
#define RESOLVER_TTL_MAX 3600
#define RESOLVER_ADDRESSES 8 /* taken of one answer: 512 bytes hold them */

/* A question that was read and judged. */
struct question {
	uint16_t id;
	uint16_t type; /* 1 A, 28 AAAA, ... */
	char name[256]; /* normal form */
	int refuse; /* rcode to answer with at once, or 0 to ask */
	bool empty; /* answer that there is no such record */
};

/* Does nothing but fail (-1) for bytes that deserve no answer at all. */
int resolver_read(const struct egress *e, const uint8_t *wire, size_t n,
	struct question *ret) __attribute__((warn_unused_result));

struct address_list {
	size_t n;
	uint32_t ttl; /* of the shortest-lived record, within the bounds */
	char text[RESOLVER_ADDRESSES][46];
};

/* The addresses that an answer to q has; -1: it is no answer to it.  *rcode
 * is what the server said. */
int resolver_addresses(const struct question *q, uint16_t id,
	const uint8_t *wire, size_t n, struct address_list *ret, int *rcode)
	__attribute__((warn_unused_result));

/* What to ask the server, and what to tell the guest: bytes into buf. */
size_t resolver_ask(const struct question *q, uint16_t id,
	uint8_t buf[RESOLVER_MESSAGE]);
size_t resolver_tell(const struct question *q, int rcode,
	const struct address_list *list, uint8_t buf[RESOLVER_MESSAGE]);

/* forge-net resolve: prints a line when it listens; ends by a signal. */
int resolver_run(const struct json *spec, struct err *err)
	__attribute__((warn_unused_result));

#endif
