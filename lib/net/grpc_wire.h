/*
 * grpc_wire: the parts of gRPC's wire format that are pure functions: the
 * prefix in front of each message, grpc-timeout, grpc-message.
 *
 *	struct grpc_reader r = { .max = 65536 };
 *	grpc_reader_feed(&r, p, n, take, arg)	for each DATA that came
 *	grpc_reader_release(&r)
 */
#ifndef FORGE_NET_GRPC_WIRE_H
#define FORGE_NET_GRPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"

#define GRPC_PREFIX 5 /* flag, length as big endian */

/* The status of a call, as it is on the wire. */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
	GRPC_STATUS__MAX
};
/* "UNAUTHENTICATED"; "UNKNOWN" for a number that is none of these. */
const char *grpc_status_name(int status);

struct grpc_reader {
	size_t max; /* of a message */
	bool compressed; /* the peer named an encoding: say so if used */
	uint8_t prefix[GRPC_PREFIX];
	size_t got; /* of the prefix */
	size_t want; /* of the message */
	struct buf message; /* memory grows with what came, not by want */
};

/*
 * Cut n bytes into messages; take() gets each, borrowed, and returns non-zero
 * to stop (GRPC_OK is returned then, the rest is lost).  A status other than
 * GRPC_OK, with *ret_why set, ends the call: a message beyond max, or a
 * compressed one.
 */
int grpc_reader_feed(struct grpc_reader *r, const uint8_t *p, size_t n,
	int (*take)(const void *message, size_t n, void *arg), void *arg,
	const char **ret_why) __attribute__((warn_unused_result));
/* Is it inside a message? */
bool grpc_reader_inside(const struct grpc_reader *r);
void grpc_reader_release(struct grpc_reader *r);

/* Prefix and message added to out. */
void grpc_frame(struct buf *out, const void *p, size_t n);

/* "10S" in ms, at least 1; -1 when it is not one. */
int64_t grpc_timeout_ms(const char *s, size_t n);

/* What grpc-message may carry; at most max bytes of s. */
void grpc_percent_encode(struct buf *out, const char *s, size_t max);
/* Back again; what is not an escape stays as it is. */
void grpc_percent_decode(struct buf *out, const char *s, size_t n);

/* Is it UTF-8 without NUL, surrogates and overlong forms? */
bool utf8_valid(const char *s, size_t n);

#endif
