#include "lib/state/event.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

enum { WRITERS = 4, EACH = 250, TOTAL = WRITERS * EACH, PATIENCE_MS = 60000 };

static struct state *
need_state(struct db **ret)
{
	struct err err = ERR_INIT;
	struct state *st = NULL;

	setenv("FORGE_STATE", "state", 1);
	if (state_open(&st, &err) || state_db(st, ret, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return st;
}

static int
add(struct db *db, int writer, int n)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct err err = ERR_INIT;
	struct json *data = json_object();

	json_put_int(data, "writer", writer);
	json_put_int(data, "n", n);
	if (db_begin(db, &t, &err)) {
		json_free(data);
	} else if (!event_add(db, "test.added", "thing", data, &err) &&
		!db_commit(&t, &err))
		return 0;
	printf("# writer %d: %s\n", writer, err.msg);
	fflush(stdout);
	return 1;
}

static int
stop_after_one(struct json *event, void *arg)
{
	struct json **ret = arg;

	*ret = event;
	return 7;
}

static void
test_form(void)
{
	struct err err = ERR_INIT;
	struct db *db;
	struct state *st = need_state(&db);
	struct json *e = NULL;
	int64_t since = 0, last = -1, now = clock_wall();

	ok(!event_last(db, &last, &err) && last == 0, "an empty log");
	is_int(event_each(db, &since, stop_after_one, &e, &err), 0,
		"gives nothing");
	is_int(add(db, 3, 9), 0, "add");
	ok(!event_add(db, "plain.added", "p", NULL, &err), "without data");
	is_int(event_each(db, &since, stop_after_one, &e, &err), 7,
		"emit stops the walk");
	is_int(since, 1, "after the first");
	is_int(json_int(e, "seq", -1), 1, "seq");
	ok(json_int(e, "at", -1) >= now, "at");
	is_str(json_str(e, "kind", NULL), "test.added", "kind");
	is_str(json_str(e, "subject", NULL), "thing", "subject");
	is_int(json_int(e, "data.writer", -1), 3, "data");
	json_free(e);
	is_int(event_each(db, &since, stop_after_one, &e, &err), 7, "next");
	is_int(since, 2, "is the second");
	ok(json_has(e, "data") && !json_len(e, "data"), "empty data");
	json_free(e);
	ok(!db_run(db, "DELETE FROM event", NULL, &err) &&
		!event_add(db, "a.b", "c", NULL, &err) &&
		!event_last(db, &last, &err) && last == 3,
		"a number is never used again");
	ok(!db_run(db, "DELETE FROM event", NULL, &err), "clean");
	state_close(st);
}

/* What a follower saw, and what was wrong with it. */
struct seen {
	int64_t last;
	int next[WRITERS];
	int total, wrong;
};

static int
see(struct json *event, void *arg)
{
	struct seen *s = arg;
	int64_t seq = json_int(event, "seq", -1);
	int64_t writer = json_int(event, "data.writer", -1);

	s->wrong += seq <= s->last;
	s->last = seq;
	if (writer < 0 || writer >= WRITERS)
		s->wrong++;
	else
		s->wrong += json_int(event, "data.n", -1) != s->next[writer]++;
	s->total++;
	json_free(event);
	return 0;
}

/*
 * Follow until want events came.  A poll that runs out of time is a missed
 * wake-up: there is no second look.
 */
static int
follow(struct seen *s, int want, int64_t since, int ready)
{
	struct err err = ERR_INIT;
	struct db *db;
	struct state *st = need_state(&db);
	struct pollfd p = { .events = POLLIN };

	if (event_watch_open(st, &p.fd, &err) ||
		write(ready, "", 1) != 1)
		return 1;
	for (;;) {
		if (event_each(db, &since, see, s, &err))
			return 2;
		if (s->total >= want)
			break;
		if (poll(&p, 1, PATIENCE_MS) != 1)
			return 3;
		event_watch_clear(p.fd);
	}
	close(p.fd);
	state_close(st);
	return s->wrong ? 4 : s->total != want ? 5 : 0;
}

static int
write_each(int i)
{
	struct db *db;
	struct state *st = need_state(&db);
	int n, bad = 0;

	for (n = 0; n < EACH; n++)
		bad |= add(db, i, n);
	state_close(st);
	return bad;
}

static pid_t
start_follower(int want, int64_t since)
{
	struct seen s = { 0 };
	int ready[2];
	char c;
	pid_t pid;

	fflush(stdout);
	if (pipe(ready))
		exit(1);
	pid = fork();
	if (!pid)
		_exit(follow(&s, want, since, ready[1]));
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		printf("# the follower did not start\n");
	close(ready[0]);
	return pid;
}

static int
status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static int64_t
newest(void)
{
	struct err err = ERR_INIT;
	struct db *db;
	struct state *st = need_state(&db);
	int64_t last = -1;

	if (event_last(db, &last, &err))
		printf("# %s\n", err.msg);
	state_close(st);
	return last;
}

static void
test_follow(void)
{
	int64_t since = newest(), before = clock_mono();
	pid_t pids[WRITERS], follower = start_follower(TOTAL, since);
	int i, bad = 0;

	for (i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(write_each(i));
	}
	for (i = 0; i < WRITERS; i++)
		bad += status_of(pids[i]);
	is_int(bad, 0, "4 processes write 250 events each");
	is_int(status_of(follower), 0,
		"a follower gets each once, in order, without polling");
	ok(clock_mono() - before < PATIENCE_MS,
		"and never waited for its time-out");
}

/* Commits the way db_commit() does it, and dies before it can close. */
static void
die_after_commit(void)
{
	struct err err = ERR_INIT;
	struct db *db;
	struct txn t = TXN_INIT;

	(void)need_state(&db);
	if (db_begin(db, &t, &err) ||
		event_add(db, "test.added", "x",
			json_object(), &err) ||
		db_run(db, "COMMIT", NULL, &err))
		_exit(1);
	raise(SIGKILL);
}

static int
one_more(struct json *event, void *arg)
{
	++*(int *)arg;
	json_free(event);
	return 0;
}

static void
test_killed_writer(void)
{
	struct err err = ERR_INIT;
	int64_t since = newest();
	struct db *db;
	struct state *st;
	struct pollfd p = { .events = POLLIN };
	int n = 0, go[2];
	pid_t pid;

	if (pipe(go))
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		char c;

		if (read(go[0], &c, 1) == 1)
			die_after_commit();
		_exit(1);
	}
	st = need_state(&db);
	ok(!event_watch_open(st, &p.fd, &err), "watch");
	is_int(poll(&p, 1, 0), 0, "nothing yet");
	ok(write(go[1], "", 1) == 1 && status_of(pid) == 1000,
		"a writer is killed right after its commit");
	is_int(poll(&p, 1, 1000), 1, "the follower wakes all the same");
	event_watch_clear(p.fd);
	is_int(poll(&p, 1, 0), 0, "clear quietens it");
	ok(!event_each(db, &since, one_more, &n, &err) && n == 1,
		"and the event is there");
	ok(!db_run(db, "DELETE FROM event WHERE seq = ?", NULL, &err,
		DB_I(since)) && poll(&p, 1, 1000) == 1,
		"a statement on its own wakes too");
	close(p.fd);
	close(go[0]);
	close(go[1]);
	state_close(st);
}

int
main(void)
{
	tmp_enter();
	test_form();
	test_follow();
	test_killed_writer();
	tmp_leave();
	return done();
}
