#include "lib/runner/delivery.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/runner/job.h"
#include "lib/runner/spool.h"
#include "lib/state/db.h"
#include "lib/state/rows.h"
#include "lib/base/banned.h"

static const char *const results[] = { "applied", "stale", "ignored",
	"duplicate" };
_Static_assert(ARRAY_SIZE(results) == DELIVERY_RESULT__MAX, "results");

const char *
delivery_result_name(enum delivery_result r)
{
	return results[r];
}

static int
check_word(const char *s, const char *what, struct err *err)
{
	if (!s || !*s)
		return err_set(err, ERR_INVALID, "%s is missing", what);
	if (!spool_word(s))
		return err_set(err, ERR_INVALID,
			"%s is not 1 to 64 letters, digits, - and _", what);
	return 0;
}

/* What a delivery means; job.id is 0 when it is not about one. */
struct meaning {
	struct job job;
	char *action; /* or NULL */
};

static void
meaning_release(struct meaning *m)
{
	job_release(&m->job);
	cleanup_free(&m->action);
}
#define CLEANUP_MEANING __attribute__((cleanup(meaning_release)))
#define MEANING_INIT ((struct meaning){ .job = JOB_INIT })

static int
understand(const struct delivery *d, struct meaning *ret, struct err *err)
{
	CLEANUP_JSON struct json *payload = NULL;
	struct err e = ERR_INIT;

	if (check_word(d->guid, "X-GitHub-Delivery", err) ||
		check_word(d->event, "X-GitHub-Event", err) ||
		json_parse(d->body, d->n, &payload, err))
		return -1;
	if (json_str(payload, "action", NULL))
		ret->action = xstrndup(json_str(payload, "action", ""), 64);
	if (strcmp(d->event, "workflow_job") != 0 ||
		!job_parse(payload, &ret->job, &e) ||
		e.code == ERR_NOTFOUND) /* an action not known here */
		return 0;
	*err = e;
	return -1;
}

int
delivery_check(const struct delivery *d, struct err *err)
{
	CLEANUP_MEANING struct meaning m = MEANING_INIT;

	return understand(d, &m, err);
}

static int
insert(struct db *db, const struct delivery *d, const struct meaning *m,
	int *ret_new, struct err *err)
{
	static const char sql[] =
		"INSERT INTO delivery (guid, event, action, hook, "
		"received_at, outcome, body) VALUES (?1, ?2, ?3, ?4, ?5, "
		"'ignored', ?6) ON CONFLICT (guid) DO NOTHING";

	return db_run(db, sql, ret_new, err, DB_S(d->guid), DB_S(d->event),
		DB_S(m->action), DB_S(d->hook), DB_I(d->received_at),
		m->job.id ? DB_B(d->body, d->n) : DB_B("", 0));
}

static int
apply(struct db *db, const char *guid, const struct job *j,
	enum delivery_result *ret, struct err *err)
{
	static const char sql[] =
		"UPDATE delivery SET outcome = ?2 WHERE guid = ?1";
	bool changed = false;

	if (j->id && job_apply(db, j, &changed, err))
		return -1;
	*ret = !j->id ? DELIVERY_IGNORED :
		changed ? DELIVERY_APPLIED :
			  DELIVERY_STALE;
	/* Also when it is the same: a trigger counts. */
	return db_run(db, sql, NULL, err, DB_S(guid), DB_S(results[*ret]));
}

/* In the caller's transaction. */
static int
take(struct db *db, const struct delivery *d, const struct meaning *m,
	enum delivery_result *ret, struct err *err)
{
	int fresh;

	*ret = DELIVERY_DUPLICATE;
	if (insert(db, d, m, &fresh, err))
		return -1;
	return fresh ? apply(db, d->guid, &m->job, ret, err) : 0;
}

int
delivery_take(struct db *db, const struct delivery *d,
	enum delivery_result *ret, struct err *err)
{
	CLEANUP_MEANING struct meaning m = MEANING_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	enum delivery_result result;

	if (understand(d, &m, err) || db_begin(db, &t, err) ||
		take(db, d, &m, &result, err) || db_commit(&t, err))
		return -1;
	*ret = result;
	return 0;
}

int
delivery_take_in(struct db *db, const struct delivery *d,
	enum delivery_result *ret, struct err *err)
{
	CLEANUP_MEANING struct meaning m = MEANING_INIT;

	return understand(d, &m, err) ? -1 : take(db, d, &m, ret, err);
}

/* ---- for people ---- */

int
delivery_each(struct db *db, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err)
{
	static const char sql[] =
		"SELECT json_object('guid', guid, 'event', event, 'action', "
		"action, 'hook', hook, 'outcome', outcome, 'size', "
		"length(body), 'received_at', received_at) FROM delivery "
		"ORDER BY received_at DESC, guid";

	return rows_each(db, sql, (const struct db_value[]){ DB_LAST }, emit,
		arg, err);
}

static int
get(struct db *db, struct db_rows **ret, const char *guid, struct err *err)
{
	static const char sql[] =
		"SELECT event, action, hook, outcome, received_at, body "
		"FROM delivery WHERE guid = ?1";
	int rc;

	if (db_query(db, ret, sql, err, DB_S(guid)))
		return -1;
	rc = db_next(*ret, err);
	return rc < 0 ? -1 : rc ? 0 :
		err_set(err, ERR_NOTFOUND, "no delivery '%s' is known; "
			"'forge-webhook list' lists those that are", guid);
}

int
delivery_show(struct db *db, const char *guid, struct json **ret,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct json *o, *body;
	const char *text;
	size_t n;

	if (get(db, &rows, guid, err))
		return -1;
	text = db_blob(rows, 5, &n);
	body = NULL;
	if (n && json_parse(text, n, &body, err))
		return -1;
	o = json_object();
	json_put_str(o, "guid", guid);
	json_put_str(o, "event", db_text(rows, 0));
	json_put_str(o, "action", db_text(rows, 1));
	json_put_str(o, "hook", db_text(rows, 2));
	json_put_str(o, "outcome", db_text(rows, 3));
	json_put_int(o, "received_at", db_int(rows, 4));
	json_put(o, "body", body ? body : json_string(NULL));
	*ret = o;
	return 0;
}

static int
load(struct db *db, const char *guid, struct meaning *ret, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct delivery d = { .guid = guid };

	if (get(db, &rows, guid, err))
		return -1;
	d.event = db_text(rows, 0);
	d.body = db_blob(rows, 5, &d.n);
	return d.n ? understand(&d, ret, err) : 0;
}

int
delivery_replay(struct db *db, const char *guid, enum delivery_result *ret,
	struct err *err)
{
	CLEANUP_MEANING struct meaning m = MEANING_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (load(db, guid, &m, err) || db_begin(db, &t, err) ||
		apply(db, guid, &m.job, ret, err))
		return -1;
	return db_commit(&t, err);
}

int
delivery_prune(struct db *db, int64_t age, int *ret_n, struct err *err)
{
	static const char sql[] =
		"DELETE FROM delivery WHERE received_at < ?1";
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(db, &t, err) ||
		db_run(db, sql, ret_n, err, DB_I(clock_wall() - age)))
		return -1;
	return db_commit(&t, err);
}
