/*
 * garm: what both directions of garm's external providers know: we executed
 * as one (garm_provider.h), and we executing one (garm_call.h).
 */
#ifndef FORGE_RUNNER_GARM_H
#define FORGE_RUNNER_GARM_H

#include <stddef.h>

/* Exit statuses of a provider that have a meaning. */
enum { GARM_NOT_FOUND = 30, GARM_EXISTS = 31 };

/*
 * The files of a JIT configuration, as the listener has them and as the
 * metadata's paths name them.
 */
struct garm_file {
	const char *what; /* below the metadata URL */
	const char *file;
};
enum { GARM_FILES = 3 };
extern const struct garm_file garm_files[GARM_FILES];

#endif
