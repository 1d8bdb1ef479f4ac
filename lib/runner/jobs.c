#include "lib/runner/jobs.h"

#include <string.h>

#include "lib/state/db.h"
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
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_I(all)))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		const char *text = db_text(rows, 0);
		struct json *row;

		if (json_parse(text, strlen(text), &row, err))
			return -1;
		rc = emit(row, arg);
		if (rc)
			return rc;
	}
	return rc;
}
