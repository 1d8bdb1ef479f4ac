/*
 * took COMMAND [ARG...]: run it with our stdin and no stdout, and print how
 * long it took, by the clock and of CPU (its waited-for children's too), both
 * in ms.  A command that fails ends the benchmark: its figure means nothing.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double
ms_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double
ms(struct timeval t)
{
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

int
main(int argc, char **argv)
{
	posix_spawn_file_actions_t files;
	struct rusage usage;
	int status;
	double begun;
	pid_t pid;

	if (argc < 2 || posix_spawn_file_actions_init(&files) ||
		posix_spawn_file_actions_addopen(&files, 1, "/dev/null",
			O_WRONLY, 0))
		return 2;
	begun = ms_now();
	if (posix_spawnp(&pid, argv[1], &files, NULL, argv + 1, environ) ||
		wait4(pid, &status, 0, &usage) != pid) {
		perror(argv[1]);
		return 1;
	}
	begun = ms_now() - begun;
	if (status) {
		(void)fprintf(stderr, "took: %s ended with wait status %d\n",
			argv[1], status);
		return 1;
	}
	printf("%.3f %.3f\n", begun, ms(usage.ru_utime) + ms(usage.ru_stime));
	return 0;
}
