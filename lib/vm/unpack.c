#include "lib/vm/unpack.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/vm/archive.h"
#include "lib/base/banned.h"

#define CHUNK ((size_t)1 << 20)

/* Up to max bytes of the entry; ret grows by what really comes. */
static int
read_entry(struct archive *a, size_t max, struct buf *ret, const char *what,
	struct err *err)
{
	while (max) {
		size_t want = max < CHUNK ? max : CHUNK;
		la_ssize_t n;

		buf_grow(ret, want);
		n = archive_read_data(a, ret->s + ret->len, want);
		if (n < 0)
			return archive_fail(a, what, err);
		if (!n)
			break;
		buf_setlen(ret, ret->len + (size_t)n);
		max -= (size_t)n;
	}
	return 0;
}

int
unpack_stream(const void *p, size_t n, size_t max, struct buf *ret,
	struct err *err)
{
	CLEANUP_ARCHIVE struct archive *a = archive_reader();
	struct archive_entry *e;

	(void)archive_read_support_format_raw(a);
	if (archive_read_open_memory(a, p, n) ||
		archive_read_next_header(a, &e))
		return archive_fail(a, "compressed data", err);
	if (archive_filter_count(a) < 2)
		return err_set(err, ERR_INVALID,
			"compressed data: not in a form known here");
	return read_entry(a, max, ret, "compressed data", err);
}

/* The member of the outer archive that is at hand, as an input of the inner */
struct member {
	struct archive *outer;
	char block[65536];
};

static la_ssize_t
read_member(struct archive *inner, void *arg, const void **ret)
{
	struct member *m = arg;
	la_ssize_t n = archive_read_data(m->outer, m->block,
		sizeof(m->block));

	if (n < 0)
		archive_set_error(inner, archive_errno(m->outer), "%s",
			archive_error_string(m->outer));
	*ret = m->block;
	return n < 0 ? ARCHIVE_FATAL : n;
}

static int
each_file(struct archive *a, const char *path, const struct unpack *u,
	struct err *err)
{
	size_t left = u->max;
	struct archive_entry *e;
	int rc;

	while (!(rc = archive_read_next_header(a, &e))) {
		CLEANUP_BUF struct buf data = BUF_INIT;
		const char *name = archive_entry_pathname(e);

		if (!name || archive_entry_filetype(e) != AE_IFREG ||
			archive_entry_hardlink(e))
			continue;
		name += strncmp(name, "./", 2) ? 0 : 2;
		if (!u->want(name, u->arg))
			continue;
		if (read_entry(a, left + 1, &data, path, err))
			return -1;
		if (data.len > left)
			return err_set(err, ERR_LIMIT,
				"'%s': more than %zu bytes", path, u->max);
		left -= data.len;
		if (u->file(name, &data, u->arg, err))
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : archive_fail(a, path, err);
}

int
unpack_deb(const char *path, const struct unpack *u, struct err *err)
{
	CLEANUP_ARCHIVE struct archive *outer = archive_read_new();
	CLEANUP_ARCHIVE struct archive *inner = archive_reader();
	CLEANUP_FREE struct member *m = xmalloc(sizeof(*m));
	struct archive_entry *e;

	if (!outer)
		BUG("out of memory");
	m->outer = outer;
	(void)archive_read_support_format_ar(outer);
	if (archive_read_open_filename(outer, path, 65536))
		return archive_fail(outer, path, err);
	do {
		int rc = archive_read_next_header(outer, &e);

		if (rc == ARCHIVE_EOF)
			return err_set(err, ERR_INVALID,
				"'%s' is no Debian package: it has no "
				"data.tar", path);
		if (rc)
			return archive_fail(outer, path, err);
	} while (strncmp(archive_entry_pathname(e), "data.tar", 8) != 0);
	(void)archive_read_support_format_tar(inner);
	if (archive_read_open(inner, m, NULL, read_member, NULL))
		return archive_fail(inner, path, err);
	return each_file(inner, path, u, err);
}
