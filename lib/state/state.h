/*
 * state: the state directory, opened once; everything below it is reached by
 * openat from its fd.
 *
 *	struct state *st;
 *	if (state_open(&st, err)) return -1;
 *	struct db *db;
 *	if (state_db(st, &db, err)) ...		opened on first use
 *	state_close(st);
 *
 * Where it is: common.state (-C), else $FORGE_STATE, else /var/lib/forge for
 * root, else $XDG_STATE_HOME/forge, else ~/.local/state/forge.  It is made
 * on first use, mode 0700, and refused when it belongs to somebody else, when
 * others may write to it, or when it is some other directory: not empty and
 * without a database (ERR_SCHEMA).
 *
 * Programs that state_open() starts inherit $FORGE_STATE (an absolute path),
 * so a chain of our programs works on one state.
 */
#ifndef FORGE_STATE_STATE_H
#define FORGE_STATE_STATE_H

#include <stdint.h>
#include "lib/base/err.h"

struct state;
struct db;
struct config;

int state_open(struct state **ret, struct err *err)
	__attribute__((warn_unused_result));
void state_close(struct state *st);
void cleanup_state(struct state **st);
#define CLEANUP_STATE __attribute__((cleanup(cleanup_state)))

int state_dir(const struct state *st); /* the fd */
const char *state_path(const struct state *st); /* absolute */

/* Borrowed: closed by state_close(). */
int state_db(struct state *st, struct db **ret, struct err *err)
	__attribute__((warn_unused_result));
int state_config(struct state *st, struct config **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The lock of one thing: state_lock(st, "vm", name, ...).  As lock_take();
 * the directories below run/ are made.  name NULL: run/KIND itself.
 */
int state_lock(struct state *st, const char *kind, const char *name,
	unsigned flags, int64_t wait_ms, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));
/* 1 held, 0 free, -1 error. */
int state_locked(struct state *st, const char *kind, const char *name,
	struct err *err) __attribute__((warn_unused_result));

#endif
