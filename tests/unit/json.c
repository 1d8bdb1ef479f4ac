/*
 * json and filter: hostile text refused, values kept, filters run.
 */
#include "lib/base/filter.h"
#include "lib/base/json.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/tap.h"

static const struct {
	const char *text;
	const char *again; /* NULL: refused */
} texts[] = { { "{}", "{}" }, { " [1, 2.5,\"a\"] ", "[1,2.5,\"a\"]" },
	{ "1763690000123", "1763690000123" }, { "null", "null" },
	{ "{\"b\":1,\"a\":{\"c\":true}}", "{\"b\":1,\"a\":{\"c\":true}}" },
	{ "\"\\u0000\\ud83d\\ude00\"", "\"\\u0000\xf0\x9f\x98\x80\"" },
	{ "", NULL }, { "{", NULL }, { "{} {}", NULL }, { "[1,]", NULL },
	{ "1 2", NULL }, { "1 x", NULL }, { "1 \n\t", "1" },
	{ "{\"a\"}", NULL }, { "tru", NULL }, { "\"a", NULL }, { "}", NULL } };

static void
test_texts(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct err err = ERR_INIT;
		struct json *j = NULL;
		char *again = NULL;

		if (!json_parse(texts[i].text, strlen(texts[i].text), &j,
			    &err))
			again = json_text(j);
		is_str(again, texts[i].again, texts[i].text);
		ok(!!again == (err.code == ERR_NONE), "told or not");
		free(again);
		json_free(j);
	}
}

/* What is refused may hold a token: the reason must not repeat it. */
static void
test_reason(void)
{
	static const char text[] = "{\"token\":\"ghs_secret\" x}";
	struct err err = ERR_INIT;
	struct json *j = NULL;

	is_int(json_parse(text, strlen(text), &j, &err), -1, "refused");
	ok(!strncmp(err.msg, "not JSON: ", 10), "with a reason");
	ok(!strstr(err.msg, "secret"), "that does not repeat the text");
}

static void
test_deep(void)
{
	struct err err = ERR_INIT;
	struct json *j = NULL;
	char deep[100001];

	memset(deep, '[', 100000);
	deep[100000] = '\0';
	is_int(json_parse(deep, 100000, &j, &err), -1, "a hundred thousand [");
	is_int(err.code, ERR_INVALID, "are refused");
	memset(deep, '[', 256);
	memset(deep + 256, ']', 256);
	is_int(json_parse(deep, 512, &j, &err), 0, "256 deep is read");
	json_free(j);
	memset(deep, '[', 257);
	memset(deep + 257, ']', 257);
	is_int(json_parse(deep, 514, &j, &err), -1, "257 is not");
	is_int(json_parse("\"a\0b\"", 5, &j, &err), 0,
		"a NUL in the text is no end");
	json_free(j);
}

static void
test_getters(void)
{
	static const char text[] =
		"{\"a\":{\"b\":[10,20],\"s\":\"x\"},\"n\":9007199254740991,"
		"\"big\":1e300,\"t\":true,\"z\":null}";
	struct err err = ERR_INIT;
	struct json *j = NULL, *part;

	ok(!json_parse(text, strlen(text), &j, &err), "parsed");
	is_str(json_str(j, "a.s", "no"), "x", "a path");
	is_str(json_str(j, "a.b", "no"), "no", "not a string");
	is_str(json_str(j, "a.s.more", "no"), "no", "beyond a string");
	is_int(json_int(j, "n", -1), 9007199254740991, "exact to 2^53");
	is_int(json_int(j, "big", -1), -1, "beyond it the fallback");
	is_int(json_int(j, "t", -1), -1, "not a number");
	ok(json_bool(j, "t", false) && !json_bool(j, "a", false), "booleans");
	ok(json_has(j, "a.b") && !json_has(j, "z") && !json_has(j, "q"),
		"has");
	is_int(json_len(j, "a.b"), 2, "length of an array");
	is_int(json_len(j, "a"), 2, "of an object");
	is_int(json_len(j, "n"), 0, "of a number");
	part = json_get(j, "a.b");
	json_free(j);
	j = json_at(part, 1);
	is_int(json_int(j, "", -1), 20, "a part outlives the whole");
	ok(json_at(part, 2) == NULL, "beyond the end");
	json_free(j);
	json_free(part);
}

