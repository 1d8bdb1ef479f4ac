#include "lib/vm/image_build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/vm/digest.h"
#include "lib/vm/image.h"
#include "lib/vm/image_dir.h"
#include "lib/vm/image_import.h"
#include "lib/vm/image_root.h"
#include "lib/vm/initramfs.h"
#include "lib/vm/kernel.h"
#include "lib/base/banned.h"

void
image_spec_release(struct image_spec *s)
{
	argv_release(&s->packages);
	argv_release(&s->files);
	argv_release(&s->tars);
	argv_release(&s->run);
	image_config_release(&s->config);
}

struct build {
	struct state *st;
	const struct image_spec *spec;
	int dirfd; /* of STATE/image */
	char *tmp; /* name below it */
	int fd; /* of tmp */
	struct json *manifest;
	struct json *files; /* its part; ours until it is put there */
	struct image_config found; /* of an import: how it says to run it */
};

static void
build_release(struct build *b)
{
	if (b->dirfd >= 0)
		(void)close(b->dirfd); /* directories */
	if (b->fd >= 0)
		(void)close(b->fd);
	free(b->tmp);
	json_free(b->manifest);
	json_free(b->files);
	image_config_release(&b->found);
}

static bool
imports(const struct image_spec *spec)
{
	return spec->source || spec->initramfs || spec->template;
}

static int
check(const struct image_spec *spec, struct err *err)
{
	CLEANUP_FREE char *init = NULL;

	if (parse_name(spec->name, "image", err))
		return -1;
	if (spec->modules && !spec->kernel)
		return err_set(err, ERR_USAGE,
			"--modules needs --kernel: both of one build");
	if (find_helper("forge-init", &init, err))
		return -1;
	return imports(spec) ? image_import_check(spec, err) :
			       image_root_check(spec, err);
}

/* The row says what is about to happen; an older digest stays in it. */
static int
intend(struct state *st, const struct image_spec *spec, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err))
		return -1;
	if (db_run(db, "INSERT INTO image (name, state, base, created_at) "
		"VALUES (?, 'building', ?, ?) ON CONFLICT (name) "
		"DO UPDATE SET state = 'building'", NULL, err,
		DB_S(spec->name), DB_S(spec->base), DB_I(clock_wall())))
		return -1;
	data = json_object();
	json_put_str(data, "base", spec->base);
	if (event_add(db, "image.begun", spec->name, data, err))
		return -1;
	return db_commit(&t, err);
}

/* What an earlier build left is settled, then the name must be free. */
static int
claim(struct state *st, const struct image_spec *spec, struct err *err)
{
	CLEANUP_FREE char *line = NULL, *digest = NULL;
	enum image_state state;

	if (image_settle(st, spec->name, false, &line, err) ||
		image_row(st, spec->name, &state, &digest, err))
		return -1;
	if (state == IMAGE_READY && !spec->replace)
		return err_set(err, ERR_EXISTS,
			"image '%s' exists: give --replace, or another name",
			spec->name);
	return intend(st, spec, err);
}

static int
make_dir(struct build *b, struct err *err)
{
	CLEANUP_FREE char *suffix = random_name(8);

	b->dirfd = image_dir_open(b->st, err);
	if (b->dirfd < 0)
		return -1;
	b->tmp = xasprintf(".%s.%s", b->spec->name, suffix);
	if (mkdirat(b->dirfd, b->tmp, 0755))
		return err_sys(err, "cannot make 'image/%s'", b->tmp);
	b->fd = openat(b->dirfd, b->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return b->fd >= 0 ? 0 : err_sys(err, "cannot open 'image/%s'", b->tmp);
}

static int
write_file(struct build *b, const char *name, const struct buf *data,
	struct err *err)
{
	CLEANUP_CLOSE int fd = openat(b->fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write_all(fd, data->s, data->len))
		return err_sys(err, "cannot write '%s'", name);
	return 0;
}

/* Durable, and in the manifest. */
static int
seal_file(struct build *b, const char *name, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(b->fd, name, O_RDONLY | O_CLOEXEC);
	struct digest d;
	struct json *o;

	if (fd < 0 || fchmod(fd, 0444) || fsync(fd))
		return err_sys(err, "cannot sync '%s'", name);
	if (digest_file(b->fd, name, &d, err))
		return -1;
	o = json_object();
	json_put_int(o, "size", d.size);
	json_put_str(o, "sha256", d.hex);
	json_put(b->files, name, o);
	return 0;
}

static int
build_kernel(struct build *b, struct err *err)
{
	CLEANUP_KERNEL struct kernel k = KERNEL_INIT;
	CLEANUP_BUF struct buf initramfs = BUF_INIT;

	if (b->spec->kernel ?
			kernel_from_files(b->spec->kernel, b->spec->modules,
				&k, err) :
			kernel_from_debian(b->st, &k, err))
		return -1;
	if ((b->spec->initramfs &&
		    image_import_initramfs(b->spec, &initramfs, err)) ||
		initramfs_build(&k, &initramfs, err) ||
		write_file(b, IMAGE_KERNEL, &k.image, err) ||
		write_file(b, IMAGE_INITRAMFS, &initramfs, err) ||
		seal_file(b, IMAGE_KERNEL, err) ||
		seal_file(b, IMAGE_INITRAMFS, err))
		return -1;
	json_put_str(b->manifest, "kernel_version", k.version);
	json_put_str(b->manifest, "kernel_source", k.source);
	return 0;
}

static int
build_root(struct build *b, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("%s/image/%s", state_path(b->st),
		b->tmp);

	if (b->spec->initramfs)
		return 0; /* it is the root */
	if (imports(b->spec) ?
			image_import_root(b->spec, dir, b->manifest,
				&b->found, err) :
			image_root_build(b->st, b->spec, dir, err))
		return -1;
	json_put_str(b->manifest, "rootfs",
		imports(b->spec) ? "squashfs" : "erofs");
	return seal_file(b, IMAGE_ROOT, err);
}

static int
built_at(int64_t *ret, struct err *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	*ret = clock_wall();
	if (!epoch || !*epoch)
		return 0;
	if (parse_i64(epoch, 0, INT64_MAX / 1000, "$SOURCE_DATE_EPOCH", ret,
		err))
		return -1;
	*ret *= 1000;
	return 0;
}

static int
write_manifest(struct build *b, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct json *m = b->manifest;

	json_put(m, "files", steal_ptr(&b->files));
	image_config_put(imports(b->spec) ? &b->found : &b->spec->config, m);
	CLEANUP_FREE char *digest = image_digest(m);
	json_put_str(m, "digest", digest);
	json_write(m, &text);
	buf_addc(&text, '\n');
	if (write_file(b, IMAGE_MANIFEST, &text, err))
		return -1;
	CLEANUP_CLOSE int fd = openat(b->fd, IMAGE_MANIFEST,
		O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0444) || fsync(fd) || fsync(b->fd))
		return err_sys(err, "cannot sync 'image/%s'", b->tmp);
	return 0;
}

