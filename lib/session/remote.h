/*
 * remote: the address of a repository, as people write it.
 *
 *	git@host:acme/app	ssh://git@host:2222/acme/app.git
 *	https://host/acme/app	file:///srv/app.git	/srv/app.git	../app
 *
 * Nothing else is a repository to us: no ext::, no git://, no helper of a
 * name that an address chose; http:// of this machine alone.
 */
#ifndef FORGE_SESSION_REMOTE_H
#define FORGE_SESSION_REMOTE_H

#include "lib/base/err.h"

enum remote_kind {
	REMOTE_SSH,
	REMOTE_HTTP,
	REMOTE_FILE,
};

struct remote {
	enum remote_kind kind;
	char *url; /* for git; of a file the absolute path */
	char *host; /* "host" or "host:port"; "" of a file */
	char *path; /* "acme/app": no slash at its ends, no ".git" */
	char *name; /* its last part, fit for a directory */
	char hash[17]; /* of the URL: its clone is repo/HASH.git */
};

#define REMOTE_INIT ((struct remote){ 0 })
#define CLEANUP_REMOTE __attribute__((cleanup(remote_release)))
void remote_release(struct remote *r);

/* ERR_USAGE says what is wrong; ERR_NOTFOUND: no such path. */
int remote_parse(const char *text, struct remote *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
