/*
 * forge-init: PID 1 and agent inside a guest.
 *
 * It is linked statically against musl and uses nothing of lib/ but frames,
 * packs and the list of messages (lib/vm: frame.h, channel.h, pack.h, walk.h,
 * tree.h), so that it
 * stays small and starts in no time; the rules of lib/base (struct err,
 * banned.h) do not apply here.  Functions return 0, or -1 with errno.
 *
 * Files:	main.c	who are we: PID 1, or the agent for tests
 *		place.c	PID 1 of a place without a hypervisor
 *		guest.c	the agent of a machine that somebody else booted
 *		through.c	commands there, where no agent of ours can run
 *		boot.c	file systems, the port, and the order of things
 *		module.c	kernel modules
 *		config.c	what the host says this guest is
 *		root.c	the root file system
 *		net.c	the network interface
 *		vsock.c	the channel where there is no port for it
 *		port.c	frames through the channel
 *		agent.c	the loop: messages from the host, output to it
 *		exec.c	start a command for the host
 *		connect.c	connect to a port for the host
 *		listen.c	connections from here to the host
 *		copy.c	files for the host, and from it
 *		stdio.c	what goes to a command and comes from it
 *		user.c	/etc/passwd and /etc/group
 *		halt.c	the end
 *
 * All is one thread.  Writing to the channel waits for the host, so the host
 * must never wait for us to read without reading itself.
 */
#ifndef FORGE_INIT_H
#define FORGE_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/vm/channel.h"

/* ---- port.c ---- */

struct agent {
	int fd; /* the channel */
	int out; /* its other direction; most often the same */
	bool pid1;
	bool vsock; /* the channel can be opened again */
	bool place; /* PID 1 of namespaces, not of a machine */
	bool restart; /* at the end, instead of power-off */
	struct frame_reader reader;
};

/* Write one frame; blocks until the host takes it. -1: the host is gone. */
int agent_send(struct agent *a, uint8_t type, uint16_t stream,
	const void *payload, size_t n);
int agent_send_text(struct agent *a, uint8_t type, const char *text);
void agent_send_exit(struct agent *a, uint16_t stream, uint8_t kind,
	uint32_t value);
/*
 * Read what is there; -1 at the end.  A port in a guest has no end, only
 * times when nobody is there: then this waits a moment.
 */
int agent_fill(struct agent *a);
/* The next frame, however long it takes; -1 when the channel ended. */
int agent_receive(struct agent *a, struct frame *ret);

/* ---- agent.c ---- */

/*
 * Serve the host.  PID 1 does not return; another agent does when the host
 * says SHUTDOWN or its end is closed, and its commands are killed then.
 */
void agent_loop(struct agent *a);

/* ---- config.c ---- */

struct config {
	char hostname[65];
	char address[20]; /* a.b.c.d, "" for none */
	int prefix;
	char gateway[16];
	char address6[46], gateway6[46]; /* "" for none */
	char dns[16];
	char root[64]; /* device, "" for none */
	char rootfs[16];
	char overlay[64]; /* "", "tmpfs" or a device */
	char machine_id[33]; /* "" for none */
	char mac[18]; /* to be set, of a restored guest; else "" */
	bool restart; /* halt by reboot instead of power-off */
};

/* Read a CONFIG payload; clock and entropy are set at once. */
void config_parse(struct config *c, const void *payload, size_t n);
/* Host name, /etc/hosts, /etc/resolv.conf. */
void config_names(const struct config *c);
void set_clock(uint64_t ns);
void add_entropy(const unsigned char *p, size_t n);

/* ---- boot.c ---- */

/* Does not return: boots, serves, halts. */
/* Of the machine, as HELLO tells it. */
long long uptime_us(void);
extern long long init_began_us;
_Noreturn void boot(void);
/* Say HELLO; -1: the host is gone. */
int agent_hello(struct agent *a);
/* The same, and wait for CONFIG; without a host it does not return. */
void agent_greet(struct agent *a, struct config *c);
/* Wait until path, a device's, exists; at most ms; -1 with ENODEV. */
int wait_path(const char *path, int ms);
int64_t now_ms(void);
/* Open what is closed of 0, 1 and 2. */
void open_standard(void);

/* ---- place.c ---- */

/*
 * Does not return: the root, its file systems and the network are there
 * already; the channel is the inherited fd.
 */
_Noreturn void place(const char *fd);

/* ---- guest.c ---- */

/*
 * Serve the channel, "IN,OUT" or one fd for both, until its end; returns an
 * exit status.  With through, NULL-terminated, commands do not run here but
 * by it: through.c.
 */
int guest(const char *fds, char **through);

/* ---- vsock.c ---- */

/* A connection to the host; -1 with errno. */
int vsock_open(void);

/* ---- module.c ---- */

/* Those of /modules/order that have something to do here. */
void modules_load(void);
/* That of a file system, unless it is built in. */
void module_load_fs(const char *fs);

/* ---- root.c, net.c ---- */

/* Make root= the root; *ret_what says what failed. */
int root_enter(const struct config *c, const char **ret_what);
/* The file systems that any root needs. */
void mount_late(void);
/* Nothing writes any more: leave the disks clean. */
void root_readonly(void);
/* Somebody else than when it was saved; *ret_what says what failed. */
int identity_change(const void *payload, size_t n, const char **ret_what);
/* Take the interface down and give it this hardware address. */
int net_mac(const char *mac, const char **ret_what);
int net_up(const struct config *c, const char **ret_what);

