#include "lib/vm/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/tell.h"
#include "lib/state/state.h"
#include "lib/vm/image.h"
#include "lib/vm/pause.h"
#include "lib/base/banned.h"

#define DIR_NAME "snapshot"
#define ABOUT "snapshot.json"
#define ABOUT_MAX 65536

void
snapshot_release(struct snapshot *s)
{
	json_free(s->about);
	free(s->memory);
	cleanup_close(&s->state);
	cleanup_close(&s->lock);
	*s = SNAPSHOT_INIT;
}

char *
snapshot_cpu(void)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	const char *p;

	if (fs_read(AT_FDCWD, "/proc/cpuinfo", 1 << 24, &b, &err))
		return xstrdup("unknown");
	p = strstr(b.s, "model name");
	p = p ? strchr(p, ':') : NULL;
	if (!p)
		return xstrdup("unknown");
	p += 1 + strspn(p + 1, " ");
	return xasprintf("%.*s", (int)strcspn(p, "\n"), p);
}

/* ---- reading ---- */

static int
read_about(struct state *st, const char *name, struct json **ret,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf(DIR_NAME "/%s/" ABOUT, name);
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (!fs_read(state_dir(st), path, ABOUT_MAX, &b, err))
		return json_parse(b.s, b.len, ret, err) ?
			err_wrap(err, "snapshot '%s'", name) :
			0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	return err_set(err, ERR_NOTFOUND,
		"no snapshot '%s'; 'forge-vm snapshot list' shows those there "
		"are", name);
}

static int
check_fit(struct state *st, const char *name, const struct json *about,
	struct err *err)
{
	CLEANUP_IMAGE struct image im = IMAGE_INIT;
	CLEANUP_FREE char *cpu = snapshot_cpu();

	if (image_open(st, json_str(about, "image", ""), &im, err))
		return -1;
	if (strcmp(json_str(im.manifest, "digest", ""),
		    json_str(about, "digest", "-")) != 0)
		return err_set(err, ERR_INVALID,
			"snapshot '%s' is of another image '%s' than there is "
			"now: make it again", name, im.name);
	if (strcmp(cpu, json_str(about, "cpu", "")) != 0)
		return err_set(err, ERR_INVALID,
			"snapshot '%s' was made on another processor: make it "
			"again here", name);
	return 0;
}

static void
hand_over(struct snapshot *from, struct snapshot *to)
{
	*to = *from;
	*from = SNAPSHOT_INIT;
}

int
snapshot_open(struct state *st, const char *name, struct snapshot *ret,
	struct err *err)
{
	CLEANUP_SNAPSHOT struct snapshot s = SNAPSHOT_INIT;
	CLEANUP_FREE char *state = xasprintf(DIR_NAME "/%s/" SNAPSHOT_STATE,
		name);

	if (read_about(st, name, &s.about, err) ||
		state_lock(st, "snapshot", name, LOCK_SHARED, 0, &s.lock,
			err) ||
		check_fit(st, name, s.about, err))
		return -1;
	s.state = openat(state_dir(st), state, O_RDONLY | O_CLOEXEC);
	if (s.state < 0)
		return err_sys(err, "cannot open '%s'", state);
	s.memory = xasprintf("%s/" DIR_NAME "/%s/" SNAPSHOT_MEMORY,
		state_path(st), name);
	hand_over(&s, ret);
	return 0;
}

/* ---- making ---- */

static char *
aside(const char *name)
{
	return xasprintf(DIR_NAME "/.%s", name);
}

static int
create(int dir, const char *name, int *ret, struct err *err)
{
	*ret = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *ret < 0 ? err_sys(err, "cannot create '%s'", name) : 0;
}

int
snapshot_begin(struct state *st, const char *name, struct snapshot_new *ret,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf(DIR_NAME "/%s", name);
	CLEANUP_FREE char *tmp = aside(name);

	if (parse_name(name, "SNAPSHOT", err) ||
		state_lock(st, "snapshot", name, 0, 0, &ret->lock, err))
		return -1;
	if (fs_exists(state_dir(st), path))
		return err_set(err, ERR_EXISTS,
			"a snapshot '%s' exists; 'forge-vm snapshot rm %s' "
			"removes it", name, name);
	ret->st = st;
	ret->name = xstrdup(name);
	if (fs_remove_tree(state_dir(st), tmp, err) ||
		fs_mkdirs(state_dir(st), tmp, 0700, err))
		return -1;
	ret->dir = openat(state_dir(st), tmp,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->dir < 0)
		return err_sys(err, "cannot open '%s'", tmp);
	return create(ret->dir, SNAPSHOT_STATE, &ret->state, err) ||
			create(ret->dir, SNAPSHOT_MEMORY, &ret->memory, err) ?
		-1 :
		0;
}

