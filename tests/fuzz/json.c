/*
 * JSON of any bytes, not NUL-terminated: refused with one clean line that
 * does not repeat it, or read, asked of everything, and written as text that
 * reads back to the same text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/*
 * libjq 1.6 loses a string that follows another without a comma.  A struct
 * json that is lost here is still told: its memory is our own.
 */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}

static void
ask(const struct json *j)
{
	size_t i, n = json_len(j, "");

	(void)json_str(j, "a.b", NULL);
	(void)json_int(j, "", 0);
	(void)json_bool(j, "a", false);
	(void)json_has(j, "..a");
	for (i = 0; i < n && i < 64; i++) {
		CLEANUP_JSON struct json *value = NULL;
		CLEANUP_JSON struct json *element = json_at(j, i);
		CLEANUP_FREE char *key = NULL;

		if (element)
			continue;
		key = json_key(j, i, &value);
		if (!key || !value)
			abort(); /* its length promised one */
	}
	if (json_at(j, n))
		abort();
}

/* What was written is read, and is written the same. */
static void
again(const struct json *j)
{
	CLEANUP_FREE char *once = json_text(j), *twice = NULL;
	CLEANUP_JSON struct json *back = NULL;
	struct err err = ERR_INIT;

	if (strchr(once, '\n'))
		abort(); /* JSON Lines would break */
	if (json_parse(once, strlen(once), &back, &err))
		abort();
	twice = json_text(back);
	if (strcmp(once, twice) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON struct json *j = NULL;
	struct err err = ERR_INIT;
	CLEANUP_FREE char *exact = xmalloc(size ? size : 1);
	const char *c;

	if (size)
		memcpy(exact, data, size);
	if (json_parse(exact, size, &j, &err)) {
		if (err.code != ERR_INVALID || j)
			abort();
		for (c = err.msg; *c; c++)
			if ((unsigned char)*c < 0x20)
				abort();
		return 0;
	}
	ask(j);
	again(j);
	return 0;
}
