/*
 * netns: a network of nobody but the agent: a loopback, and on it one socket
 * that we listen on from outside.
 *
 * It is there as long as somebody holds one of the fds, and the user
 * namespace beside it is what lets anybody of our own user enter it:
 *	nsenter --preserve-credentials --user=FD --net=FD COMMAND...
 */
#ifndef FORGE_SESSION_NETNS_H
#define FORGE_SESSION_NETNS_H

#include "lib/base/err.h"
#include "lib/base/proc.h"

struct netns {
	int user, net; /* -1: none */
	int listen; /* 127.0.0.1, a free port of that network; -1: given away */
};

#define NETNS_INIT ((struct netns){ -1, -1, -1 })

/* ERR_SYS where this user may have no namespaces. */
int netns_open(struct netns *ret, struct err *err)
	__attribute__((warn_unused_result));
void netns_close(struct netns *n);
/* The words above, for what is going to be started, and the fds. */
int netns_prefix(const struct netns *n, struct proc *p, struct err *err)
	__attribute__((warn_unused_result));

#endif
