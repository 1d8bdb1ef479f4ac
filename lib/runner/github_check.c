#include "lib/runner/github_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/runner/github.h"
#include "lib/runner/pool.h"
#include "lib/runner/rate.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define DAY (INT64_C(24) * 3600 * 1000)

enum verdict { GOOD, UNKNOWN, BAD };
static const char *const verdicts[] = { "ok", "unknown", "failed" };

struct check {
	struct state *st;
	struct db *db;
	struct config *c;
	int (*emit)(struct json *row, void *arg);
	void *arg;
	struct github *gh;
	const char *name; /* of the section */
	bool good;
	int stopped;
};

static void __attribute__((format(printf, 4, 5)))
tell(struct check *c, const char *what, enum verdict v, const char *fmt, ...)
{
	struct json *row = json_object();
	CLEANUP_FREE char *detail = NULL;
	va_list ap;

	va_start(ap, fmt);
	detail = xvasprintf(fmt, ap);
	va_end(ap);
	json_put_str(row, "github", c->name);
	json_put_str(row, "what", what);
	json_put_str(row, "result", verdicts[v]);
	json_put_str(row, "detail", detail);
	if (v == BAD)
		c->good = false;
	if (!c->stopped)
		c->stopped = c->emit(row, c->arg);
}

/* ---- of a section ---- */

static bool
credentials(struct check *c)
{
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_JSON struct json *rate = NULL;
	struct err why = ERR_INIT;

	if (github_is_app(c->gh)) {
		if (github_get(c->gh, GITHUB_APP, "/app", NULL, &r, &why)) {
			tell(c, "credentials", BAD, "%s", why.msg);
			return false;
		}
		tell(c, "credentials", GOOD, "the App '%s'",
			json_str(r.json, "slug", "?"));
		return true;
	}
	if (github_is_gitea(c->gh)) {
		if (github_get(c->gh, NULL, "/version", NULL, &r, &why)) {
			tell(c, "credentials", BAD, "%s", why.msg);
			return false;
		}
		tell(c, "credentials", GOOD, "a token, at Gitea %.40s",
			json_str(r.json, "version", "?"));
		return true;
	}
	/* Answered without a token, too, but refused with a wrong one. */
	if (github_rate(c->gh, &rate, &why)) {
		tell(c, "credentials", BAD, "%s", why.msg);
		return false;
	}
	tell(c, "credentials", GOOD, "a token");
	return true;
}

static void
budget(struct check *c)
{
	struct err why = ERR_INIT;
	char until[32];
	struct rate r;

	if (rate_load(c->st, c->name, &r, &why)) {
		tell(c, "budget", UNKNOWN, "%s", why.msg);
	} else if (r.blocked_until > clock_wall()) {
		tell(c, "budget", BAD, "no calls until %s: %s",
			clock_format(r.blocked_until, until, sizeof(until)),
			r.why);
	} else if (r.core.limit < 0) {
		tell(c, "budget", UNKNOWN, "the server tells of none");
	} else {
		tell(c, "budget", r.core.remaining > r.core.limit / 10 ||
			r.core.reset < clock_wall() ? GOOD : BAD,
			"%" PRId64 " of %" PRId64 " calls are left until %s",
			r.core.remaining, r.core.limit, clock_format(
				r.core.reset, until, sizeof(until)));
	}
}

/* ---- webhooks ---- */

static int
last_delivery(struct check *c, int64_t *ret, struct err *err)
{
	static const char sql[] =
		"SELECT coalesce(max(received_at), 0) FROM delivery "
		"WHERE hook = ?1";

	return db_get_int(c->db, ret, sql, err, DB_S(c->name));
}

/* What GitHub says of its newest attempt, where it can be asked. */
static bool
newest_failed(struct check *c)
{
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_JSON struct json *row = NULL;
	struct err why = ERR_INIT;
	int64_t code;

	if (!github_is_app(c->gh) || github_get(c->gh, GITHUB_APP,
			"/app/hook/deliveries?per_page=1", NULL, &r, &why))
		return false;
	row = json_at(r.json, 0);
	code = row ? json_int(row, "status_code", 0) : 200;
	if (code >= 200 && code <= 299)
		return false;
	tell(c, "webhook", BAD, "GitHub's newest delivery failed: %.100s; "
		"'forge-webhook redeliver' takes those",
		json_str(row, "status", "?"));
	return true;
}

