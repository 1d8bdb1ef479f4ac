#include "lib/session/engine_internal.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/session/redact.h"
#include "lib/base/banned.h"

void
engine_secret(struct engine *e, const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < HIDE__MAX; i++) {
		if (!e->hide[i])
			e->hide[i] = redact_new();
		(void)redact_add(e->hide[i], name, value); /* too short */
	}
}

/* NAME=VALUE of an environment whose name says that it is a secret. */
void
hide_env(struct engine *e, const struct argv *env)
{
	static const char *const words[] = { "KEY", "TOKEN", "SECRET",
		"PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL" };
	size_t i, k;

	for (i = 0; i < env->n; i++) {
		const char *value = strchr(env->v[i], '=');
		CLEANUP_FREE char *name = NULL;

		if (!value)
			continue;
		name = xstrndup(env->v[i], (size_t)(value - env->v[i]));
		for (k = 0; k < ARRAY_SIZE(words); k++)
			if (strstr(name, words[k])) {
				engine_secret(e, name, value + 1);
				break;
			}
	}
}

void
hide_release(struct engine *e)
{
	size_t i;

	for (i = 0; i < HIDE__MAX; i++)
		redact_free(e->hide[i]);
}

bool
hide_line(struct engine *e, const char *p, size_t n, struct buf *ret)
{
	struct redactor *r = e->hide[HIDE_LINE];

	if (!r)
		return false;
	redact_take(r, p, n, ret);
	redact_flush(r, ret);
	return true;
}

bool
hide_errors(struct engine *e, const char *p, size_t n, struct buf *ret)
{
	struct redactor *r = e->hide[HIDE_ERRORS];

	if (!r)
		return false;
	if (p)
		redact_take(r, p, n, ret);
	else
		redact_flush(r, ret);
	return true;
}

/* ---- pieces of text ---- */

static struct json *
piece(const char *text)
{
	struct json *data = json_object();

	json_put_str(data, "text", text);
	json_put_bool(data, "partial", true);
	return data;
}

/*
 * What was held back of the pieces before comes first, unless this is a
 * piece of the same.
 */
static int
let_go(struct engine *e, const char *kind, struct err *err)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	const char *was = e->piece_kind;

	if (!was || (kind && !strcmp(kind, was)))
		return 0;
	e->piece_kind = NULL;
	redact_flush(e->hide[HIDE_TEXT], &out);
	return out.len ? event_write(e, was, piece(out.s), err) : 0;
}

int
hide_pieces(struct engine *e, const char *kind, struct json **data,
	struct err *err)
{
	static const char *const kinds[] = { "output", "thinking" };
	CLEANUP_BUF struct buf out = BUF_INIT;
	const char *text = json_str(*data, "text", NULL);
	bool is_piece = text && json_bool(*data, "partial", false);
	size_t i;

	if (!e->hide[HIDE_TEXT])
		return 1;
	if (let_go(e, is_piece ? kind : NULL, err))
		return -1;
	if (!is_piece)
		return 1;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			e->piece_kind = kinds[i];
	if (!e->piece_kind)
		return 1;
	redact_take(e->hide[HIDE_TEXT], text, strlen(text), &out);
	if (out.len == strlen(text) && !memcmp(out.s, text, out.len))
		return 1;
	json_put_str(*data, "text", out.s);
	return out.len ? 1 : 0;
}
