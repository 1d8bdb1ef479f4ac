#include "lib/session/translate.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/filter.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define RESULTS_MAX 1000 /* of one line: a program that loops is stopped */

static const char *const known[] = { "output", "thinking", "tool.use",
	"tool.result", "ask", "answer", "message", "status", "usage",
	"snapshot", "result", "error", "raw" };

struct translator {
	struct filter *filter; /* NULL: text both ways */
	bool out, in; /* it has this part */
	struct json *state;
};

bool
event_kind_known(const char *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(kind, known[i]))
			return true;
	return false;
}

int
translator_new(const char *provider, const char *out, const char *in,
	struct translator **ret, struct err *err)
{
	CLEANUP_BUF struct buf program = BUF_INIT;
	struct translator *t;
	struct filter *filter = NULL;

	/* A comment may be their last line. */
	buf_addf(&program, "if .kind then (%s\n) else (%s\n) end",
		in ? in : "empty", out ? out : "empty");
	if ((in || out) && filter_compile(program.s, &filter, err)) {
		struct err why = *err;

		/* Not with all of the program in front. */
		return err_set(err, ERR_INVALID, "provider '%s': %.300s",
			provider, strrchr(why.msg, '\'') ?
				strrchr(why.msg, '\'') + 1 : why.msg);
	}
	t = xcalloc(1, sizeof(*t));
	t->filter = filter;
	t->out = out != NULL;
	t->in = in != NULL;
	translator_reset(t);
	*ret = t;
	return 0;
}

void
translator_free(struct translator *t)
{
	if (!t)
		return;
	filter_free(t->filter);
	json_free(t->state);
	free(t);
}

void
translator_reset(struct translator *t)
{
	json_free(t->state);
	t->state = json_object();
}

/* ---- results ---- */

struct walk {
	struct translator *t;
	const struct translated *to;
	size_t n;
	bool sent;
	bool odd; /* something that is none of the three */
	struct err *err;
};

static int
send_value(struct walk *w, const struct json *v)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	const char *text = json_str(v, "send", NULL);

	if (text) {
		buf_adds(&line, text);
	} else {
		CLEANUP_JSON struct json *value = json_get(v, "send");

		json_write(value, &line);
	}
	buf_addc(&line, '\n');
	w->sent = true;
	return w->to->send(line.s, line.len, w->to->arg, w->err);
}

static int
give_event(struct walk *w, const struct json *v, const char *kind)
{
	struct json *data = json_get(v, "data");

	return w->to->event(kind, data ? data : json_object(), w->to->arg,
		w->err);
}

static int
result(struct json *v, void *arg)
{
	CLEANUP_JSON struct json *own = v;
	struct walk *w = arg;
	const char *kind = json_str(v, "kind", NULL);

	if (++w->n > RESULTS_MAX) {
		w->odd = true;
		return 1;
	}
	if (kind && event_kind_known(kind))
		return give_event(w, v, kind);
	if (json_has(v, "send"))
		return send_value(w, v);
	if (json_has(v, "state")) {
		json_free(w->t->state);
		w->t->state = json_get(v, "state");
		return 0;
	}
	w->odd = true;
	return 0;
}

/*
 * 0, -1, or 1: the program failed, which is no failure of ours.  in is taken
 * over.
 */
static int
run(struct walk *w, struct json *in, struct err *err)
{
	struct err own = ERR_INIT;
	int rc;

	json_put(in, "state", json_get(w->t->state, ""));
	rc = filter_run(w->t->filter, in, result, w, &own);
	json_free(in);
	if (rc < 0 && own.code == ERR_INVALID && !err->code)
		return 1;
	if (rc < 0 && !err->code)
		*err = own;
	return rc < 0 ? -1 : w->odd;
}

/* ---- the two ways ---- */

/* A string as JSON has them: a NUL byte would end it. */
static struct json *
text_of(const char *line, size_t n)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	buf_add(&b, line, n);
	for (i = 0; i < n; i++)
		if (!b.s[i])
			b.s[i] = '?';
	return json_string(b.s);
}

static int
text_out(const char *line, size_t n, const char *kind, const char *key,
	const struct translated *to, struct err *err)
{
	struct json *data = json_object();

	json_put(data, key, text_of(line, n));
	return to->event(kind, data, to->arg, err);
}

int
translate_out(struct translator *t, const char *line, size_t n,
	const struct translated *to, bool *ret_garbage, struct err *err)
{
	struct walk w = { .t = t, .to = to, .err = err };
	struct err none = ERR_INIT;
	struct json *in, *value;
	int rc;

	*ret_garbage = false;
	if (!t->out)
		return text_out(line, n, "output", "text", to, err);
	if (json_parse(line, n, &value, &none)) {
		*ret_garbage = true;
		value = text_of(line, n);
	}
	in = json_object();
	json_put(in, "line", value);
	rc = run(&w, in, err);
	return rc == 1 ? text_out(line, n, "raw", "line", to, err) : rc;
}

int
translate_in(struct translator *t, const char *kind, struct json *data,
	const struct translated *to, bool *ret_sent, struct err *err)
{
	struct walk w = { .t = t, .to = to, .err = err };
	struct json *in = json_object();
	int rc;

	json_put_str(in, "kind", kind);
	json_put(in, "data", data);
	if (t->in) {
		rc = run(&w, in, err);
		if (rc == 1)
			rc = err_set(err, ERR_INVALID,
				"in.jq of the provider fails on '%s'", kind);
	} else if (!strcmp(kind, "message")) {
		CLEANUP_FREE char *text =
			xasprintf("%s\n", json_str(in, "data.text", ""));

		rc = to->send(text, strlen(text), to->arg, err);
		json_free(in);
		w.sent = true;
	} else {
		json_free(in);
		rc = 0;
	}
	if (ret_sent)
		*ret_sent = w.sent;
	return rc;
}
