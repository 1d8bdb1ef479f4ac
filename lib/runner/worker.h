/*
 * worker: what forge-agent is: this host at the far end of a coordinator's
 * stream.
 *
 * It dials out, says what its pools serve, and makes the runners that it is
 * told to make, each a `forge-runner run --jit-fd` of its own session: they
 * go on when the stream is lost and when this process dies; the next one
 * finds them by their rows and tells of their ends.  Lost connections are
 * dialled again after 1 s, 2 s ... 60 s, give or take a third.
 *
 * Commands of `forge-agent run --on` run in the places that agent.places
 * names, and in no other; without that key there are none.
 *
 * The process holds the lock run/agent.
 */
#ifndef FORGE_RUNNER_WORKER_H
#define FORGE_RUNNER_WORKER_H

#include "lib/base/err.h"

struct state;

/*
 * Until SIGTERM or SIGINT.  ERR_NOTFOUND: it has not joined; ERR_BUSY:
 * another one serves this state.  One that was locked out logs that, and asks
 * again at the slowest pace.
 */
int worker_run(struct state *st, struct err *err)
	__attribute__((warn_unused_result));

#endif
