/* decide-pass N: ms of CPU of a pass of forge-watch (configuration, query,
 * decision) and of the decision in it, medians of N; then ms of wall time of
 * the pass. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/runner/fleet.h"
#include "lib/state/state.h"

static double
now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
decide_again(const struct fleet *f)
{
	struct decide in = { .pools = f->pools.v, .npools = f->pools.n,
		.supply = f->supply, .crews = f->crews, .ncrews = f->ncrews,
		.repos = f->repos, .nrepos = f->nrepos, .demand = f->demand,
		.ndemand = f->ndemand, .now = 1800000000000, .ageing = 60000,
		.room = f->room, .whole = f->whole };
	double start = now(CLOCK_PROCESS_CPUTIME_ID);
	struct plan p;

	decide(&in, &p);
	start = now(CLOCK_PROCESS_CPUTIME_ID) - start;
	plan_release(&p);
	return start;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 11, i;
	double *pass = calloc((size_t)n, sizeof(*pass));
	double *alone = calloc((size_t)n, sizeof(*alone));
	double *wall = calloc((size_t)n, sizeof(*wall));
	struct err err = ERR_INIT;
	struct state *st;

	if (state_open(&st, &err))
		goto failed;
	for (i = 0; i < n; i++) {
		struct fleet f;
		double start = now(CLOCK_PROCESS_CPUTIME_ID);
		double begun = now(CLOCK_MONOTONIC);

		if (fleet_load(st, &f, &err))
			goto failed;
		pass[i] = now(CLOCK_PROCESS_CPUTIME_ID) - start;
		wall[i] = now(CLOCK_MONOTONIC) - begun;
		alone[i] = decide_again(&f);
		if (!i)
			fprintf(stderr, "%zu groups of jobs, %zu of runners, "
				"%zu kinds to start\n", f.ndemand, f.ncrews,
				f.plan.nstarts);
		fleet_release(&f);
	}
	qsort(pass, (size_t)n, sizeof(*pass), compare);
	qsort(alone, (size_t)n, sizeof(*alone), compare);
	qsort(wall, (size_t)n, sizeof(*wall), compare);
	printf("%.2f %.2f %.2f\n", pass[n / 2], alone[n / 2], wall[n / 2]);
	state_close(st);
	return 0;
failed:
	fprintf(stderr, "decide-pass: %s\n", err.msg);
	return 1;
}
