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
	CLEANUP_FREE char *what =
		xasprintf("in.jq or out.jq of provider '%s'", provider);
	struct translator *t;
	struct filter *filter = NULL;

	/* A comment may be their last line. */
	buf_addf(&program, "if .kind then (%s\n) else (%s\n) end",
		in ? in : "empty", out ? out : "empty");
	if ((in || out) &&
		filter_compile_as(what, program.s, &filter, err)) {
		err->code = ERR_INVALID;
		return -1;
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

/*
 * All results of a line are taken before the first is acted on: what it
 * leads to may run the programs again, and libjq has one run at a time.
 */
struct results {
	struct json *v[RESULTS_MAX];
	size_t n;
};

static int
collect(struct json *v, void *arg)
{
	struct results *r = arg;

	if (r->n == RESULTS_MAX) {
		json_free(v);
		return 1;
	}
	r->v[r->n++] = v;
	return 0;
}

static int
send_value(const struct json *v, const struct translated *to,
	struct err *err)
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
	return to->send(line.s, line.len, to->arg, err);
}

static int
give_event(const struct json *v, const char *kind,
	const struct translated *to, struct err *err)
{
	struct json *data = json_get(v, "data");

	if (!data || !json_is_object(data)) {
		json_free(data);
		data = json_object();
	}
	return to->event(kind, data, to->arg, err);
}

/* Is it one of the three that a program may yield? */
static bool
is_known(const struct json *v)
{
	const char *kind = json_str(v, "kind", NULL);

	return (kind && event_kind_known(kind)) || json_has(v, "send") ||
		json_has(v, "state");
}

static int
act(struct translator *t, const struct json *v, const struct translated *to,
	bool *sent, struct err *err)
{
	const char *kind = json_str(v, "kind", NULL);

	if (kind && event_kind_known(kind))
		return give_event(v, kind, to, err);
	if (json_has(v, "send")) {
		*sent = true;
		return send_value(v, to, err);
	}
	json_free(t->state);
	t->state = json_get(v, "state");
	return 0;
}

static int
act_all(struct translator *t, const struct results *r,
	const struct translated *to, bool *sent, struct err *err)
{
	bool odd = false;
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (!is_known(r->v[i]))
			odd = true;
		else if (act(t, r->v[i], to, sent, err))
			return -1;
	}
	return odd;
}

/*
 * 0, -1, or 1: the program failed, or yielded something odd, which is no
 * failure of ours.  in is taken over.
 */
static int
run(struct translator *t, struct json *in, const struct translated *to,
	bool *sent, struct err *err)
{
	struct results *r = xcalloc(1, sizeof(*r));
	struct err why = ERR_INIT;
	size_t i;
	int failed, rc;

	json_put(in, "state", json_get(t->state, ""));
	failed = filter_run(t->filter, in, collect, r, &why);
	json_free(in);
	rc = act_all(t, r, to, sent, err);
	for (i = 0; i < r->n; i++)
		json_free(r->v[i]);
	free(r);
	return rc < 0 ? -1 : rc || failed;
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
	struct err none = ERR_INIT;
	struct json *in, *value;
	bool sent;
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
	rc = run(t, in, to, &sent, err);
	return rc == 1 ? text_out(line, n, "raw", "line", to, err) : rc;
}

static int
text_in(const char *kind, const struct json *data,
	const struct translated *to, bool *sent, struct err *err)
{
	CLEANUP_BUF struct buf line = BUF_INIT;

	if (strcmp(kind, "message") != 0)
		return 0;
	buf_adds(&line, json_str(data, "text", ""));
	buf_addc(&line, '\n');
	*sent = true;
	return to->send(line.s, line.len, to->arg, err);
}

int
translate_in(struct translator *t, const char *kind, struct json *data,
	const struct translated *to, bool *ret_sent, struct err *err)
{
	bool sent = false;
	struct json *in;
	int rc;

	if (!t->in) {
		rc = text_in(kind, data, to, &sent, err);
		json_free(data);
	} else {
		in = json_object();
		json_put_str(in, "kind", kind);
		json_put(in, "data", data);
		rc = run(t, in, to, &sent, err);
		if (rc == 1)
			rc = err_set(err, ERR_INVALID,
				"in.jq of the provider fails on '%s'", kind);
	}
	if (ret_sent)
		*ret_sent = sent;
	return rc;
}
