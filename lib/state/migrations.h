/*
 * migrations: the SQL files of share/migrations, compiled in, in order.
 * Number N brings a database from user_version N-1 to N.  A file that has
 * been released is never changed.
 */
#ifndef FORGE_STATE_MIGRATIONS_H
#define FORGE_STATE_MIGRATIONS_H

extern const char *const migrations[]; /* NULL-terminated SQL texts */
extern const int migrations_count;

#endif
