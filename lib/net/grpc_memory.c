/*
 * Each session of nghttp2 has a buffer for the largest frame, of which an
 * idle one touches the beginning.  On pages of its own the rest is never
 * there: from the heap it would be what a handshake used before, and a
 * quarter of all that a connection takes.
 */
#include "lib/net/grpc_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define LARGE 16384

struct block {
	size_t size; /* with this; from LARGE on it is mapped */
	max_align_t data[];
};

static struct block *
block_of(void *p)
{
	return (void *)((char *)p - offsetof(struct block, data));
}

static void *
take(size_t n, void *arg)
{
	size_t size = sizeof(struct block) + n;
	struct block *b;

	(void)arg;
	if (size < LARGE)
		b = xcalloc(1, size);
	else
		b = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		return NULL; /* nghttp2 ends the session */
	b->size = size;
	return b->data;
}

static void
give(void *p, void *arg)
{
	struct block *b = p ? block_of(p) : NULL;

	(void)arg;
	if (b && b->size >= LARGE)
		(void)munmap(b, b->size); /* it is ours */
	else
		free(b);
}

static void *
take_many(size_t n, size_t size, void *arg)
{
	size_t all;

	return __builtin_mul_overflow(n, size, &all) ? NULL : take(all, arg);
}

static void *
retake(void *p, size_t n, void *arg)
{
	size_t had = p ? block_of(p)->size - sizeof(struct block) : 0;
	void *ret = take(n, arg);

	if (!ret)
		return NULL;
	if (had)
		memcpy(ret, p, had < n ? had : n);
	give(p, arg);
	return ret;
}

nghttp2_mem *
h2_memory(void)
{
	static nghttp2_mem memory = { NULL, take, give, take_many, retake };

	return &memory;
}
