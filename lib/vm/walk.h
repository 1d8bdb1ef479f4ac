/*
 * walk: a file, or a directory with everything in it, as the bytes of a pack.
 *
 *	walk_open(&w, "/etc/apt")
 *	while ((n = walk_read(&w, p, sizeof(p))) > 0) ... send p ...
 *	walk_close(&w)
 *
 * Symbolic links are sent as such and never followed, but for the directories
 * that the path itself leads through.  Sockets are left out.  What cannot be
 * read is told to note(), and the rest is sent.
 *
 * Compiled into forge-init too: only libc.
 */
#ifndef FORGE_VM_WALK_H
#define FORGE_VM_WALK_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "lib/vm/pack.h"

#define WALK_DEPTH 256 /* directories below one another */

enum walk_flags {
	WALK_DEVICES = 1 << 0, /* devices and FIFOs too; else told and left out */
};

struct walk_name;

struct walk {
	unsigned flags;
	/* An entry was left out: its path and why. */
	void (*note)(void *arg, const char *path, int e);
	void *arg;
	uint64_t failed; /* how many they were, sockets not counted */
	struct walk_dir {
		void *dir; /* DIR */
		size_t npath; /* of path, that its entries do not share */
	} dirs[WALK_DEPTH];
	size_t ndirs;
	int start; /* the directory of the first entry; -1 when it is sent */
	int file; /* whose content is being sent; -1 */
	bool holes; /* it has some */
	off_t at, data_end;
	bool ended;
	struct walk_name *names; /* of files with several */
	void *links; /* a tree of them */
	char name[NAME_MAX + 1]; /* of the first entry */
	char path[PACK_PATH_MAX + 1];
	unsigned char out[PACK_RECORD_MAX + 65536];
	size_t sent, have; /* of out */
};

/*
 * The name that a path's entry has in the pack: its last part, or "." for the
 * content alone when that is ".", ".." or nothing ("/").  -1: ENAMETOOLONG.
 */
int walk_name(const char *path, char *ret); /* NAME_MAX + 1 bytes */

/* 0, or -1 with errno, and nothing to close; note and arg are set later. */
int walk_open(struct walk *w, const char *path, unsigned flags);
/* How many bytes were put at p, 0 at the end. */
size_t walk_read(struct walk *w, void *p, size_t n);
void walk_close(struct walk *w);

#endif
