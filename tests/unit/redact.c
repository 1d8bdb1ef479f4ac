#include "lib/session/redact.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/session/proxy_usage.h"
#include "lib/trust/base64.h"
#include "tests/unit/tap.h"

#define KEY "sk-ant-0123456789/\"abc"
#define SHOWN "[redacted: API key]"

/* text in pieces of n bytes; the caller frees. */
static char *
run(struct redactor *r, const char *text, size_t n)
{
	struct buf out = BUF_INIT;
	size_t i, len = strlen(text);

	for (i = 0; i < len; i += n)
		redact_take(r, text + i, len - i < n ? len - i : n, &out);
	redact_flush(r, &out);
	return buf_detach(&out);
}

static void
pieces(struct redactor *r)
{
	static const char text[] = "a " KEY " b sk-ant-01" KEY KEY " sk-ant-";
	static const char want[] = "a " SHOWN " b sk-ant-01" SHOWN SHOWN
		" sk-ant-";
	bool all = true;
	size_t n;

	for (n = 1; n <= sizeof(text); n++) {
		char *got = run(r, text, n);

		all &= !strcmp(got, want);
		free(got);
	}
	ok(all, "found wherever a piece ends");
}

static void
forms(struct redactor *r)
{
	char *got = run(r, "\"sk-ant-0123456789/\\\"abc\"", 3);
	bool all = true;
	size_t before;

	ok(!strcmp(got, "\"" SHOWN "\""), "as JSON text");
	free(got);
	got = run(r, "?k=sk-ant-0123456789%2F%22abc&", 5);
	ok(!strcmp(got, "?k=" SHOWN "&"), "percent-encoded");
	free(got);
	for (before = 0; before < 7; before++) {
		struct buf raw = BUF_INIT, b = BUF_INIT;

		buf_add(&raw, "user:1:", before);
		buf_adds(&raw, KEY " more");
		base64_add(&b, raw.s, raw.len);
		got = run(r, b.s, 4);
		all &= strstr(got, SHOWN) != NULL;
		free(got);
		buf_release(&raw);
		buf_release(&b);
	}
	ok(all, "in base64, at any byte");
}

static void
edges(struct redactor *r)
{
	struct buf b = BUF_INIT;
	char *got;

	ok(!redact_add(r, "x", "short"), "nothing of less than 8 bytes");
	ok(redact_add(r, "long", KEY "-and-more"), "a second value");
	got = run(r, KEY "-and-more " KEY "-and", 1);
	ok(!strcmp(got, "[redacted: long] " SHOWN "-and"),
		"of two that begin alike the longer");
	free(got);
	buf_adds(&b, "nothing");
	ok(!redact_buf(r, &b) && !strcmp(b.s, "nothing"), "nothing there");
	buf_adds(&b, KEY);
	ok(redact_buf(r, &b) && !strcmp(b.s, "nothing" SHOWN), "a line");
	buf_release(&b);
}

static void
usage(void)
{
	static const char text[] = "data: {\"usage\": {\"input_tokens\": 1234, "
		"\"output_tokens\":1}}\n\ndata: {\"output_tokens\": 5678}\n\n";
	bool all = true;
	size_t n, i;

	for (n = 1; n < sizeof(text); n++) {
		struct proxy_usage u = { 0 };

		for (i = 0; i < strlen(text); i += n)
			proxy_usage_take(&u, text + i,
				strlen(text) - i < n ? strlen(text) - i : n);
		all &= u.input == 1234 && u.output == 5678;
	}
	ok(all, "tokens are counted wherever a piece ends");
}

int
main(void)
{
	struct redactor *r = redact_new();

	ok(!redact_any(r), "nothing to look for");
	ok(redact_add(r, "API key", KEY), "a value");
	pieces(r);
	forms(r);
	edges(r);
	redact_free(r);
	usage();
	return done();
}
