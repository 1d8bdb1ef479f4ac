#include "lib/session/format.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/filter.h"
#include "lib/base/fs.h"
#include "lib/base/mask.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/session.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define PROGRAM_MAX (1 << 20) /* bytes */
#define RESULTS_MAX 10000 /* of one event: a program that loops is stopped */
#define OWN "formats" /* below the state directory */
#define HOST "/etc/forge/formats"

struct format {
	struct filter *filter; /* NULL: lines as they are */
	char *name;
	struct json *session;
	struct json *state; /* what the program keeps */
	int left; /* results that this event may still have */
	struct buf *out;
};

/* ---- programs ---- */

/* The names in a directory, those of NAME.jq. */
static void
add_names(struct buf *ret, DIR *d)
{
	struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n > 3 && !strcmp(e->d_name + n - 3, ".jq"))
			buf_addf(ret, ", %.*s", (int)(n - 3), e->d_name);
	}
	if (d)
		(void)closedir(d); /* read only */
}

static int
no_such_format(struct state *st, const char *name, struct err *err)
{
	CLEANUP_BUF struct buf names = BUF_INIT;
	CLEANUP_FREE char *shipped = NULL;
	CLEANUP_FREE char *own = xasprintf("%s/" OWN, state_path(st));
	struct err ignored = ERR_INIT;

	add_names(&names, opendir(own));
	add_names(&names, opendir(HOST));
	if (!find_data(OWN, &shipped, &ignored))
		add_names(&names, opendir(shipped));
	return err_set(err, ERR_NOTFOUND,
		"no format '%s': there are ndjson%s", name, names.s);
}

static int
read_program(struct state *st, const char *name, struct buf *ret,
	struct err *err)
{
	CLEANUP_FREE char *own = xasprintf(OWN "/%s.jq", name);
	CLEANUP_FREE char *host = xasprintf(HOST "/%s.jq", name);
	CLEANUP_FREE char *shipped = NULL;
	struct err ignored = ERR_INIT;

	if (fs_exists(state_dir(st), own))
		return fs_read(state_dir(st), own, PROGRAM_MAX, ret, err);
	if (fs_exists(AT_FDCWD, host))
		return fs_read(AT_FDCWD, host, PROGRAM_MAX, ret, err);
	if (find_data(own, &shipped, &ignored))
		return no_such_format(st, name, err);
	return fs_read(AT_FDCWD, shipped, PROGRAM_MAX, ret, err);
}

static int
compile(struct format *f, struct state *st, struct err *err)
{
	CLEANUP_BUF struct buf program = BUF_INIT;
	const char *why;

	if (read_program(st, f->name, &program, err))
		return -1;
	if (!filter_compile(program.s, &f->filter, err))
		return 0;
	/* Not with all of the program in front. */
	why = strrchr(err->msg, '\'');
	{
		CLEANUP_FREE char *text = xstrdup(why ? why + 1 : err->msg);

		return err_set(err, ERR_INVALID, "format '%s'%s", f->name, text);
	}
}

/* What a program is told of the session. */
static struct json *
describe(const struct session *s)
{
	struct json *o = json_object();

	json_put_str(o, "id", s->id);
	json_put_str(o, "state", session_state_name(s->state));
	json_put_bool(o, "over", session_over(s->state));
	json_put_str(o, "reason", s->reason);
	json_put_str(o, "provider", s->provider);
	json_put_str(o, "model", s->model);
	json_put_str(o, "agent_session", s->agent_session);
	json_put_str(o, "repo", s->repo);
	json_put_str(o, "branch", s->branch);
	json_put_str(o, "dir", s->dir);
	return o;
}

int
format_open(struct state *st, const char *name, const struct session *session,
	struct format **ret, struct err *err)
{
	struct format *f;

	if (parse_name(name, "--format", err))
		return -1;
	f = xcalloc(1, sizeof(*f));
	f->name = xstrdup(name);
	if (strcmp(name, "ndjson") != 0 && compile(f, st, err)) {
		format_free(f);
		return -1;
	}
	f->session = describe(session);
	f->state = json_object();
	*ret = f;
	return 0;
}

void
format_free(struct format *f)
{
	if (!f)
		return;
	filter_free(f->filter);
	json_free(f->session);
	json_free(f->state);
	free(f->name);
	free(f);
}

/* ---- results ---- */

/* "id: 3\nevent: x\ndata: {...}\n\n"; each part may be missing. */
static void
add_sse(struct buf *out, const struct json *sse)
{
	CLEANUP_JSON struct json *id = json_get(sse, "id");
	CLEANUP_JSON struct json *data = json_get(sse, "data");
	const char *event = json_str(sse, "event", NULL);

	if (id && json_has(id, "")) {
		buf_adds(out, "id: ");
		json_write(id, out);
		buf_addc(out, '\n');
	}
	if (event && !event[strcspn(event, "\r\n")])
		buf_addf(out, "event: %s\n", event);
	buf_adds(out, "data: ");
	json_write(data, out); /* one line, since JSON escapes newlines */
	buf_adds(out, "\n\n");
}

static void
add_text(struct buf *out, const char *text)
{
	size_t before = out->len, i;

	buf_adds(out, text);
	mask_text(out->s + before, out->len - before);
	for (i = before; i < out->len; i++)
		if (out->s[i] == '\r') /* it would write over the line */
			out->s[i] = '?';
}

static int
take(struct json *v, void *arg)
{
	CLEANUP_JSON struct json *owned = v;
	struct format *f = arg;
	const char *text = json_str(owned, "text", NULL);
	struct json *part;

	if (!f->left--)
		return 1;
	if (json_has(owned, "state")) {
		json_free(f->state);
		f->state = json_get(owned, "state");
	}
	part = json_get(owned, "line");
	if (part) {
		json_write(part, f->out);
		buf_addc(f->out, '\n');
		json_free(part);
	}
	part = json_get(owned, "sse");
	if (part) {
		add_sse(f->out, part);
		json_free(part);
	}
	if (text)
		add_text(f->out, text);
	return 0;
}

/* event NULL: the end. */
static int
run(struct format *f, struct json *event, struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *in = json_object();
	int64_t seq = event ? json_int(event, "seq", 0) : 0;
	int rc;

	json_put(in, "event", event ? event : json_string(NULL));
	json_put(in, "state", json_get(f->state, ""));
	json_put(in, "session", json_get(f->session, ""));
	f->left = RESULTS_MAX;
	f->out = out;
	rc = filter_run(f->filter, in, take, f, err);
	if (rc > 0)
		return err_set(err, ERR_INVALID,
			"format '%s' makes too much of event %lld", f->name,
			(long long)seq);
	return rc ? err_wrap(err, "format '%s', event %lld", f->name,
			(long long)seq) : 0;
}

int
format_lines(struct format *f, const char *lines, size_t n, struct buf *out,
	struct err *err)
{
	if (!f->filter) {
		buf_add(out, lines, n);
		return 0;
	}
	while (n) {
		const char *newline = memchr(lines, '\n', n);
		size_t len = newline ? (size_t)(newline + 1 - lines) : n;
		struct json *event;

		if (json_parse(lines, len, &event, err) ||
			run(f, event, out, err))
			return -1;
		lines += len;
		n -= len;
	}
	return 0;
}

int
format_end(struct format *f, const struct session *session, struct buf *out,
	struct err *err)
{
	if (!f->filter)
		return 0;
	json_free(f->session);
	f->session = describe(session);
	return run(f, NULL, out, err);
}
