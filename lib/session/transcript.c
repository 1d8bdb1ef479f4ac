#include "lib/session/transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static const char head[] = "{\"seq\":";

static char *
log_path(const char *id)
{
	return xasprintf("session/%s/log.ndjson", id);
}

int64_t
transcript_seq(const char *line, size_t n)
{
	size_t i = strlen(head);
	int64_t seq = 0;

	if (n < i || memcmp(line, head, i) != 0)
		return 0;
	for (; i < n && line[i] >= '0' && line[i] <= '9'; i++) {
		if (seq > INT64_MAX / 10 - 1)
			return 0;
		seq = seq * 10 + (line[i] - '0');
	}
	return i < n && line[i] == ',' ? seq : 0;
}

/* ---- the writer ---- */

/* The last byte of s before n that is c, or NULL. */
static const char *
last(const char *s, char c, size_t n)
{
	return memrchr(s, c, n);
}

/*
 * Where the last whole line ends, and its number: read backwards, in pieces
 * that grow, until it is in the piece.
 */
static int
find_end(int fd, int64_t size, int64_t *ret_end, int64_t *ret_seq,
	struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	int64_t want;

	*ret_end = *ret_seq = 0;
	for (want = 65536; size; want *= 4) {
		int64_t n = want < size ? want : size;
		const char *end, *start;

		buf_reset(&b);
		buf_grow(&b, (size_t)n);
		if (pread(fd, b.s, (size_t)n, size - n) != n)
			return err_sys(err, "cannot read the transcript");
		end = last(b.s, '\n', (size_t)n);
		start = end ? last(b.s, '\n', (size_t)(end - b.s)) : NULL;
		if (!start && n < size)
			continue;
		if (!end)
			return 0; /* one line, and not whole */
		start = start ? start + 1 : b.s;
		*ret_end = size - n + (end + 1 - b.s);
		*ret_seq = transcript_seq(start, (size_t)(end - start));
		return *ret_seq ? 0 :
				  err_set(err, ERR_INVALID,
					  "the transcript is damaged: its last "
					  "line has no number");
	}
	return 0;
}

static int
open_end(struct transcript *t, struct err *err)
{
	struct stat st;

	if (fstat(t->fd, &st))
		return err_sys(err, "cannot read the transcript");
	if (find_end(t->fd, st.st_size, &t->size, &t->seq, err))
		return -1;
	if (t->size < st.st_size && ftruncate(t->fd, t->size))
		return err_sys(err, "cannot repair the transcript");
	return 0;
}

