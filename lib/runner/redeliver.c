#include "lib/runner/redeliver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/delivery.h"
#include "lib/runner/etag.h"
#include "lib/runner/github.h"
#include "lib/runner/pool.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { PAGES_MAX = 200, ROWS_MAX = 20000 };
#define MINUTE INT64_C(60000)
#define DAYS_3 (3 * 24 * 60 * MINUTE)
#define OVERLAP (15 * MINUTE)

/* All attempts of one GUID. */
struct failure {
	char *guid, *action, *status;
	int64_t id; /* of the newest attempt */
	int64_t at;
	bool good; /* one was answered with success */
};

struct scan {
	struct state *st;
	struct db *db;
	const struct redeliver *what;
	int (*emit)(struct json *row, void *arg);
	void *arg;
	struct github *gh;
	const char *scope; /* or GITHUB_APP */
	char *path; /* ".../deliveries" */
	struct failure *v;
	size_t n;
	int stopped; /* what emit returned */
};

static void
release(struct scan *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->v[i].guid);
		free(s->v[i].action);
		free(s->v[i].status);
	}
	free(s->v);
	free(s->path);
	s->v = NULL;
	s->path = NULL;
	s->n = 0;
}

/* ---- reading GitHub's record ---- */

static struct failure *
failure_of(struct scan *s, const char *guid)
{
	size_t i;

	for (i = s->n; i; i--) /* attempts are near one another */
		if (!strcmp(s->v[i - 1].guid, guid))
			return &s->v[i - 1];
	return NULL;
}

/* Rows come newest first. */
static int
note(struct scan *s, const struct json *row, struct err *err)
{
	int64_t code = json_int(row, "status_code", 0);
	const char *guid = json_str(row, "guid", "");
	struct failure *f;

	if (strcmp(json_str(row, "event", ""), "workflow_job") != 0)
		return 0;
	if (!*guid || json_int(row, "id", 0) <= 0)
		return err_set(err, ERR_INVALID,
			"a delivery of '%s' has no guid or id", s->path);
	f = failure_of(s, guid);
	if (!f) {
		if (s->n == ROWS_MAX)
			return err_set(err, ERR_LIMIT, "'%s' has more than %d "
				"deliveries: give a shorter --since", s->path,
				ROWS_MAX);
		s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
		f = &s->v[s->n++];
		*f = (struct failure){ .guid = xstrdup(guid),
			.action = xstrdup(json_str(row, "action", "")),
			.status = xstrdup(json_str(row, "status", "")),
			.id = json_int(row, "id", 0),
			.at = clock_parse(json_str(row, "delivered_at", "")) };
	}
	f->good |= code >= 200 && code <= 299;
	return 0;
}

/* *ret_more: the next page may have some, too. */
static int
read_page(struct scan *s, int64_t since, char **cursor, bool *ret_more,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s?per_page=100%s%s", s->path,
		*cursor ? "&cursor=" : "", *cursor ? *cursor : "");
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	size_t i, n;

	if (github_get(s->gh, s->scope, path, NULL, &r, err))
		return -1;
	n = json_len(r.json, "");
	free(*cursor);
	*cursor = steal_ptr(&r.cursor);
	*ret_more = *cursor && n;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *row = json_at(r.json, i);

		if (clock_parse(json_str(row, "delivered_at", "")) < since) {
			*ret_more = false;
			return 0;
		}
		if (note(s, row, err))
			return -1;
	}
	return 0;
}

static int
read_all(struct scan *s, int64_t since, struct err *err)
{
	CLEANUP_FREE char *cursor = NULL;
	bool more = true;
	int page;

	for (page = 0; more && page < PAGES_MAX; page++)
		if (read_page(s, since, &cursor, &more, err))
			return -1;
	return 0;
}

/* ---- taking what is missing ---- */