static void
test_build(void)
{
	struct json *o = json_object(), *a = json_array();
	char *s;

	json_put_str(o, "s", "a\"\n\xff");
	json_put_str(o, "none", NULL);
	json_put_int(o, "i", -5);
	json_put_bool(o, "b", true);
	json_push_str(a, "x");
	json_push(a, json_object());
	json_put(o, "a", a);
	s = json_text(o);
	is_str(s, "{\"s\":\"a\\\"\\n\xef\xbf\xbd\",\"none\":null,\"i\":-5,"
		  "\"b\":true,\"a\":[\"x\",{}]}", "built, in order, as UTF-8");
	free(s);
	json_free(o);
}

static int
collect(struct json *v, void *arg)
{
	struct buf *b = arg;

	json_write(v, b);
	buf_addc(b, ';');
	json_free(v);
	return b->len > 100;
}

static void
test_filter(void)
{
	struct err err = ERR_INIT;
	struct filter *f = NULL;
	struct json *j = NULL;
	struct buf b = BUF_INIT;
	int i;

	is_int(filter_compile(".a[", &f, &err), -1, "a broken program");
	is_int(err.code, ERR_USAGE, "is a mistake of usage");
	err = ERR_INIT;
	ok(!filter_compile(".[] | select(. > 1)", &f, &err), "compiled");
	ok(!json_parse("[1,2,3]", 7, &j, &err), "input");
	for (i = 0; i < 2; i++)
		is_int(filter_run(f, j, collect, &b, &err), 0, "run");
	is_str(b.s, "2;3;2;3;", "twice, its results");
	filter_free(f);
	ok(!filter_compile(".x", &f, &err), "compiled");
	is_int(filter_run(f, j, collect, &b, &err), -1, "it raises an error");
	is_int(err.code, ERR_INVALID, "which is told");
	filter_free(f);
	ok(!filter_compile("range(1000000)", &f, &err), "compiled");
	is_int(filter_run(f, j, collect, &b, &err), 1, "stopped by emit");
	filter_free(f);
	json_free(j);
	buf_release(&b);
}

/* Programs that reach for what this process does not give them. */
static const struct {
	const char *program;
	int rc;
	const char *want; /* the results, or the error */
} odd[] = {
	{ "debug", 0, "{\"a\":1};" },
	{ "[inputs]", 0, "[];" },
	{ "input", -1, "filter: break" },
	{ "input_filename", 0, "null;" },
	{ ".a, halt, .a", 0, "1;" },
	{ "\"so\" | halt_error", -1, "filter: so" },
	{ "error({b: 1})", -1, "filter: {\"b\":1}" },
	{ "import \"a\" as a; .", -2,
		"filter 'import \"a\" as a; .': jq: error: "
		"module not found: a" },
};

static void
test_odd_filters(void)
{
	struct err unused = ERR_INIT;
	struct json *j = NULL;
	size_t i;

	ok(!json_parse("{\"a\":1}", 7, &j, &unused), "input");
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		struct filter *f = NULL;
		struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		int rc = -2;

		if (!filter_compile(odd[i].program, &f, &err))
			rc = filter_run(f, j, collect, &b, &err);
		is_int(rc, odd[i].rc, odd[i].program);
		is_str(rc ? err.msg : b.s, odd[i].want, "says");
		buf_release(&b);
		filter_free(f);
	}
	json_free(j);
}

int
main(void)
{
	test_texts();
	test_reason();
	test_deep();
	test_getters();
	test_build();
	test_filter();
	test_odd_filters();
	return done();
}