int
transcript_open(struct state *st, const char *id, struct transcript *t,
	struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("session/%s", id);
	CLEANUP_FREE char *path = log_path(id);

	if (fs_mkdirs(state_dir(st), dir, 0700, err))
		return -1;
	t->fd = openat(state_dir(st), path,
		O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	return open_end(t, err);
}

int
transcript_add(struct transcript *t, const char *kind, struct json *data,
	struct buf *line, struct err *err)
{
	CLEANUP_BUF struct buf own = BUF_INIT;
	struct buf *b = line ? line : &own;
	size_t from = b->len;

	buf_addf(b, "%s%" PRId64 ",\"at\":%" PRId64 ",\"kind\":\"%s\","
		"\"data\":", head, t->seq + 1, clock_wall(), kind);
	if (data)
		json_write(data, b);
	else
		buf_adds(b, "{}");
	json_free(data);
	buf_adds(b, "}\n");
	if (write_all(t->fd, b->s + from, b->len - from)) {
		(void)err_sys(err, "cannot write the transcript");
		/* Whatever part of it is there must not become a line. */
		if (ftruncate(t->fd, t->size))
			(void)err_wrap(err, "and cannot repair it");
		return -1;
	}
	t->seq++;
	t->size += (int64_t)(b->len - from);
	return 0;
}

int
transcript_sync(struct transcript *t, struct err *err)
{
	return fdatasync(t->fd) ? err_sys(err, "cannot write the transcript") :
				  0;
}

void
transcript_release(struct transcript *t)
{
	cleanup_close(&t->fd);
	*t = TRANSCRIPT_INIT;
}

/* ---- readers ---- */

#define CHUNK 262144
#define LINE_MAX_BYTES (64u << 20)

struct transcript_reader {
	int fd;
	int notify; /* -1: does not follow */
	int64_t since;
	int64_t offset; /* in the file, of b */
	struct buf b; /* whole lines, and perhaps a part of one */
	size_t pos; /* in b, of the next line */
	size_t whole; /* in b, the end of the last whole line */
};

static int
reader_open(struct state *st, const char *id, int64_t since, int flags,
	struct transcript_reader **ret, struct err *err)
{
	CLEANUP_FREE char *path = log_path(id);
	struct transcript_reader *r = xcalloc(1, sizeof(*r));

	*r = (struct transcript_reader){ .notify = -1, .since = since,
		.b = BUF_INIT };
	r->fd = openat(state_dir(st), path,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (r->fd < 0) {
		(void)err_sys(err, "cannot read the transcript of '%s'", id);
		transcript_close(r);
		return -1;
	}
	*ret = r;
	return 0;
}

int
transcript_read(struct state *st, const char *id, int64_t since,
	struct transcript_reader **ret, struct err *err)
{
	return reader_open(st, id, since, 0, ret, err);
}

int
transcript_follow(struct state *st, const char *id, int64_t since,
	struct transcript_reader **ret, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("session/%s", id);
	CLEANUP_FREE char *full =
		xasprintf("%s/session/%s/log.ndjson", state_path(st), id);
	struct transcript_reader *r;

	if (fs_mkdirs(state_dir(st), dir, 0700, err) ||
		reader_open(st, id, since, O_CREAT, &r, err))
		return -1;
	r->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->notify < 0 || inotify_add_watch(r->notify, full, IN_MODIFY) < 0) {
		(void)err_sys(err, "cannot watch '%s'", full);
		transcript_close(r);
		return -1;
	}
	*ret = r;
	return 0;
}

/*
 * Read on after the last whole line.  A part of a line is read again later:
 * a writer that repairs may have cut it off meanwhile.  1 when there is a
 * whole line, 0 when not.
 */
static int
fill(struct transcript_reader *r, struct err *err)
{
	size_t want = CHUNK;

	r->offset += (int64_t)r->whole;
	r->pos = r->whole = 0;
	buf_reset(&r->b);
	for (;;) {
		const char *newline;
		ssize_t n;

		buf_grow(&r->b, want);
		n = pread(r->fd, r->b.s + r->b.len, want,
			r->offset + (int64_t)r->b.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot read the transcript");
		newline = memrchr(r->b.s + r->b.len, '\n', (size_t)n);
		buf_setlen(&r->b, r->b.len + (size_t)n);
		if (newline)
			r->whole = (size_t)(newline + 1 - r->b.s);
		if (newline || !n)
			return newline != NULL;
		if (r->b.len > LINE_MAX_BYTES)
			return err_set(err, ERR_INVALID,
				"the transcript is damaged: a line has no end");
	}
}

/* The next line, whatever its number. */
static int
any_line(struct transcript_reader *r, const char **ret, size_t *n,
	struct err *err)
{
	const char *line, *newline;
	int rc;

	if (r->pos == r->whole) {
		rc = fill(r, err);
		if (rc <= 0)
			return rc;
	}
	line = r->b.s + r->pos;
	newline = memchr(line, '\n', r->whole - r->pos);
	*ret = line;
	*n = (size_t)(newline + 1 - line);
	r->pos += *n;
	return 1;
}

int
transcript_next(struct transcript_reader *r, const char **ret_line,
	size_t *ret_n, struct err *err)
{
	int rc;

	do {
		rc = any_line(r, ret_line, ret_n, err);
	} while (rc == 1 && r->since &&
		transcript_seq(*ret_line, *ret_n) <= r->since);
	if (rc == 1)
		r->since = 0; /* they only grow */
	return rc;
}

int
transcript_lines(struct transcript_reader *r, const char **ret_lines,
	size_t *ret_n, struct err *err)
{
	int rc = transcript_next(r, ret_lines, ret_n, err);

	if (rc == 1) {
		*ret_n = (size_t)(r->b.s + r->whole - *ret_lines);
		r->pos = r->whole;
	}
	return rc;
}

int
transcript_fd(const struct transcript_reader *r)
{
	return r->notify;
}

void
transcript_clear(struct transcript_reader *r)
{
	char events[4096];

	while (read(r->notify, events, sizeof(events)) > 0)
		;
}

void
transcript_close(struct transcript_reader *r)
{
	if (!r)
		return;
	cleanup_close(&r->fd);
	cleanup_close(&r->notify);
	buf_release(&r->b);
	free(r);
}

void
cleanup_transcript(struct transcript_reader **r)
{
	transcript_close(*r);
}
