/*
 * err: why something failed, carried up to the one place that prints it.
 *
 * A function that can fail takes a `struct err *` as its last argument and
 * returns 0, or -1 with the error filled in.  On success the error is left
 * untouched.  The struct lives in the caller, holds no memory and needs no
 * freeing; passing NULL is not allowed.
 *
 *	struct err err = ERR_INIT;
 *	if (thing_open(path, &thing, &err))
 *		return err_print(&err);
 *
 * On the way up a caller may say more with err_wrap().  Messages are lower
 * case, without a full stop, the subject in single quotes, and one line:
 * control bytes of foreign text become '?'.
 */
#ifndef FORGE_BASE_ERR_H
#define FORGE_BASE_ERR_H

#include <stdarg.h>

/* Codes exist only for failures that a caller acts on. */
enum err_code {
	ERR_NONE,
	ERR_SYS, /* everything that has no code of its own */
	ERR_USAGE,
	ERR_NOTFOUND,
	ERR_EXISTS,
	ERR_BUSY,
	ERR_TIMEOUT,
	ERR_INVALID, /* data from outside that breaks its rules */
	ERR_SCHEMA, /* the state is unreadable, or newer than this program */
	ERR_NET,
	ERR_AUTH,
	ERR_LIMIT, /* refused by a limit or budget */
	ERR_CANCELED,
	ERR_PLACE, /* a place failed before the command in it began */
	ERR_CODE__MAX
};

/* The exit statuses of every program; forge(7) says the same. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* failed, or the answer is no */
	EXIT_USAGE = 2,
	EXIT_NOTFOUND = 3,
	EXIT_CONFLICT = 4, /* exists, busy */
	EXIT_TIMEOUT = 5,
	EXIT_REMOTE = 6,
	EXIT_STATE = 7, /* state unreadable or newer */
	EXIT_LIMIT = 8,
	EXIT_ANSWER = 9, /* somebody must answer a question first */
	EXIT_PLACE = 125,
	EXIT_NOEXEC = 126,
	EXIT_NOCMD = 127,
	EXIT_SIGNAL = 128, /* plus the signal's number */
};

struct err {
	enum err_code code;
	int sys; /* errno where there was one, else 0 */
	char msg[512];
};

#define ERR_INIT ((struct err){ .code = ERR_NONE })

/*
 * All are -1, so that `return err_set(...)` reads well.  They are macros so
 * that compilers and analyzers see the -1.
 *
 * err_set: the message from a format.  err_sys: the same with ": " and the
 * text of errno added; ENOENT and EEXIST give their code.  err_wrap: put
 * "format: " in front of what is there.
 */
#define err_set(err, code, ...) (err_do_set((err), (code), __VA_ARGS__), -1)
#define err_sys(err, ...) (err_do_sys((err), __VA_ARGS__), -1)
#define err_wrap(err, ...) (err_do_wrap((err), __VA_ARGS__), -1)

void err_do_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));
void err_do_sys(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));
void err_do_wrap(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));

/* The exit status that tells of this code; EXIT_OK for ERR_NONE. */
int err_status(enum err_code code);
/* A short stable name for JSON and logs: "not_found". */
const char *err_name(enum err_code code);

/* "program: message\n" on stderr; returns err_status(err->code). */
int err_print(const struct err *err);
/* Likewise for a warning: "program: warning: ..." */
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Replace control bytes of s by '?', in place. */
void err_clean(char *s);

/* A broken promise inside the program: says where, and aborts. */
#define BUG(...) bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void bug(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
