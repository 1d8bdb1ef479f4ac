/*
 * progress: how far a long job is, for whoever shows it to a person.
 */
#ifndef FORGE_VM_PROGRESS_H
#define FORGE_VM_PROGRESS_H

#include <stdint.h>

struct progress {
	/* what is being done; total 0: nobody knows how much it is */
	void (*at)(void *arg, const char *what, int64_t done, int64_t total);
	void *arg;
};

/* p may be NULL. */
static inline void
progress_at(const struct progress *p, const char *what, int64_t done,
	int64_t total)
{
	if (p && p->at)
		p->at(p->arg, what, done, total);
}

#endif
