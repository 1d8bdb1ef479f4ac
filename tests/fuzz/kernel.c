/*
 * The first byte says as what the rest is read: a kernel, a module, or a
 * compressed stream.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/kernel.h"
#include "lib/vm/unpack.h"

#define STREAM_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
module(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const char *s = module_info(data, size, "depends");

	/* it ends inside: strlen() stays in bounds */
	if (s && strlen(s) >= size)
		abort();
	buf_add(&b, data, size);
	module_trim(&b);
	if (b.len > size)
		abort();
}

static void
stream(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	if (unpack_stream(data, size, STREAM_MAX, &out, &err) &&
		err.code != ERR_INVALID)
		abort();
	if (out.len > STREAM_MAX)
		abort();
}

static void
kernel(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	if (!kernel_extract(data, size, &out, &err)) {
		if (out.len < 64 || out.len > KERNEL_MAX ||
			memcmp(out.s, "\177ELF", 4) != 0)
			abort();
	} else if (err.code != ERR_INVALID || out.len) {
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 3) {
	case 0:
		kernel(data + 1, size - 1);
		break;
	case 1:
		module(data + 1, size - 1);
		break;
	default:
		stream(data + 1, size - 1);
		break;
	}
	return 0;
}
