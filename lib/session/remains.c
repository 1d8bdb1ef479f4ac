#include "lib/session/remains.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define ENVIRON_MAX (4u << 20)

/* Is this string in a list of strings that end in NUL? */
static bool
has(const struct buf *list, const char *want)
{
	const char *p = list->s, *end = list->s + list->len;

	for (; p < end; p += strlen(p) + 1)
		if (!strcmp(p, want))
			return true;
	return false;
}

static bool
belongs(const char *pid, const char *session, const char *state)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%s/environ", pid);
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	return !fs_read(AT_FDCWD, path, ENVIRON_MAX, &b, &err) &&
		has(&b, session) && has(&b, state);
}

void
session_kill_remains(const struct state *st, const char *id)
{
	CLEANUP_FREE char *session = xasprintf("FORGE_SESSION=%s", id);
	CLEANUP_FREE char *state = xasprintf("FORGE_STATE=%s", state_path(st));
	DIR *d = opendir("/proc");
	struct err err = ERR_INIT;
	struct dirent *e;
	int pid;

	while (d && (e = readdir(d)))
		if (!parse_int(e->d_name, 2, INT32_MAX, "pid", &pid, &err) &&
			pid != getpid() && pid != getppid() &&
			belongs(e->d_name, session, state))
			(void)kill(pid, SIGKILL); /* it may be gone */
	if (d)
		(void)closedir(d); /* read only */
}
