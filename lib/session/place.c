#include "lib/session/place.h"

#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/session.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

bool
place_is_vm(const struct session *s)
{
	return !strncmp(s->place, PLACE_VM, strlen(PLACE_VM));
}

static bool
is_bwrap(const struct session *s)
{
	return !strcmp(s->place, "bwrap");
}

bool
place_no_network(const struct session *s)
{
	return is_bwrap(s) &&
		!strcmp(json_str(s->options, PLACE_EGRESS, "all"), "none");
}

bool
place_clean(const struct session *s)
{
	return is_bwrap(s) || place_is_vm(s);
}

int
place_check(const struct session *s, struct err *err)
{
	const char *egress = json_str(s->options, PLACE_EGRESS, NULL);

	if (place_is_vm(s)) {
		if (egress && !*egress)
			return err_set(err, ERR_USAGE, "--egress: a network "
				"or name is needed, or none, or all");
		return parse_name(s->place + strlen(PLACE_VM), "--in vm:IMAGE",
			err);
	}
	if (!egress || !strcmp(egress, "all") || place_no_network(s))
		return 0;
	if (is_bwrap(s))
		return err_set(err, ERR_USAGE,
			"--egress '%.80s': bwrap can have none or all; choose "
			"vm:IMAGE", egress);
	return err_set(err, ERR_USAGE,
		"--egress '%.80s': place '%.80s' has the network of this "
		"machine; choose vm:IMAGE", egress, s->place);
}

int
place_vm(struct state *st, const struct session *s, const char *vm,
	int env_fd, struct argv *ret, struct err *err)
{
	CLEANUP_FREE char *program = NULL;

	if (find_program("forge-vm", &program, err))
		return -1;
	argv_pushv(ret, (const char *[]){ program, "exec", "-C",
				state_path(st), NULL });
	argv_pushf(ret, "--workdir=%s", s->dir);
	argv_pushf(ret, "--env-fd=%d", env_fd);
	argv_pushv(ret, (const char *[]){ vm, "--", NULL });
	return 0;
}

int
session_place(struct state *st, const struct session *s, const char *home,
	const char *program, struct argv *ret, struct err *err)
{
	struct config *c;
	const char *run;

	if (!strcmp(s->place, "here"))
		return 0;
	if (!strcmp(s->place, "bwrap"))
		return place_bwrap(st, s, home, program, ret, err);
	if (state_config(st, &c, err))
		return -1;
	run = config_str(c, "place", s->place, "run", NULL);
	if (!run || !run[strspn(run, " \t")])
		return err_set(err, ERR_NOTFOUND,
			"no place '%s': it is here, bwrap, vm:IMAGE, or a "
			"[place \"%s\"] with run = "
			"PREFIX in the configuration", s->place,
			s->place);
	argv_split(ret, run);
	return 0;
}
