/*
 * exec_client: one command in a VM, seen from this end: our stdin goes there,
 * its stdout and stderr come here, and its status is ours.
 *
 * It is a part of somebody's poll loop, so that `forge-vm run` can be the
 * supervisor and the client in one process:
 *	exec_client_open(&c, &request, sock, err)
 *	until c.done:
 *		n = exec_client_fds(&c, fds)	at most EXEC_CLIENT_FDS
 *		poll
 *		exec_client_step(&c, fds, err)
 *	exec_client_close(&c)
 * Nothing here blocks: a slow reader of our stdout makes the command wait.
 */
#ifndef FORGE_VM_EXEC_CLIENT_H
#define FORGE_VM_EXEC_CLIENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>
#include "lib/base/argv.h"
#include "lib/vm/conn.h"

#define EXEC_ENV_MAX (1u << 20)

/*
 * Instead of our stdin, stdout and stderr: input gives up to n bytes of the
 * command's stdin, 0 at its end (NULL: it has none), output takes its stdout.
 * Both return -1 with err to end it: the command is killed, and that is the
 * error told.  The first 4 KiB of its stderr go to errors.
 */
struct exec_io {
	ssize_t (*input)(void *arg, void *p, size_t n, struct err *err);
	int (*output)(void *arg, const void *p, size_t n, struct err *err);
	void *arg;
	struct buf *errors;
};

struct exec_request {
	const char *const *argv; /* NULL-terminated, at least one */
	const struct argv *env; /* NAME=VALUE */
	const char *workdir, *user; /* or NULL */
	int env_fd; /* more of env, NUL-separated, read to its end; or -1 */
	bool tty;
	/* No command, but the VM's console: argv is NULL.  Ends at ^] typed on
	 * a terminal, or by a signal, with status 0. */
	bool console, types;
	bool builtin; /* argv is for forge-init itself (channel.h) */
	const struct exec_io *io; /* or NULL */
};

struct sink {
	int fd; /* -1: its reader went away */
	struct buf b; /* at most twice CHANNEL_WINDOW */
	size_t at; /* of b, the first byte not yet written */
	uint32_t written; /* not yet given back as credit */
};

struct exec_client {
	const struct exec_request *request;
	struct conn conn;
	bool reading_env;
	struct buf env;
	bool sent; /* EXEC is out */
	uint32_t stdin_window;
	bool stdin_open;
	struct sink sinks[2]; /* stdout, stderr */
	bool mask[2]; /* stdout, stderr: a terminal that gets no raw bytes */
	bool exited; /* EXIT came; sinks may still hold something */
	bool done;
	int status; /* for exit(3) */
	char why[256]; /* one line when it could not be executed, or its
			* output not be written; else "" */
	bool raw;
	struct termios saved;
	struct err io_err; /* of request->io */
	int64_t killed; /* a signal for us: the monotonic deadline; -1 */
};

enum { EXEC_CLIENT_FDS = 5 };

/* Takes sock over.  With request->tty our terminal is made raw. */
int exec_client_open(struct exec_client *c, const struct exec_request *r,
	int sock, struct err *err) __attribute__((warn_unused_result));
void exec_client_close(struct exec_client *c); /* and the terminal as before */
int exec_client_fds(const struct exec_client *c, struct pollfd *fds);
/* fds as filled by exec_client_fds().  -1: the VM is gone. */
int exec_client_step(struct exec_client *c, const struct pollfd *fds,
	struct err *err) __attribute__((warn_unused_result));
/* A signal for the command; SIGWINCH tells it the size of our terminal. */
void exec_client_signal(struct exec_client *c, int sig);

/* All of it on a connection to a running VM: `forge-vm exec`. */
int exec_client_run(const struct exec_request *r, int sock, int *ret_status,
	struct err *err) __attribute__((warn_unused_result));

#endif
