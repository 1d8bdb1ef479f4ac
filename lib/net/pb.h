/*
 * pb: protobuf-c's messages out of and into bytes, with bounds.
 *
 *	struct arena arena = ARENA_INIT;
 *	Pkg__Thing *m = pb_unpack(&pkg__thing__descriptor, p, n, &arena);
 *	if (!m) ...				not one, or too large
 *	...
 *	arena_release(&arena);			m is gone
 *
 * An arena gives at most ARENA_MAX bytes, since a few bytes on the wire can
 * ask for many.  Text of a message is UTF-8, in what is read and in what is
 * sent: other gRPC libraries drop a whole message for one bad byte.
 */
#ifndef FORGE_NET_PB_H
#define FORGE_NET_PB_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include "lib/net/grpc.h"

/* What protoc-c makes casts const away in each initializer. */
#pragma GCC diagnostic ignored "-Wcast-qual"

#define ARENA_MAX (4 << 20)

struct arena {
	struct arena_chunk *chunks;
	size_t used; /* of the newest */
	size_t total;
};
#define ARENA_INIT ((struct arena){ .chunks = NULL })
#define CLEANUP_ARENA __attribute__((cleanup(arena_release)))
void arena_release(struct arena *a);

/* NULL: n bytes are not this message.  Lives as long as the arena. */
void *pb_unpack(const ProtobufCMessageDescriptor *d, const void *p,
	size_t n, struct arena *a) __attribute__((warn_unused_result));

/* As grpc_send().  Bytes in its text that are no UTF-8 become '?'. */
bool pb_send(struct grpc_call *call, ProtobufCMessage *m);
/* Likewise, added to out. */
void pb_pack(ProtobufCMessage *m, struct buf *out);

#endif
