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
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/banned.h"

#define SONAME "libarchive.so.13"

/* dlsym() gives a data pointer: copied, since ISO C has no cast for it. */
static int
load(const char *name, void *fn, size_t size)
{
	static void *lib;
	void *p;

	if (!lib)
		lib = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	p = lib ? dlsym(lib, name) : NULL;
	memcpy(fn, &p, size);
	return p ? 0 : -1;
}

/* how: return, or nothing */
#define FN_HOW(ret, name, params, args, how)                       \
	ret name params                                            \
	{                                                          \
		static __typeof__(&name) fn;                       \
                                                                   \
		if (!fn && load(#name, &fn, sizeof(fn)))           \
			BUG(SONAME " without %s", #name);          \
		how fn args;                                       \
	}
#define FN(ret, name, params, args) FN_HOW(ret, name, params, args, return)
#define FN_VOID(name, params, args) FN_HOW(void, name, params, args, )
#define FN_NEW(ret, name)                                          \
	ret name(void)                                             \
	{                                                          \
		static __typeof__(&name) fn;                       \
                                                                   \
		return fn || !load(#name, &fn, sizeof(fn)) ? fn() : \
							     NULL; \
	}
#define FN_A(name) FN(int, name, (struct archive *a), (a))
#define FN_E(ret, name) FN(ret, name, (struct archive_entry *e), (e))
#define FN_SET(name, type) \
	FN_VOID(name, (struct archive_entry *e, type v), (e, v))

typedef struct archive *reader;
typedef struct archive_entry *entry;
typedef const char *text;

/* ---- reading ---- */

FN_NEW(reader, archive_read_new)
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
FN(int, archive_read_open,
	(struct archive *a, void *arg, archive_open_callback *o,
		archive_read_callback *r, archive_close_callback *c),
	(a, arg, o, r, c))
FN(int, archive_read_open_fd, (struct archive *a, int fd, size_t n),
	(a, fd, n))
FN(int, archive_read_open_filename,
	(struct archive *a, const char *path, size_t n), (a, path, n))
FN(int, archive_read_open_memory, (struct archive *a, const void *p, size_t n),
	(a, p, n))
FN(int, archive_read_next_header,
	(struct archive *a, struct archive_entry **e), (a, e))
FN(la_ssize_t, archive_read_data, (struct archive *a, void *p, size_t n),
	(a, p, n))
FN(int, archive_read_data_block,
	(struct archive *a, const void **p, size_t *n, la_int64_t *at),
	(a, p, n, at))
FN_A(archive_read_data_skip)

/* ---- writing ---- */

FN_NEW(reader, archive_write_new)
FN_A(archive_write_close)
FN_A(archive_write_fail)
FN_A(archive_write_free)
FN_A(archive_write_set_format_pax)
FN_A(archive_write_set_format_pax_restricted)
FN(int, archive_write_set_bytes_in_last_block, (struct archive *a, int n),
	(a, n))
FN(int, archive_write_open,
	(struct archive *a, void *arg, archive_open_callback *o,
		archive_write_callback *w, archive_close_callback *c),
	(a, arg, o, w, c))
FN(int, archive_write_header, (struct archive *a, struct archive_entry *e),
	(a, e))
FN(la_ssize_t, archive_write_data,
	(struct archive *a, const void *p, size_t n), (a, p, n))

/* ---- both ---- */

FN_A(archive_errno)
FN_A(archive_free)
FN_A(archive_filter_count)
FN(text, archive_error_string, (struct archive *a), (a))
FN(int, archive_filter_code, (struct archive *a, int n), (a, n))
FN(la_int64_t, archive_filter_bytes, (struct archive *a, int n), (a, n))

void
archive_set_error(struct archive *a, int e, const char *fmt, ...)
{
	static __typeof__(&archive_set_error) fn;
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!fn && load("archive_set_error", &fn, sizeof(fn)))
		BUG(SONAME " without %s", "archive_set_error");
	fn(a, e, "%s", line);
}

/* ---- entries ---- */

FN_NEW(entry, archive_entry_new)
FN_VOID(archive_entry_free, (struct archive_entry *e), (e))
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
FN_VOID(archive_entry_set_mtime, (struct archive_entry *e, time_t s, long ns),
	(e, s, ns))
FN_E(int, archive_entry_xattr_reset)
FN(int, archive_entry_xattr_next,
	(struct archive_entry *e, const char **name, const void **v, size_t *n),
	(e, name, v, n))
FN_VOID(archive_entry_xattr_add_entry,
	(struct archive_entry *e, const char *name, const void *v, size_t n),
	(e, name, v, n))
