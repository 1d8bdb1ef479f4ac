/*
 * db_internal: what db.c (statements, transactions) and db_open.c (opening,
 * migrating, closing) share.  No one else includes it.
 */
#ifndef FORGE_STATE_DB_INTERNAL_H
#define FORGE_STATE_DB_INTERNAL_H

#include <sqlite3.h>
#include "lib/state/db.h"

/* A prepared statement of the cache, and its rows while it is open. */
struct db_rows {
	struct db *db;
	const char *sql; /* the key is this address */
	sqlite3_stmt *stmt;
	bool open;
	int signal; /* see begin_signal() in db.c, or -1 */
};

struct db {
	sqlite3 *handle;
	char *path;
	struct db_rows **cache;
	size_t n, alloc;
	int timeout_ms;
	int64_t busy_until; /* monotonic ms: the end of this wait */
	int dirfd; /* of notify; borrowed */
	char *notify; /* or NULL */
	int signal; /* of the open transaction, or -1 */
};

/* What SQLite said last of db, as one of ours.  Returns -1. */
int db_err(struct err *err, const struct db *db);
/* Close the notify file *fd, which wakes the followers; none: nothing. */
void db_end_signal(int *fd);

#endif
