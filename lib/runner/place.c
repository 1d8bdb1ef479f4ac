#include "lib/runner/place.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static int
vm_prefix(const struct place *p, struct argv *ret, struct err *err)
{
	CLEANUP_FREE char *program = NULL;
	const char *image = p->place + strlen("vm:");

	if (parse_name(image, "image", err) ||
		find_program("forge-vm", &program, err))
		return -1;
	argv_push(ret, program);
	argv_push(ret, "run");
	argv_pushf(ret, "--name=%s", p->name);
	argv_pushf(ret, "--image=%s", image);
	argv_pushf(ret, "--cpus=%d", p->cpus);
	argv_pushf(ret, "--memory=%" PRId64, p->memory);
	argv_push(ret, "--");
	return 0;
}

/* Empty what is the user's own; only where it exists can it be covered. */
static void
cover(struct argv *ret, const char *path)
{
	if (!path || path[0] != '/' || !path[1] || access(path, F_OK))
		return;
	argv_push(ret, "--tmpfs");
	argv_push(ret, path);
}

/*
 * This host's programs, read-only, for a nobody with processes and a /tmp of
 * its own.  root would still be root to the files, so it becomes nobody
 * first.
 */
static int
bwrap_prefix(struct state *st, struct argv *ret, struct err *err)
{
	CLEANUP_FREE char *path = fs_which("bwrap");

	if (!path)
		return err_set(err, ERR_NOTFOUND,
			"place bwrap: no bwrap in PATH: install bubblewrap");
	if (!geteuid())
		argv_pushv(ret, (const char *[]){ "setpriv", "--reuid=65534",
					"--regid=65534", "--clear-groups",
					"--", NULL });
	argv_push(ret, path);
	argv_pushv(ret, (const char *[]){ "--die-with-parent",
				"--unshare-user", "--unshare-pid",
				"--unshare-ipc", "--unshare-uts",
				"--unshare-cgroup-try", "--new-session",
				"--ro-bind", "/", "/", "--dev", "/dev",
				"--proc", "/proc", "--tmpfs", "/tmp",
				"--tmpfs", "/var/tmp", "--tmpfs", "/run",
				NULL });
	if (geteuid()) {
		cover(ret, getenv("HOME"));
		cover(ret, state_path(st));
	}
	argv_pushv(ret, (const char *[]){ "--chdir", "/tmp", "--clearenv",
				"--setenv", "HOME", "/tmp", "--setenv", "PATH",
				"/usr/local/bin:/usr/bin:/bin", "--", NULL });
	return 0;
}

int
place_prefix(struct state *st, const struct place *place, struct argv *ret,
	struct err *err)
{
	struct config *c;
	const char *run;

	if (!strncmp(place->place, "vm:", 3))
		return vm_prefix(place, ret, err);
	if (!strcmp(place->place, "here"))
		return 0;
	if (!strcmp(place->place, "bwrap"))
		return bwrap_prefix(st, ret, err);
	if (state_config(st, &c, err))
		return -1;
	run = config_str(c, "place", place->place, "run", NULL);
	if (!run || !run[strspn(run, " \t")])
		return err_set(err, ERR_NOTFOUND,
			"no place '%s': it is vm:IMAGE, bwrap, here, or a "
			"[place \"%s\"] with run = PREFIX in the configuration",
			place->place, place->place);
	argv_split(ret, run);
	return 0;
}
