#include "lib/runner/why.h"

#include <inttypes.h>
#include <string.h>

#include "lib/state/rows.h"
#include "lib/base/banned.h"

/* Jobs and runners are subjects of events by id and by name; a VM has the
 * name of its runner. */
static const char sql_events[] =
	"SELECT json_object('seq', e.seq, 'at', e.at, 'kind', e.kind, "
	"'subject', e.subject, 'took', "
	"e.at - coalesce(lag(e.at) OVER (ORDER BY e.seq), e.at), "
	"'data', json(e.data)) FROM event e, job j "
	"WHERE j.id = ?1 AND (e.subject = j.runner OR "
	"(e.subject = CAST(j.id AS TEXT) AND e.kind LIKE 'job.%')) "
	"ORDER BY e.seq";

static int
known(struct db *db, int64_t job, struct err *err)
{
	int64_t n;

	if (!db_get_int(db, &n, "SELECT 1 FROM job WHERE id = ?1", err,
		    DB_I(job)))
		return 0;
	if (err->code == ERR_NOTFOUND)
		return err_set(err, ERR_NOTFOUND,
			"no job %" PRId64 " is known; 'forge-runner jobs "
			"--all' lists those that are", job);
	return -1;
}

int
job_why(struct db *db, int64_t job,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	if (known(db, job, err))
		return -1;
	return rows_each(db, sql_events,
		(const struct db_value[]){ DB_I(job), DB_LAST }, emit, arg, err);
}
