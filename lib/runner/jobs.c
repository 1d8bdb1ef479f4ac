#include "lib/runner/jobs.h"

#include <string.h>

#include "lib/state/rows.h"
#include "lib/base/banned.h"

int
jobs_each(struct db *db, bool all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	static const char sql[] =
		"SELECT json_object('id', id, 'state', state, 'repo', repo, "
		"'workflow', workflow, 'name', name, 'run', run_id, "
		"'attempt', attempt, 'labels', json(labels), 'conclusion', "
		"conclusion, 'runner', runner, 'url', url, 'queued_at', "
		"queued_at, 'started_at', started_at, 'completed_at', "
		"completed_at) FROM job WHERE state <> 'completed' OR ?1 "
		"ORDER BY coalesce(queued_at, updated_at), id";
	return rows_each(db, sql,
		(const struct db_value[]){ DB_I(all), DB_LAST }, emit, arg, err);
}
