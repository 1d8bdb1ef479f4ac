/*
 * policy_internal: shared by the parts of policy; see policy.h.
 */
#ifndef FORGE_SESSION_POLICY_INTERNAL_H
#define FORGE_SESSION_POLICY_INTERNAL_H

#include "lib/base/argv.h"
#include "lib/session/policy.h"

enum tool_class {
	TOOL_OTHER,
	TOOL_SHELL,
	TOOL_EDIT,
	TOOL_READ,
	TOOL_FETCH,
	TOOL_CLASS__MAX
};

struct rule {
	enum policy_verdict verdict;
	enum tool_class class;
	char *tool;
	char *pattern; /* as written; NULL: every use */
	char *from; /* "NAME:LINE: RULE" */
};

/* Of a tool, by its name. */
enum tool_class tool_class(const char *name);

/*
 * '*' stands for any text, '\*' for a star.  With paths set '*' and '?' do
 * not match '/', and '**' does.
 */
bool glob_match(const char *pattern, const char *text, bool paths);

/* ---- policy_shell.c ---- */

/*
 * The simple commands of a shell line, each with blanks made one and quotes
 * taken off.  plain is false when there is something that a pattern must
 * not allow; then the commands are a guess, made so that a deny sees what
 * it can.
 */
struct shell_line {
	char *text; /* trimmed, as it came */
	struct argv commands;
	struct argv inner; /* what a command may run in turn: for deny, ask */
	bool plain;
};

void shell_read(const char *line, struct shell_line *ret);
void shell_release(struct shell_line *l);
/* The command line in a tool's input; NULL: none that is understood.
 * Caller frees. */
char *shell_of(const struct json *input);
/* Does a rule's pattern match the whole line, or this command of it? */
bool shell_is(const char *pattern, const struct shell_line *l);
bool shell_match(const char *pattern, const char *command);

/* ---- policy_path.c ---- */

/*
 * What of the use a pattern is about: for paths absolute and lexically
 * clean, each followed by what it leads to; for fetches the hosts.  Empty
 * when it does not say.
 */
void paths_of(const struct policy_use *use, struct argv *ret);
bool path_match(const char *pattern, const char *path,
	const struct policy_use *use);
/* Lower case; NULL when the URL is not of the plainest form.  Caller frees. */
char *host_of(const struct json *input);

#endif
