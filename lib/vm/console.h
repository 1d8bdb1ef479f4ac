/*
 * console: the serial console of a guest, kept in vm/NAME/console.log.
 *
 * A guest that floods fills no disk: beyond CONSOLE_MAX bytes the file
 * becomes console.log.1 and a new one begins.
 */
#ifndef FORGE_VM_CONSOLE_H
#define FORGE_VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"

struct state;

#define CONSOLE_MAX (1u << 20)

struct console {
	int dir; /* vm/NAME, borrowed */
	int fd;
	size_t size;
};

int console_open(struct console *c, int dir, struct err *err)
	__attribute__((warn_unused_result));
void console_close(struct console *c);
/* What cannot be written (disk full) is dropped: the guest goes on. */
void console_add(struct console *c, const void *p, size_t n);

/* Copy the log of a VM to fd, control bytes masked when fd is a terminal;
 * with follow until the VM ends.  ERR_NOTFOUND. */
int console_print(struct state *st, const char *vm, bool follow, int fd,
	struct err *err) __attribute__((warn_unused_result));

#endif
