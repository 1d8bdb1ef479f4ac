#include "lib/vm/plan.h"

#include <fcntl.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/driver.h"
#include "lib/vm/image.h"
#include "lib/vm/lease.h"
#include "lib/vm/mac.h"
#include "lib/vm/net.h"
#include "lib/vm/usernet.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static void
add_tap(struct json *list, const struct vm_spec *spec,
	const struct vm_address *a)
{
	CLEANUP_FREE char *rules = xasprintf(
		"nftables: chains of it in table inet forge, egress %s",
		spec->egress);
	CLEANUP_FREE char *link = NULL;
	char tap[TAP_SIZE];

	net_tap_name(a->address, tap);
	link = xasprintf("network: persistent tap %s", tap);
	json_push_str(list, link);
	json_push_str(list, rules);
}

static void
push_disks(const struct vm_spec *spec, struct json *list)
{
	CLEANUP_FREE char *disk = xasprintf("files: vm/%s/" DISK_FILE,
		spec->name);
	CLEANUP_FREE char *seed = xasprintf("files: vm/%s/" DISK_SEED,
		spec->name);

	if (disks_overlay(&spec->disk))
		json_push_str(list, disk);
	if (spec->disk.user_data)
		json_push_str(list, seed);
}

static struct json *
changes(const struct vm_spec *spec, const struct vm_address *a,
	const struct json *driver)
{
	const char *tree = json_str(driver, "tree.path", NULL);
	struct json *list = json_array();
	CLEANUP_FREE char *row = xasprintf("database: row for VM '%s'",
		spec->name);
	CLEANUP_FREE char *dir = xasprintf("files: vm/%s/{console.log,"
					   "ctl.sock}", spec->name);
	CLEANUP_FREE char *lock = xasprintf("locks: run/vm/%s, and shared "
					    "run/image/%s",
		spec->name, spec->image);
	char text[16];

	json_push_str(list, row);
	if (a->address) {
		CLEANUP_FREE char *lease = xasprintf("database: lease of %s",
			address_format(a->address, text, sizeof(text)));

		json_push_str(list, lease);
	}
	if (net_is_tap(spec))
		add_tap(list, spec, a);
	if (usernet_mode(spec->net))
		json_push_str(list, "process: passt, the guest's network");
	json_push_str(list, dir);
	push_disks(spec, list);
	if (tree && !fs_exists(AT_FDCWD, tree)) {
		CLEANUP_FREE char *unpack = xasprintf(
			"files: image/%s/tree, unpacked once", spec->image);

		json_push_str(list, unpack);
	}
	json_push_str(list, lock);
	return list;
}

/* A driver that says nothing of it is taken as usable. */
static void
put_usable(struct json *plan, const char *driver)
{
	CLEANUP_JSON struct json *caps = NULL;
	struct err err = ERR_INIT;
	bool usable = !driver_ask(driver, "caps", NULL, &caps, &err) &&
		json_bool(caps, "usable", true);

	json_put_bool(plan, "usable", usable);
	json_put_str(plan, "why", usable ? NULL :
			err.code	 ? err.msg :
					   json_str(caps, "why", NULL));
	json_put_str(plan, "fix",
		usable || !caps ? NULL : json_str(caps, "fix", NULL));
}

int
vm_plan(struct state *st, const struct vm_spec *spec, struct json **ret,
	struct err *err)
{
	CLEANUP_IMAGE struct image im = IMAGE_INIT;
	struct vm_address address = { 0 };
	struct json *driver = NULL, *argv = NULL, *o;
	struct subnet subnet;
	struct vm_fds fds = { 3, 4, vm_has_lease(spec) ? 5 : -1, 6, 7, NULL,
			false };

	if (subnet_load(st, &subnet, err) ||
		image_open(st, spec->image, &im, err))
		return -1;
	if (vm_has_lease(spec)) {
		if (lease_next(st, &subnet, &address.address, err))
			return -1;
		mac_of(spec->name, address.address, address.mac);
	}
	if (driver_spec(st, spec, &im, &address, &subnet, &fds, &driver, err))
		return -1;
	if (driver_ask(spec->driver, "argv", driver, &argv, err)) {
		json_free(driver);
		return -1;
	}
	o = json_object();
	json_put(o, "argv", argv);
	json_put(o, "changes", changes(spec, &address, driver));
	json_put(o, "spec", driver);
	put_usable(o, spec->driver);
	*ret = o;
	return 0;
}
