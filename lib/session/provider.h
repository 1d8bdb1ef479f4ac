/*
 * provider: how to start an agent and how to talk with it, as data: a
 * directory NAME/ with
 *	provider	git-config: command lines, environment, interrupt
 *	out.jq		native line -> our events (missing: text lines)
 *	in.jq		message, answer, interrupt -> native line (missing:
 *			a message is its text)
 *	models.json	array of {"id", "name", "default"}
 * forge-provider(5) has all of it.
 *
 * NAME is looked for as [provider "NAME"] dir = ... of the configuration, in
 * STATE/providers, and among those shipped.
 */
#ifndef FORGE_SESSION_PROVIDER_H
#define FORGE_SESSION_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct state;

struct provider {
	char *name;
	char *dir;
	char *summary; /* or NULL */
	char *program; /* of the configuration: replaces word 1; or NULL */
	struct argv command; /* words, with {names} still in them */
	struct argv resume; /* the same for a session that goes on; or none */
	struct argv model; /* added when a model was chosen */
	struct argv prompt; /* added with the message; or none: stdin */
	struct argv env; /* NAME=VALUE, with {names} */
	struct argv unset; /* NAME */
	bool per_turn; /* a process for each turn, not for the session */
	int signal; /* that interrupts; 0: in.jq has a line for it */
	int64_t start_timeout; /* ms until it must say something; 0: any */
	char *out, *in; /* jq programs, or NULL */
	struct json *models; /* an array */
	struct argv all; /* every "key=value" of the file, for others */
};

#define PROVIDER_INIT                                                         \
	((struct provider){ .command = ARGV_INIT, .resume = ARGV_INIT,        \
		.model = ARGV_INIT, .prompt = ARGV_INIT, .env = ARGV_INIT,    \
		.unset = ARGV_INIT, .all = ARGV_INIT })
void provider_release(struct provider *p);
#define CLEANUP_PROVIDER __attribute__((cleanup(provider_release)))

/* ERR_NOTFOUND; ERR_INVALID tells the file and what is wrong in it. */
int provider_load(struct state *st, const char *name, struct provider *ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * A key of the file that this header does not know, last value; NULL when it
 * is not there.  For parts of lib/session with keys of their own.
 */
const char *provider_key(const struct provider *p, const char *key);

/* Each provider there is, by name: {"name","summary","dir","process"}. */
int provider_each(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
	__attribute__((warn_unused_result));

/* What the names in braces stand for; NULL: "". */
struct provider_words {
	const char *session; /* {session}: the agent's own id */
	const char *model; /* {model} */
	const char *prompt; /* {prompt} */
	const char *dir; /* {dir}: where it works */
	const char *home; /* {home} */
	const char *id; /* {id}: ours */
	const struct argv *command; /* {command}, a word that becomes many */
	const struct argv *args; /* more words, before the prompt */
};

/* The command line; resume: that of a session which goes on. */
int provider_argv(const struct provider *p, const struct provider_words *w,
	bool resume, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Its environment: NAME=VALUE to add, NAME to remove, as in proc.h. */
void provider_env(const struct provider *p, const struct provider_words *w,
	struct argv *ret);

#endif
