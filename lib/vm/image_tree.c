#include "lib/vm/image_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/state/state.h"
#include "lib/vm/image.h"
#include "lib/base/banned.h"

#define UNPACK_TIMEOUT 600000 /* ms */

/* ---- whose the files are to be ---- */

/* Are all of our ids known here?  In a container they may not be. */
static bool
mapped(const char *file)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	unsigned long inside, n;
	const char *line;
	char *end;

	if (fs_read(AT_FDCWD, file, 4096, &b, &err))
		return false;
	for (line = b.s; line && *line; line = strchr(line, '\n')) {
		line += strspn(line, "\n");
		inside = strtoul(line, &end, 10);
		(void)strtoul(end, &end, 10); /* outside */
		n = strtoul(end, &end, 10);
		if ((*end == '\n' || !*end) && inside <= TREE_ID_BASE &&
			n >= TREE_ID_BASE - inside + TREE_IDS)
			return true;
	}
	return false;
}

static uint32_t
id_base(void)
{
	return geteuid() == 0 && mapped("/proc/self/uid_map") &&
			mapped("/proc/self/gid_map") ?
		TREE_ID_BASE :
		0;
}

/*
 * One file.  chown takes set-id bits off, and an ordinary user must be able
 * to remove what is in a directory.
 */
static int
give(const FTSENT *e, uint32_t base)
{
	const struct stat *s = e->fts_statp;
	mode_t mode = s->st_mode & 07777;

	if (!base)
		return S_ISDIR(s->st_mode) && (mode & 0700) != 0700 ?
			chmod(e->fts_accpath, mode | 0700) :
			0;
	if (s->st_uid >= TREE_IDS || s->st_gid >= TREE_IDS) {
		errno = EOVERFLOW;
		return -1;
	}
	if (lchown(e->fts_accpath, base + s->st_uid, base + s->st_gid))
		return -1;
	return !S_ISLNK(s->st_mode) && mode & 07000 ?
		chmod(e->fts_accpath, mode) :
		0;
}

/* A file with two names comes twice, and is given away once. */
static bool
given(const FTSENT *e, uint32_t base)
{
	return base && e->fts_statp->st_nlink > 1 &&
		!S_ISDIR(e->fts_statp->st_mode) &&
		e->fts_statp->st_uid >= base;
}

static int
give_all(char *path, uint32_t base, struct err *err)
{
	char *list[] = { path, NULL };
	FTS *fts = fts_open(list, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *e;
	int rc = 0;

	if (!fts)
		return err_sys(err, "cannot read '%s'", path);
	errno = 0;
	while (!rc && (e = fts_read(fts))) {
		if (e->fts_info == FTS_DP || given(e, base))
			continue;
		errno = e->fts_errno; /* of FTS_DNR, FTS_ERR and FTS_NS */
		if (errno || give(e, base))
			rc = err_sys(err, "cannot unpack '%s'", e->fts_path);
		errno = 0;
	}
	if (!rc && errno)
		rc = err_sys(err, "cannot read '%s'", path);
	(void)fts_close(fts); /* read only */
	return rc;
}

/* ---- unpacking ---- */

static int
unpack_argv(const struct image *im, const char *to, struct argv *a,
	struct err *err)
{
	if (!im->root)
		return err_set(err, ERR_INVALID,
			"image '%s' has no root of its own, only an "
			"initramfs: it needs a hypervisor",
			im->name);
	if (!strcmp(im->rootfs, "erofs")) {
		argv_push(a, "fsck.erofs");
		argv_pushf(a, "--extract=%s", to);
		argv_push(a, "--preserve-perms");
		argv_push(a, geteuid() ? "--no-preserve-owner" :
					 "--preserve-owner");
	} else if (!strcmp(im->rootfs, "squashfs")) {
		argv_pushv(a, (const char *[]){ "unsquashfs", "-quiet",
				      "-no-progress", "-force", "-dest", to,
				      NULL });
	} else {
		return err_set(err, ERR_INVALID,
			"image '%s': a root of type '%.20s' cannot be "
			"unpacked, only erofs and squashfs",
			im->name, im->rootfs);
	}
	argv_push(a, im->root);
	return 0;
}

static int
unpack(const struct image *im, char *to, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int fd = -1;

	if (unpack_argv(im, to, &p.argv, err))
		return -1;
	if (mkdir(to, 0755))
		return err_sys(err, "cannot make '%s'", to);
	p.parent_death = SIGKILL;
	if (proc_run(&p, NULL, NULL, 0, UNPACK_TIMEOUT, err))
		return err_wrap(err, "image '%s' cannot be unpacked",
			im->name);
	if (give_all(to, id_base(), err))
		return -1;
	fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* After a power cut the name must not be there without the files. */
	return fd < 0 || syncfs(fd) ? err_sys(err, "cannot write '%s'", to) :
				      0;
}

static int
make(struct state *st, const struct image *im, const char *tree,
	struct err *err)
{
	CLEANUP_FREE char *part = xasprintf("image/%s/.tree", im->name);
	CLEANUP_FREE char *path = xasprintf("%s/%s", state_path(st), part);
	CLEANUP_CLOSE int lock = -1;

	if (state_lock(st, "tree", im->name, 0, UNPACK_TIMEOUT, &lock, err))
		return -1;
	if (fs_exists(AT_FDCWD, tree))
		return 0; /* somebody else's work while we waited */
	if (fs_remove_tree(state_dir(st), part, err) || unpack(im, path, err))
		return -1;
	return rename(path, tree) ? err_sys(err, "cannot make '%s'", tree) :
				    0;
}

char *
image_tree(struct state *st, const struct image *im, uint32_t *ret_base)
{
	char *tree = xasprintf("%s/image/%s/tree", state_path(st), im->name);
	struct stat s;

	if (stat(tree, &s))
		*ret_base = id_base();
	else
		*ret_base = s.st_uid >= TREE_ID_BASE ? TREE_ID_BASE : 0;
	return tree;
}

int
image_tree_make(struct state *st, const struct image *im, struct err *err)
{
	uint32_t base;
	CLEANUP_FREE char *tree = image_tree(st, im, &base);

	return fs_exists(AT_FDCWD, tree) ? 0 : make(st, im, tree, err);
}

int
image_tree_settle(struct state *st, const char *name, bool dry,
	struct err *err)
{
	CLEANUP_FREE char *part = xasprintf("image/%s/.tree", name);
	CLEANUP_CLOSE int lock = -1;

	if (!fs_exists(state_dir(st), part))
		return 0;
	if (state_lock(st, "tree", name, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT;
		return 0; /* being made */
	}
	return dry || !fs_remove_tree(state_dir(st), part, err) ? 1 : -1;
}
