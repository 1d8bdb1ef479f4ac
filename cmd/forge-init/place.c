#include "cmd/forge-init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <linux/landlock.h>, which musl-gcc has not */
#define LANDLOCK_CREATE 444
#define LANDLOCK_ADD 445
#define LANDLOCK_RESTRICT 446
#define LANDLOCK_ASK_VERSION 1u
#define LANDLOCK_PATH_BENEATH 1
/* rights to files by version: 13, then refer, truncate, -, ioctl */
#define FS_1 0x1fffull
#define FS_2 (FS_1 | 1ull << 13)
#define FS_3 (FS_2 | 1ull << 14)
#define FS_5 (FS_3 | 1ull << 15)

static struct config config;

/*
 * A second wall around the root: whatever lies outside of it, reached by an
 * fd or a /proc link that should not be there, gives no file.  Before
 * version 2 a rule would forbid all renames from one directory to another.
 */
static void
confine(void)
{
	struct {
		uint64_t fs;
	} rules;
	struct {
		uint64_t allowed;
		int32_t fd;
	} __attribute__((packed)) beneath;
	long version = syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_ASK_VERSION);
	int set;

	if (version < 2)
		return;
	rules.fs = version < 3 ? FS_2 : version < 5 ? FS_3 : FS_5;
	set = (int)syscall(LANDLOCK_CREATE, &rules, sizeof(rules), 0);
	if (set < 0)
		return;
	beneath.allowed = rules.fs;
	beneath.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (beneath.fd >= 0 &&
		!syscall(LANDLOCK_ADD, set, LANDLOCK_PATH_BENEATH, &beneath, 0))
		(void)syscall(LANDLOCK_RESTRICT, set, 0);
	if (beneath.fd >= 0)
		(void)close(beneath.fd);
	(void)close(set);
}

/* What we have not got, no child shall get by any file. */
static void
bound(void)
{
	uint32_t header[2] = { 0x20080522 /* version 3 */, 0 };
	uint32_t caps[2][3] = { { 0 } }; /* effective, permitted, inheritable */
	unsigned i;

	if (syscall(SYS_capget, header, caps))
		return;
	for (i = 0; i < 64; i++)
		if (!(caps[i / 32][1] & 1u << i % 32))
			(void)prctl(PR_CAPBSET_DROP, i);
}

_Noreturn void
place(const char *fd)
{
	static struct agent a; /* 64 KiB: not in the file */
	char *end;

	a.fd = (int)strtol(fd, &end, 10);
	if (end == fd || *end || fcntl(a.fd, F_GETFD) < 0) {
		fprintf(stderr, "forge-init: --place: '%s' is not an open fd\n",
			fd);
		_exit(2);
	}
	a.out = a.fd;
	a.pid1 = a.place = true;
	(void)umask(022);
	open_standard();
	/* Commands get none of what we inherited; 4: CLOSE_RANGE_CLOEXEC. */
	(void)syscall(SYS_close_range, 3u, ~0u, 4u);
	frame_reader_init(&a.reader);
	agent_greet(&a, &config);
	config_names(&config);
	bound();
	confine();
	if (!agent_send(&a, CHANNEL_READY, 0, NULL, 0))
		agent_loop(&a);
	/* The host is gone, and with PID 1 goes everything here. */
	_exit(0);
}
