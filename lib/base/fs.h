/*
 * fs: files and directories, always relative to a directory fd (AT_FDCWD
 * where there is none), and durable when the function says so.  Reading
 * follows symbolic links; writing and removing never does.
 */
#ifndef FORGE_BASE_FS_H
#define FORGE_BASE_FS_H

#include <stddef.h>
#include <stdbool.h>
#include <sys/types.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

/* All of p, EINTR and short writes handled; -1 with errno. */
int write_all(int fd, const void *p, size_t n)
	__attribute__((warn_unused_result));

/* The whole file, at most max bytes (ERR_LIMIT beyond). */
int fs_read(int dirfd, const char *path, size_t max, struct buf *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Put new content in path so that a reader, or a power cut, sees the old
 * file or the new one and never a part: temporary file in the same
 * directory, fsync, rename, fsync of the directory.
 */
int fs_replace(int dirfd, const char *path, const void *p, size_t n,
	mode_t mode, struct err *err) __attribute__((warn_unused_result));

/* mkdir -p; every directory made gets mode. */
int fs_mkdirs(int dirfd, const char *path, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));
/* rm -rf, without following links; a missing path is success. */
int fs_remove_tree(int dirfd, const char *path, struct err *err)
	__attribute__((warn_unused_result));
int fs_sync_dir(int dirfd, const char *path, struct err *err)
	__attribute__((warn_unused_result));
bool fs_exists(int dirfd, const char *path);
/* Is it executable by us, and a file? */
bool fs_executable(const char *path);
/* The first NAME in $PATH; caller frees; NULL when there is none. */
char *fs_which(const char *name);

/* O_CLOEXEC for the fd set or cleared. */
int fd_cloexec(int fd, bool on);
int fd_nonblock(int fd, bool on);

/* n random bytes from the kernel. */
void random_bytes(void *p, size_t n);
/* n characters of 0-9a-z, n of at least 1; caller frees. */
char *random_name(size_t n);

/*
 * The helper NAME: $FORGE_LIBEXEC/NAME, else beside a build tree's bin/
 * (../libexec/NAME from our own executable), else the installed one.  Caller
 * frees; ERR_NOTFOUND says where it was looked for.
 */
int find_helper(const char *name, char **ret, struct err *err)
	__attribute__((warn_unused_result));
/* Another program of ours, likewise: beside this one, else $PATH. */
int find_program(const char *name, char **ret, struct err *err)
	__attribute__((warn_unused_result));
/* A file or directory that forge ships: $FORGE_SHARE/NAME, else beside a
 * build tree's bin/ (../share/forge/NAME), else the installed one. */
int find_data(const char *name, char **ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
