/*
 * completion: shell code that completes a program's commands and options,
 * printed from the same tables that parse them.
 */
#ifndef FORGE_BASE_COMPLETION_H
#define FORGE_BASE_COMPLETION_H

#include "lib/base/cmd.h"

/*
 * shell is bash, zsh or fish.  every: the options of every verb.  Returns
 * the exit status.
 */
int completion_print(const struct program *p, const struct poptOption *every,
	const char *shell);

#endif
