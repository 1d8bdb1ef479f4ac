#include "cmd/forge-init/init.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/vm/tree.h"
#include "lib/vm/walk.h"

/* Large, and of a child that does nothing else: not on the stack. */
static struct walk walk;
static struct tree tree;
static struct pack_reader reader;
static char chunk[65536];

static int
failed(const char *what, const char *path)
{
	int e = errno;

	(void)dprintf(STDERR_FILENO, "%s '%s': %s\n", what, path,
		strerror(e));
	return e == ENOENT ? 3 : 1; /* as everywhere: not found */
}

static void
note(void *unused, const char *path, int e)
{
	(void)unused;
	errno = e;
	(void)failed("cannot read", path);
}

static int
get(const char *path)
{
	size_t n, done;
	ssize_t k;

	if (walk_open(&walk, path, WALK_DEVICES))
		return failed("cannot read", path);
	walk.note = note;
	while ((n = walk_read(&walk, chunk, sizeof(chunk))))
		for (done = 0; done < n; done += (size_t)k) {
			k = write(STDOUT_FILENO, chunk + done, n - done);
			if (k < 0)
				return failed("cannot send", path);
		}
	walk_close(&walk);
	return walk.failed ? 1 : 0;
}

static int
put(const char *path, const char *name)
{
	unsigned flags = geteuid() ? 0 :
		TREE_OWNERS | TREE_SETID | TREE_DEVICES;
	ssize_t n;

	if (tree_target(path, name, flags, &tree))
		return failed("cannot write", path);
	pack_reader_init(&reader, &tree_sink, &tree);
	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		if (pack_feed(&reader, chunk, (size_t)n))
			break;
	if (!n && !reader.ended) {
		errno = EPIPE; /* the other end died: no more than that */
		n = -1;
	}
	if (n || tree_finish(&tree)) {
		int e = errno;

		tree_release(&tree);
		errno = e;
		return failed("cannot write", tree.at[0] ? tree.at : path);
	}
	return 0;
}

int
copy_main(char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (!strcmp(argv[0], "get") && argv[1])
		return get(argv[1]);
	if (!strcmp(argv[0], "put") && argv[1] && argv[2])
		return put(argv[1], argv[2]);
	return 2;
}
