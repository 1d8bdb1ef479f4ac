/*
 * event: the append-only log of what happened; forge-events(5) lists the
 * kinds.
 *
 * An event is added in the same transaction as the change of state that it
 * tells of.  Sequence numbers grow and are never reused.
 *
 *	struct json *data = json_object();
 *	json_put_str(data, "image", image);
 *	event_add(db, "vm.starting", name, data, err);	inside a db_begin()
 */
#ifndef FORGE_STATE_EVENT_H
#define FORGE_STATE_EVENT_H

#include <stdint.h>
#include "lib/base/json.h"
#include "lib/base/err.h"

struct db;
struct db_value;
struct state;

/* kind is "noun.verb-past"; subject names the thing; data may be NULL and is
 * taken over. */
int event_add(struct db *db, const char *kind, const char *subject,
	struct json *data, struct err *err) __attribute__((warn_unused_result));

/*
 * One change of a row and its event, as a transaction of their own: sql with
 * values (ended by DB_LAST) must change a row, else ERR_BUSY: subject is not
 * in a state that allows kind.  data is taken over.
 */
int event_change(struct db *db, const char *kind, const char *subject,
	struct json *data, const char *sql, const struct db_value *values,
	struct err *err) __attribute__((warn_unused_result));

/* The newest sequence number; 0 in an empty log. */
int event_last(struct db *db, int64_t *ret_seq, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Give every event with seq > since, oldest first, to emit as
 * {"seq":41,"at":...,"kind":"vm.ready","subject":"web-1","data":{...}};
 * emit owns it and stops the walk by returning non-zero, which is returned.
 * *since is moved to the last one given.  Read in short transactions, so a
 * slow emit delays no writer.
 */
int event_each(struct db *db, int64_t *since,
	int (*emit)(struct json *event, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

/*
 * A follower's alarm: an inotify fd that becomes readable after any commit
 * to the database.  Spurious wake-ups happen; missed ones do not, when the
 * order is: open, event_each, poll, clear, event_each.  No timer is needed.
 *
 * What is watched is the closing of run/notify, which every writer of ours
 * opens before its transaction and closes after it (IN_CLOSE_WRITE).  The
 * WAL file would not do: it changes before the commit can be read, so a
 * follower could wake too early, find nothing and sleep on.  A writer killed
 * after its commit still wakes followers, because the kernel closes the file
 * for it.  Writers that are not ours (the sqlite3 shell) wake nobody.
 */
int event_watch_open(struct state *st, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));
void event_watch_clear(int fd);

#endif
