#include "lib/vm/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/tell.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/image_dir.h"
#include "lib/vm/warm.h"
#include "lib/base/banned.h"

void
image_release(struct image *im)
{
	free(im->name);
	free(im->kernel);
	free(im->initramfs);
	free(im->template);
	free(im->root);
	free(im->rootfs);
	json_free(im->manifest);
	if (im->lock >= 0)
		(void)close(im->lock); /* letting go cannot fail */
	*im = IMAGE_INIT;
}

/* Says what there is instead. */
static int
no_image(struct state *st, const char *name, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_BUF struct buf names = BUF_INIT;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows,
		"SELECT name FROM image WHERE state = 'ready' ORDER BY name "
		"LIMIT 10", err))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		buf_addf(&names, "%s%s", names.len ? ", " : "",
			db_text(rows, 0));
	if (rc < 0)
		return -1;
	if (names.len)
		return err_set(err, ERR_NOTFOUND,
			"no image '%s'; there is %s", name, names.s);
	return err_set(err, ERR_NOTFOUND,
		"no image '%s': build one with `forge-vm image build "
		"busybox`", name);
}

static int
fill(struct state *st, const char *name, struct image *im, struct err *err)
{
	CLEANUP_CLOSE int dirfd = image_dir_open(st, err);
	CLEANUP_FREE char *dir = xasprintf("%s/image/%s", state_path(st),
		name);

	if (dirfd < 0 ||
		image_manifest(dirfd, name, false, &im->manifest, err))
		return -1;
	im->name = xstrdup(name);
	if (json_has(im->manifest, "template")) {
		im->template = xstrdup(json_str(im->manifest, "template", ""));
		return 0;
	}
	im->kernel = xasprintf("%s/" IMAGE_KERNEL, dir);
	im->initramfs = xasprintf("%s/" IMAGE_INITRAMFS, dir);
	if (json_has(im->manifest, "files." IMAGE_ROOT)) {
		im->root = xasprintf("%s/" IMAGE_ROOT, dir);
		im->rootfs = xstrdup(json_str(im->manifest, "rootfs",
			"erofs"));
	}
	return 0;
}

int
image_open(struct state *st, const char *name, struct image *ret,
	struct err *err)
{
	CLEANUP_IMAGE struct image im = IMAGE_INIT;
	CLEANUP_FREE char *digest = NULL;
	enum image_state state;

	if (parse_name(name, "image", err) ||
		image_row(st, name, &state, &digest, err))
		return -1;
	if (state == IMAGE_NONE)
		return no_image(st, name, err);
	if (state_lock(st, "image", name, LOCK_SHARED, 0, &im.lock, err)) {
		if (err->code == ERR_BUSY)
			return err_set(err, ERR_BUSY,
				"image '%s' is being built or removed", name);
		return -1;
	}
	/* Now that nobody can change it: is it still there? */
	free(steal_ptr(&digest));
	if (image_row(st, name, &state, &digest, err))
		return -1;
	if (state == IMAGE_NONE)
		return no_image(st, name, err);
	if (state == IMAGE_BUILDING)
		return err_set(err, ERR_BUSY,
			"image '%s': its build broke off: run `forge-vm fsck`",
			name);
	if (fill(st, name, &im, err))
		return err_wrap(err, "image '%s' is damaged (run `forge-vm "
			"fsck`)", name);
	*ret = im;
	im = IMAGE_INIT;
	return 0;
}

static struct json *
row_json(const struct db_rows *rows)
{
	struct json *o = json_object();

	json_put_str(o, "name", db_text(rows, 0));
	json_put_str(o, "state", db_text(rows, 1));
	json_put_str(o, "base", db_text(rows, 2));
	json_put_str(o, "digest", db_text(rows, 3));
	json_put_int(o, "size", db_int(rows, 4));
	json_put_int(o, "created_at", db_int(rows, 5));
	json_put_int(o, "used_at", db_int(rows, 6));
	return o;
}

int
image_each(struct state *st, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows,
		"SELECT name, state, base, digest, size, created_at, used_at "
		"FROM image ORDER BY name", err))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		rc = emit(row_json(rows), arg);
		if (rc)
			return rc;
	}
	return rc;
}

