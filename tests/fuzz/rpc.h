/*
 * What the harnesses of gRPC's messages share: a state of their own, a loop
 * that is run step by step, and the script that the fuzzed bytes are:
 *
 *	one byte	what: the low three bits, and flags
 *	two bytes	the message's length, the lower first
 *	so many bytes	the message
 */
#ifndef FORGE_FUZZ_RPC_H
#define FORGE_FUZZ_RPC_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/grpc.h"
#include "lib/net/pb.h"
#include "lib/state/db.h"
#include "lib/state/state.h"

#define RPC_SOCKET "rpc.sock"

struct rpc_step {
	int what;
	unsigned flags; /* the other five bits, shifted down */
	const uint8_t *p;
	size_t n;
};

static inline int
rpc_next(const uint8_t **data, size_t *size, struct rpc_step *ret)
{
	size_t n;

	if (*size < 3)
		return 0;
	n = (*data)[1] | (size_t)(*data)[2] << 8;
	*ret = (struct rpc_step){ .what = (*data)[0] & 7,
		.flags = (*data)[0] >> 3, .p = *data + 3,
		.n = n < *size - 3 ? n : *size - 3 };
	*data += 3 + ret->n;
	*size -= 3 + ret->n;
	return 1;
}

struct rpc_loop {
	struct loop_timer timer; /* first */
	struct loop *loop;
};

static inline void
rpc_stop(struct loop_timer *t)
{
	loop_stop(((struct rpc_loop *)(void *)t)->loop);
}

/* A few rounds: what was sent has come, and so has the answer to it. */
static inline void
rpc_run(struct rpc_loop *l)
{
	struct err err = ERR_INIT;
	int i;

	for (i = 0; i < 6; i++) {
		l->timer.fire = rpc_stop;
		loop_timer_set(l->loop, &l->timer, loop_now(l->loop));
		if (loop_run(l->loop, &err))
			abort();
	}
}

static char rpc_dir[] = "/tmp/forge-fuzz.XXXXXX";
static pid_t rpc_owner;

/* A child that the code under test started has no part in it. */
static inline void
rpc_remove(void)
{
	struct err err = ERR_INIT;

	if (getpid() == rpc_owner)
		(void)!fs_remove_tree(AT_FDCWD, rpc_dir, &err);
}

/* A state below /tmp that is removed in the end; nothing is logged. */
static inline struct state *
rpc_state(void)
{
	struct err err = ERR_INIT;
	struct state *st;
	struct db *db;

	log_set_level(LOG_ERROR);
	rpc_owner = getpid();
	if (!mkdtemp(rpc_dir) || setenv("FORGE_STATE", rpc_dir, 1) ||
		setenv("FORGE_CONFIG", "/dev/null", 1) || atexit(rpc_remove) ||
		state_open(&st, &err) || state_db(st, &db, &err))
		abort();
	/* It need not outlive the power. */
	if (db_run(db, "PRAGMA synchronous = OFF", NULL, &err))
		abort();
	return st;
}

static inline int
rpc_listen(struct state *st, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s",
		state_dir(st), path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) ||
		listen(fd, 16))
		abort();
	return fd;
}

#endif
