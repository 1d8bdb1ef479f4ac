/*
 * console: the log of the serial console of a guest.
 *
 * vm/NAME/console.log has what it said, console.when at which time: 16 bytes
 * for each mark, a position in the log and ms since 1970, little-endian.  A
 * guest that floods fills no disk: beyond CONSOLE_MAX bytes both get ".1"
 * added to their names, in place of older ones, and new ones begin.
 */
#ifndef FORGE_VM_CONSOLE_H
#define FORGE_VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct state;

#define CONSOLE_MAX (1u << 20)
/* A mark each so many bytes, or after so many ms when there is something. */
#define CONSOLE_MARK_BYTES 64
#define CONSOLE_MARK_MS 1000

struct console {
	int dir; /* vm/NAME, borrowed */
	int fd, when;
	size_t size, marked; /* bytes of it; at the last mark */
	int64_t marked_at; /* ms since 1970 */
};

int console_open(struct console *c, int dir, struct err *err)
	__attribute__((warn_unused_result));
void console_close(struct console *c);
/* What cannot be written (disk full) is dropped: the guest goes on. */
void console_add(struct console *c, const void *p, size_t n);

struct console_view {
	bool follow; /* until the VM ends */
	int lines; /* the last so many; -1: all */
	int64_t since; /* ms since 1970, exact to a mark; -1: all */
};

/*
 * Copy the log of a VM to fd; for a terminal it is made harmless (mask.h).
 * Following goes on through a rotation.  ERR_NOTFOUND.
 */
int console_print(struct state *st, const char *vm,
	const struct console_view *view, int fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
