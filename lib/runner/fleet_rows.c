#include "lib/runner/fleet_rows.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

#define ASKED 60000 /* ms until GitHub is asked to remove it again */

#define UNHEARD 30000 /* ms: so late a webhook may be */

/* ---- strings, each once ---- */

/* A set of labels, or a name. */
struct word {
	char *text;
	struct argv labels;
	size_t index;
};

struct strings {
	void *labels; /* trees of words, by text */
	void *repos;
	void *names; /* enterprises, pools */
};

static int
by_text(const void *a, const void *b)
{
	return strcmp(((const struct word *)a)->text,
		((const struct word *)b)->text);
}

static int
by_name(const void *a, const void *b)
{
	return strcasecmp(((const struct word *)a)->text,
		((const struct word *)b)->text);
}

static void
word_free(void *p)
{
	struct word *e = p;

	argv_release(&e->labels);
	free(e->text);
	free(e);
}

struct strings *
strings_new(void)
{
	return xcalloc(1, sizeof(struct strings));
}

void
strings_free(struct strings *s)
{
	if (!s)
		return;
	tdestroy(s->labels, word_free);
	tdestroy(s->repos, word_free);
	tdestroy(s->names, word_free);
	free(s);
}

/* *ret_new: it was not there before. */
static struct word *
intern(void **tree, int (*compare)(const void *, const void *),
	const char *text, bool *ret_new)
{
	struct word key = { .text = (char *)(uintptr_t)text };
	struct word **found = tfind(&key, tree, compare), *e;

	*ret_new = !found;
	if (found)
		return *found;
	e = xcalloc(1, sizeof(*e));
	*e = (struct word){ .text = xstrdup(text), .labels = ARGV_INIT };
	if (!tsearch(e, tree, compare))
		abort(); /* out of memory */
	return e;
}

static int
labels_of(struct fleet *f, const char *text, const struct argv **ret,
	struct err *err)
{
	bool new;
	struct word *e = intern(&f->strings->labels, by_text, text, &new);
	CLEANUP_JSON struct json *a = NULL;
	size_t i, n;

	*ret = &e->labels;
	if (!new)
		return 0;
	if (json_parse(text, strlen(text), &a, err))
		return -1;
	n = json_len(a, "");
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *label = json_at(a, i);

		argv_push(&e->labels, json_str(label, "", ""));
	}
	return 0;
}

/* Room for one element more, in steps that double. */
static void *
grow(void *v, size_t n, size_t size)
{
	if (n & (n - 1))
		return v;
	return xreallocarray(v, n ? 2 * n : 1, size);
}

static size_t
repo_index(struct fleet *f, const char *name)
{
	bool new;
	struct word *e = intern(&f->strings->repos, by_name, name, &new);

	if (new) {
		f->repos = grow(f->repos, f->nrepos, sizeof(*f->repos));
		e->index = f->nrepos++;
		f->repos[e->index] = (struct repo){ .name = e->text,
			.max = -1, .weight = 1 };
	}
	return e->index;
}

struct repo *
fleet_repo(const struct fleet *f, const char *name)
{
	struct word key = { .text = (char *)(uintptr_t)name };
	struct word **found = tfind(&key, &f->strings->repos, by_name);

	return found ? &f->repos[(*found)->index] : NULL;
}

/* ---- the query ---- */

enum kind {
	ROW_JOBS,
	ROW_RUNNERS,
	ROW_FAILURES,
	ROW_REPO,
	ROW_HOST,
	ROW_VERSION,
	ROW_RELEASE
};

/*
 * Columns: kind, a, b, labels, n, m, k, l.  A VM without a runner counts
 * too, and a runner whose VM is not on record yet.
 */
