/*
 * clone BASE DIR: make one clone of BASE in DIR as `forge-vm run --disk-base`
 * does; prints the way that was taken and the microseconds.
 */
#include <stdio.h>
#include <time.h>

#include "lib/vm/disk.h"

int
main(int argc, char **argv)
{
	static const char *const ways[] = { "reflink", "qcow2", "copy" };
	struct err err = ERR_INIT;
	struct timespec a, b;
	enum disk_way way;

	if (argc != 3)
		return 2;
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	if (disk_clone(argv[1], argv[2], &way, &err)) {
		(void)fprintf(stderr, "clone: %s\n", err.msg);
		return 1;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%s %ld\n", ways[way], (b.tv_sec - a.tv_sec) * 1000000 +
		(b.tv_nsec - a.tv_nsec) / 1000);
	return 0;
}
