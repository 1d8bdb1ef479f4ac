/*
 * host: what this machine, and the control group that we are in, still have.
 *
 *	struct host h;
 *	host_measure("", &h);
 */
#ifndef FORGE_BASE_HOST_H
#define FORGE_BASE_HOST_H

#include <stdint.h>

struct host {
	int cores; /* that we may run on: affinity and quota, at least 1 */
	int64_t memory; /* bytes: of the machine or the limit on us */
	int64_t free_memory; /* of it, without swapping */
};

/*
 * root: "" (a directory that holds proc and sys, for tests).  Versions 1 and
 * 2 of control groups, with the limits of the groups above ours.  What
 * cannot be read limits nothing: INT64_MAX.
 */
void host_measure(const char *root, struct host *ret);

/* Bytes that we may still write to the file system of the directory;
 * INT64_MAX when it cannot be told. */
int64_t host_free_disk(int dirfd);

#endif
