/*
 * supervise_life: how long a VM lives: --ttl, --idle, --timeout and the end
 * of its command, each of which waits while the VM is held (hold.h).
 *
 *	life_ready(s)		at READY
 *	clock_left(life_at(s))	how long the loop may sleep for us, -1: ever
 *	life_step(s)		after each round of the loop
 * The row says whether it is held; it is read when something would end the
 * VM, and again when somebody says that it changed (life_look).
 */
#ifndef FORGE_VM_SUPERVISE_LIFE_H
#define FORGE_VM_SUPERVISE_LIFE_H

#include <stdbool.h>
#include <stdint.h>

struct supervisor;

struct life {
	int64_t ends_at; /* monotonic ms, -1: no --ttl */
	int64_t idle_at; /* likewise, -1: somebody uses it, or no --idle */
	enum {
		LIFE_ON,
		LIFE_DONE, /* the command ended */
		LIFE_LATE, /* it takes longer than --timeout */
	} command;
	bool held; /* as the row said when it mattered */
	int64_t held_until; /* monotonic ms, -1: until it is released */
	const char *reason; /* for the row when it ends by us, or NULL */
};

#define LIFE_INIT \
	((struct life){ .ends_at = -1, .idle_at = -1, .held_until = -1 })

void life_ready(struct supervisor *s);
int64_t life_at(const struct supervisor *s);
void life_step(struct supervisor *s);
/* The row of the hold changed. */
void life_look(struct supervisor *s);

#endif
