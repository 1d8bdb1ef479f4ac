#include "lib/runner/place.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/garm_call.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define GRACE 180000 /* ms that an agent may be away; agents.grace */

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

bool
place_is_agent(const char *place)
{
	return place && !strncmp(place, PLACE_AGENT, strlen(PLACE_AGENT));
}

bool
place_is_garm(const char *place)
{
	return place && !strncmp(place, PLACE_GARM, strlen(PLACE_GARM));
}

bool
place_is_far(const char *place)
{
	return place_is_agent(place) || place_is_garm(place);
}

static int
push_labels(struct argv *ret, const char *text, struct err *err)
{
	CLEANUP_JSON struct json *a = NULL;
	CLEANUP_BUF struct buf list = BUF_INIT;
	size_t i, n;

	if (json_parse(text, strlen(text), &a, err))
		return -1;
	n = json_len(a, "");
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *label = json_at(a, i);

		buf_addf(&list, "%s%s", i ? "," : "",
			json_str(label, "", ""));
	}
	argv_pushf(ret, "--labels=%s", list.s);
	return 0;
}

static int
agent_prefix(struct state *st, const struct place *p, struct argv *ret,
	struct err *err)
{
	const char *agent = p->place + strlen(PLACE_AGENT);
	CLEANUP_FREE char *program = NULL;
	struct config *c;
	int64_t grace;

	if (state_config(st, &c, err) ||
		config_duration(c, "agents", NULL, "grace", GRACE, &grace,
			err))
		return -1;
	if ((strcmp(agent, "*") != 0 && parse_name(agent, "agent", err)) ||
		find_helper("forge-stream", &program, err))
		return -1;
	argv_push(ret, program);
	argv_push(ret, "run");
	argv_pushf(ret, "--on=%s", agent);
	argv_pushf(ret, "--name=%s", p->name);
	argv_pushf(ret, "--mark=%s", p->mark);
	argv_pushf(ret, "--scope=%s", p->scope);
	argv_pushf(ret, "--grace=%" PRId64 "ms", grace);
	if (push_labels(ret, p->labels, err))
		return -1;
	argv_push(ret, "--");
	return 0;
}

static int
garm_prefix(const struct place *p, struct argv *ret, struct err *err)
{
	const char *name = p->place + strlen(PLACE_GARM);
	CLEANUP_FREE char *program = NULL;

	if (parse_name(name, "garm", err) ||
		find_helper("forge-garm", &program, err))
		return -1;
	argv_push(ret, program);
	argv_push(ret, "run");
	argv_pushf(ret, "--on=%s", name);
	argv_pushf(ret, "--name=%s", p->name);
	argv_pushf(ret, "--mark=%s", p->mark);
	argv_pushf(ret, "--scope=%s", p->scope);
	if (p->pool)
		argv_pushf(ret, "--pool=%s", p->pool);
	if (p->github)
		argv_pushf(ret, "--github=%s", p->github);
	if (p->adopt)
		argv_push(ret, "--adopt");
	if (push_labels(ret, p->labels, err))
		return -1;
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
	if (place_is_agent(place->place))
		return agent_prefix(st, place, ret, err);
	if (place_is_garm(place->place))
		return garm_prefix(place, ret, err);
	if (!strcmp(place->place, "here"))
		return 0;
	if (!strcmp(place->place, "bwrap"))
		return bwrap_prefix(st, ret, err);
	if (state_config(st, &c, err))
		return -1;
	run = config_str(c, "place", place->place, "run", NULL);
	if (!run || !run[strspn(run, " \t")])
		return err_set(err, ERR_NOTFOUND,
			"no place '%s': it is vm:IMAGE, agent:AGENT, "
			"garm:NAME, bwrap, here, or a "
			"[place \"%s\"] with run = PREFIX in the configuration",
			place->place, place->place);
	argv_split(ret, run);
	return 0;
}
