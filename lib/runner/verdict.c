#include "lib/runner/verdict.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/runner/github.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

bool
verdict_of(const char *conclusion, enum runner_result *ret)
{
	static const struct {
		const char *conclusion;
		enum runner_result result;
	} table[] = {
		{ "success", RUNNER_SUCCEEDED },
		{ "neutral", RUNNER_SUCCEEDED },
		{ "failure", RUNNER_FAILED },
		{ "timed_out", RUNNER_FAILED },
		{ "cancelled", RUNNER_CANCELLED },
		{ "skipped", RUNNER_SKIPPED },
	};
	size_t i;

	for (i = 0; conclusion && i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].conclusion, conclusion)) {
			*ret = table[i].result;
			return true;
		}
	return false;
}

int
job_verdict(struct db *db, struct github *gh, const char *runner, bool ask,
	enum runner_result *result, struct err *err)
{
	static const char sql[] =
		"SELECT j.id, j.repo, iif(j.state = 'completed', "
		"j.conclusion, NULL) FROM runner r JOIN job j ON j.id = r.job "
		"WHERE r.name = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_JSON struct json *job = NULL;
	CLEANUP_FREE char *repo = NULL;
	int64_t id;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(runner)))
		return -1;
	rc = db_next(rows, err);
	if (rc != 1)
		return rc;
	if (verdict_of(db_text(rows, 2), result) || !ask)
		return 0;
	id = db_int(rows, 0);
	repo = xstrdup(db_text(rows, 1));
	db_done(rows); /* nothing is open while the network is slow */
	rows = NULL;
	if (github_job(gh, repo, id, &job, err))
		return -1;
	(void)verdict_of(json_str(job, "conclusion", NULL), result);
	return 0;
}
