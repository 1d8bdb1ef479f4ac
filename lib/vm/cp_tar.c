#include "lib/vm/cp_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/vm/tree.h"
#include "lib/base/banned.h"

#define CHUNK 65536u

/* ---- an fd that may keep us waiting ---- */

struct stream {
	int fd, stop;
	char chunk[CHUNK];
};

/* false: a signal came instead. */
static bool
wait_for(struct archive *a, const struct stream *s, short events)
{
	struct pollfd p[2] = { { .fd = s->fd, .events = events },
		{ .fd = s->stop, .events = POLLIN } };

	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (p[1].revents)
		archive_set_error(a, ECANCELED, "interrupted");
	return !p[1].revents;
}

static la_ssize_t
read_some(struct archive *a, void *arg, const void **ret)
{
	struct stream *s = arg;
	ssize_t n = -1;

	*ret = s->chunk;
	do {
		if (!wait_for(a, s, POLLIN))
			return -1;
		n = read(s->fd, s->chunk, sizeof(s->chunk));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		archive_set_error(a, errno, "cannot read");
	return n;
}

/* As much as a pipe takes without blocking once it polls writable. */
static la_ssize_t
write_some(struct archive *a, void *arg, const void *p, size_t n)
{
	const struct stream *s = arg;
	struct stat st;
	ssize_t k = -1;

	if (n > 4096 && (fstat(s->fd, &st) || !S_ISREG(st.st_mode)))
		n = 4096;
	do {
		if (!wait_for(a, s, POLLOUT))
			return -1;
		k = write(s->fd, p, n);
	} while (k < 0 && (errno == EINTR || errno == EAGAIN));
	if (k < 0)
		archive_set_error(a, errno, "cannot write");
	return k;
}

static int
failed(struct archive *a, const char *what, struct err *err)
{
	const char *text = archive_error_string(a);
	int e = archive_errno(a);

	return err_set(err,
		e == ECANCELED ? ERR_CANCELED :
		e > 0	       ? ERR_SYS :
				 ERR_INVALID,
		"%s: %s%s%s", what, text ? text : "unknown error",
		e > 0 && e != ECANCELED ? ": " : "",
		e > 0 && e != ECANCELED ? strerrordesc_np(e) : "");
}

/* ---- tar to pack ---- */

struct tar_in {
	struct archive *a;
	struct stream stream;
	struct buf out;
	size_t at; /* of it, what was given out */
	bool in_file, ended;
	int64_t offset; /* in the file */
};

int
tar_in_open(int fd, int stop, struct tar_in **ret, struct err *err)
{
	struct tar_in *t = xcalloc(1, sizeof(*t));
	int bad;

	t->a = archive_read_new();
	t->out = BUF_INIT;
	t->stream.fd = fd;
	t->stream.stop = stop;
	if (!t->a) {
		tar_in_close(t);
		return err_set(err, ERR_SYS, "libarchive: out of memory");
	}
	/* A filter that is not built in is one less, no failure. */
	(void)archive_read_support_filter_gzip(t->a);
	(void)archive_read_support_filter_bzip2(t->a);
	(void)archive_read_support_filter_xz(t->a);
	(void)archive_read_support_filter_zstd(t->a);
	bad = archive_read_support_format_tar(t->a) ||
		archive_read_support_format_empty(t->a) ||
		archive_read_open(t->a, &t->stream, NULL, read_some, NULL);
	if (bad) {
		(void)failed(t->a, "stdin", err);
		tar_in_close(t);
		return -1;
	}
	*ret = t;
	return 0;
}

static const struct {
	unsigned file;
	enum pack_type pack;
} types[] = { { AE_IFREG, PACK_FILE }, { AE_IFDIR, PACK_DIRECTORY },
	{ AE_IFLNK, PACK_SYMLINK }, { AE_IFIFO, PACK_FIFO },
	{ AE_IFCHR, PACK_CHAR }, { AE_IFBLK, PACK_BLOCK } };

static void
put_piece(struct buf *b, enum pack_piece kind, uint64_t n)
{
	unsigned char p[PACK_PIECE];

	pack_put_piece(kind, n, p);
	buf_add(b, p, sizeof(p));
}

static int
put_entry(struct tar_in *t, struct archive_entry *e, struct err *err)
{
	const char *path = archive_entry_pathname(e);
	const char *link = archive_entry_hardlink(e);
	struct pack_entry to = { .mode = archive_entry_perm(e),
		.uid = (uint32_t)archive_entry_uid(e),
		.gid = (uint32_t)archive_entry_gid(e),
		.mtime = { archive_entry_mtime(e),
			archive_entry_mtime_nsec(e) },
		.major = major(archive_entry_rdev(e)),
		.minor = minor(archive_entry_rdev(e)),
		.size = (uint64_t)archive_entry_size(e),
		.path = path ? path : "" };
	unsigned char record[PACK_RECORD_MAX];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (archive_entry_filetype(e) == types[i].file)
			to.type = types[i].pack;
	if (link)
		to.type = PACK_HARDLINK;
	else if (to.type == PACK_SYMLINK)
		link = archive_entry_symlink(e);
	to.link = link ? link : "";
	if (to.type == PACK_END) /* a socket, or nothing that is known */
		return 0;
	n = *to.path ? pack_put(&to, record) : 0;
	if (!n)
		return err_set(err, ERR_INVALID,
			"stdin: a name is empty or longer than %u bytes",
			PACK_PATH_MAX);
	buf_add(&t->out, record, n);
	t->in_file = to.type == PACK_FILE;
	t->offset = 0;
	return 0;
}

static int
next_entry(struct tar_in *t, struct err *err)
{
	struct pack_entry end = { .path = "", .link = "" };
	unsigned char record[PACK_RECORD_MAX];
	struct archive_entry *e;
	int rc = archive_read_next_header(t->a, &e);

	if (rc == ARCHIVE_EOF) {
		t->ended = true;
		buf_add(&t->out, record, pack_put(&end, record));
		return 0;
	}
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return failed(t->a, "stdin", err);
	return put_entry(t, e, err);
}

static int
next_block(struct tar_in *t, struct err *err)
{
	const void *p;
	int64_t offset;
	size_t n;
	int rc = archive_read_data_block(t->a, &p, &n, &offset);

	if (rc != ARCHIVE_OK && rc != ARCHIVE_EOF)
		return failed(t->a, "stdin", err);
	if (offset > t->offset)
		put_piece(&t->out, PACK_HOLE,
			(uint64_t)(offset - t->offset));
	if (rc == ARCHIVE_EOF) {
		put_piece(&t->out, PACK_WHOLE, 0);
		t->in_file = false;
		return 0;
	}
	put_piece(&t->out, PACK_DATA, n);
	buf_add(&t->out, p, n);
	t->offset = offset + (int64_t)n;
	return 0;
}

ssize_t
tar_in_read(struct tar_in *t, void *p, size_t n, struct err *err)
{
	if (t->at == t->out.len) {
		t->at = 0;
		buf_reset(&t->out);
	}
	while (!t->ended && t->out.len == 0)
		if (t->in_file ? next_block(t, err) : next_entry(t, err))
			return -1;
	if (n > t->out.len - t->at)
		n = t->out.len - t->at;
	memcpy(p, t->out.s + t->at, n);
	t->at += n;
	return (ssize_t)n;
}

void
tar_in_close(struct tar_in *t)
{
	if (!t)
		return;
	if (t->a)
		(void)archive_read_free(t->a); /* only read */
	buf_release(&t->out);
	free(t);
}

/* ---- pack to tar ---- */

struct tar_out {
	struct archive *a;
	struct stream stream;
	const char *top;
	uint64_t left; /* of the size that was announced */
	struct err err;
};

int
tar_out_open(int fd, int stop, const char *top, struct tar_out **ret,
	struct err *err)
{
	struct tar_out *t = xcalloc(1, sizeof(*t));

	t->a = archive_write_new();
	t->top = top;
	t->stream.fd = fd;
	t->stream.stop = stop;
	if (!t->a || archive_write_set_format_pax(t->a) ||
		archive_write_set_bytes_in_last_block(t->a, 512) ||
		archive_write_open(t->a, &t->stream, NULL, write_some, NULL)) {
		(void)err_set(err, ERR_SYS, "libarchive: cannot begin a tar");
		tar_out_close(t);
		return -1;
	}
	*ret = t;
	return 0;
}

static int
write_failed(struct tar_out *t)
{
	int e = archive_errno(t->a);

	(void)failed(t->a, "stdout", &t->err);
	errno = e > 0 ? e : EIO;
	return -1;
}

static int
on_entry(void *arg, const struct pack_entry *e)
{
	struct tar_out *t = arg;
	struct archive_entry *to;
	size_t i;
	int rc;

	if (tree_check(e->path, t->top) ||
		(e->type == PACK_HARDLINK && tree_check(e->link, t->top)))
		return -1;
	to = archive_entry_new();
	if (!to)
		return -1;
	archive_entry_copy_pathname(to, e->path);
	archive_entry_set_filetype(to, AE_IFREG);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (e->type == types[i].pack)
			archive_entry_set_filetype(to, types[i].file);
	archive_entry_set_perm(to, (mode_t)e->mode);
	archive_entry_set_uid(to, e->uid);
	archive_entry_set_gid(to, e->gid);
	archive_entry_set_mtime(to, e->mtime.tv_sec, e->mtime.tv_nsec);
	t->left = e->type == PACK_FILE && e->size <= INT64_MAX ? e->size : 0;
	archive_entry_set_size(to, (int64_t)t->left);
	if (e->type == PACK_SYMLINK)
		archive_entry_copy_symlink(to, e->link);
	else if (e->type == PACK_HARDLINK)
		archive_entry_copy_hardlink(to, e->link);
	else if (e->type == PACK_CHAR || e->type == PACK_BLOCK)
		archive_entry_set_rdev(to, makedev(e->major, e->minor));
	rc = archive_write_header(t->a, to);
	archive_entry_free(to);
	return rc < ARCHIVE_WARN ? write_failed(t) : 0;
}

static int
on_data(void *arg, const void *p, uint64_t n)
{
	static const char zeros[CHUNK];
	struct tar_out *t = arg;

	/* A file that has grown: tar gave its size already. */
	n = n < t->left ? n : t->left;
	t->left -= n;
	while (n) {
		size_t k = p || n < CHUNK ? (size_t)n : CHUNK;

		if (archive_write_data(t->a, p ? p : zeros, k) < 0)
			return write_failed(t);
		n -= k;
	}
	return 0;
}

/* What is missing of a file that has shrunk, libarchive fills with zeros. */
static int
on_close(void *arg, int whole)
{
	(void)arg;
	(void)whole;
	return 0;
}

const struct pack_sink tar_out_sink = { on_entry, on_data, on_close };

const struct err *
tar_out_error(const struct tar_out *t)
{
	return &t->err;
}

int
tar_out_finish(struct tar_out *t, struct err *err)
{
	return archive_write_close(t->a) ? failed(t->a, "stdout", err) : 0;
}

void
tar_out_close(struct tar_out *t)
{
	if (!t)
		return;
	if (t->a) {
		/* A stream that is cut off stays cut off: no end is added. */
		(void)archive_write_fail(t->a);
		(void)archive_write_free(t->a);
	}
	free(t);
}