static const char sql_fleet[] =
	"SELECT 0, repo, enterprise, labels, count(*), "
	"min(coalesce(queued_at, updated_at)), 0, 0 FROM job "
	"WHERE state = 'queued' GROUP BY repo, enterprise, labels "
	"UNION ALL "
	"SELECT 1, pool, state, labels, count(*), sum(on_demand AND "
	"coalesce(asked_at, 0) <= ?1), 0, 0 FROM runner "
	"WHERE state <> 'done' GROUP BY pool, state, labels "
	"UNION ALL "
	"SELECT 1, p.value, 'done', r.labels, count(*), max(r.done_at), 0, 0 "
	"FROM json_each(?2) p JOIN runner r ON r.state = 'done' "
	"AND r.pool = p.value AND r.done_at > ?3 AND r.job IS NULL "
	"AND r.result IN ('succeeded', 'failed', 'cancelled', 'skipped') "
	"GROUP BY p.value, r.labels "
	"UNION ALL "
	"SELECT 1, pool, 'done', labels, count(*), ?4, 0, 0 FROM runner "
	"WHERE state <> 'done' AND state = 'ending' AND reason IS NULL "
	"AND job IS NULL GROUP BY pool, labels "
	"UNION ALL "
	"SELECT 2, p.value, NULL, NULL, count(*), max(r.done_at), 0, 0 "
	"FROM json_each(?2) p JOIN runner r ON r.state = 'done' "
	"AND r.pool = p.value AND r.result = 'error' AND r.done_at > "
	"coalesce((SELECT g.done_at FROM runner g WHERE g.state = 'done' AND "
	"g.pool = p.value AND g.result <> 'error' "
	"ORDER BY g.done_at DESC LIMIT 1), 0) GROUP BY p.value "
	"UNION ALL "
	"SELECT 3, j.repo, NULL, NULL, count(*), 0, 0, 0 FROM runner r "
	"JOIN job j ON j.id = r.job WHERE r.state = 'busy' GROUP BY j.repo "
	"UNION ALL "
	"SELECT 4, NULL, NULL, NULL, count(*), coalesce(sum(cpus), 0), "
	"coalesce(sum(memory), 0), coalesce(sum(promised), 0) FROM ("
	"SELECT cpus, memory_mb * 1048576 AS memory, iif(state = 'starting', "
	"memory_mb * 1048576, 0) AS promised FROM vm "
	"WHERE state IN ('starting', 'running', 'stopping') UNION ALL "
	"SELECT iif(vm IS NULL, 0, cpus), iif(vm IS NULL, 0, memory), "
	"iif(vm IS NULL, 0, memory) FROM runner r WHERE state <> 'done' "
	"AND place NOT GLOB 'agent:*' AND place NOT GLOB 'garm:*' "
	"AND NOT EXISTS (SELECT 1 FROM vm v WHERE v.name = r.vm AND "
	"v.state IN ('starting', 'running', 'stopping'))) "
	"UNION ALL "
	"SELECT 5, p.value, r.version, NULL, r.done_at, 0, 0, 0 "
	"FROM json_each(?2) p JOIN runner r ON r.name = (SELECT x.name "
	"FROM runner x WHERE x.state = 'done' AND x.pool = p.value AND "
	"x.version IS NOT NULL ORDER BY x.done_at DESC LIMIT 1) "
	"UNION ALL "
	"SELECT 6, version, NULL, NULL, seen_at, 0, 0, 0 FROM release";

static int
add_jobs(struct fleet *f, const struct db_rows *rows, struct err *err)
{
	struct demand *d;
	bool new;

	f->demand = grow(f->demand, f->ndemand, sizeof(*f->demand));
	d = &f->demand[f->ndemand];
	*d = (struct demand){ .count = (int)db_int(rows, 4),
		.since = db_int(rows, 5) };
	d->repo_at = repo_index(f, db_text(rows, 1));
	d->repo = f->repos[d->repo_at].name;
	if (!db_null(rows, 2))
		d->enterprise = intern(&f->strings->names, by_text,
			db_text(rows, 2), &new)->text;
	f->queued += d->count;
	f->ndemand++;
	return labels_of(f, db_text(rows, 3), &d->labels, err);
}

/* Pools are few and come in order: the last one is often the one. */
static bool
pool_index(const struct fleet *f, const char *name, size_t *ret)
{
	size_t i;

	if (!name || !f->pools.n)
		return false;
	for (i = 0; i < f->pools.n; i++) {
		size_t k = (*ret + i) % f->pools.n;

		if (!strcmp(f->pools.v[k].name, name)) {
			*ret = k;
			return true;
		}
	}
	return false;
}

static int
add_crew(struct fleet *f, size_t pool, const struct db_rows *rows,
	struct err *err)
{
	const struct argv *labels;
	struct crew *c;
	size_t i;

