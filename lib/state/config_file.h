/*
 * config_file: the two things config.c needs of one git-config file: its
 * entries, and the line where one of them stands.  Only for config.c and
 * tests.
 *
 * libgit2 parses; include.path works as in git.  It is loaded (dlopen) only
 * when there is a file to read: linking it costs every program about 2 ms,
 * starting it 4 to 5 ms more.  It does not say where
 * an entry stands; config_file_line() looks for it.
 */
#ifndef FORGE_STATE_CONFIG_FILE_H
#define FORGE_STATE_CONFIG_FILE_H

#include <stddef.h>
#include "lib/base/err.h"

/*
 * Calls emit for each entry in file order: name is "section.key" or
 * "section.NAME.key", section and key in lower case; value is NULL where
 * there is no "="; depth is 0 in the file itself, more in included ones.
 * ERR_INVALID, with file and line, when the file breaks the syntax.
 */
int config_file_read(const char *path,
	void (*emit)(const char *name, const char *value, unsigned depth,
		void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));

/*
 * The line, from 1, of the nth (from 0) setting of name in the n bytes of a
 * file; 0 when it is not in there.
 */
size_t config_file_line(const char *text, size_t n, const char *name,
	size_t nth);

#endif
