#include "lib/net/web.h"

#include "lib/base/mem.h"
#include "tests/unit/tap.h"

static const struct {
	const char *text;
	int status; /* 0: good */
} cases[] = {
	{ "POST / HTTP/1.1\r\nHost: a\r\nX: \t b \r\n\r\n", 0 },
	{ "GET /a?b HTTP/1.0\r\n\r\n", 0 },
	{ "GET / HTTP/2.0\r\n\r\n", 505 },
	{ "GET /\r\n\r\n", 400 },
	{ "GET  / HTTP/1.1\r\n\r\n", 400 },
	{ " GET / HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\n\n", 400 },
	{ "GET / HTTP/1.1\r\nA: b\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA : b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA: b\001\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n: b\r\n\r\n", 400 },
	{ "P / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
		400 },
	{ "GET / HTTP/1.1\r\n\r\nx", 400 },
	{ "\r\n", 400 },
	{ "", 400 },
};

static void
test_many(int n, int status)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct web w;
	int i;

	web_open(&w, false, 0, 1);
	buf_adds(&b, "GET / HTTP/1.1\r\n");
	for (i = 0; i < n; i++)
		buf_addf(&b, "A: %d\r\n", i);
	buf_adds(&b, "\r\n");
	is_int(web_parse(&w, b.s, b.len, &err), status ? -1 : 0, "headers");
	is_int(w.status, status, "their status");
	web_close(&w);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;
		struct web w;
		int rc;

		web_open(&w, false, 0, 1);
		rc = web_parse(&w, cases[i].text, strlen(cases[i].text), &err);
		is_int(rc, cases[i].status ? -1 : 0, "parsed");
		is_int(w.status, cases[i].status, "status");
		if (!i) {
			is_str(w.method, "POST", "method");
			is_str(web_header(&w, "x"), "b", "header, trimmed");
			is_str(web_header(&w, "y"), NULL, "no header");
		}
		web_close(&w);
	}
	test_many(WEB_HEADERS_MAX, 0);
	test_many(WEB_HEADERS_MAX + 1, 431);
	return done();
}
