#include "lib/vm/supervise_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define MONITOR_WAIT 5000 /* ms; it answers within 2 */

/* The guest did not see the time pass. */
static void
send_clock(struct supervisor *s)
{
	unsigned char p[8];
	struct frame f = { .type = CHANNEL_CLOCK, .length = sizeof(p),
		.payload = p };
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	frame_put64(p, (uint64_t)now.tv_sec * 1000000000 +
			(uint64_t)now.tv_nsec);
	conn_send(&s->channel, &f);
}

static int
check_state(const struct supervisor *s, bool paused, struct err *err)
{
	const char *name = s->boot->spec.name;

	if (s->stopping)
		return err_set(err, ERR_BUSY, "VM '%s' is stopping", name);
	if (s->warm == WARM_WAITS)
		return err_set(err, ERR_BUSY,
			"VM '%s' waits to be taken by run or start", name);
	if (s->paused == paused)
		return 0;
	return err_set(err, ERR_EXISTS,
		paused ? "VM '%s' is not paused" : "VM '%s' is paused already",
		name);
}

/* By the monitor that is ours, or the driver, which knows the API socket. */
static int
stand_still(struct supervisor *s, bool still, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("%s/vm/%s", state_path(s->st),
		s->boot->spec.name);

	if (s->qmp.fd >= 0)
		return qmp_command(&s->qmp, still ? "stop" : "cont", NULL,
			clock_mono() + MONITOR_WAIT, err);
	if (s->driver.api)
		return driver_verb(s->boot->spec.driver,
			still ? "pause" : "resume", dir, err);
	return err_set(err, ERR_LIMIT,
		"driver '%s' cannot pause a VM; qemu can",
		s->boot->spec.driver);
}

int
supervisor_pause(struct supervisor *s, struct err *err)
{
	if (check_state(s, false, err) || stand_still(s, true, err))
		return -1;
	s->paused = true;
	return vm_paused(s->db, s->boot->spec.name, true, err);
}

int
supervisor_resume(struct supervisor *s, struct err *err)
{
	if (check_state(s, true, err))
		return -1;
	send_clock(s); /* it waits in the port: the first that is read */
	(void)conn_flush(&s->channel); /* what is left goes with the loop */
	if (stand_still(s, false, err))
		return -1;
	s->paused = false;
	return vm_paused(s->db, s->boot->spec.name, false, err);
}

static void
reply(struct supervisor *s, int i, const struct err *err)
{
	struct frame f = { .type = CHANNEL_DONE };
	unsigned char p[1 + sizeof(err->msg)];

	if (err->code) {
		p[0] = (unsigned char)err->code;
		memcpy(p + 1, err->msg, strlen(err->msg));
		f = (struct frame){ .type = CHANNEL_REFUSED,
			.length = (uint32_t)(1 + strlen(err->msg)),
			.payload = p };
	}
	conn_send(&s->clients[i].conn, &f);
}

static int
take(struct supervisor *s, const struct frame *f, struct err *err)
{
	CLEANUP_FREE char *name = xasprintf("%.*s",
		f->length > 255 ? 255 : (int)f->length,
		(const char *)f->payload);

	return snapshot_machine(s, name, err);
}

bool
pause_from_client(struct supervisor *s, int i, const struct frame *f)
{
	struct err err = ERR_INIT;
	int rc;

	if (f->stream)
		return false;
	if (f->type == CHANNEL_PAUSE)
		rc = supervisor_pause(s, &err);
	else if (f->type == CHANNEL_RESUME)
		rc = supervisor_resume(s, &err);
	else if (f->type == CHANNEL_SNAPSHOT)
		rc = take(s, f, &err);
	else if (f->type == CHANNEL_TAKE && !warm_give(s, i, f, &err))
		return true; /* answered when it is ready */
	else if (f->type == CHANNEL_TAKE)
		rc = -1;
	else
		return false;
	if (rc)
		log_debug("vm.refused", "name", s->boot->spec.name, "error",
			err.msg, NULL);
	reply(s, i, &err);
	return true;
}
