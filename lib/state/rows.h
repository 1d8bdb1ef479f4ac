/*
 * rows: queries that answer in JSON: the first column of each row is the text
 * of one object, made by SQLite's json_object().
 */
#ifndef FORGE_STATE_ROWS_H
#define FORGE_STATE_ROWS_H

#include "lib/base/json.h"
#include "lib/state/db.h"

/*
 * Give each row to emit, which owns it and stops the walk by returning
 * non-zero; that is returned.  values end in DB_LAST.
 */
int rows_each(struct db *db, const char *sql, const struct db_value *values,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
