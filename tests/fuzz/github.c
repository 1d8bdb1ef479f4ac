/*
 * An answer of GitHub, or of who says to be it: the first byte chooses how
 * it is read, the rest is its body.  What is taken from it keeps its bounds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/runner/github_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/*
 * libjq 1.6 loses the second of two strings or numbers without a comma.  A
 * leak of ours still shows: by the struct json around each value.
 */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq.so\n";
}

static void
must(int held)
{
	if (!held)
		abort();
}

static void
sound_runner(int rc, const struct github_runner *r)
{
	must(rc || (r->id > 0 && r->name[0] &&
		memchr(r->name, 0, sizeof(r->name))));
}

static int
read_runner(const struct json *j, int named, struct err *err)
{
	struct github_runner r;
	int rc = named ? answer_runner_named(j, "runner-1", &r, err) :
		answer_runner(j, &r, err);

	sound_runner(rc, &r);
	must(rc || !named || !strcmp(r.name, "runner-1"));
	return rc;
}

static int
read_text(const struct json *j, int token, struct err *err)
{
	CLEANUP_FREE char *s = NULL;
	int64_t n = 0;
	int rc = token ? answer_token(j, &s, &n, err) :
		answer_jit(j, &n, &s, err);

	must(rc || (n > 0 && s && *s && !strpbrk(s, " \r\n")));
	must(!rc || !s);
	return rc;
}

static int
read_rest(const struct json *j, int rate, struct err *err)
{
	CLEANUP_JSON struct json *out = NULL;
	int64_t id = 0;
	size_t rows;
	int rc;

	if (rate) {
		rc = answer_rate(j, &out, err);
		must(rc || (json_len(out, "") == 3 &&
			json_int(out, "limit", -1) >= 0));
		return rc;
	}
	rc = answer_group(j, "Default", &id, &rows, err);
	must(rc || id >= 0);
	return rc ? rc : answer_id(j, &id, err);
}

static int
read_one(const struct json *j, uint8_t how, struct err *err)
{
	switch (how % 6) {
	case 0:
	case 1:
		return read_runner(j, how & 1, err);
	case 2:
	case 3:
		return read_text(j, how & 1, err);
	default:
		return read_rest(j, how & 1, err);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_FREE char *message = NULL;
	CLEANUP_JSON struct json *j = NULL;
	struct err err = ERR_INIT;

	if (!size)
		return 0;
	buf_add(&body, data + 1, size - 1);
	message = answer_message(&body);
	must(*message && strlen(message) <= 200);
	if (!json_parse(body.s, body.len, &j, &err))
		must(!read_one(j, data[0], &err) || err.code != ERR_NONE);
	return 0;
}
