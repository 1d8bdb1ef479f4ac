/*
 * bar: a progress bar on stderr, when that is a terminal and --quiet was not
 * given; else nothing at all.
 *
 *	struct bar bar;
 *	spec.bar = bar_init(&bar);
 *	...
 *	bar_done(&bar);		before anything else is printed
 */
#ifndef FORGE_VM_BAR_H
#define FORGE_VM_BAR_H

#include "lib/vm/progress.h"

struct bar {
	struct progress progress;
	int percent; /* as it is shown; -1: nothing is */
};

const struct progress *bar_init(struct bar *b);
void bar_done(struct bar *b);

#endif
