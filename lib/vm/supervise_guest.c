#include "lib/vm/supervise_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/vm/vsock.h"
#include "lib/base/banned.h"

#define LOST_WAIT 1000 /* ms for a hypervisor to say itself why it ends */

static void
add_config(struct buf *b, const char *key, const char *value)
{
	buf_addf(b, "%s=%s", key, value);
	buf_addc(b, '\0');
}

static void
add_identity(struct supervisor *s, struct buf *b)
{
	CLEANUP_BUF struct buf id = BUF_INIT;
	unsigned char bytes[16];

	random_bytes(bytes, sizeof(bytes));
	buf_addhex(&id, bytes, sizeof(bytes));
	add_config(b, "machine_id", id.s);
	if (s->address.mac[0])
		add_config(b, "mac", s->address.mac);
}

void
send_config(struct supervisor *s, enum channel_type type)
{
	CLEANUP_BUF struct buf b = BUF_INIT, entropy = BUF_INIT;
	unsigned char seed[64];
	struct timespec now;
	char text[32];
	struct frame f = { .type = (uint8_t)type };

	add_config(&b, "hostname", s->boot->spec.name);
	add_identity(s, &b);
	net_config(&s->net, &s->address, &s->subnet, &b);
	if (s->image.root) {
		add_config(&b, "root", "/dev/vda");
		add_config(&b, "rootfs", s->image.rootfs);
		add_config(&b, "overlay",
			disks_overlay(&s->boot->spec.disk) ? "/dev/vdb" :
							     "tmpfs");
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(text, sizeof(text), "%lld",
		(long long)now.tv_sec * 1000000000 + now.tv_nsec);
	add_config(&b, "clock", text);
	random_bytes(seed, sizeof(seed));
	buf_addhex(&entropy, seed, sizeof(seed));
	add_config(&b, "entropy", entropy.s);
	add_config(&b, "halt", s->driver.restart ? "reboot" : "poweroff");
	f.payload = (const unsigned char *)b.s;
	f.length = (uint32_t)b.len;
	conn_send(&s->channel, &f);
}

static void
on_hello(struct supervisor *s, const struct frame *f)
{
	int64_t init_us = 0, hello_us = 0;
	size_t pos = 0;
	const char *string;

	if (s->configured)
		return;
	while ((string = frame_string(f->payload, f->length, &pos)))
		if (!strncmp(string, "init_us=", 8))
			init_us = strtoll(string + 8, NULL, 10);
		else if (!strncmp(string, "hello_us=", 9))
			hello_us = strtoll(string + 9, NULL, 10);
		else if (!strncmp(string, "version=", 8) && strcmp(string + 8, "1"))
			supervisor_fail(s, ERR_INVALID,
				"the image's forge-init speaks version %.8s "
				"of the channel, we speak 1: build it again",
				string + 8);
	s->configured = true;
	timings_hello(&s->timings, init_us, hello_us);
	s->hello_ms = clock_mono() - s->started;
	send_config(s, CHANNEL_CONFIG);
}

static int
start_exec(struct supervisor *s)
{
	int fds[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return err_sys(&s->err, "cannot make a socket");
	i = clients_add(s, fds[1]);
	if (i < 0) {
		(void)close(fds[0]); /* nothing was written */
		return err_set(&s->err, ERR_LIMIT, "too many clients");
	}
	s->exec_open = true;
	if (exec_client_open(&s->exec, s->boot->exec, fds[0], &s->err))
		return -1;
	/* On its way at once: the disk is written to while it begins. */
	if (!conn_flush(&s->exec.conn))
		clients_read(s, i);
	if (conn_flush(&s->channel))
		conn_release(&s->channel);
	return 0;
}

/* Of a VM elsewhere: what its driver found. */
static int
find_address(struct supervisor *s)
{
	CLEANUP_FREE char *address = NULL;
	const struct vm_spec *spec = &s->boot->spec;

	if (!s->driver.elsewhere)
		return 0;
	return driver_address(s->st, spec->driver, spec->name, &address,
		       &s->err) ||
			vm_set_address(s->db, spec->name, address, &s->err) ?
		-1 :
		0;
}

static void
notify(struct supervisor *s)
{
	CLEANUP_FREE char *line = xasprintf("%s\n", s->boot->spec.name);

	if (s->boot->notify_fd < 0 || s->warm == WARM_TAKEN)
		return;
	if (write_all(s->boot->notify_fd, line, strlen(line)))
		log_debug("vm.notify", "name", s->boot->spec.name, NULL);
	(void)close(s->boot->notify_fd); /* a pipe */
}

static void
on_ready(struct supervisor *s)
{
	struct json *took;

	if (s->ready || !s->configured || s->warm == WARM_WAITS)
		return;
	if (s->boot->waits && s->warm == WARM_NOT) {
		if (warm_wait(s, &s->err))
			kill_hypervisor(s);
		else
			notify(s);
		return;
	}
	took = json_object();
	s->ready = true;
	clients_ready(s);
	life_ready(s);
	s->deadline = s->boot->timeout ? clock_mono() + s->boot->timeout : -1;
	json_put_int(took, "hello_ms", s->hello_ms);
	json_put_int(took, "ready_ms", clock_mono() - s->started);
	timings_lap(&s->timings, TIMING_AGENT);
	json_put(took, "phases_ms", timings_json(&s->timings));
	if ((s->boot->exec && start_exec(s)) || find_address(s) ||
		vm_ready(s->db, s->boot->spec.name, took, &s->err)) {
		kill_hypervisor(s);
		return;
	}
	notify(s);
	warm_given(s);
}

static void
from_guest(struct supervisor *s, const struct frame *f)
{
	switch (f->type) {
	case CHANNEL_HELLO:
		on_hello(s, f);
		break;
	case CHANNEL_READY:
		on_ready(s);
		break;
	case CHANNEL_FAULT:
		if (!s->ready)
			supervisor_fail(s, ERR_PLACE,
				"the guest cannot boot: %.*s",
				f->length > 200 ? 200 : (int)f->length,
				(const char *)f->payload);
		break;
	case CHANNEL_STARTED:
	case CHANNEL_STDIN_CLOSED:
	case CHANNEL_STDOUT:
	case CHANNEL_STDERR:
	case CHANNEL_CREDIT:
	case CHANNEL_EXIT:
	case CHANNEL_STDOUT_EOF:
		clients_deliver(s, f);
		break;
	default:
		break;
	}
}

void
guest_read(struct supervisor *s)
{
	struct frame f;

	if (s->awaited) { /* it is the listener still */
		int fd = s->channel.fd;

		if (!vsock_accept(&fd, s->dir)) {
			conn_init(&s->channel, fd);
			s->awaited = false;
		}
		return;
	}
	if (conn_fill(&s->channel)) {
		conn_release(&s->channel); /* the end is seen by its pidfd */
		/* or not at all, when the machine was reset in place */
		s->lost = s->driver.vsock && !s->stopping;
		if (s->lost)
			s->deadline = clock_mono() + LOST_WAIT;
	}
	while (frame_next(&s->channel.reader, &f))
		from_guest(s, &f);
}
