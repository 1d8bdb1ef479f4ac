#include "lib/session/redact.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

struct form {
	char *text, *shown;
	size_t n;
};

struct redactor {
	struct form forms[REDACT_MAX];
	size_t count;
	bool first[256]; /* some form begins so */
	struct buf held; /* may be the beginning of a value */
	bool found;
};

struct redactor *
redact_new(void)
{
	struct redactor *r = xcalloc(1, sizeof(*r));

	r->held = BUF_INIT;
	return r;
}

void
redact_free(struct redactor *r)
{
	size_t i;

	if (!r)
		return;
	for (i = 0; i < r->count; i++) {
		explicit_bzero(r->forms[i].text, r->forms[i].n);
		free(r->forms[i].text);
		free(r->forms[i].shown);
	}
	buf_release(&r->held);
	free(r);
}

bool
redact_any(const struct redactor *r)
{
	return r->count > 0;
}

/* ---- forms of a value ---- */

static bool
add_form(struct redactor *r, const char *name, const char *p, size_t n)
{
	size_t i;

	if (n < REDACT_SHORTEST || n > REDACT_LONGEST || r->count == REDACT_MAX)
		return false;
	for (i = 0; i < r->count; i++)
		if (r->forms[i].n == n && !memcmp(r->forms[i].text, p, n))
			return true;
	r->forms[r->count++] = (struct form){ .text = xstrndup(p, n),
		.shown = xasprintf("[redacted: %s]", name), .n = n };
	r->first[(unsigned char)*p] = true;
	return true;
}

static void
add_json(struct redactor *r, const char *name, const char *value)
{
	CLEANUP_JSON struct json *j = json_string(value);
	CLEANUP_BUF struct buf b = BUF_INIT;

	json_write(j, &b);
	if (b.len > 2)
		(void)add_form(r, name, b.s + 1, b.len - 2); /* may be short */
	explicit_bzero(b.s, b.len);
}

static void
add_percent(struct redactor *r, const char *name, const char *value)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	for (; *value; value++)
		if (isascii(*value) && (isalnum((unsigned char)*value) ||
					       strchr("-._~", *value)))
			buf_addc(&b, *value);
		else
			buf_addf(&b, "%%%02X", (unsigned char)*value);
	(void)add_form(r, name, b.s, b.len); /* may be too long */
	explicit_bzero(b.s, b.len);
}

/*
 * Where a value begins at the first, second or third byte of a group, the
 * characters that no byte beside it has a part in.
 */
static void
add_base64(struct redactor *r, const char *name, const char *value,
	size_t before, void (*encode)(struct buf *, const void *, size_t))
{
	CLEANUP_BUF struct buf raw = BUF_INIT, b = BUF_INIT;
	size_t skip = before ? before + 1 : 0, whole;

	buf_add(&raw, "\0\0", before);
	buf_adds(&raw, value);
	encode(&b, raw.s, raw.len);
	whole = raw.len * 8 / 6;
	if (whole > skip)
		(void)add_form(r, name, b.s + skip, whole - skip); /* short */
	explicit_bzero(raw.s, raw.len);
	explicit_bzero(b.s, b.len);
}

bool
redact_add(struct redactor *r, const char *name, const char *value)
{
	size_t before;

	if (!add_form(r, name, value, strlen(value)))
		return false;
	add_json(r, name, value);
	add_percent(r, name, value);
	for (before = 0; before < 3; before++) {
		add_base64(r, name, value, before, base64_add);
		add_base64(r, name, value, before, base64url_add);
	}
	return true;
}

/* ---- what passes ---- */

/* The longest form at p, or NULL; *ret_partial: one may yet become whole. */
static const struct form *
match(const struct redactor *r, const char *p, size_t n, bool *ret_partial)
{
	const struct form *best = NULL;
	size_t i;

	*ret_partial = false;
	if (!r->first[(unsigned char)*p])
		return NULL;
	for (i = 0; i < r->count; i++) {
		const struct form *f = &r->forms[i];
		size_t m = f->n < n ? f->n : n;

		if (memcmp(f->text, p, m) != 0)
			continue;
		if (f->n > n)
			*ret_partial = true;
		else if (!best || f->n > best->n)
			best = f;
	}
	return best;
}

/* Nothing of the rest is held back when this is the end. */
static void
pass(struct redactor *r, bool end, struct buf *out)
{
	size_t from = 0, at = 0, n = r->held.len;
	const char *p = r->held.s;

	while (at < n) {
		bool partial;
		const struct form *f = match(r, p + at, n - at, &partial);

		/* Of two that begin alike the longer may still come. */
		if (partial && !end)
			break;
		if (!f) {
			at++;
			continue;
		}
		buf_add(out, p + from, at - from);
		buf_adds(out, f->shown);
		r->found = true;
		at += f->n;
		from = at;
	}
	buf_add(out, p + from, at - from);
	buf_consume(&r->held, at);
}

void
redact_take(struct redactor *r, const char *p, size_t n, struct buf *out)
{
	buf_add(&r->held, p, n);
	pass(r, false, out);
}

void
redact_flush(struct redactor *r, struct buf *out)
{
	pass(r, true, out);
}

bool
redact_buf(struct redactor *r, struct buf *b)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	r->found = false;
	if (!r->count)
		return false;
	redact_take(r, b->s, b->len, &out);
	redact_flush(r, &out);
	if (r->found) {
		buf_reset(b);
		buf_add(b, out.s, out.len);
	}
	return r->found;
}
