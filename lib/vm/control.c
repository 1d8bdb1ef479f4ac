#include "lib/vm/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/vm/conn.h"
#include "lib/vm/supervise.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define STOP_EXTRA 10000 /* ms beyond the grace for the power-off */

static int
send_shutdown(int fd, int64_t grace_ms, struct err *err)
{
	struct conn *c = xmalloc(sizeof(*c));
	unsigned char p[4];
	struct frame f = { .type = CHANNEL_SHUTDOWN, .length = sizeof(p),
		.payload = p };
	int rc;

	frame_put32(p, (uint32_t)grace_ms);
	conn_init(c, fd);
	conn_send(c, &f);
	rc = conn_flush(c) ? err_sys(err, "cannot reach the VM") : 0;
	conn_release(c);
	cleanup_free(&c);
	return rc;
}

int
vm_stop(struct state *st, const char *name, int64_t grace_ms,
	struct err *err)
{
	CLEANUP_FREE char *state = NULL;
	struct db *db;
	int fd;

	if (state_db(st, &db, err) || vm_state(db, name, &state, err))
		return -1;
	if (*state && vm_over(state))
		return 0;
	if (supervisor_connect(st, name, &fd, err) ||
		send_shutdown(fd, grace_ms, err))
		return -1;
	/* Twice: its agent, then whatever else the driver can ask. */
	return vm_wait(st, name, true,
		clock_mono() + 2 * grace_ms + STOP_EXTRA, err);
}

/* 1 when what is waited for is there, 0 when not yet. */
static int
reached(struct db *db, const char *name, bool stopped, bool known,
	struct err *err)
{
	CLEANUP_FREE char *state = NULL;

	if (vm_state(db, name, &state, err))
		return -1;
	if (!*state && !known)
		return vm_unknown(name, err);
	if (stopped)
		return vm_over(state);
	if (vm_over(state))
		return err_set(err, ERR_SYS,
			"VM '%s' ended before it was ready", name);
	return strcmp(state, "starting") != 0;
}

/* Events wake us; the look each second is for a supervisor that was killed
 * and writes none. */
static int
sleep_some(int events, int64_t deadline, struct err *err)
{
	struct pollfd p = { .fd = events, .events = POLLIN };
	int left = clock_left(deadline);

	if (!left)
		return err_set(err, ERR_TIMEOUT, "waited long enough");
	if (left < 0 || left > 1000)
		left = 1000;
	if (poll(&p, 1, left) < 0 && errno != EINTR)
		return err_sys(err, "poll");
	event_watch_clear(events);
	return 0;
}

int
vm_wait(struct state *st, const char *name, bool stopped, int64_t deadline,
	struct err *err)
{
	CLEANUP_CLOSE int events = -1;
	bool known = false;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || event_watch_open(st, &events, err))
		return -1;
	for (;;) {
		if (vm_repair(st, false, NULL, err))
			return -1;
		rc = reached(db, name, stopped, known, err);
		if (rc)
			return rc < 0 ? -1 : 0;
		known = true;
		if (sleep_some(events, deadline, err))
			return err_wrap(err, "VM '%s'", name);
	}
}
