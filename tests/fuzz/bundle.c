/* A bundle is pasted by a person: any bytes.  What is taken is whole, and
 * written again it is read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trust/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The parser of jq 1.6 loses a string when what follows it is no JSON. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BUNDLE struct bundle b = BUNDLE_INIT, again = BUNDLE_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (bundle_parse((const char *)data, size, &b, &err))
		return 0;
	if (!b.token || !*b.token || !b.url || strncmp(b.url, "https://", 8))
		abort();
	bundle_write(&b, &text);
	if (text.len > BUNDLE_MAX)
		return 0;
	if (bundle_parse(text.s, text.len, &again, &err) ||
		strcmp(b.token, again.token) || strcmp(b.url, again.url))
		abort();
	return 0;
}
