#include "lib/session/place.h"

#include <string.h>

#include "lib/session/session.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

bool
place_clean(const struct session *s)
{
	return !strcmp(s->place, "bwrap");
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
			"no place '%s': it is here, bwrap, or a "
			"[place \"%s\"] with run = "
			"PREFIX in the configuration", s->place,
			s->place);
	argv_split(ret, run);
	return 0;
}
