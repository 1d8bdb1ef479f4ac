/*
 * config_cache: the entries of the configuration files as they were read last,
 * kept in a file below cache/, so that a program that only needs a few values does
 * not start libgit2 (7 ms) to find that nothing has changed.
 *
 * It is valid while the files have the stamp (device, inode, size, times)
 * that it was made for.  Files that include others, and files that changed
 * within the last two seconds (a later change could have the same stamp), are
 * not kept.
 */
#ifndef FORGE_STATE_CONFIG_CACHE_H
#define FORGE_STATE_CONFIG_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"

#define CONFIG_CACHE "cache/config" /* config.c's own */

/* What the files are like now; false when they changed too lately. */
bool config_stamp(char *const *files, size_t n, struct buf *ret);

/* Calls emit for each entry; false, and none, when there is no valid one. */
bool config_cache_load(int statefd, const char *path, const struct buf *stamp,
	void (*emit)(size_t file, const char *name, const char *value,
		void *arg),
	void *arg);

/* One entry more in text, which begins empty. */
void config_cache_add(struct buf *text, size_t file, const char *name,
	const char *value);
/* Keep them.  A failure costs time later and is nobody's business. */
void config_cache_save(int statefd, const char *path,
	const struct buf *stamp, const struct buf *text);

#endif