static int
copy_range(int to, int from, off_t at, off_t end, struct err *err)
{
	if (lseek(to, at, SEEK_SET) < 0)
		return err_sys(err, "lseek");
	while (at < end) {
		ssize_t n = sendfile(to, from, &at, (size_t)(end - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "cannot write the memory");
	}
	return 0;
}

int
snapshot_copy(struct snapshot_new *n, int from, int64_t *ret_size,
	struct err *err)
{
	off_t size = lseek(from, 0, SEEK_END), at = 0, end;

	*ret_size = 0;
	if (size < 0 || ftruncate(n->memory, size))
		return err_sys(err, "cannot write the memory");
	while ((at = lseek(from, at, SEEK_DATA)) >= 0 && at < size) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return err_sys(err, "lseek");
		if (copy_range(n->memory, from, at, end, err))
			return -1;
		*ret_size += end - at;
		at = end;
	}
	return 0;
}

int
snapshot_publish(struct snapshot_new *n, const struct json *about,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf(DIR_NAME "/%s", n->name);
	CLEANUP_FREE char *tmp = aside(n->name), *text = json_text(about);

	if (fsync(n->memory) || fsync(n->state))
		return err_sys(err, "cannot write snapshot '%s'", n->name);
	if (fs_replace(n->dir, ABOUT, text, strlen(text), 0600, err))
		return -1;
	if (renameat(state_dir(n->st), tmp, state_dir(n->st), path))
		return err_sys(err, "cannot rename to '%s'", path);
	return fs_sync_dir(state_dir(n->st), DIR_NAME, err);
}

void
snapshot_new_release(struct snapshot_new *n)
{
	struct err err = ERR_INIT;

	cleanup_close(&n->state);
	cleanup_close(&n->memory);
	cleanup_close(&n->dir);
	if (n->name) {
		CLEANUP_FREE char *tmp = aside(n->name);

		/* What is left is what fsck removes. */
		(void)!fs_remove_tree(state_dir(n->st), tmp, &err);
	}
	free(n->name);
	cleanup_close(&n->lock);
	*n = SNAPSHOT_NEW_INIT;
}

/* ---- those there are ---- */

static int
walk(struct state *st, int (*each)(const char *name, void *arg), void *arg,
	struct err *err)
{
	int fd = openat(state_dir(st), DIR_NAME,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0, n, i;
	struct dirent **list;

	if (fd < 0)
		return errno == ENOENT ? 0 :
			err_sys(err, "cannot open '%s'", DIR_NAME);
	n = scandirat(fd, ".", &list, NULL, alphasort);
	(void)close(fd); /* read only */
	if (n < 0)
		return err_sys(err, "cannot read '%s'", DIR_NAME);
	for (i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (!rc && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			rc = each(name, arg);
		free(list[i]);
	}
	free(list);
	return rc;
}

struct lister {
	struct state *st;
	int (*emit)(struct json *row, void *arg);
	void *arg;
	struct err *err;
};

static int
list_one(const char *name, void *arg)
{
	struct lister *l = arg;
	struct json *row;

	if (name[0] == '.')
		return 0;
	if (!read_about(l->st, name, &row, l->err))
		return l->emit(row, l->arg);
	if (l->err->code != ERR_NOTFOUND)
		return -1;
	*l->err = ERR_INIT; /* removed just now */
	return 0;
}

int
snapshot_each(struct state *st, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err)
{
	struct lister l = { st, emit, arg, err };

	return walk(st, list_one, &l, err);
}

int
snapshot_show(struct state *st, const char *name, struct json **ret,
	struct err *err)
{
	return read_about(st, name, ret, err);
}

int
snapshot_rm(struct state *st, const char *name, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf(DIR_NAME "/%s", name);
	CLEANUP_FREE char *tmp = aside(name);
	CLEANUP_JSON struct json *about = NULL;
	CLEANUP_CLOSE int lock = -1;

	if (read_about(st, name, &about, err))
		return -1;
	if (state_lock(st, "snapshot", name, 0, 0, &lock, err))
		return err->code != ERR_BUSY ?
			-1 :
			err_set(err, ERR_BUSY,
				"snapshot '%s' is used by a VM", name);
	if (fs_remove_tree(state_dir(st), tmp, err))
		return -1;
	if (renameat(state_dir(st), path, state_dir(st), tmp))
		return err_sys(err, "cannot rename '%s'", path);
	return fs_remove_tree(state_dir(st), tmp, err);
}

struct checker {
	struct state *st;
	bool dry;
	tell_fn *told;
	struct err *err;
};

static int
check_one(const char *name, void *arg)
{
	const struct checker *c = arg;
	CLEANUP_FREE char *path = xasprintf(DIR_NAME "/%s", name);
	CLEANUP_CLOSE int lock = -1;

	if (name[0] != '.')
		return 0;
	if (state_lock(c->st, "snapshot", name + 1, 0, 0, &lock, c->err)) {
		if (c->err->code != ERR_BUSY)
			return -1;
		*c->err = ERR_INIT; /* it is being made */
		return 0;
	}
	tell_line(c->told, "snapshot '%s': broken off", name + 1);
	return c->dry ? 0 :
			fs_remove_tree(state_dir(c->st), path, c->err);
}

int
snapshot_fsck(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	struct checker c = { st, dry, told, err };

	return walk(st, check_one, &c, err);
}

int
vm_snapshot(struct state *st, const char *name, const char *snapshot,
	struct err *err)
{
	return supervisor_ask(st, name, CHANNEL_SNAPSHOT, snapshot, err);
}
