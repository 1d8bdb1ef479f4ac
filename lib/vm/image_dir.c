#include "lib/vm/image_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/vm/digest.h"
#include "lib/base/banned.h"

#define MANIFEST_MAX ((size_t)1 << 20)

static const char *const image_files[] = { IMAGE_KERNEL, IMAGE_INITRAMFS,
	IMAGE_ROOT };

int
image_dir_open(struct state *st, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd;

	if (fs_mkdirs(state_dir(st), "image", 0700, err))
		return -1;
	fd = openat(state_dir(st), "image", flags);
	return fd >= 0 ? fd : err_sys(err, "cannot open '%s/image'",
		state_path(st));
}

/* A value of files.FILE of the manifest. */
static const char *
file_path(const char *file, const char *key, char *buf, size_t size)
{
	(void)snprintf(buf, size, "files.%s.%s", file, key);
	return buf;
}

static int
check_file(int dir, const struct json *m, const char *file, bool hash,
	struct err *err)
{
	char key[64];
	struct stat sb;
	struct digest d;

	if (fstatat(dir, file, &sb, AT_SYMLINK_NOFOLLOW))
		return err_set(err, ERR_INVALID, "'%s' is missing", file);
	if (!S_ISREG(sb.st_mode) || sb.st_size != json_int(m,
		file_path(file, "size", key, sizeof(key)), -1))
		return err_set(err, ERR_INVALID,
			"'%s' has not the size it was built with", file);
	if (!hash)
		return 0;
	if (digest_file(dir, file, &d, err))
		return -1;
	if (strcmp(d.hex, json_str(m,
		file_path(file, "sha256", key, sizeof(key)), "")) != 0)
		return err_set(err, ERR_INVALID,
			"'%s' has not the content it was built with", file);
	return 0;
}

static int
check_manifest(int dir, const struct json *m, const char *name, bool hash,
	struct err *err)
{
	CLEANUP_FREE char *digest = NULL;
	char key[64];
	size_t i;

	if (strcmp(json_str(m, "name", ""), name) != 0)
		return err_set(err, ERR_INVALID,
			IMAGE_MANIFEST " is of another image");
	for (i = 0; i < ARRAY_SIZE(image_files); i++) {
		bool there = json_has(m, file_path(image_files[i], "sha256",
			key, sizeof(key)));

		if (!there && strcmp(image_files[i], IMAGE_ROOT) != 0 &&
			!json_has(m, "template"))
			return err_set(err, ERR_INVALID,
				IMAGE_MANIFEST " lists no %s",
				image_files[i]);
		if (there && check_file(dir, m, image_files[i], hash, err))
			return -1;
	}
	digest = image_digest(m);
	if (strcmp(json_str(m, "digest", ""), digest) != 0)
		return err_set(err, ERR_INVALID,
			IMAGE_MANIFEST " was changed: wrong digest");
	return 0;
}

int
image_manifest(int dirfd, const char *name, bool hash, struct json **ret,
	struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	CLEANUP_CLOSE int dir = openat(dirfd, name, flags);
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_JSON struct json *m = NULL;

	if (dir < 0)
		return err_sys(err, "cannot open 'image/%s'", name);
	if (fs_read(dir, IMAGE_MANIFEST, MANIFEST_MAX, &text, err) ||
		json_parse(text.s, text.len, &m, err) ||
		check_manifest(dir, m, name, hash, err)) {
		err->code = ERR_INVALID;
		return err_wrap(err, "'image/%s'", name);
	}
	*ret = steal_ptr(&m);
	return 0;
}

char *
image_digest(const struct json *m)
{
	static const char *const config[] = { "rootfs", "env", "user",
		"workdir", "entrypoint" };
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct digest d;
	char key[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(image_files); i++)
		buf_addf(&text, "%s %s\n", image_files[i], json_str(m,
			file_path(image_files[i], "sha256", key,
				sizeof(key)), "-"));
	for (i = 0; i < ARRAY_SIZE(config); i++) {
		CLEANUP_JSON struct json *v = json_get(m, config[i]);
		CLEANUP_FREE char *s = v ? json_text(v) : xstrdup("null");

		buf_addf(&text, "%s %s\n", config[i], s);
	}
	if (json_has(m, "cmd")) {
		CLEANUP_JSON struct json *v = json_get(m, "cmd");
		CLEANUP_FREE char *s = json_text(v);

		buf_addf(&text, "cmd %s\n", s);
	}
	if (json_has(m, "template"))
		buf_addf(&text, "template %s\n",
			json_str(m, "template", ""));
	digest_bytes(text.s, text.len, &d);
	return xasprintf("sha256:%s", d.hex);
}

