#include "lib/runner/place.h"

#include <inttypes.h>
#include <string.h>

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
	if (state_config(st, &c, err))
		return -1;
	run = config_str(c, "place", place->place, "run", NULL);
	if (!run || !run[strspn(run, " \t")])
		return err_set(err, ERR_NOTFOUND,
			"no place '%s': it is vm:IMAGE, here, or a "
			"[place \"%s\"] with run = PREFIX in the configuration",
			place->place, place->place);
	argv_split(ret, run);
	return 0;
}
