/*
 * pause: let a running VM stand still, and go on.  The supervisor does it:
 * these ask it through the control socket.
 */
#ifndef FORGE_VM_PAUSE_H
#define FORGE_VM_PAUSE_H

#include "lib/base/err.h"
#include "lib/vm/channel.h"

struct state;

/*
 * ERR_NOTFOUND when it does not run, ERR_EXISTS when it is paused already
 * (is not, for vm_resume()).  Its clock is right again when vm_resume()
 * returns.
 */
int vm_pause(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));
int vm_resume(struct state *st, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Send one message to the supervisor of a VM and wait for DONE or REFUSED;
 * text may be NULL.  The latter's code and line are what err gets.
 */
int supervisor_ask_keep(struct state *st, const char *name,
	enum channel_type type, const char *text, int *ret_sock,
	struct err *err) __attribute__((warn_unused_result));
int supervisor_ask(struct state *st, const char *name,
	enum channel_type type, const char *text, struct err *err)
	__attribute__((warn_unused_result));

#endif
