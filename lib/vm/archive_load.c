/*
 * libarchive, loaded when it is first used.
 *
 * It brings 13 libraries along, ICU and libstdc++ among them: half of the
 * time that a short `forge-vm exec` took.  So no program is linked with it;
 * what is used of it is defined here under its own name and looked up by the
 * first call.  One that is missing here is told by the linker: add its line.
 *
 * Without the library archive_read_new() and archive_write_new() return NULL,
 * which their callers take as the failure it is.
 */
#include <archive.h>
#include <archive_entry.h>
#include <stdarg.h>
#include <stdio.h>

#define LAZY_SONAME "libarchive.so.13"
#include "lib/base/lazy.h"
#include "lib/base/banned.h"

/* Parameters are not called what libarchive's header calls them. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

#define FN_A(name) LAZY(int, name, (struct archive *a), (a))
#define FN_E(ret, name) LAZY(ret, name, (struct archive_entry *e), (e))
#define FN_SET(name, type) \
	LAZY_VOID(name, (struct archive_entry *e, type v), (e, v))

typedef struct archive *reader;
typedef struct archive_entry *entry;
typedef const char *text;

/* ---- reading ---- */

LAZY_NEW(reader, archive_read_new)
FN_A(archive_read_free)
FN_A(archive_read_support_filter_bzip2)
FN_A(archive_read_support_filter_gzip)
FN_A(archive_read_support_filter_lz4)
FN_A(archive_read_support_filter_lzma)
FN_A(archive_read_support_filter_xz)
FN_A(archive_read_support_filter_zstd)
FN_A(archive_read_support_format_ar)
FN_A(archive_read_support_format_cpio)
FN_A(archive_read_support_format_empty)
FN_A(archive_read_support_format_raw)
FN_A(archive_read_support_format_tar)
LAZY(int, archive_read_open,
	(struct archive *a, void *arg, archive_open_callback *o,
		archive_read_callback *r, archive_close_callback *c),
	(a, arg, o, r, c))
LAZY(int, archive_read_open_fd, (struct archive *a, int fd, size_t n),
	(a, fd, n))
LAZY(int, archive_read_open_filename,
	(struct archive *a, const char *path, size_t n), (a, path, n))
LAZY(int, archive_read_open_memory, (struct archive *a, const void *p, size_t n),
	(a, p, n))
LAZY(int, archive_read_next_header,
	(struct archive *a, struct archive_entry **e), (a, e))
LAZY(la_ssize_t, archive_read_data, (struct archive *a, void *p, size_t n),
	(a, p, n))
LAZY(int, archive_read_data_block,
	(struct archive *a, const void **p, size_t *n, la_int64_t *at),
	(a, p, n, at))
FN_A(archive_read_data_skip)

/* ---- writing ---- */

LAZY_NEW(reader, archive_write_new)
FN_A(archive_write_close)
FN_A(archive_write_fail)
FN_A(archive_write_free)
FN_A(archive_write_set_format_pax)
FN_A(archive_write_set_format_pax_restricted)
LAZY(int, archive_write_set_bytes_in_last_block, (struct archive *a, int n),
	(a, n))
LAZY(int, archive_write_open,
	(struct archive *a, void *arg, archive_open_callback *o,
		archive_write_callback *w, archive_close_callback *c),
	(a, arg, o, w, c))
LAZY(int, archive_write_header, (struct archive *a, struct archive_entry *e),
	(a, e))
LAZY(la_ssize_t, archive_write_data,
	(struct archive *a, const void *p, size_t n), (a, p, n))

/* ---- both ---- */

FN_A(archive_errno)
FN_A(archive_free)
FN_A(archive_filter_count)
LAZY(text, archive_error_string, (struct archive *a), (a))
LAZY(int, archive_filter_code, (struct archive *a, int n), (a, n))
LAZY(la_int64_t, archive_filter_bytes, (struct archive *a, int n), (a, n))

void
archive_set_error(struct archive *a, int e, const char *fmt, ...)
{
	LAZY_FIND(archive_set_error, fn);
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fn(a, e, "%s", line);
}

/* ---- entries ---- */

LAZY_NEW(entry, archive_entry_new)
LAZY_VOID(archive_entry_free, (struct archive_entry *e), (e))
FN_E(text, archive_entry_hardlink)
FN_E(text, archive_entry_pathname)
FN_E(text, archive_entry_symlink)
FN_E(la_int64_t, archive_entry_gid)
FN_E(la_int64_t, archive_entry_ino)
FN_E(la_int64_t, archive_entry_size)
FN_E(la_int64_t, archive_entry_uid)
FN_E(time_t, archive_entry_mtime)
FN_E(long, archive_entry_mtime_nsec)
FN_E(dev_t, archive_entry_rdev)
FN_E(__LA_MODE_T, archive_entry_filetype)
FN_E(__LA_MODE_T, archive_entry_mode)
FN_E(__LA_MODE_T, archive_entry_perm)
FN_SET(archive_entry_copy_hardlink, const char *)
FN_SET(archive_entry_copy_pathname, const char *)
FN_SET(archive_entry_copy_symlink, const char *)
FN_SET(archive_entry_set_filetype, unsigned)
FN_SET(archive_entry_set_gid, la_int64_t)
FN_SET(archive_entry_set_mode, __LA_MODE_T)
FN_SET(archive_entry_set_perm, __LA_MODE_T)
FN_SET(archive_entry_set_rdev, dev_t)
FN_SET(archive_entry_set_size, la_int64_t)
FN_SET(archive_entry_set_uid, la_int64_t)
LAZY_VOID(archive_entry_set_mtime, (struct archive_entry *e, time_t s, long ns),
	(e, s, ns))
FN_E(int, archive_entry_xattr_reset)
LAZY(int, archive_entry_xattr_next,
	(struct archive_entry *e, const char **name, const void **v, size_t *n),
	(e, name, v, n))
LAZY_VOID(archive_entry_xattr_add_entry,
	(struct archive_entry *e, const char *name, const void *v, size_t n),
	(e, name, v, n))
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
