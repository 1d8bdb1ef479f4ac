/*
 * Any bytes past a redactor, in two ways of cutting them: the same comes
 * out, and no value.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/session/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct redactor *r;
	struct buf whole = BUF_INIT, parts = BUF_INIT;
	size_t step = size ? data[0] % 17 + 1 : 1, i;

	if (!r) {
		r = redact_new();
		if (!redact_add(r, "a", "aaaaaaab") ||
			!redact_add(r, "b", "aaaabaaab"))
			abort();
	}
	redact_take(r, (const char *)data, size, &whole);
	redact_flush(r, &whole);
	for (i = 0; i < size; i += step)
		redact_take(r, (const char *)data + i,
			size - i < step ? size - i : step, &parts);
	redact_flush(r, &parts);
	if (whole.len != parts.len ||
		memcmp(whole.s, parts.s, whole.len) != 0)
		abort();
	if (memmem(whole.s, whole.len, "aaaaaaab", 8) &&
		!memmem(data, size, "[", 1) && !memmem(data, size, "]", 1))
		abort();
	buf_release(&whole);
	buf_release(&parts);
	return 0;
}
