/*
 * proxy: stands between an agent and its API on this host, and puts the key
 * into the calls, so that the agent never has it.
 *
 *	agent --HTTP, a token of its session--> proxy --HTTPS, the key--> API
 *
 * It goes to one server only (struct api_key), on paths that begin as they
 * may, by GET, HEAD and POST; answers are handed on as they come.  What the
 * agent sends as credentials is taken off, and what the API sets as cookies.
 * Who does not know the token gets 401, so that no other user of this host
 * gets anything.  A body has a Content-Length of at most 32 MiB, headers are
 * those of web.h; 32 connections are served at once, each by a process.
 *
 * For each call a line is written to out:
 *	{"at":MS,"method":M,"path":P,"status":N,"ms":MS,"sent":BYTES,
 *	"got":BYTES,"input_tokens":N,"output_tokens":N}
 * with the tokens as the API counts them, 0 where it does not.  Neither key
 * nor token nor a body is in it.
 */
#ifndef FORGE_SESSION_PROXY_H
#define FORGE_SESSION_PROXY_H

#include "lib/base/argv.h"
#include "lib/base/err.h"

struct api_key;

enum { PROXY_CONNECTIONS = 32, PROXY_BODY_MAX = 32 << 20 };

struct proxy {
	const struct api_key *key;
	const char *token;
	int listen; /* a listening socket */
	int out; /* where lines go; -1: nowhere */
	int until; /* an fd: end when it is readable */
};

/* Until p->until is readable; -1 when it cannot go on. */
int proxy_run(const struct proxy *p, struct err *err)
	__attribute__((warn_unused_result));

/*
 * What an agent needs to find a proxy that listens there (TCP): the
 * lines of api-env, the words of api-arg (or NULL).
 */
int proxy_env(const struct proxy *p, struct argv *ret,
	struct argv *ret_args, struct err *err)
	__attribute__((warn_unused_result));

/* One connection, to its end; not closed. */
void proxy_serve(const struct proxy *p, int fd);

#endif
