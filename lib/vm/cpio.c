#include "lib/vm/cpio.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

struct cpio_entry {
	char *path;
	char *target; /* of a symbolic link */
	mode_t mode;
	const void *p;
	size_t n;
	unsigned major, minor;
};

void
cpio_release(struct cpio *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->v[i].path);
		free(c->v[i].target);
	}
	free(c->v);
	*c = CPIO_INIT;
}

static struct cpio_entry *
add(struct cpio *c, const char *path, mode_t mode)
{
	struct cpio_entry *e;

	if (c->n == c->alloc) {
		c->alloc = c->alloc ? 2 * c->alloc : 64;
		c->v = xreallocarray(c->v, c->alloc, sizeof(*c->v));
	}
	e = &c->v[c->n++];
	*e = (struct cpio_entry){ .path = xstrdup(path), .mode = mode };
	return e;
}

void
cpio_dir(struct cpio *c, const char *path)
{
	(void)add(c, path, S_IFDIR | 0755);
}

void
cpio_file(struct cpio *c, const char *path, mode_t mode, const void *p,
	size_t n)
{
	struct cpio_entry *e = add(c, path, S_IFREG | (mode & 07777));

	e->p = p;
	e->n = n;
}

void
cpio_symlink(struct cpio *c, const char *path, const char *target)
{
	struct cpio_entry *e = add(c, path, S_IFLNK | 0777);

	e->target = xstrdup(target);
	e->p = e->target;
	e->n = strlen(target);
}

void
cpio_node(struct cpio *c, const char *path, mode_t mode, unsigned major,
	unsigned minor)
{
	struct cpio_entry *e = add(c, path, mode);

	e->major = major;
	e->minor = minor;
}

static int
by_path(const void *a, const void *b)
{
	const struct cpio_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int
find_path(const void *key, const void *b)
{
	const struct cpio_entry *y = b;

	return strcmp(key, y->path);
}

static int
bad_name(const char *s)
{
	if (!*s || *s == '/' || !strcmp(s, "TRAILER!!!"))
		return 1;
	for (; *s; s += *s == '/') {
		size_t n = strcspn(s, "/");

		if (!n || (n == 1 && *s == '.') ||
			(n == 2 && s[0] == '.' && s[1] == '.'))
			return 1;
		s += n;
		if (s[0] == '/' && !s[1])
			return 1;
	}
	return 0;
}

/* The kernel makes no parents: without its directory a file is lost. */
static int
has_parent(const struct cpio *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	const struct cpio_entry *e;

	if (!slash)
		return 1;
	CLEANUP_FREE char *dir = xstrndup(path, (size_t)(slash - path));
	e = bsearch(dir, c->v, c->n, sizeof(*c->v), find_path);
	return e && S_ISDIR(e->mode);
}

static int
check(const struct cpio *c, struct err *err)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		const struct cpio_entry *e = &c->v[i];

		if (bad_name(e->path))
			return err_set(err, ERR_INVALID,
				"initramfs: bad path '%s'", e->path);
		if (i && !strcmp(e->path, c->v[i - 1].path))
			return err_set(err, ERR_INVALID,
				"initramfs: '%s' twice", e->path);
		if (!has_parent(c, e->path))
			return err_set(err, ERR_INVALID,
				"initramfs: '%s' without its directory",
				e->path);
		if (e->n > UINT32_MAX)
			return err_set(err, ERR_INVALID,
				"initramfs: '%s' is larger than 4G", e->path);
	}
	return 0;
}

static void
pad(struct buf *out, size_t start, size_t to)
{
	while ((out->len - start) % to)
		buf_addc(out, '\0');
}

static void
write_entry(struct buf *out, size_t start, const struct cpio_entry *e,
	unsigned ino)
{
	size_t name = strlen(e->path) + 1;

	buf_addf(out, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X"
		"%08X", ino, (unsigned)e->mode, 0u, 0u,
		S_ISDIR(e->mode) ? 2u : 1u, 0u, (unsigned)e->n, 0u, 0u,
		e->major, e->minor, (unsigned)name, 0u);
	buf_add(out, e->path, name);
	pad(out, start, 4);
	if (e->n)
		buf_add(out, e->p, e->n);
	pad(out, start, 4);
}

int
cpio_write(struct cpio *c, struct buf *out, struct err *err)
{
	char name[] = "TRAILER!!!";
	const struct cpio_entry trailer = { .path = name };
	size_t i, start = out->len;

	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), by_path);
	if (check(c, err))
		return -1;
	for (i = 0; i < c->n; i++)
		write_entry(out, start, &c->v[i], (unsigned)i + 1);
	write_entry(out, start, &trailer, 0);
	pad(out, start, 512);
	return 0;
}
