/*
 * supervise_internal: what the parts of the supervisor share.
 *
 *	supervise.c		the loop, and the end
 *	supervise_early.c	a place's driver, before that
 *	supervise_begin.c	all that is made before the hypervisor, and it
 *	supervise_guest.c	the guest comes up, and speaks
 *	supervise_clients.c	who talks to the guest
 *	supervise_console.c	its console
 *	supervise_life.c	how long it may live
 *	supervise_pause.c	it stands still
 *	supervise_snapshot.c	it is kept, or continues
 *	supervise_warm.c	it waits to be taken
 */
#ifndef FORGE_VM_SUPERVISE_INTERNAL_H
#define FORGE_VM_SUPERVISE_INTERNAL_H

#include "lib/base/proc.h"
#include "lib/vm/cgroup.h"
#include "lib/vm/console.h"
#include "lib/vm/driver.h"
#include "lib/vm/image.h"
#include "lib/vm/lease.h"
#include "lib/vm/net.h"
#include "lib/vm/supervise.h"
#include "lib/vm/qmp.h"
#include "lib/vm/snapshot.h"
#include "lib/vm/supervise_life.h"
#include "lib/vm/timings.h"

#define CLIENTS 64
#define LINKS 512
/* of output that a client does not read; then it is let go */
#define CLIENT_BACKLOG (16u << 20)

/* Somebody on the control socket; the first is our own command, if any. */
struct client {
	bool used;
	struct conn conn;
	bool waiting; /* with a command, until the guest is ready */
	uint16_t console; /* its stream when attached to the console; 0 */
	bool types; /* what it types goes there; one at most */
	uint32_t window; /* what of the console it still takes */
};

/* A command or connection in the guest: whose it is, and what the guest may still send. */
struct link {
	uint16_t guest; /* stream towards the guest; 0: free */
	int client; /* index, -1 when it went away */
	uint16_t theirs; /* stream towards the client */
	uint32_t window[2];
};

struct supervisor {
	struct state *st;
	struct db *db;
	const struct vm_boot *boot;
	int lock;
	struct image image;
	struct subnet subnet;
	struct vm_address address;
	struct net net;
	int dir; /* vm/NAME */
	struct console console;
	int console_fd;
	int64_t console_stuck; /* monotonic ms; -1: nobody is slow */
	struct buf typed; /* for the console; at most CHANNEL_WINDOW */
	int signals;
	int listener;
	struct child hypervisor;
	struct qmp qmp; /* its monitor; fd -1 where it has none */
	bool paused;
	int memory; /* the guest's, a file; -1: of a snapshot, or none */
	struct snapshot snapshot; /* it was made from */
	enum { WARM_NOT, WARM_WAITS, WARM_TAKEN } warm;
	struct vm_boot taken; /* as who took it wants it */
	struct json *how; /* what of taken is text */
	int taker, owner; /* clients: is to be told; it ends with; -1 */
	struct child usernet;
	struct cgroup cgroup;
	struct life life;
	struct timings timings;
	struct conn channel;
	struct client *clients; /* CLIENTS of them */
	struct link links[LINKS];
	uint16_t next_stream;
	struct exec_client exec;
	bool exec_open;
	struct buf said; /* the hypervisor's stderr */
	bool row; /* there is a row to end */
	struct driver driver;
	bool awaited; /* channel.fd listens for the guest */
	bool lost; /* the guest closed its channel */
	bool configured, ready, stopping, ended;
	int64_t grace; /* ms, of the stop that was asked for; 0: killed */
	bool pressed; /* its button, since its agent did nothing */
	int64_t started; /* monotonic ms */
	int64_t hello_ms; /* since then */
	int64_t deadline; /* monotonic ms, -1 none */
	int signal; /* that ended us before there was a command; 0 */
	struct err err;
};

/* The guest, or its channel, is no good: end the VM and say why. */
void supervisor_fail(struct supervisor *s, enum err_code code,
	const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void supervisor_stop(struct supervisor *s, uint32_t grace_ms);

/* The hypervisor, at once; its end is noticed as any other. */
void kill_hypervisor(struct supervisor *s);

/* ---- supervise_begin.c ---- */

/* Locks, row, lease, files, network, hypervisor: in that order. */
int supervisor_begin(struct supervisor *s, struct err *err)
	__attribute__((warn_unused_result));

/* ---- supervise_guest.c ---- */

/* The channel has something, or ended. */
void guest_read(struct supervisor *s);
/* CONFIG or IDENTITY. */
void send_config(struct supervisor *s, enum channel_type type);

/* ---- supervise_console.c ---- */

/* What of POLLIN and POLLOUT console_fd is wanted for. */
short console_events(struct supervisor *s);
void console_read(struct supervisor *s);
void console_type(struct supervisor *s);
/* At console_stuck: let those go that do not read. */
void console_unstick(struct supervisor *s);
/* true: it was about the console, and is done. */
bool console_from_client(struct supervisor *s, int i, const struct frame *f);
/* The VM is gone: tell all that there is to those who are attached. */
void console_end(struct supervisor *s);

/* ---- supervise_clients.c ---- */

int clients_listen(struct supervisor *s, struct err *err)
	__attribute__((warn_unused_result));
void clients_accept(struct supervisor *s);
/* Add one that is connected already (fd taken over); -1 when full. */
int clients_add(struct supervisor *s, int fd);
void clients_read(struct supervisor *s, int i);
/* The guest is ready: do what waited for that. */
void clients_ready(struct supervisor *s);
void clients_flush(struct supervisor *s);
void clients_release(struct supervisor *s);
/* A frame of the guest that belongs to a command. */
void clients_deliver(struct supervisor *s, const struct frame *f);

/* ---- supervise_pause.c ---- */

/* Stand still, go on; the row follows. ERR_EXISTS when it does already. */
int supervisor_pause(struct supervisor *s, struct err *err)
	__attribute__((warn_unused_result));
int supervisor_resume(struct supervisor *s, struct err *err)
	__attribute__((warn_unused_result));
/* true: it was about pause or snapshot, and is answered. */
bool pause_from_client(struct supervisor *s, int i, const struct frame *f);

/* ---- supervise_snapshot.c ---- */

/* What is to be there before the hypervisor is started. */
int snapshot_prepare(struct supervisor *s, struct vm_fds *fds,
	struct err *err) __attribute__((warn_unused_result));
/* It is: let the guest continue, as somebody else. */
int snapshot_restore(struct supervisor *s, struct err *err)
	__attribute__((warn_unused_result));
int snapshot_machine(struct supervisor *s, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/* ---- supervise_warm.c ---- */

/* It is ready, nobody has it yet: it waits. */
int warm_wait(struct supervisor *s, struct err *err)
	__attribute__((warn_unused_result));
/* TAKE: the client has it, and is told so when it is ready again. */
int warm_give(struct supervisor *s, int client, const struct frame *f,
	struct err *err) __attribute__((warn_unused_result));
void warm_given(struct supervisor *s);
void warm_client_gone(struct supervisor *s, int client);

#endif
