/*
 * forge-init: PID 1 and agent inside a guest.
 *
 * It is linked statically against musl and uses nothing of lib/ but the
 * frames and the list of messages (lib/vm/frame.h, channel.h), so that it
 * stays small and starts in no time; the rules of lib/base (struct err,
 * banned.h) do not apply here.  Functions return 0, or -1 with errno.
 *
 * Files:	main.c	who are we: PID 1, or the agent for tests
 *		boot.c	file systems, modules, the port, the configuration
 *		root.c	the root file system
 *		net.c	the network interface
 *		agent.c	the loop: messages from the host, output to it
 *		exec.c	start a command for the host
 *		user.c	/etc/passwd and /etc/group
 *		halt.c	the end
 */
#ifndef FORGE_INIT_H
#define FORGE_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/vm/channel.h"

/* ---- agent.c ---- */

struct agent {
	int fd; /* the channel */
	bool pid1;
	bool restart; /* at the end, instead of power-off */
	struct frame_reader reader;
};

/* Write one frame; blocks until the host takes it. -1: the host is gone. */
int agent_send(struct agent *a, uint8_t type, uint16_t stream,
	const void *payload, size_t n);
int agent_send_text(struct agent *a, uint8_t type, const char *text);
/* The next frame, however long it takes; -1 when the channel ended. */
int agent_receive(struct agent *a, struct frame *ret);
/* Serve the host until it says SHUTDOWN or is gone; 0: SHUTDOWN. */
int agent_loop(struct agent *a);

/* ---- boot.c ---- */

struct config {
	char hostname[65];
	char address[20]; /* a.b.c.d, "" for none */
	int prefix;
	char gateway[16];
	char dns[16];
	char root[64]; /* device, "" for none */
	char rootfs[16];
	char overlay[64]; /* "", "tmpfs" or a device */
	bool restart; /* halt by reboot instead of power-off */
};

/* Does not return: boots, serves, halts. */
_Noreturn void boot(void);
/* Say what is wrong, to the host if the channel is open, and halt. */
_Noreturn void fault(struct agent *a, const char *what, const char *which);
/* Wait until path exists; at most ms. */
int wait_path(const char *path, int ms);
int write_file(const char *path, const char *text);
void set_clock(uint64_t ns);
void add_entropy(const unsigned char *p, size_t n);

/* ---- root.c, net.c ---- */

/* Make root= the root; *ret_what says what failed. */
int root_enter(const struct config *c, const char **ret_what);
/* The file systems that any root needs. */
void mount_late(void);
int net_up(const struct config *c, const char **ret_what);

/* ---- exec.c ---- */

struct stream_out {
	int fd; /* -1: closed */
	uint32_t window; /* bytes that the host still wants */
	bool drained; /* nothing more to read after the exit */
};

struct exec {
	uint16_t stream; /* 0: free slot */
	pid_t pid;
	bool exited;
	uint8_t exit_kind;
	uint32_t exit_value;
	int in; /* -1: closed */
	bool in_eof; /* close it when everything is written */
	bool tty;
	unsigned char *pending; /* CHANNEL_WINDOW bytes, for stdin */
	size_t start, end;
	uint32_t taken; /* of stdin, not yet given back as credit */
	struct stream_out out[2]; /* stdout, stderr */
};

/*
 * Start what the EXEC payload says.  On failure returns an errno for EXIT;
 * the slot is then still free.
 */
int exec_start(struct exec *x, const char *payload, size_t n);
void exec_resize(struct exec *x, unsigned rows, unsigned cols);
void exec_close(struct exec *x);

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

/* ---- halt.c ---- */

/* TERM to all, up to grace_ms, KILL, sync, and off. */
_Noreturn void halt_system(bool restart, unsigned grace_ms);

#endif
