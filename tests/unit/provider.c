#include "lib/session/provider.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/session/translate.h"
#include "lib/state/state.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static struct state *st;

static void
words_are(const struct argv *got, const char *want, const char *name)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < got->n; i++)
		buf_addf(&b, "%s[%s]", i ? " " : "", got->v[i]);
	is_str(b.s, want, name);
}

static void
make(const char *file, const char *text)
{
	struct err err = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, "state/providers/p", 0700, &err))
		printf("# %s\n", err.msg);
	tmp_write(file, text);
}

static void
test_words(void)
{
	CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
	CLEANUP_ARGV struct argv a = ARGV_INIT, b = ARGV_INIT, env = ARGV_INIT;
	CLEANUP_ARGV struct argv args = ARGV_INIT;
	struct provider_words w = { .session = "s 1", .model = "m",
		.prompt = "say {model}", .dir = "/d", .id = "i", .args = &args };
	struct err err = ERR_INIT;

	make("state/providers/p/provider",
		"[provider]\n\tcommand = agent -d={dir} {unknown} {\n"
		"\tresume = agent --resume={session}\n\tmodel = -m {model}\n"
		"\tprompt = -- {prompt}\n\tprocess = turn\n\tinterrupt = TERM\n"
		"\tenv = A={id}{id}\n\tenv = B=\n\tunset = C\n\tmine = yes\n");
	if (!is_int(provider_load(st, "p", &p, &err), 0, "load"))
		printf("# %s\n", err.msg);
	argv_push(&args, "-x y");
	is_int(provider_argv(&p, &w, false, &a, &err), 0, "a new session");
	words_are(&a, "[agent] [-d=/d] [{unknown}] [{] [-m] [m] [-x y] [--] "
		"[say {model}]", "its words: a value stays one, and as it is");
	w.model = NULL;
	w.prompt = NULL;
	is_int(provider_argv(&p, &w, true, &b, &err), 0, "one that goes on");
	words_are(&b, "[agent] [--resume=s 1] [-x y]", "its words");
	provider_env(&p, &w, &env);
	words_are(&env, "[C] [A=ii] [B=]", "environment");
	ok(p.per_turn && p.signal == 15, "process and interrupt");
	is_str(provider_key(&p, "mine"), "yes", "a key for others");
	ok(!provider_key(&p, "min"), "no part of one");
	is_int((int64_t)json_len(p.models, ""), 0, "no models.json: none");
}

static void
test_command(void)
{
	CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
	CLEANUP_ARGV struct argv a = ARGV_INIT, b = ARGV_INIT;
	CLEANUP_ARGV struct argv command = ARGV_INIT;
	struct provider_words w = { .command = &command };
	struct err err = ERR_INIT;

	make("state/providers/p/provider", "[provider]\n\tcommand = {command}\n");
	is_int(provider_load(st, "p", &p, &err), 0, "the file has changed");
	is_int(provider_argv(&p, &w, false, &a, &err), -1, "no command");
	is_int(err.code, ERR_USAGE, "is a mistake of who asked");
	argv_push(&command, "sh");
	argv_push(&command, "a b");
	is_int(provider_argv(&p, &w, false, &b, &err), 0, "one");
	words_are(&b, "[sh] [a b]", "as it is");
}

static void
test_missing(void)
{
	CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
	struct err err = ERR_INIT;

	is_int(provider_load(st, "nobody", &p, &err), -1, "none of that name");
	is_int(err.code, ERR_NOTFOUND, "is not found");
	err = ERR_INIT;
	is_int(provider_load(st, "../p", &p, &err), -1, "a path is no name");
	is_int(err.code, ERR_USAGE, "but a mistake");
}

/* ---- translation ---- */

static struct buf seen;

static int
event(const char *kind, struct json *data, void *arg, struct err *err)
{
	CLEANUP_JSON struct json *own = data;

	(void)arg;
	(void)err;
	buf_addf(&seen, "%s", kind);
	json_write(own, &seen);
	buf_addc(&seen, ' ');
	return 0;
}

