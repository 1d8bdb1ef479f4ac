/*
 * Lines of an agent: the first byte says whose, the rest is what it printed.
 * Whatever comes, only known kinds with objects come out, and what goes to
 * the agent are whole lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/session/translate.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libjq 1.6 loses the second of two values without a comma; see github.c. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq.so\n";
}

/* A provider that gives back whatever it is given, in all three forms. */
static const char echo[] =
	".state.n as $n | .line | if type == \"object\" then . else "
	"{kind: \"output\", data: {text: .}}, {state: {n: ($n + 1)}} end";

static void
must(int held)
{
	if (!held)
		abort();
}

static int
event(const char *kind, struct json *data, void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	must(event_kind_known(kind) && json_is_object(data));
	json_free(data);
	return 0;
}

static int
send(const char *line, size_t n, void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	must(n > 0 && line[n - 1] == '\n');
	return 0;
}

static struct translator *
make(const char *dir, const char *out)
{
	CLEANUP_BUF struct buf o = BUF_INIT, i = BUF_INIT;
	CLEANUP_FREE char *op = xasprintf("%s/out.jq", dir ? dir : "");
	CLEANUP_FREE char *ip = xasprintf("%s/in.jq", dir ? dir : "");
	struct translator *t = NULL;
	struct err err = ERR_INIT;

	if (dir)
		must(!fs_read(AT_FDCWD, op, 1 << 20, &o, &err) &&
			!fs_read(AT_FDCWD, ip, 1 << 20, &i, &err));
	must(!translator_new("fuzz", dir ? o.s : out, dir ? i.s : NULL, &t,
		&err));
	return t;
}

static void
line(struct translator *t, const char *s, size_t n)
{
	const struct translated to = { event, send, NULL };
	struct err err = ERR_INIT;
	bool garbage, sent;

	must(!translate_out(t, s, n, &to, &garbage, &err));
	if (!n || s[0] != '!')
		return;
	/* what we tell it may be anything, too */
	(void)!translate_in(t, "message", json_string(s), &to, &sent, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct translator *t[3];
	const char *p = (const char *)data + 1, *end, *newline;
	struct translator *own;

	if (!t[0]) {
		t[0] = make("share/providers/claude", NULL);
		t[1] = make(NULL, echo);
		t[2] = make(NULL, NULL);
	}
	if (!size)
		return 0;
	own = t[data[0] % 3];
	translator_reset(own);
	end = p + size - 1;
	do {
		CLEANUP_FREE char *one = NULL;

		newline = memchr(p, '\n', (size_t)(end - p));
		one = xstrndup(p, (size_t)((newline ? newline : end) - p));
		line(own, one, strlen(one));
		p = newline ? newline + 1 : end;
	} while (p < end);
	return 0;
}
