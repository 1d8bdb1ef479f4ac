/*
 * place: where the agent of a session runs, as an argv prefix; the contract
 * is in forge(7).
 *
 *	here	no prefix: this machine, this user
 *	bwrap	this machine's programs, read-only, with processes, a /tmp
 *		and an environment of its own (bubblewrap); of all other
 *		files only where it works, its HOME, and the folder of its
 *		program; the network is this machine's, or none
 *	vm:IMAGE	a microVM from that image of forge-vm(1), for the whole
 *		session: see keeper.h
 *	NAME	the words of `run` in [place "NAME"]
 */
#ifndef FORGE_SESSION_PLACE_H
#define FORGE_SESSION_PLACE_H

#include <stdbool.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct state;
struct session;

#define PLACE_VM "vm:"
/*
 * In the options of a session: where it may connect to, but for the proxy of
 * its API.  "none"; "all"; or CIDR,HOST,... as --egress of forge-vm(1) has
 * it.  Without it a VM has none, another place all.
 */
#define PLACE_EGRESS "egress"

/* Is there such a place, and can it do that?  ERR_USAGE. */
int place_check(const struct session *s, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Adds the prefix to ret; home is the agent's HOME, program its word 1.  Not of
 * a VM, whose name only the keeper knows: place_vm().
 */
int session_place(struct state *st, const struct session *s,
	const char *home, const char *program, struct argv *ret,
	struct err *err) __attribute__((warn_unused_result));
int place_bwrap(struct state *st, const struct session *s, const char *home,
	const char *program, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));
/* A bwrap with --egress none: see netns.h. */
bool place_no_network(const struct session *s);
bool place_is_vm(const struct session *s);
/* `forge-vm exec`; the environment is NUL-separated in env_fd. */
int place_vm(struct state *st, const struct session *s, const char *vm,
	int env_fd, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Does the agent get none of our own environment there? */
bool place_clean(const struct session *s);

#endif