int
image_show(struct state *st, const char *name, struct json **ret,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	CLEANUP_CLOSE int dirfd = image_dir_open(st, err);
	struct err why = ERR_INIT;
	struct json *m = NULL, *o;
	struct db *db;
	int rc;

	if (dirfd < 0 || parse_name(name, "image", err) ||
		state_db(st, &db, err) || db_query(db, &rows,
		"SELECT name, state, base, digest, size, created_at, used_at "
		"FROM image WHERE name = ?", err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc < 0)
		return -1;
	if (!rc) {
		db_done(rows);
		rows = NULL;
		return no_image(st, name, err);
	}
	o = row_json(rows);
	CLEANUP_FREE char *path = xasprintf("%s/image/%s", state_path(st),
		name);
	json_put_str(o, "path", path);
	if (image_manifest(dirfd, name, false, &m, &why))
		json_put_str(o, "damage", why.msg);
	else
		json_put(o, "manifest", m);
	*ret = o;
	return 0;
}

/* Nobody boots from it, and nobody will until the lock is given back. */
static int
lock_alone(struct state *st, const char *name, int *ret, struct err *err)
{
	if (!state_lock(st, "image", name, 0, 0, ret, err))
		return 0;
	/* Nobody has those that only wait. */
	if (err->code == ERR_BUSY && !warm_drain(st, name, err) &&
		!state_lock(st, "image", name, 0, 0, ret, err))
		return 0;
	if (err->code == ERR_BUSY)
		return err_set(err, ERR_BUSY,
			"image '%s' is in use: a VM runs from it, or it is "
			"being built", name);
	return -1;
}

/*
 * Out of the way first, then the row, then the bytes: a kill between these
 * leaves what image_fsck() ends as well.  The lock is held alone.
 */
static int
discard(struct state *st, const char *name, const char *reason,
	struct err *err)
{
	CLEANUP_CLOSE int dirfd = image_dir_open(st, err);
	CLEANUP_FREE char *suffix = random_name(8);
	CLEANUP_FREE char *tmp = xasprintf(".%s.%s", name, suffix);

	if (dirfd < 0)
		return -1;
	if (renameat(dirfd, name, dirfd, tmp) && errno != ENOENT)
		return err_sys(err, "cannot rename 'image/%s'", name);
	if (fs_sync_dir(dirfd, ".", err) ||
		image_forget(st, name, "image.removed", reason, err))
		return -1;
	return fs_remove_tree(dirfd, tmp, err);
}

int
image_remove(struct state *st, const char *name, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	CLEANUP_FREE char *digest = NULL;
	enum image_state state;

	if (parse_name(name, "image", err) ||
		image_row(st, name, &state, &digest, err))
		return -1;
	if (state == IMAGE_NONE)
		return no_image(st, name, err);
	return lock_alone(st, name, &lock, err) ?
		-1 :
		discard(st, name, NULL, err);
}

/* ---- collecting what nobody uses ---- */

#define UNUSED                                                       \
	"state = 'ready' AND used_at < ?1 AND name NOT IN (SELECT "  \
	"image FROM vm)"

static int
unused_names(struct state *st, int64_t before, struct argv *ret,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows,
		"SELECT name FROM image WHERE " UNUSED " ORDER BY name", err,
		DB_I(before)))
		return -1;
	while ((rc = db_next(rows, err)) == 1)
		argv_push(ret, db_text(rows, 0));
	return rc;
}

/* With the lock held: is it unused still?  *ret_at: since when; 0: no. */
static int
unused_since(struct state *st, const char *name, int64_t before,
	int64_t *ret_at, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows,
		"SELECT used_at FROM image WHERE " UNUSED " AND name = ?2",
		err, DB_I(before), DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	*ret_at = rc == 1 ? db_int(rows, 0) : 0;
	return rc < 0 ? -1 : 0;
}

static int
collect_one(struct state *st, const char *name, int64_t before,
	const struct image_gc *gc, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	struct err busy = ERR_INIT;
	int64_t at = 0;
	char text[16];

	if (state_lock(st, "image", name, 0, 0, &lock, &busy)) {
		if (busy.code == ERR_BUSY)
			return 0; /* a VM boots from it just now */
		*err = busy;
		return -1;
	}
	if (unused_since(st, name, before, &at, err))
		return -1;
	if (!at)
		return 0;
	tell_line(gc->found, "image '%s' was not used for %s: removed", name,
		format_duration(clock_wall() - at, text, sizeof(text)));
	return gc->dry ? 0 : discard(st, name, "not used", err);
}

int
image_collect(struct state *st, const struct image_gc *gc, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	int64_t before = clock_wall() - gc->older_than;
	size_t i;

	if (unused_names(st, before, &names, err))
		return -1;
	for (i = 0; i < names.n; i++)
		if (collect_one(st, names.v[i], before, gc, err))
			return -1;
	return 0;
}