/* ---- user.c ---- */

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[64];
	int ngroups;
	char name[64];
	char home[256];
	char shell[256];
};

/* By name, number, or UID:GID; 0 or an errno. */
int user_find(const char *who, struct user *ret);

/* ---- exec.c ---- */

/* One more than the host may send: our own control-D at the end. */
#define PENDING_MAX ((size_t)CHANNEL_WINDOW + 64)

struct request {
	char **argv; /* NULL-terminated, into the payload */
	size_t argc;
	char **env;
	size_t envc;
	const char *cwd;
	const char *user;
	unsigned rows, cols;
	bool tty;
	bool builtin;
	struct user who;
};

struct stream_out {
	int fd; /* -1: closed */
	uint32_t window; /* bytes that the host still wants */
	uint32_t left; /* after the exit: bytes still to be sent */
	bool drained; /* nothing more will be sent */
};

struct exec {
	uint16_t stream; /* 0: free slot */
	char *parts; /* of EXEC, until it is complete */
	size_t nparts;
	pid_t pid; /* 0: not started yet */
	bool exited;
	int64_t exit_ms;
	uint8_t exit_kind;
	uint32_t exit_value;
	int in; /* -1: closed */
	bool in_eof; /* close it when everything is written */
	bool tty;
	bool socket; /* a connection: in is out[0].fd, which owns it */
	bool connecting;
	bool listening; /* in is a listening socket */
	bool accepting; /* it will be the next connection to port */
	bool second; /* 127.0.0.1 did not answer: it is ::1 now */
	uint16_t port;
	unsigned char *pending; /* room bytes, for stdin */
	size_t room, start, end;
	size_t ours; /* of those: not the host's, so no credit for them */
	uint32_t taken; /* of stdin, not yet given back as credit */
	struct stream_out out[2]; /* stdout, stderr */
};

/* A free slot's state, but for the stream. */
#define EXEC_INIT \
	((struct exec){ .in = -1, \
		.out = { { .fd = -1, .drained = true }, \
			{ .fd = -1, .drained = true } } })

/*
 * Start what x->parts say.  On failure returns an errno for EXIT; x->pid is
 * then still 0.
 */
int exec_start(struct exec *x);
void exec_resize(struct exec *x, unsigned rows, unsigned cols);
/* Free everything; the slot is free. */
void exec_close(struct exec *x);

/* ---- through.c ---- */

/* Set once, by guest(); NULL: commands run here. */
extern char **through;
/*
 * How to have done what r says: the argv for here, in one allocation, and a
 * line for its stdin, before anything else; the caller's.  An errno.
 */
int through_request(const struct request *r, char ***ret_argv,
	char **ret_line);

/* ---- copy.c ---- */

/*
 * "get PATH": a pack of it to stdout.  "put PATH NAME": stdin is a pack of
 * what is called NAME, or "." for the content of a directory; where it goes
 * to says tree_target().  Runs in a child of its own, as the user it is for;
 * returns its exit status.
 */
int copy_main(char **argv);

/* ---- connect.c ---- */

/* Connect to x->port; an errno for EXIT when it cannot even be tried. */
int connect_start(struct exec *x);
/* x->connecting, and poll says something: STARTED, or the end. */
void connect_done(struct agent *a, struct exec *x);
/* Nothing will be sent in either direction any more. */
bool connect_over(const struct exec *x);
/* The host gives it up: the peer sees a reset. */
void connect_reset(struct exec *x);

/* x is a connection over fd, which it owns; ENOMEM. */
int connect_take(struct exec *x, int fd);

/* ---- listen.c ---- */

/* Listen on x->port, and say which it is; an errno for EXIT. */
int listen_start(struct agent *a, struct exec *x);
/* The next connection of listener becomes x, which is accepting. */
void listen_accept(struct agent *a, const struct exec *listener,
	struct exec *x);

/* ---- stdio.c ---- */

void stdin_data(struct agent *a, struct exec *x, const void *p, size_t n);
void stdin_eof(struct agent *a, struct exec *x);
/* x->in takes bytes again. */
void stdin_feed(struct agent *a, struct exec *x);
/* Nobody will read x->in any more. */
void stdin_gone(struct agent *a, struct exec *x);
/* x->out[which] may have bytes. */
void out_send(struct agent *a, struct exec *x, int which);
void out_credit(struct exec *x, unsigned which, uint32_t n);
/* At the moment of the exit. */
void out_last(struct exec *x);
/* After it: send the rest; true when there is none left. */
bool out_finish(struct agent *a, struct exec *x);

/* ---- halt.c ---- */

/* Reap children until there is none, or ms have passed; needs SIGCHLD
 * blocked. */
void wait_children(unsigned ms);
/* TERM to all, up to grace_ms, KILL, sync, and off. */
_Noreturn void halt_system(bool restart, unsigned grace_ms);
/* Likewise for PID 1 of a place: its end is everybody's. */
_Noreturn void halt_place(unsigned grace_ms);

#endif
