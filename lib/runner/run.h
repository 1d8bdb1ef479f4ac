/*
 * run: the one process that is an ephemeral runner, from the intent to the
 * end.
 *
 *	1. lock run/runner/NAME, row 'starting'
 *	2. start the place; in it a few words of shell print a mark, then wait
 *	   for one line on stdin
 *	3. the mark is there: the place is up, row 'booted'
 *	4. row 'registering', mint the JIT configuration, row 'idle'
 *	5. that line is the JIT configuration; the shell becomes the listener
 *	6. the listener takes one job and exits; its status tells the result
 *	7. DELETE at GitHub, row 'done'
 * The secret goes through a pipe: it is in no argv, environment or file of
 * the host.  This works the same in every place that connects stdin.
 *
 * SIGTERM or SIGINT end the place and with it the job; a second one kills.
 * What kill -9 leaves at each step is finished by runner_sync().
 */
#ifndef FORGE_RUNNER_RUN_H
#define FORGE_RUNNER_RUN_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/runner/pool.h"
#include "lib/runner/runner.h"

struct state;

struct runner_run {
	const struct pool *pool;
	const char *labels; /* JSON: the label set that is registered */
	const char *name; /* NULL: PREFIX-xxxxxxxx */
	bool on_demand; /* goes when no job waits for it */
	/* gets "NAME\n" after step 1 and is closed; stderr then goes to the
	 * runner's log; or -1 */
	int notify_fd;
	int output_fd; /* copy of what the place prints, or -1 */
	/* name is a runner that runs on while its supervisor died: adopt.h */
	bool adopt;
	/* The JIT configuration, minted by another who also deregisters the
	 * runner (an agent's coordinator); NULL: all that is done here. */
	const char *jit;
};

/*
 * -1 only when no runner came to be; otherwise *ret_status is the status, and
 * when that is not 0 err may hold the one line that says why.
 */
int runner_run(struct state *st, const struct runner_run *run,
	int *ret_status, struct err *err) __attribute__((warn_unused_result));

/* The result of an exit status of bin/Runner.Listener (100 + TaskResult). */
enum runner_result runner_result_of(int status);

#endif
