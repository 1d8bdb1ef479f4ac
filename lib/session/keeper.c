#include "lib/session/keeper_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define LINE_MAX_BYTES 64

/* ---- the supervisor ---- */

/* When it is gone nobody needs to hear it. */
static void
say(const struct keeper *k, const char *word, const char *more)
{
	CLEANUP_FREE char *line = xasprintf("%s%s%s\n", word, more ? " " : "",
		more ? more : "");

	if (write_all(k->run->out, line, strlen(line)))
		log_debug("session.keeper", "id", k->s.id, NULL);
}

static void
say_failed(const struct keeper *k, struct err *err)
{
	CLEANUP_FREE char *more = NULL;

	err_clean(err->msg);
	more = xasprintf("%d %s", err_status(err->code), err->msg);
	log_warning("session.keeper", "id", k->s.id, "error", err->msg, NULL);
	say(k, "failed", more);
}

/* ---- what it says ---- */

/* 1: this is the end. */
static int
obey(struct keeper *k, const char *word)
{
	struct err err = ERR_INIT;
	int rc = 0;

	if (!strcmp(word, "quit"))
		return 1;
	if (!strcmp(word, "sync"))
		rc = keeper_back(k, &err);
	else if (!strcmp(word, "turn"))
		rc = keeper_refill(k, &err);
	if (rc)
		say_failed(k, &err);
	else
		say(k, "ok", NULL);
	return 0;
}

/* 1: it wants the end, 2: it is gone. */
static int
hear(struct keeper *k)
{
	char c;
	ssize_t n = read(k->run->in, &c, 1);
	int rc = 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return 2;
	if (c == '\n') {
		rc = obey(k, k->line.s);
		buf_reset(&k->line);
	} else if (k->line.len < LINE_MAX_BYTES) {
		buf_addc(&k->line, c);
	}
	return rc;
}

static int
serve(struct keeper *k, int signals, struct err *err)
{
	int end = 0;

	while (!end) {
		struct pollfd p[] = { { .fd = k->run->in, .events = POLLIN },
			{ .fd = k->machine.pidfd, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = k->forward.pid ? k->forward.pidfd : -1,
				.events = POLLIN } };

		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (p[1].revents)
			return keeper_gone(k, err);
		if (p[3].revents)
			return err_set(err, ERR_PLACE,
				"VM '%s': the way to the proxy ended", k->vm);
		if (p[2].revents && signals_next(signals))
			end = 2;
		else if (p[0].revents)
			end = hear(k);
	}
	return end == 2 ? keeper_back(k, err) : 0;
}

/* ---- the whole ---- */

static int
load(struct keeper *k, struct err *err)
{
	CLEANUP_FREE char *home = xasprintf("session/%s/home", k->run->id);
	struct config *c;
	struct db *db;

	if (state_db(k->st, &db, err) ||
		session_get(db, k->run->id, &k->s, err) ||
		state_config(k->st, &c, err) ||
		config_size(c, "session", NULL, "max-return", (int64_t)4 << 30,
			&k->max, err) ||
		fs_mkdirs(state_dir(k->st), home, 0700, err) ||
		keeper_finish(k->st, &k->s, err) ||
		trees_load(k->st, k->s.id, &k->trees, err))
		return -1;
	k->home = xasprintf("%s/%s", state_path(k->st), home);
	k->known = xcalloc(k->trees.n + 1, sizeof(*k->known));
	return 0;
}

static void
release(struct keeper *k)
{
	size_t i;

	keeper_destroy(k);
	for (i = 0; k->known && i < k->trees.n; i++)
		free(k->known[i]);
	free(k->known);
	trees_release(&k->trees);
	session_release(&k->s);
	buf_release(&k->mark);
	buf_release(&k->line);
	free(k->home);
	free(k->vm);
	free(k->user);
}

int
keeper_run(struct state *st, const struct keeper_run *r, struct err *err)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	CLEANUP_CLOSE int signals = -1;
	struct keeper k = { .st = st, .run = r, .s = SESSION_INIT,
		.mark = BUF_INIT, .machine = CHILD_INIT,
		.forward = CHILD_INIT, .line = BUF_INIT };
	int rc = signals_open(list, &signals, err) || load(&k, err) ||
			keeper_boot(&k, err) || keeper_fill(&k, err) ||
			keeper_forward(&k, err) ?
		-1 :
		0;

	if (!rc) {
		say(&k, "ready", k.vm);
		rc = serve(&k, signals, err);
	}
	if (rc)
		say_failed(&k, err);
	release(&k);
	return rc;
}