static int
sent(const char *line, size_t n, void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	buf_add(&seen, line, n);
	return 0;
}

static const struct translated to = { event, sent, NULL };

static void
out_is(struct translator *t, const char *line, const char *want,
	bool garbage, const char *name)
{
	struct err err = ERR_INIT;
	bool got = false;

	buf_reset(&seen);
	if (translate_out(t, line, strlen(line), &to, &got, &err))
		printf("# %s\n", err.msg);
	is_str(seen.s, want, name);
	is_int(got, garbage, garbage ? "garbage" : "no garbage");
}

static void
test_translate(void)
{
	struct translator *t = NULL;
	struct err err = ERR_INIT;
	bool was_sent = false;

	if (!is_int(translator_new("p",
		    ".state.n as $n | .line | if . == 1 then "
		    "{kind: \"output\", data: {text: \"one\", $n}}, "
		    "{state: {n: 7}}, {send: \"text\"}, {send: [2]} "
		    "elif . == 2 then {kind: \"no kind\"} "
		    "elif . == 3 then {kind: \"status\"} "
		    "elif . == 4 then error(\"no\") else empty end # comment",
		    "if .kind == \"message\" then {send: .data.text} "
		    "else empty end", &t, &err), 0, "compile"))
		printf("# %s\n", err.msg);
	out_is(t, "1", "output{\"text\":\"one\",\"n\":null} text\n[2]\n",
		false, "event, state and two lines");
	out_is(t, "1", "output{\"text\":\"one\",\"n\":7} text\n[2]\n", false,
		"the state is kept");
	translator_reset(t);
	out_is(t, "1", "output{\"text\":\"one\",\"n\":null} text\n[2]\n",
		false, "another process: forgotten");
	out_is(t, "2", "raw{\"line\":\"2\"} ", false, "an unknown kind");
	out_is(t, "3", "status{} ", false, "no data is an empty object");
	out_is(t, "4", "raw{\"line\":\"4\"} ", false, "a program that fails");
	out_is(t, "[", "", true, "no JSON: a string");
	buf_reset(&seen);
	is_int(translate_in(t, "message", json_object(), &to, &was_sent, &err),
		-1, "what in.jq makes nothing sound of");
	err = ERR_INIT;
	is_int(translate_in(t, "interrupt", json_object(), &to, &was_sent,
		&err), 0, "what in.jq has no line for");
	is_int(was_sent, false, "is not sent");
	translator_free(t);
}

static void
test_text(void)
{
	struct translator *t = NULL;
	struct json *data = json_object();
	struct err err = ERR_INIT;
	bool was_sent = false;

	is_int(translator_new("p", NULL, NULL, &t, &err), 0, "no programs");
	out_is(t, "{\"a\":1}", "output{\"text\":\"{\\\"a\\\":1}\"} ", false,
		"a line is output");
	buf_reset(&seen);
	json_put_str(data, "text", "hi");
	is_int(translate_in(t, "message", data, &to, &was_sent, &err), 0,
		"a message");
	is_str(seen.s, "hi\n", "is its text");
	is_int(was_sent, true, "and sent");
	is_int(translate_in(t, "interrupt", json_object(), &to, &was_sent,
		&err), 0, "an interrupt");
	is_int(was_sent, false, "is not");
	translator_free(t);
	is_int(translator_new("p", ". | (", NULL, &t, &err), -1, "a bad one");
	is_int(err.code, ERR_INVALID, "is told");
}

int
main(void)
{
	struct err err = ERR_INIT;

	tmp_enter();
	setenv("FORGE_STATE", "state", 1);
	setenv("FORGE_CONFIG", "/dev/null", 1);
	seen = BUF_INIT;
	if (state_open(&st, &err)) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_words();
	test_command();
	test_missing();
	test_translate();
	test_text();
	buf_release(&seen);
	state_close(st);
	tmp_leave();
	return done();
}
