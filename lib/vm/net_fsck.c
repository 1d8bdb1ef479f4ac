#include "lib/vm/net.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/tell.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

struct fsck {
	struct state *st;
	struct db *db;
	bool dry;
	tell_fn *told;
};

static int
remove_one(const struct fsck *f, const char *tap, const char *why,
	struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();

	tell_line(f->told, "%s: %s", tap, why);
	if (f->dry)
		return 0;
	json_put_str(o, "tap", tap);
	return net_ask("down", o, NULL, err);
}

/* The row comes before the tap and goes after it. */
static int
check_tap(const struct fsck *f, const char *tap, const char *vm,
	struct err *err)
{
	CLEANUP_FREE char *state = NULL;
	CLEANUP_CLOSE int lock = -1;

	if (vm_state(f->db, vm, &state, err))
		return -1;
	if (*state && strcmp(state, "stopped") && strcmp(state, "crashed"))
		return 0;
	if (state_lock(f->st, "vm", vm, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		*err = ERR_INIT;
		return 0; /* it is just being made, or ends */
	}
	return remove_one(f, tap, "a tap without a VM", err);
}

static int
check_taps(const struct fsck *f, const struct json *found, size_t prefix,
	struct err *err)
{
	CLEANUP_JSON struct json *taps = json_get(found, "taps");
	size_t i;

	for (i = 0; taps && i < json_len(taps, ""); i++) {
		CLEANUP_JSON struct json *one = json_at(taps, i);

		if (check_tap(f, json_str(one, "tap", ""),
			    json_str(one, "alias", "") + prefix, err))
			return -1;
	}
	return 0;
}

static int
check_rules(const struct fsck *f, const struct json *found, struct err *err)
{
	CLEANUP_JSON struct json *guests = json_get(found, "guests");
	size_t i;

	for (i = 0; guests && i < json_len(guests, ""); i++) {
		CLEANUP_JSON struct json *one = json_at(guests, i);

		if (remove_one(f, json_str(one, "", ""),
			    "nftables rules without a tap", err))
			return -1;
	}
	return 0;
}

/* A host that was never set up need not have what taps need. */
static int
was_set_up(struct db *db, int64_t *ret, struct err *err)
{
	return db_get_int(db, ret,
		"SELECT EXISTS (SELECT 1 FROM host_change) OR "
		"EXISTS (SELECT 1 FROM vm WHERE net = 'tap')", err, DB_LAST);
}

int
net_fsck(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	struct fsck f = { .st = st, .dry = dry, .told = told };
	CLEANUP_JSON struct json *spec = json_object(), *found = NULL;
	CLEANUP_FREE char *alias = net_alias(st);
	int64_t set_up;

	if (geteuid())
		return 0; /* taps are root's */
	if (state_db(st, &f.db, err) || was_set_up(f.db, &set_up, err))
		return -1;
	json_put_str(spec, "alias", alias);
	if (net_ask("scan", spec, &found, err)) {
		if (set_up)
			return -1;
		*err = ERR_INIT;
		return 0;
	}
	return check_taps(&f, found, strlen(alias), err) ||
			check_rules(&f, found, err) ?
		-1 :
		0;
}
