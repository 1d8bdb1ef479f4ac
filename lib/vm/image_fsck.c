#include "lib/vm/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/tell.h"
#include "lib/state/state.h"
#include "lib/vm/image_dir.h"
#include "lib/vm/image_tree.h"
#include "lib/base/banned.h"

struct fsck {
	struct state *st;
	int dirfd;
	bool dry;
	tell_fn *found;
	struct err *err;
};

/* 1 locked, 0 somebody holds it: it is alive and none of our business. */
static int
lock(const struct fsck *f, const char *name, int *ret)
{
	struct err err = ERR_INIT;

	if (!state_lock(f->st, "image", name, 0, 0, ret, &err))
		return 1;
	if (err.code == ERR_BUSY)
		return 0;
	*f->err = err;
	return -1;
}

static int
check_tree(const struct fsck *f, const char *name)
{
	int rc = image_tree_settle(f->st, name, f->dry, f->err);

	if (rc > 0)
		tell_line(f->found, "image '%s': unpacking broke off: removed",
			name);
	return rc < 0 ? -1 : 0;
}

static int
check_image(const struct fsck *f, const char *name)
{
	CLEANUP_CLOSE int fd = -1;
	CLEANUP_FREE char *line = NULL;
	int rc = lock(f, name, &fd);

	if (rc <= 0)
		return rc;
	if (image_settle(f->st, name, f->dry, &line, f->err))
		return -1;
	if (line)
		tell_line(f->found, "%s", line);
	return check_tree(f, name);
}

/* ".NAME.XXXXXXXX" */
static int
check_leftover(const struct fsck *f, const char *entry)
{
	const char *dot = strrchr(entry, '.');
	struct err not_ours = ERR_INIT;
	CLEANUP_FREE char *name = NULL;
	CLEANUP_CLOSE int fd = -1;
	int rc;

	if (dot == entry || strlen(dot) != 9)
		return 0;
	name = xstrndup(entry + 1, (size_t)(dot - entry) - 1);
	if (parse_name(name, "image", &not_ours))
		return 0;
	rc = lock(f, name, &fd);
	if (rc <= 0)
		return rc;
	tell_line(f->found, "'image/%s' left by a build or removal: removed",
		entry);
	return f->dry ? 0 : fs_remove_tree(f->dirfd, entry, f->err);
}

static int
collect_row(struct json *row, void *arg)
{
	argv_push(arg, json_str(row, "name", ""));
	json_free(row);
	return 0;
}

static bool
listed(const struct argv *names, const char *name)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], name))
			return true;
	return false;
}

static int
collect_entries(const struct fsck *f, struct argv *names, struct argv *rest)
{
	int fd = openat(f->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct err not_ours = ERR_INIT;
	struct dirent *e;

	if (!d)
		return err_sys(f->err, "cannot read '%s/image'",
			state_path(f->st));
	while ((e = readdir(d)))
		if (e->d_name[0] == '.')
			argv_push(rest, e->d_name);
		else if (!listed(names, e->d_name) &&
			!parse_name(e->d_name, "image", &not_ours))
			argv_push(names, e->d_name);
	(void)closedir(d); /* read only */
	return 0;
}

int
image_fsck(struct state *st, int dry, tell_fn *found, struct err *err)
{
	CLEANUP_CLOSE int dirfd = image_dir_open(st, err);
	CLEANUP_ARGV struct argv names = ARGV_INIT, rest = ARGV_INIT;
	const struct fsck f = { st, dirfd, dry, found, err };
	size_t i;

	if (dirfd < 0 || image_each(st, collect_row, &names, err) ||
		collect_entries(&f, &names, &rest))
		return -1;
	for (i = 0; i < names.n; i++)
		if (check_image(&f, names.v[i]))
			return -1;
	for (i = 0; i < rest.n; i++)
		if (check_leftover(&f, rest.v[i]))
			return -1;
	return 0;
}
