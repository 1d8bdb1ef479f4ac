/*
 * Compiled into forge-init too, under musl and without lib/base: only libc.
 */
#include "lib/vm/tree_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096u

int
tree_file_begin(struct tree *t, const char *name, const struct pack_entry *e)
{
	int dir = tree_dirfd(t);

	memcpy(t->name, name, strlen(name) + 1);
	t->entry = *e;
	t->size = 0;
	t->file = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	t->named = t->file < 0;
	if (t->file >= 0)
		return 0;
	if (tree_temporary(t->temporary, sizeof(t->temporary)))
		return -1;
	t->file = openat(dir, t->temporary,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return t->file < 0 ? -1 : 0;
}

static int
write_at(int fd, const char *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t k = pwrite(fd, p, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		p += k;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

static bool
zero(const char *p, size_t n)
{
	return !*p && !memcmp(p, p + 1, n - 1);
}

/* Blocks of zeros are left out: they read as zeros all the same. */
static int
write_sparse(struct tree *t, const char *p, size_t n)
{
	while (n) {
		size_t run = 0, skip = BLOCK - t->size % BLOCK;

		skip = skip < n ? skip : n;
		if (!zero(p, skip)) {
			do
				run += run ? BLOCK : skip;
			while (run + BLOCK <= n && !zero(p + run, BLOCK));
			if (run + BLOCK > n)
				run = n;
			skip = run;
			if (write_at(t->file, p, run, t->size))
				return -1;
		}
		t->size += skip;
		p += skip;
		n -= skip;
	}
	return 0;
}

int
tree_file_data(void *arg, const void *p, uint64_t n)
{
	struct tree *t = arg;

	if (n > INT64_MAX - t->size) {
		errno = EFBIG;
		return -1;
	}
	if (p)
		return write_sparse(t, p, (size_t)n);
	t->size += n;
	return 0;
}

/* Give the nameless file its name, over whatever has it. */
static int
link_in(struct tree *t)
{
	char path[32];
	int dir = tree_dirfd(t);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", t->file);
	if (!linkat(AT_FDCWD, path, dir, t->name, AT_SYMLINK_FOLLOW))
		return 0;
	if (errno != EEXIST ||
		tree_temporary(t->temporary, sizeof(t->temporary)) ||
		linkat(AT_FDCWD, path, dir, t->temporary, AT_SYMLINK_FOLLOW))
		return -1;
	return tree_publish(t, t->temporary, t->name);
}

void
tree_file_abandon(struct tree *t)
{
	int saved = errno;

	if (t->file < 0)
		return;
	(void)close(t->file); /* of no use any more */
	if (t->named)
		(void)unlinkat(tree_dirfd(t), t->temporary, 0);
	t->file = -1;
	errno = saved;
}

int
tree_file_close(void *arg, int whole)
{
	struct tree *t = arg;
	int rc = -1, fd = t->file;

	if (!whole) { /* its sender says why */
		tree_file_abandon(t);
		t->skipped++;
		return 0;
	}
	if (!ftruncate(fd, (off_t)t->size) &&
		!tree_attributes(t, fd, &t->entry))
		rc = t->named ? tree_publish(t, t->temporary, t->name) :
				link_in(t);
	if (rc) {
		tree_file_abandon(t);
		return -1;
	}
	t->file = -1;
	return close(fd);
}