static int
is_known(struct scan *s, const char *guid, bool *ret, struct err *err)
{
	static const char sql[] =
		"SELECT count(*) FROM delivery WHERE guid = ?1";
	int64_t n;

	if (db_get_int(s->db, &n, sql, err, DB_S(guid)))
		return -1;
	*ret = n > 0;
	return 0;
}

/* The body as it is recorded: of a form, GitHub shows the field or what is
 * in it. */
static int
payload_text(const struct json *j, char **ret, struct err *err)
{
	const char *form = json_str(j, "request.payload.payload", NULL);
	CLEANUP_JSON struct json *p = json_get(j, "request.payload");

	if (!form && (!p || !json_len(p, "")))
		return err_set(err, ERR_INVALID,
			"GitHub shows no payload of a delivery");
	*ret = form ? xstrdup(form) : json_text(p);
	return 0;
}

static int
fetch(struct scan *s, const struct failure *f, const char **ret_outcome,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/%" PRId64, s->path, f->id);
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *text = NULL;
	struct delivery d = { .guid = f->guid, .event = "workflow_job",
		.hook = github_name(s->gh), .received_at = clock_wall() };
	enum delivery_result result;

	if (github_get(s->gh, s->scope, path, NULL, &r, err) ||
		payload_text(r.json, &text, err))
		return -1;
	d.body = text;
	d.n = strlen(text);
	if (delivery_take(s->db, &d, &result, err))
		return -1;
	*ret_outcome = delivery_result_name(result);
	return 0;
}

static int
ask_again(struct scan *s, const struct failure *f, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/%" PRId64 "/attempts",
		s->path, f->id);
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;

	return github_post(s->gh, s->scope, path, &r, err);
}

static int
handle(struct scan *s, const struct failure *f, struct err *err)
{
	const char *outcome = "missing";
	struct json *row;
	bool known;

	if (is_known(s, f->guid, &known, err))
		return -1;
	if (known || (f->good && !s->what->all))
		return 0;
	if (s->what->dry)
		;
	else if (s->what->ask ? ask_again(s, f, err) :
			fetch(s, f, &outcome, err))
		return err_wrap(err, "delivery '%.64s'", f->guid);
	if (s->what->ask && !s->what->dry)
		outcome = "asked";
	row = json_object();
	json_put_str(row, "guid", f->guid);
	json_put_str(row, "action", f->action);
	json_put_str(row, "github", github_name(s->gh));
	json_put_str(row, "status", f->status);
	json_put_int(row, "delivered_at", f->at);
	json_put_str(row, "outcome", outcome);
	s->stopped = s->emit(row, s->arg);
	return 0;
}

/* ---- one hook ---- */

static int
start_from(struct scan *s, const char *key, int64_t *ret, struct err *err)
{
	CLEANUP_FREE char *tag = NULL, *body = NULL;
	int64_t now = clock_wall(), last;
	struct err unused = ERR_INIT;

	*ret = now - (s->what->since ? s->what->since : DAYS_3);
	if (s->what->since || s->what->all)
		return 0;
	if (etag_get(s->db, key, &tag, &body, err))
		return -1;
	if (body && !parse_i64(body, 0, INT64_MAX, key, &last, &unused) &&
		last - OVERLAP > *ret)
		*ret = last - OVERLAP;
	return 0;
}

static int
scan_hook(struct scan *s, const char *scope, char *path, struct err *err)
{
	CLEANUP_FREE char *key = xasprintf("%s %s", github_name(s->gh), path);
	CLEANUP_FREE char *now = xasprintf("%" PRId64, clock_wall());
	int64_t since;
	size_t i;

	release(s);
	s->path = path;
	s->scope = scope;
	if (start_from(s, key, &since, err) || read_all(s, since, err))
		return -1;
	for (i = s->n; i && !s->stopped; i--) /* oldest first */
		if (handle(s, &s->v[i - 1], err))
			return -1;
	return s->what->dry || s->stopped ? 0 :
		etag_put(s->db, key, "read until", now, err);
}

