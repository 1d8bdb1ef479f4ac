/*
 * policy: rules that answer what an agent asks before a person must.
 *
 * One rule a line; '#' begins a comment; white space around is nothing:
 *
 *	allow Bash(git diff:*)
 *	allow Edit(src/)
 *	ask   Bash(git push:*)
 *	deny  Write(/etc/)
 *	deny  WebFetch(domain:*.internal)
 *	allow mcp__tracker__*
 *
 * What decides: any deny that matches, else any ask, else an allow; order of
 * lines and files is nothing.  Without a match it is asked.
 *
 * The tool is a name, or a pattern with '*'.  Without parentheses, or with
 * "(*)", a rule matches every use of it.  Agents name alike tools
 * differently, so these names are of four classes, and a rule for one name
 * is a rule for the class: Bash (shell, execute, ...), Edit and Write
 * (MultiEdit, apply_patch, ...), Read (Grep, Glob, ...), WebFetch (fetch,
 * ...).  Only those take a pattern in parentheses.
 *
 * Bash: "git diff:*" is the command "git diff" with any arguments; "npm run
 * *" has '*' for any text; without either the command must be exactly that.
 * A line of several commands (; & | && || newline) is allowed when each is,
 * and denied, or asked about, when one of them is.  A command that
 * substitutes, redirects (but to /dev/null and between descriptors), groups,
 * comments or sets variables is allowed by "Bash" and by a rule that is
 * exactly it alone.  Denying a command keeps honest agents from mistakes; it
 * is no wall, since there are other ways to run a program: the place is.
 *
 * Edit, Write, Read: a path; '*' any text without '/', '**' any text, '?' a
 * character.  "/..." is absolute, "~/..." in the agent's home, others below
 * the working directory; "DIR/" is all below it.  ".." and symbolic links
 * are resolved; both the name and what it leads to must match for an allow,
 * one of them for a deny.
 *
 * WebFetch: "domain:HOST", HOST with '*' for any text.
 *
 * A use that does not say what a pattern is about (no command, no path, an
 * odd URL) matches deny and ask and never allow.
 *
 * In a pattern "\*" is a star, "\\" a backslash, "\n" a newline.
 */
#ifndef FORGE_SESSION_POLICY_H
#define FORGE_SESSION_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

struct policy;

enum policy_verdict {
	POLICY_NONE, /* no rule: ask */
	POLICY_ALLOW,
	POLICY_ASK,
	POLICY_DENY,
	POLICY_VERDICT__MAX
};

/* What an agent wants to do. */
struct policy_use {
	const char *tool;
	const struct json *input; /* the tool's arguments; NULL: none */
	const char *cwd; /* the agent's working directory, absolute */
	const char *home; /* the agent's home, absolute; NULL: none */
	bool resolve; /* its paths are ours: follow symbolic links */
};

#define POLICY_FILE_MAX (1 << 20) /* bytes of one file */

struct policy *policy_new(void);
void policy_free(struct policy *p);
void cleanup_policy(struct policy **p);
#define CLEANUP_POLICY __attribute__((cleanup(cleanup_policy)))

/* Add the rules of a text; name is for messages.  ERR_INVALID says
 * "NAME:LINE: what", and the policy is as it was. */
int policy_parse(struct policy *p, const char *name, const char *text,
	size_t n, struct err *err) __attribute__((warn_unused_result));
/* Likewise of a file; ERR_NOTFOUND when there is none. */
int policy_read(struct policy *p, int dirfd, const char *path,
	struct err *err) __attribute__((warn_unused_result));
size_t policy_size(const struct policy *p);

/*
 * ret_rule (or NULL) becomes "NAME:LINE: RULE" of what decided, or NULL: the
 * caller's to free.
 */
enum policy_verdict policy_decide(const struct policy *p,
	const struct policy_use *use, char **ret_rule);

/*
 * The narrowest rules that allow this use, each a line: "allow Bash(touch
 * hello.txt)\n".  Caller frees; NULL when there are none: it does not say
 * what it is about, or its tool has an odd name.
 */
char *policy_rules_for(const struct policy_use *use);

#endif
