/*
 * tell: lines, as they come, for a caller who shows them.
 *
 *	struct tell t = { told, arg };
 *	tell(&t, "runner '%s': removed", name);	told() gets the line, borrowed
 *
 * Who takes lines has told and arg as two parameters; what does the work keeps
 * them together in this.
 */
#ifndef FORGE_BASE_TELL_H
#define FORGE_BASE_TELL_H

struct tell {
	void (*told)(const char *line, void *arg);
	void *arg;
};

/* The line is without a newline, and gone when told() returns. */
void tell(const struct tell *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
