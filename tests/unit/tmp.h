/*
 * tmp: a directory of its own for a unit test, the working directory while
 * it runs, removed by tmp_leave().
 */
#ifndef FORGE_TESTS_TMP_H
#define FORGE_TESTS_TMP_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"

static char tmp_path[] = "/tmp/forge-unit-XXXXXX";

static inline void
tmp_enter(void)
{
	if (!mkdtemp(tmp_path) || chdir(tmp_path)) {
		perror(tmp_path);
		exit(1);
	}
}

static inline void
tmp_leave(void)
{
	struct err err = ERR_INIT;

	if (chdir("/") || fs_remove_tree(AT_FDCWD, tmp_path, &err))
		printf("# %s stays: %s\n", tmp_path, err.msg);
}

static inline void
tmp_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* The exit status of fn(i) in each of n children at once, added up. */
static inline int
tmp_children(int n, int (*fn)(int i))
{
	int i, status, sum = 0;

	(void)fflush(stdout);
	for (i = 0; i < n; i++)
		if (!fork())
			_exit(fn(i));
	for (i = 0; i < n; i++) {
		if (wait(&status) < 0)
			return -1;
		sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
	}
	return sum;
}

#endif
