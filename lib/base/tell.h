/*
 * tell: lines for whoever looks on, about what a sweep finds and does.
 *
 *	static void print(const char *line) { puts(line); }
 *	...
 *	vm_fsck(st, dry, print, err);	tell_line(told, "VM...",
 */
#ifndef FORGE_BASE_TELL_H
#define FORGE_BASE_TELL_H

/* line: without a newline, only for the time of the call. */
typedef void tell_fn(const char *line);

/* told NULL: nobody looks on. */
void tell_line(tell_fn *told, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