static int
make(struct build *b, struct err *err)
{
	int64_t at;

	if (built_at(&at, err) || make_dir(b, err))
		return -1;
	b->manifest = json_object();
	b->files = json_object();
	json_put_str(b->manifest, "name", b->spec->name);
	json_put_str(b->manifest, "base", b->spec->base);
	json_put_int(b->manifest, "created_at", at);
	if (b->spec->template)
		json_put_str(b->manifest, "template", b->spec->template);
	else if (build_kernel(b, err) || build_root(b, err))
		return -1;
	return write_manifest(b, err);
}

/*
 * One rename, then the row.  An image that was there comes to lie under the
 * temporary name, and goes with it.
 */
static int
publish(struct build *b, struct err *err)
{
	unsigned how = fs_exists(b->dirfd, b->spec->name) ?
		RENAME_EXCHANGE : RENAME_NOREPLACE;

	if (renameat2(b->dirfd, b->tmp, b->dirfd, b->spec->name, how))
		return err_sys(err, "cannot rename to 'image/%s'",
			b->spec->name);
	if (fs_sync_dir(b->dirfd, ".", err))
		return -1;
	return image_record(b->st, b->manifest, "image.built", err);
}

/*
 * The row as it was before, the event with the reason.  Where that fails too,
 * the first error is the one to tell, and fsck does it later.
 */
static void
give_up(struct build *b, const struct err *why)
{
	CLEANUP_FREE char *line = NULL;
	CLEANUP_JSON struct json *m = NULL;
	struct err err = ERR_INIT;
	bool bad;

	if (b->dirfd < 0)
		b->dirfd = image_dir_open(b->st, &err);
	if (b->dirfd >= 0 &&
		!image_manifest(b->dirfd, b->spec->name, false, &m, &err))
		bad = image_settle(b->st, b->spec->name, false, &line, &err);
	else
		bad = image_forget(b->st, b->spec->name, "image.failed",
			why->msg, &err);
	if (bad)
		log_debug("image.unsettled", "name", b->spec->name, "error",
			err.msg, NULL);
}

int
image_build(struct state *st, const struct image_spec *spec,
	struct json **ret_row, struct err *err)
{
	__attribute__((cleanup(build_release))) struct build b = { .st = st,
		.spec = spec, .dirfd = -1, .fd = -1,
		.found = IMAGE_CONFIG_INIT };
	CLEANUP_CLOSE int lock = -1;
	struct err rest = ERR_INIT;
	int rc;

	if (check(spec, err))
		return -1;
	if (state_lock(st, "image", spec->name, 0, 0, &lock, err)) {
		if (err->code == ERR_BUSY)
			return err_set(err, ERR_BUSY,
				"image '%s' is in use: a VM runs from it, or "
				"it is being built", spec->name);
		return -1;
	}
	if (claim(st, spec, err))
		return -1;
	rc = make(&b, err) || publish(&b, err);
	if (rc)
		give_up(&b, err);
	if (b.tmp && fs_remove_tree(b.dirfd, b.tmp, &rest))
		log_debug("image.leftover", "name", b.tmp, "error", rest.msg,
			NULL);
	return rc ? -1 : image_show(st, spec->name, ret_row, err);
}