	if (labels_of(f, db_text(rows, 3), &labels, err))
		return -1;
	/* Rows come by pool and state: the same labels are not far. */
	for (i = f->ncrews; i && f->crews[i - 1].pool == pool; i--)
		if (f->crews[i - 1].labels == labels)
			break;
	if (!i || f->crews[i - 1].pool != pool) {
		f->crews = grow(f->crews, f->ncrews, sizeof(*f->crews));
		f->crews[f->ncrews] = (struct crew){ .pool = pool,
			.labels = labels };
		i = ++f->ncrews;
	}
	c = &f->crews[i - 1];
	if (!strcmp(db_text(rows, 2), "done")) {
		c->ghosts += (int)db_int(rows, 4);
		if (c->ghosts_at < db_int(rows, 5))
			c->ghosts_at = db_int(rows, 5);
	} else {
		c->ready += (int)db_int(rows, 4);
		c->spare += (int)db_int(rows, 5);
	}
	return 0;
}

static int
add_runners(struct fleet *f, const struct db_rows *rows, size_t *hint,
	struct err *err)
{
	const char *state = db_text(rows, 2);
	int n = (int)db_int(rows, 4);
	struct supply *s;

	if (!pool_index(f, db_text(rows, 1), hint))
		return 0;
	s = &f->supply[*hint];
	if (!strcmp(state, "busy"))
		s->busy += n;
	else if (!strcmp(state, "ending") || !strcmp(state, "held"))
		s->ending += n;
	else if (!strcmp(state, "idle"))
		s->idle += n;
	else if (strcmp(state, "done") != 0)
		s->starting += n;
	return !strcmp(state, "busy") || !strcmp(state, "ending") ||
			!strcmp(state, "held") ?
		0 :
		add_crew(f, *hint, rows, err);
}

static int
add_row(struct fleet *f, const struct db_rows *rows, struct used *used,
	size_t *hint, struct err *err)
{
	size_t i;
	bool new;

	switch ((enum kind)db_int(rows, 0)) {
	case ROW_JOBS:
		return add_jobs(f, rows, err);
	case ROW_RUNNERS:
		return add_runners(f, rows, hint, err);
	case ROW_FAILURES:
		if (pool_index(f, db_text(rows, 1), hint)) {
			f->supply[*hint].failures = (int)db_int(rows, 4);
			f->supply[*hint].failed_at = db_int(rows, 5);
		}
		return 0;
	case ROW_REPO:
		i = repo_index(f, db_text(rows, 1)); /* moves f->repos */
		f->repos[i].busy += (int)db_int(rows, 4);
		return 0;
	case ROW_HOST:
		*used = (struct used){ db_int(rows, 4), db_int(rows, 5),
			db_int(rows, 6), db_int(rows, 7) };
		return 0;
	case ROW_VERSION:
		if (pool_index(f, db_text(rows, 1), hint)) {
			f->supply[*hint].version = intern(&f->strings->names,
				by_text, db_text(rows, 2), &new)->text;
			f->supply[*hint].version_at = db_int(rows, 4);
		}
		return 0;
	case ROW_RELEASE:
		f->releases = grow(f->releases, f->nreleases,
			sizeof(*f->releases));
		f->releases[f->nreleases++] = (struct release){
			intern(&f->strings->names, by_text, db_text(rows, 1),
				&new)->text,
			db_int(rows, 4) };
		return 0;
	}
	return 0;
}

static int
by_pool(const void *a, const void *b)
{
	const struct crew *x = a, *y = b;

	return x->pool < y->pool ? -1 : x->pool > y->pool;
}

int
fleet_rows(struct db *db, struct fleet *f, int64_t now, struct used *ret_used,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_JSON struct json *names = json_array();
	CLEANUP_FREE char *text = NULL;
	size_t hint = 0, i;
	int rc;

	for (i = 0; i < f->pools.n; i++)
		json_push_str(names, f->pools.v[i].name);
	text = json_text(names);
	if (db_query(db, &rows, sql_fleet, err, DB_I(now - ASKED), DB_S(text),
		    DB_I(now - UNHEARD), DB_I(now)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		if (add_row(f, rows, ret_used, &hint, err))
			return -1;
	if (f->ncrews)
		qsort(f->crews, f->ncrews, sizeof(*f->crews), by_pool);
	return rc;
}
