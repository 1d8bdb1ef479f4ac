/*
 * config: git-config files read through libgit2: /etc/forge/config, then
 * STATE/config, the later value winning.  forge-config(5) lists the keys.
 *
 * Known keys are one table (config_keys.c) with their type; a key that is
 * not in it, or a value of the wrong type, is reported by config_check()
 * with file and line, and `forge-watch`, `forge-vm doctor` and `forge
 * config` show it.  Reading an unknown key never fails a program.
 *
 * $FORGE_CONFIG replaces /etc/forge/config (tests, containers).
 */
#ifndef FORGE_STATE_CONFIG_H
#define FORGE_STATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct config;
struct argv;

/* statefd: the state directory; path: its name for messages. */
int config_open(int statefd, const char *path, struct config **ret,
	struct err *err) __attribute__((warn_unused_result));
void config_close(struct config *c);

/*
 * The last value of section.[name.]key, or fallback; borrowed for the life
 * of c.  name NULL: a section without one.
 */
const char *config_str(struct config *c, const char *section,
	const char *name, const char *key, const char *fallback);
/* As above, parsed; ERR_INVALID names file, line and key. */
int config_int(struct config *c, const char *section, const char *name,
	const char *key, int64_t fallback, int64_t *ret, struct err *err)
	__attribute__((warn_unused_result));
int config_size(struct config *c, const char *section, const char *name,
	const char *key, int64_t fallback, int64_t *ret_bytes,
	struct err *err) __attribute__((warn_unused_result));
int config_duration(struct config *c, const char *section, const char *name,
	const char *key, int64_t fallback, int64_t *ret_ms, struct err *err)
	__attribute__((warn_unused_result));
int config_bool(struct config *c, const char *section, const char *name,
	const char *key, bool fallback, bool *ret, struct err *err)
	__attribute__((warn_unused_result));
/* All values of a key that may be repeated, added to ret. */
void config_all(struct config *c, const char *section, const char *name,
	const char *key, struct argv *ret);
/* The names NAME of [section "NAME"], in file order, each once. */
void config_names(struct config *c, const char *section, struct argv *ret);

/* Every setting as "section.NAME.key=value", in the order of the files. */
void config_list(const struct config *c, struct argv *ret);
/*
 * What makes b from a, both by config_list(): "-pool.linux.max=4",
 * "+pool.linux.max=8", sorted by key.  Sorts both.
 */
void config_diff(struct argv *a, struct argv *b, struct argv *ret);

/* One "FILE:LINE: what is wrong" line for each mistake; 0 lines: none. */
int config_check(struct config *c, struct argv *ret_lines, struct err *err)
	__attribute__((warn_unused_result));

#endif
