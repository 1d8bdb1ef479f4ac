/*
 * Only for lib/runner/worker*.c.
 *
 *	worker.c		life: dialling, signals, renewal
 *	worker_stream.c		AgentStream: status, commands, events
 *	worker_runner.c		the runners here
 *	worker_command.c	Serve and Run: commands in a place
 */
#ifndef FORGE_RUNNER_WORKER_INTERNAL_H
#define FORGE_RUNNER_WORKER_INTERNAL_H

#include "cirunner.pb-c.h"
#include "forge.pb-c.h"
#include "lib/base/proc.h"
#include "lib/net/grpc.h"
#include "lib/net/pb.h"
#include "lib/runner/member.h"
#include "lib/runner/pool.h"
#include "lib/runner/worker.h"

#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

struct db;

enum far_state { FAR_CREATING, FAR_RUNNING, FAR_STOPPING };

/* A runner of this host. */
struct far {
	struct far *next;
	struct worker *w;
	char *name, *pool;
	enum far_state state;
	struct child child; /* pid 0: adopted */
	struct loop_fd ended; /* the child's pidfd */
};

/* An event that is to be told. */
struct news {
	struct news *next;
	char *runner, *why;
	int type;
};

struct worker {
	struct state *st;
	struct db *db;
	struct loop *loop;
	struct member member;
	struct pools pools;
	int64_t max;
	char *host;
	int lock;
	struct grpc_client *client;
	struct grpc_call *stream, *serve;
	struct loop_fd signals, events;
	struct loop_timer redial, status, renew;
	bool renewed; /* but connected with the certificate before that */
	int64_t delay; /* ms until the next try */
	int64_t up_at; /* mono ms; -1: not connected */
	int64_t seen; /* event */
	struct far *runners;
	struct news *news;
	size_t nnews;
	struct command *commands;
	struct argv places;
	struct err err; /* why it ends; code 0: it was told to */
};

/* ---- worker_stream.c ---- */

void stream_open(struct worker *w);
/* The other end has spoken: what happened meanwhile. */
void stream_up(struct worker *w);
void stream_status(struct worker *w);
/* Told now, or when there is a stream again. */
void stream_tell(struct worker *w, const char *runner, int type,
	const char *why);
void stream_forget(struct worker *w);

/* ---- worker_runner.c ---- */

int far_count(const struct worker *w);
/* Those that live already. */
int far_adopt(struct worker *w, struct err *err)
	__attribute__((warn_unused_result));
int far_create(struct worker *w, const char *name, char **labels, size_t n,
	const char *jit, struct err *err) __attribute__((warn_unused_result));
void far_destroy(struct worker *w, const char *name);
/* Something happened in this state. */
void far_look(struct worker *w);
void far_free_all(struct worker *w);

/* ---- worker_command.c ---- */

void serve_start(struct worker *w);
void commands_free(struct worker *w);

#endif
