/*
 * keeper: the process that keeps the VM of a session whose place is vm:IMAGE.
 *
 *	supervisor --lines--> keeper --> forge-vm run (the VM)
 *	    |                      `---> forge-vm forward -R (the way to the proxy)
 *	    `--> forge-vm exec (the agent)
 *
 * The supervisor starts it, as `forge-session keep`, and says on its stdin,
 * one line each, answered by one:
 *	(at once)	ready VM	the VM runs, with files and HOME of the
 *					session at the same paths as here
 *	turn		ok		what was changed here is there as well
 *	sync		ok		what was changed there is here as well
 *	quit		(it ends)	without a last sync
 * or, instead, "failed STATUS WHY"; after that of ready it ends.  The end of
 * stdin is a sync and the end.  So when the supervisor is killed, what the
 * agent did comes back all the same; until then the keeper holds the session's
 * lock, and nobody else goes on with it.  When the keeper is killed, the VM is
 * gone: forge-vm sees to that.
 *
 * Files come back in two steps: to session/ID/back.tmp, which becomes
 * session/ID/back when all is there, and from there to where they belong, by
 * mirror() and guest_repo_take().  What was killed in between is finished by
 * keeper_finish(), which session_repair() calls as well.
 *
 * The VM is hostile.  No name that it chooses leaves its own directory, what
 * comes is bounded by session.max-return, and no .git comes at all: commits
 * come as a pack.
 */
#ifndef FORGE_SESSION_KEEPER_H
#define FORGE_SESSION_KEEPER_H

#include <stdbool.h>
#include "lib/base/err.h"

struct state;
struct session;

struct keeper_run {
	const char *id;
	int in, out; /* the supervisor */
	int port; /* of 127.0.0.1, here and there; 0: none */
};

/* Until it is told to end, or the VM ends; nothing of it is left then. */
int keeper_run(struct state *st, const struct keeper_run *r, struct err *err)
	__attribute__((warn_unused_result));

/* Finish what a killed keeper had begun to bring back; nothing is no error. */
int keeper_finish(struct state *st, const struct session *s, struct err *err)
	__attribute__((warn_unused_result));

#endif
