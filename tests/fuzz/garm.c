/*
 * What a provider of garm prints: an instance.  What is taken from it is
 * there, bounded, and without control characters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/runner/garm_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* As in github.c: libjq 1.6 loses a value now and then. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq.so\n";
}

static void
sound(const char *s, size_t max)
{
	if (!s || !*s || strlen(s) > max || strpbrk(s, "\r\n\033"))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_INSTANCE struct garm_instance i = GARM_INSTANCE_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	buf_add(&out, data, size);
	if (garm_instance(&out, &i, &err)) {
		sound(err.msg, sizeof(err.msg));
		return 0;
	}
	sound(i.id, 1024);
	sound(i.name, 1024);
	sound(i.status, 1024);
	if (i.address)
		sound(i.address, 64);
	return 0;
}