static bool
is_ours(const struct json *hook)
{
	CLEANUP_JSON struct json *events = json_get(hook, "events");
	size_t i, n = events ? json_len(events, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *e = json_at(events, i);
		const char *name = json_str(e, "", "");

		if (!strcmp(name, "workflow_job") || !strcmp(name, "*"))
			return json_bool(hook, "active", false);
	}
	return false;
}

/* The hooks of an organization or repository. */
static int
scan_scope(struct scan *s, const char *scope, struct err *err)
{
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *account = NULL, *path = NULL;
	size_t i, n;

	if (github_account(scope, &account, err))
		return -1;
	path = xasprintf("/%s/hooks?per_page=100", account);
	if (github_get(s->gh, scope, path, NULL, &r, err))
		return -1;
	n = json_len(r.json, "");
	for (i = 0; i < n && !s->stopped; i++) {
		CLEANUP_JSON struct json *hook = json_at(r.json, i);

		if (is_ours(hook) && scan_hook(s, scope, xasprintf(
				"/%s/hooks/%" PRId64 "/deliveries", account,
				json_int(hook, "id", 0)), err))
			return -1;
	}
	return 0;
}

/* ---- all sections ---- */

struct problems {
	void (*failed)(const char *line);
	struct err last;
};

static void
problem(struct problems *p, const char *name, const char *what,
	const struct err *why)
{
	CLEANUP_FREE char *line = xasprintf("%s of github '%s': %s", what,
		name, why->msg);

	p->failed(line);
	p->last = *why;
}

/* Does the section NAME serve the pool, and has its scope hooks? */
static bool
serves(const struct pool *pool, const char *name)
{
	return !pool->scale_set &&
		(!pool->github || !strcmp(pool->github, name)) &&
		strncmp(pool->scope, "enterprise:", 11) != 0;
}

static void
scan_pools(struct scan *s, const struct pools *pools, const char *name,
	struct problems *bad)
{
	size_t i, j;

	for (i = 0; i < pools->n && !s->stopped; i++) {
		const struct pool *p = &pools->v[i];
		struct err one = ERR_INIT;

		for (j = 0; j < i; j++)
			if (serves(&pools->v[j], name) &&
				!strcasecmp(pools->v[j].scope, p->scope))
				break;
		if (j == i && serves(p, name) && scan_scope(s, p->scope, &one))
			problem(bad, name, p->scope, &one);
	}
}

static void
scan_section(struct scan *s, const struct pools *pools, const char *name,
	struct problems *bad)
{
	CLEANUP_GITHUB struct github *gh = NULL;
	struct err one = ERR_INIT;

	if (github_open(s->st, name, &gh, &one)) {
		problem(bad, name, "the section", &one);
		return;
	}
	if (github_is_gitea(gh))
		return; /* keeps no record that could be read */
	github_set_background(gh);
	s->gh = gh;
	if (!github_is_app(gh))
		scan_pools(s, pools, name, bad);
	else if (scan_hook(s, GITHUB_APP, xstrdup("/app/hook/deliveries"),
			 &one))
		problem(bad, name, "the App's webhook", &one);
	s->gh = NULL;
}

int
redeliver(struct state *st, const struct redeliver *what,
	int (*emit)(struct json *row, void *arg), void *arg,
	void (*failed)(const char *line), struct err *err)
{
	CLEANUP(release) struct scan s = { .st = st, .what = what,
		.emit = emit, .arg = arg };
	struct problems bad = { .failed = failed, .last = ERR_INIT };
	CLEANUP_POOLS struct pools pools = { 0 };
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	size_t i;

	if (state_db(st, &s.db, err) || state_config(st, &c, err) ||
		pools_load(st, &pools, err))
		return -1;
	config_names(c, "github", &names);
	for (i = 0; i < names.n && !s.stopped; i++)
		scan_section(&s, &pools, names.v[i], &bad);
	if (!bad.last.code)
		return s.stopped;
	*err = bad.last;
	return -1;
}