static void
webhook(struct check *c)
{
	const char *path = config_str(c->c, "github", c->name,
		"webhook-secret-file", NULL);
	struct err why = ERR_INIT;
	char text[32];
	int64_t last;

	if (!path) {
		tell(c, "webhook", UNKNOWN, "no webhook-secret-file is set: "
			"webhooks are not taken");
		return;
	}
	if (newest_failed(c))
		return;
	if (last_delivery(c, &last, &why))
		tell(c, "webhook", UNKNOWN, "%s", why.msg);
	else if (!last)
		tell(c, "webhook", UNKNOWN, "none has come yet");
	else
		tell(c, "webhook", last > clock_wall() - DAY ? GOOD : UNKNOWN,
			"the last one came at %s", clock_format(last, text,
				sizeof(text)));
}

/* ---- of a pool ---- */

static void
try_path(struct check *c, const char *kind, const char *scope,
	const char *rest, const char *need)
{
	CLEANUP_FREE char *what = xasprintf("%s %s", kind, scope);
	CLEANUP_REPLY struct github_reply r = GITHUB_REPLY_INIT;
	CLEANUP_FREE char *account = NULL, *path = NULL;
	struct err why = ERR_INIT;

	if (!github_account(scope, &account, &why)) {
		path = xasprintf("/%s%s", account, rest);
		if (!github_get(c->gh, scope, path, NULL, &r, &why)) {
			tell(c, what, GOOD, "may be read");
			return;
		}
	}
	if (why.code == ERR_AUTH || why.code == ERR_NOTFOUND)
		tell(c, what, BAD, "%s needs the permission %s: %s", c->name,
			need, why.msg);
	else
		tell(c, what, BAD, "%s", why.msg);
}

static void
group(struct check *c, const struct pool *p)
{
	CLEANUP_FREE char *what = xasprintf("group %s", p->group);
	struct err why = ERR_INIT;
	int64_t id;

	if (github_group(c->gh, p->scope, p->group, &id, &why))
		tell(c, what, BAD, "%s", why.msg);
	else
		tell(c, what, GOOD, "its id is %" PRId64, id);
}

static void
check_pool(struct check *c, const struct pool *p, bool first)
{
	bool repo = !strncmp(p->scope, "repo:", 5);

	if (first)
		try_path(c, "runners", p->scope,
			"/actions/runners?per_page=1", repo ?
			"administration: write" :
			"organization_self_hosted_runners: write");
	if (first && repo && !p->scale_set && !github_is_gitea(c->gh))
		try_path(c, "jobs", p->scope, "/actions/runs?per_page=1",
			"actions: read");
	if (p->group)
		group(c, p);
}

static void
check_pools(struct check *c, const struct pools *pools)
{
	size_t i, j;

	for (i = 0; i < pools->n && !c->stopped; i++) {
		const struct pool *p = &pools->v[i];
		bool first = true;

		if (p->github && strcmp(p->github, c->name) != 0)
			continue;
		for (j = 0; j < i; j++)
			first &= strcasecmp(pools->v[j].scope, p->scope) != 0;
		check_pool(c, p, first);
	}
}

int
github_check(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, bool *ret_good,
	struct err *err)
{
	struct check c = { .st = st, .emit = emit, .arg = arg, .good = true };
	CLEANUP_POOLS struct pools pools = { 0 };
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	size_t i;

	if (state_db(st, &c.db, err) || state_config(st, &c.c, err) ||
		pools_load(st, &pools, err))
		return -1;
	config_names(c.c, "github", &names);
	if (!names.n)
		return err_set(err, ERR_NOTFOUND,
			"no [github \"NAME\"] is configured");
	for (i = 0; i < names.n && !c.stopped; i++) {
		CLEANUP_GITHUB struct github *gh = NULL;
		struct err why = ERR_INIT;

		c.name = names.v[i];
		if (github_open(st, c.name, &gh, &why)) {
			tell(&c, "credentials", BAD, "%s", why.msg);
			continue;
		}
		github_set_patience(gh, 0);
		c.gh = gh;
		if (credentials(&c))
			check_pools(&c, &pools);
		budget(&c);
		webhook(&c);
	}
	*ret_good = c.good;
	return c.stopped;
}
