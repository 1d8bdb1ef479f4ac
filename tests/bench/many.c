/*
 * many PROCESSES ROUNDS COMMAND... [-- COMMAND...]: PROCESSES at once, each of
 * which runs the commands one after the other, ROUNDS times; a word "%" is
 * the number of the process.  Prints how many seconds all of it took; a
 * command that fails ends the benchmark.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int
run(char **argv)
{
	posix_spawn_file_actions_t files;
	int status;
	pid_t pid;

	if (posix_spawn_file_actions_init(&files) ||
		posix_spawn_file_actions_addopen(&files, 1, "/dev/null",
			O_WRONLY, 0) ||
		posix_spawnp(&pid, argv[0], &files, NULL, argv, environ) ||
		waitpid(pid, &status, 0) != pid || status) {
		(void)fprintf(stderr, "many: %s failed\n", argv[0]);
		return -1;
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return 0;
}

static int
worker(char **argv, char **second, int number, int rounds)
{
	char name[16];
	char **word;

	(void)snprintf(name, sizeof(name), "w%d", number);
	for (word = argv; *word || word < second; word++)
		if (*word && !strcmp(*word, "%"))
			*word = name;
	while (rounds--)
		if (run(argv) || (second && run(second)))
			return 1;
	return 0;
}

int
main(int argc, char **argv)
{
	int processes = argc > 3 ? atoi(argv[1]) : 0, failed = 0, status, i;
	struct timespec from, to;
	char **second = NULL;

	for (i = 3; i < argc; i++)
		if (!strcmp(argv[i], "--")) {
			argv[i] = NULL;
			second = argv + i + 1;
			break;
		}
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (!pid)
			_exit(worker(argv + 3, second, i, atoi(argv[2])));
	}
	while (wait(&status) > 0)
		failed |= status;
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	if (failed || !processes)
		return 1;
	printf("%.6f\n", (double)(to.tv_sec - from.tv_sec) +
		(double)(to.tv_nsec - from.tv_nsec) / 1e9);
	return 0;
}
