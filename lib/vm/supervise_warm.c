#include "lib/vm/supervise_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/vm/warm.h"
#include "lib/base/banned.h"

#define MONITOR_WAIT 5000 /* ms; it answers within 2 */

/* It has run a moment: in emulation that is what makes it quick later. */
int
warm_wait(struct supervisor *s, struct err *err)
{
	if (qmp_command(&s->qmp, "stop", NULL, clock_mono() + MONITOR_WAIT,
		    err))
		return -1;
	s->warm = WARM_WAITS;
	s->paused = true;
	s->deadline = -1;
	return warm_waits(s->db, s->boot->spec.name, s->boot->snapshot, err);
}

static int
read_how(struct supervisor *s, const struct frame *f, bool *ret_run,
	struct err *err)
{
	struct vm_spec *spec = &s->taken.spec;
	const struct json *o;

	if (json_parse((const char *)f->payload, f->length, &s->how, err))
		return -1;
	o = s->how;
	s->taken = *s->boot;
	*ret_run = json_bool(o, "run", true);
	spec->keep = !*ret_run;
	spec->ttl = json_int(o, "ttl", 0);
	spec->idle = json_int(o, "idle", 0);
	spec->restart = json_bool(o, "restart", false);
	spec->argv = json_str(o, "argv", NULL);
	return 0;
}

int
warm_give(struct supervisor *s, int client, const struct frame *f,
	struct err *err)
{
	int64_t now = clock_mono();
	bool run;

	if (s->warm != WARM_WAITS || s->stopping)
		return err_set(err, ERR_BUSY, "VM '%s' does not wait",
			s->boot->spec.name);
	if (read_how(s, f, &run, err) || warm_taken(s->db, &s->taken.spec, err))
		return -1;
	s->warm = WARM_TAKEN;
	s->boot = &s->taken;
	s->taker = client;
	s->owner = run ? client : -1;
	s->paused = false;
	s->started = now;
	s->deadline = now + s->boot->boot_timeout;
	/* It waits in the port before the guest's next instruction. */
	send_config(s, CHANNEL_IDENTITY);
	(void)conn_flush(&s->channel); /* what is left goes with the loop */
	if (!qmp_command(&s->qmp, "cont", NULL, now + MONITOR_WAIT, err))
		return 0;
	supervisor_fail(s, ERR_PLACE, "it does not go on: %s", err->msg);
	return -1;
}

void
warm_given(struct supervisor *s)
{
	struct frame f = { .type = CHANNEL_DONE };

	if (s->taker < 0)
		return;
	conn_send(&s->clients[s->taker].conn, &f);
	s->taker = -1;
}

void
warm_client_gone(struct supervisor *s, int client)
{
	if (s->taker == client)
		s->taker = -1;
	if (s->owner != client)
		return;
	s->owner = -1;
	supervisor_stop(s, 0);
}
