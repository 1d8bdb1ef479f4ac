/* The spool of delivery.h. */
#include "lib/runner/delivery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/spool.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* The largest body that webhook.max-body allows, and its head. */
enum { FILE_MAX = 1024 * 1024 * 1024, STALE_S = 3600 };

int
delivery_spool(struct state *st, const struct delivery *d, struct err *err)
{
	return spool_write(state_dir(st), d, err);
}

/* ---- reading ---- */

static char *
take_line(char **p, char *end)
{
	char *line = *p, *eol = memchr(line, '\n', (size_t)(end - line));

	if (!eol)
		return NULL;
	*eol = '\0';
	*p = eol + 1;
	return line;
}

/* d borrows from b. */
static int
parse_file(struct buf *b, struct delivery *d, struct err *err)
{
	char *p = b->s, *end = b->s + b->len, *line[6];
	int64_t n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(line); i++) {
		line[i] = take_line(&p, end);
		if (!line[i])
			return err_set(err, ERR_INVALID, "it ends too early");
	}
	if (strcmp(line[0], SPOOL_MAGIC) != 0 ||
		parse_i64(line[4], 0, INT64_MAX, "time", &d->received_at,
			err) ||
		parse_i64(line[5], 0, FILE_MAX, "length", &n, err) ||
		n != end - p)
		return err_set(err, ERR_INVALID, "it is no whole delivery");
	d->guid = line[1];
	d->event = line[2];
	d->hook = *line[3] ? line[3] : NULL;
	d->body = p;
	d->n = (size_t)n;
	return 0;
}

static int
set_aside(int dir, const char *path, const char *name,
	struct delivery_ingest *count, struct err *err)
{
	CLEANUP_FREE char *to = xasprintf("spool/bad/%s", name);

	if (fs_mkdirs(dir, "spool/bad", 0700, err))
		return -1;
	if (renameat(dir, path, dir, to) && errno != ENOENT)
		return err_sys(err, "cannot rename '%s'", path);
	count->bad++;
	return 0;
}

/* Files that one transaction takes: bounded, for others wait for it. */
enum { BATCH = 64, BATCH_BYTES = 4 << 20 };

struct batch {
	size_t n; /* names looked at */
	size_t bytes;
	struct argv done, bad;
	struct delivery_ingest count;
};

static int
take_file(int dir, struct db *db, const char *name, struct batch *batch,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("spool/new/%s", name);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct delivery d = { 0 };
	enum delivery_result result;
	struct err e = ERR_INIT;

	if (fs_read(dir, path, FILE_MAX, &b, &e)) {
		if (e.code == ERR_NOTFOUND)
			return 0; /* another ingest was faster */
		*err = e;
		return -1;
	}
	batch->bytes += b.len;
	if (parse_file(&b, &d, &e) || delivery_take_in(db, &d, &result, &e)) {
		if (e.code == ERR_INVALID) {
			argv_push(&batch->bad, name);
			return 0;
		}
		*err = e;
		return -1;
	}
	argv_push(&batch->done, path);
	if (result == DELIVERY_DUPLICATE)
		batch->count.duplicates++;
	else
		batch->count.taken++;
	return 0;
}

static int
take_files(int dir, struct db *db, char **names, size_t n,
	struct batch *batch, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(db, &t, err))
		return -1;
	while (batch->n < n && batch->n < BATCH && batch->bytes < BATCH_BYTES)
		if (take_file(dir, db, names[batch->n++], batch, err))
			return -1;
	return db_commit(&t, err);
}

/* Files go only after the commit: killed in between, their GUIDs tell. */
static int
clear_files(int dir, struct batch *batch, struct err *err)
{
	size_t i;

	for (i = 0; i < batch->done.n; i++)
		if (unlinkat(dir, batch->done.v[i], 0) && errno != ENOENT)
			return err_sys(err, "cannot remove '%s'",
				batch->done.v[i]);
	for (i = 0; i < batch->bad.n; i++) {
		CLEANUP_FREE char *path = xasprintf("spool/new/%s",
			batch->bad.v[i]);

		if (set_aside(dir, path, batch->bad.v[i], &batch->count, err))
			return -1;
	}
	return 0;
}

static int
ingest_batch(int dir, struct db *db, const struct argv *names, size_t *at,
	struct delivery_ingest *count, struct err *err)
{
	struct batch batch = { .done = ARGV_INIT, .bad = ARGV_INIT };
	int rc = take_files(dir, db, names->v + *at, names->n - *at, &batch,
		err);

	if (!rc)
		rc = clear_files(dir, &batch, err);
	*at += batch.n;
	count->taken += batch.count.taken;
	count->duplicates += batch.count.duplicates;
	count->bad += batch.count.bad;
	argv_release(&batch.done);
	argv_release(&batch.bad);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Oldest first: the names begin with the time. */
static int
names_in(int dirfd, const char *path, struct argv *ret, struct err *err)
{
	int fd = openat(dirfd, path,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT ? 0 :
			err_sys(err, "cannot open '%s'", path);
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd); /* read only */
		return err_sys(err, "cannot read '%s'", path);
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			argv_push(ret, e->d_name);
	(void)closedir(d); /* read only */
	qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return 0;
}

static int
remove_stale(int dirfd, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	int64_t now = clock_wall() / 1000;
	size_t i;

	if (names_in(dirfd, "spool/tmp", &names, err))
		return -1;
	for (i = 0; i < names.n; i++) {
		CLEANUP_FREE char *path =
			xasprintf("spool/tmp/%s", names.v[i]);
		struct stat st;

		if (!fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) &&
			now - st.st_mtime > STALE_S)
			(void)unlinkat(dirfd, path, 0); /* next time, then */
	}
	return 0;
}

int
delivery_ingest(struct state *st, struct delivery_ingest *ret,
	struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct delivery_ingest count = { 0 };
	struct db *db;
	size_t at = 0;

	if (state_db(st, &db, err) || remove_stale(state_dir(st), err) ||
		names_in(state_dir(st), "spool/new", &names, err))
		return -1;
	while (at < names.n)
		if (ingest_batch(state_dir(st), db, &names, &at, &count, err))
			return -1;
	*ret = count;
	return 0;
}

/* Few and small, so that a caller that others wait for is soon back. */
enum { FEW = 8, SMALL = 128 * 1024 };

static bool
are_few(int dir, const struct argv *names)
{
	size_t i;

	for (i = 0; i < names->n; i++) {
		CLEANUP_FREE char *path =
			xasprintf("spool/new/%s", names->v[i]);
		struct stat st;

		if (!fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) &&
			st.st_size > SMALL)
			return false;
	}
	return names->n <= FEW;
}

int
delivery_ingest_few(struct state *st, bool *ret_rest, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct delivery_ingest count = { 0 };
	struct db *db;
	size_t at = 0;

	*ret_rest = true;
	if (state_db(st, &db, err) ||
		names_in(state_dir(st), "spool/new", &names, err))
		return -1;
	if (!are_few(state_dir(st), &names))
		return 0;
	if (names.n && ingest_batch(state_dir(st), db, &names, &at, &count,
			err))
		return -1;
	*ret_rest = false;
	return 0;
}

int
delivery_catch_up(struct state *st, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct delivery_ingest unused;

	if (names_in(state_dir(st), "spool/new", &names, err))
		return -1;
	return names.n ? delivery_ingest(st, &unused, err) : 0;
}