int64_t
image_size(const struct json *m)
{
	int64_t sum = 0;
	char key[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(image_files); i++)
		sum += json_int(m, file_path(image_files[i], "size", key,
			sizeof(key)), 0);
	return sum;
}

int
image_row(struct state *st, const char *name, enum image_state *ret,
	char **ret_digest, struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	*ret = IMAGE_NONE;
	*ret_digest = NULL;
	if (state_db(st, &db, err) || db_query(db, &rows,
		"SELECT state, digest FROM image WHERE name = ?", err,
		DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc != 1)
		return rc;
	*ret = strcmp(db_text(rows, 0), "ready") ? IMAGE_BUILDING :
						   IMAGE_READY;
	*ret_digest = xstrdup_null(db_text(rows, 1));
	return 0;
}

int
image_record(struct state *st, const struct json *m, const char *kind,
	struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	const char *name = json_str(m, "name", "");
	const char *base = json_str(m, "base", "unknown");
	const char *digest = json_str(m, "digest", "");
	struct json *data;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err))
		return -1;
	if (db_run(db, "INSERT INTO image (name, state, base, digest, size, "
		"created_at, used_at) VALUES (?, 'ready', ?, ?, ?, ?, ?) "
		"ON CONFLICT (name) DO UPDATE SET state = excluded.state, "
		"base = excluded.base, digest = excluded.digest, "
		"size = excluded.size, created_at = excluded.created_at, "
		"used_at = excluded.used_at",
		NULL, err, DB_S(name), DB_S(base), DB_S(digest),
		DB_I(image_size(m)), DB_I(json_int(m, "created_at", 0)),
		DB_I(clock_wall())))
		return -1;
	data = json_object();
	json_put_str(data, "base", base);
	json_put_str(data, "digest", digest);
	json_put_int(data, "size", image_size(m));
	json_put_str(data, "kernel_version",
		json_str(m, "kernel_version", NULL));
	if (event_add(db, kind, name, data, err))
		return -1;
	return db_commit(&t, err);
}

int
image_forget(struct state *st, const char *name, const char *kind,
	const char *reason, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data = NULL;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err) ||
		db_run(db, "DELETE FROM image WHERE name = ?", NULL, err,
			DB_S(name)))
		return -1;
	if (reason) {
		data = json_object();
		json_put_str(data, "reason", reason);
	}
	if (event_add(db, kind, name, data, err))
		return -1;
	return db_commit(&t, err);
}

/* The directory is a sound image, and the row does not say so. */
static int
settle_sound(struct state *st, const struct json *m, enum image_state state,
	const char *digest, bool dry, char **ret_line, struct err *err)
{
	const char *name = json_str(m, "name", ""), *kind = "image.adopted";
	const char *what = "found beside the database: adopted";

	if (state == IMAGE_READY) {
		if (digest && !strcmp(digest, json_str(m, "digest", "")))
			return 0;
		what = "is another one than recorded: adopted";
	} else if (state == IMAGE_BUILDING) {
		bool old = digest &&
			!strcmp(digest, json_str(m, "digest", ""));

		kind = old ? "image.kept" : "image.built";
		what = old ? "a build broke off: the older image stays" :
			     "a build broke off at its end: finished";
	}
	*ret_line = xasprintf("image '%s' %s", name, what);
	return dry ? 0 : image_record(st, m, kind, err);
}

static int
settle_broken(struct state *st, const char *name, enum image_state state,
	const char *why, bool dry, char **ret_line, struct err *err)
{
	if (state == IMAGE_NONE) {
		*ret_line = xasprintf("%s; no image of ours: left alone", why);
		return 0;
	}
	if (state == IMAGE_BUILDING) {
		*ret_line = xasprintf("image '%s' a build broke off: undone",
			name);
		return dry ? 0 : image_forget(st, name, "image.failed",
			"the build broke off", err);
	}
	*ret_line = xasprintf("%s: image '%s' forgotten", why, name);
	return dry ? 0 : image_forget(st, name, "image.removed", why, err);
}

int
image_settle(struct state *st, const char *name, bool dry, char **ret_line,
	struct err *err)
{
	CLEANUP_CLOSE int dirfd = image_dir_open(st, err);
	CLEANUP_FREE char *digest = NULL;
	CLEANUP_JSON struct json *m = NULL;
	struct err why = ERR_INIT;
	enum image_state state;

	*ret_line = NULL;
	if (dirfd < 0 || image_row(st, name, &state, &digest, err))
		return -1;
	/* What nobody of us has written is read to its last byte. */
	if (!image_manifest(dirfd, name, state != IMAGE_READY, &m, &why))
		return settle_sound(st, m, state, digest, dry, ret_line, err);
	if (state == IMAGE_NONE && why.code == ERR_NOTFOUND)
		return 0;
	return settle_broken(st, name, state, why.msg, dry, ret_line, err);
}
