/*
 * remote: a command, or a runner, on a connected agent, by way of the process
 * that holds their streams (stream.h): the other end of a place.
 *
 * With mark set it is a runner, for any kind of agent: mark and a newline go
 * to stdout when an agent has kept a slot for it, one line is read from stdin
 * (the JIT configuration), and then the agent makes the runner and says how
 * it ended: 0 it took a job and is gone, 1 it failed.  It goes on when the
 * coordinator is started anew, and when the agent is away for less than
 * grace.
 *
 * Otherwise the words of argv run on an agent of forge's own, in its place:
 * stdin, stdout and stderr are ours, and so is the status.
 *
 * 125: it did not begin, or the agent was lost.  SIGTERM and SIGINT reach it;
 * a second one ends us, and with us what runs there.
 */
#ifndef FORGE_STREAM_REMOTE_H
#define FORGE_STREAM_REMOTE_H

#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;

struct remote {
	const char *on; /* id or host; a runner: "*" for any that fits */
	const char *name; /* of the runner; else for people, "" */
	const char *mark; /* NULL: a command */
	const struct argv *labels; /* of the runner */
	const char *scope; /* "repo:o/r": where it registers */
	int64_t grace; /* ms; 0: 3 min */
	const char *place; /* of a command: there; NULL as it is set up */
	const char *const *argv; /* of a command */
	int cpus;
	int64_t memory; /* bytes */
};

/* -1 when there is no coordinator; else *ret_status. */
int remote_run(struct state *st, const struct remote *r, int *ret_status,
	struct err *err) __attribute__((warn_unused_result));

#endif
