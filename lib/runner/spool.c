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
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define MAGIC "forge-delivery 1"
/* The largest body that webhook.max-body allows, and its head. */
enum { FILE_MAX = 1024 * 1024 * 1024, STALE_S = 3600 };

/* ---- writing ---- */

static int
write_file(int dir, const char *path, const struct buf *head,
	const struct delivery *d, struct err *err)
{
	int fd = openat(dir, path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool bad;

	if (fd < 0)
		return err_sys(err, "cannot make '%s'", path);
	bad = write_all(fd, head->s, head->len) ||
		write_all(fd, d->body, d->n) || fsync(fd);
	if (bad)
		(void)err_sys(err, "cannot write '%s'", path);
	if (close(fd) && !bad) {
		bad = true;
		(void)err_sys(err, "cannot write '%s'", path);
	}
	return bad ? -1 : 0;
}

/* A follower of events, forge-watch among them, looks into the spool when
 * it wakes; see event.h for what wakes it. */
static void
wake(int dir)
{
	int fd = openat(dir, "run/notify", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		(void)close(fd); /* nothing was written */
}

int
delivery_spool(struct state *st, const struct delivery *d, struct err *err)
{
	CLEANUP_FREE char *suffix = random_name(12), *tmp = NULL, *to = NULL;
	CLEANUP_BUF struct buf head = BUF_INIT;
	int dir = state_dir(st);

	tmp = xasprintf("spool/tmp/%013" PRId64 ".%s", d->received_at, suffix);
	to = xasprintf("spool/new/%013" PRId64 ".%s", d->received_at, suffix);
	buf_addf(&head, "%s\n%s\n%s\n%s\n%" PRId64 "\n%zu\n", MAGIC, d->guid,
		d->event, d->hook ? d->hook : "", d->received_at, d->n);
	if (fs_mkdirs(dir, "spool/tmp", 0700, err) ||
		fs_mkdirs(dir, "spool/new", 0700, err))
		return -1;
	if (write_file(dir, tmp, &head, d, err))
		goto fail;
	if (renameat(dir, tmp, dir, to)) {
		(void)err_sys(err, "cannot rename '%s'", tmp);
		goto fail;
	}
	if (fs_sync_dir(dir, "spool/new", err) ||
		fs_sync_dir(dir, "spool", err) || fs_sync_dir(dir, ".", err))
		return -1;
	wake(dir);
	return 0;
fail:
	(void)unlinkat(dir, tmp, 0); /* else it goes after an hour */
	return -1;
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
	if (strcmp(line[0], MAGIC) != 0 ||
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

/* The file goes only after the commit: killed in between, the GUID tells. */
static int
ingest_file(struct state *st, struct db *db, const char *name,
	struct delivery_ingest *count, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("spool/new/%s", name);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct delivery d = { 0 };
	enum delivery_result result;
	struct err e = ERR_INIT;
	int dir = state_dir(st);

	if (fs_read(dir, path, FILE_MAX, &b, &e)) {
		if (e.code == ERR_NOTFOUND)
			return 0; /* another ingest was faster */
		*err = e;
		return -1;
	}
	if (parse_file(&b, &d, &e) || delivery_take(db, &d, &result, &e)) {
		if (e.code == ERR_INVALID)
			return set_aside(dir, path, name, count, err);
		*err = e;
		return -1;
	}
	if (unlinkat(dir, path, 0) && errno != ENOENT)
		return err_sys(err, "cannot remove '%s'", path);
	if (result == DELIVERY_DUPLICATE)
		count->duplicates++;
	else
		count->taken++;
	return 0;
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
	size_t i;

	if (state_db(st, &db, err) || remove_stale(state_dir(st), err) ||
		names_in(state_dir(st), "spool/new", &names, err))
		return -1;
	for (i = 0; i < names.n; i++)
		if (ingest_file(st, db, names.v[i], &count, err))
			return -1;
	*ret = count;
	return 0;
}
