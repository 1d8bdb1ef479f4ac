#include "lib/vm/archive.h"

#include <unistd.h>

#include "lib/base/banned.h"

#define BLOCK 65536

void
archive_cleanup(struct archive **a)
{
	if (*a)
		(void)archive_free(*a); /* who writes has closed it before */
}

int
archive_fail(struct archive *a, const char *what, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_INVALID, "%s: %s", what,
		why ? why : "cannot be read");
}

/* A filter that libarchive was built without says so by ARCHIVE_WARN. */
struct archive *
archive_reader(void)
{
	struct archive *a = archive_read_new();

	if (!a)
		BUG("out of memory");
	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_xz(a);
	(void)archive_read_support_filter_lzma(a);
	(void)archive_read_support_filter_bzip2(a);
	(void)archive_read_support_filter_lz4(a);
	(void)archive_read_support_filter_zstd(a);
	return a;
}

int
archive_open_tar(int fd, const char *what, struct archive **ret,
	struct err *err)
{
	struct archive *a = archive_reader();

	(void)archive_read_support_format_tar(a);
	(void)archive_read_support_format_empty(a);
	if (lseek(fd, 0, SEEK_SET) < 0) {
		archive_cleanup(&a);
		return err_sys(err, "cannot read '%s' twice", what);
	}
	if (archive_read_open_fd(a, fd, BLOCK)) {
		(void)archive_fail(a, what, err);
		archive_cleanup(&a);
		return -1;
	}
	*ret = a;
	return 0;
}

int
archive_next(struct archive *a, const char *what, struct archive_entry **ret,
	struct err *err)
{
	int rc = archive_read_next_header(a, ret);

	if (rc == ARCHIVE_EOF)
		return 0;
	/* a warning is about times or names that it keeps as they are */
	if (rc == ARCHIVE_OK || rc == ARCHIVE_WARN)
		return 1;
	return archive_fail(a, what, err);
}
