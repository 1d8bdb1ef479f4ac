#include "lib/state/rows.h"

#include <string.h>

#include "lib/base/banned.h"

int
rows_each(struct db *db, const char *sql, const struct db_value *values,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query_values(db, &rows, sql, err, values))
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
