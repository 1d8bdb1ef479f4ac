#include "lib/vm/driver_internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/config.h"
#include "lib/state/config_keys.h"
#include "lib/state/state.h"
#include "lib/vm/accel.h"
#include "lib/vm/image.h"
#include "lib/vm/image_tree.h"
#include "lib/vm/lease.h"
#include "lib/vm/tsc.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

static void
put_address(struct json *o, const char *key, uint32_t address)
{
	char text[16];

	json_put_str(o, key, address_format(address, text, sizeof(text)));
}

static struct json *
net_spec(const struct vm_spec *vm, const struct vm_address *a,
	const struct subnet *s)
{
	struct json *o = json_object();

	json_put_str(o, "mode", vm->net);
	if (!vm_has_lease(vm))
		return o;
	put_address(o, "address", a->address);
	json_put_int(o, "prefix", s->prefix);
	put_address(o, "network", s->network);
	put_address(o, "gateway", subnet_gateway(s));
	put_address(o, "dns", subnet_dns(s));
	json_put_str(o, "mac", a->mac);
	return o;
}

static int
check_disks(const struct driver *d, const struct vm_spec *vm,
	const struct image *image, struct err *err)
{
	if (disks_any(&vm->disk) && !d->disks)
		return err_set(err, ERR_USAGE,
			"driver '%s' has no disks of their own for VMs",
			d->name);
	if (disks_overlay(&vm->disk) && !image->root)
		return err_set(err, ERR_USAGE,
			"--disk: the root of image '%s' is its initramfs",
			image->name);
	return 0;
}

static int
check_image(const struct driver *d, const struct image *image,
	struct err *err)
{
	if (d->elsewhere && !image->template)
		return err_set(err, ERR_USAGE,
			"driver '%s' needs an image that is a template there: "
			"make one with 'forge-vm image import --template'",
			d->name);
	if (!d->elsewhere && image->template)
		return err_set(err, ERR_USAGE,
			"image '%s' is a template of another machine, which "
			"driver '%s' cannot boot", image->name, d->name);
	return 0;
}

static int
check_net(const struct driver *d, const char *mode, struct err *err)
{
	if (driver_has_net(d, mode))
		return 0;
	return err_set(err, ERR_USAGE,
		"driver '%s' has no network '%.40s'; it has: %s", d->name,
		mode, d->nets);
}

static int
find_speed(struct state *st, const struct driver *d, const struct image *image,
	const char **ret_accel, int64_t *ret_khz, struct err *err)
{
	/* Those that only know KVM say themselves what is wrong with it. */
	if (d->vsock) {
		*ret_accel = "kvm";
		return 0;
	}
	if (accel_probe(st, image->kernel, image->initramfs, ret_accel, err))
		return -1;
	return strcmp(*ret_accel, "tcg") ? 0 : tsc_khz(st, ret_khz, err);
}

static struct json *
tree_spec(struct state *st, const struct image *image)
{
	uint32_t base;
	CLEANUP_FREE char *path = image_tree(st, image, &base);
	struct json *o = json_object();

	json_put_str(o, "path", path);
	json_put_int(o, "id_base", base);
	return o;
}

/*
 * Whose VMs they are, for their names: hosts with a cluster in common often
 * have their state at the same path, and each removes what is nobody's.
 */
static int
put_owner(struct state *st, struct json *o, struct err *err)
{
	CLEANUP_BUF struct buf id = BUF_INIT;
	CLEANUP_FREE char *owner = NULL;

	if (fs_read(AT_FDCWD, "/etc/machine-id", 64, &id, err))
		return err_wrap(err, "VMs elsewhere are named after this host "
			"(systemd-machine-id-setup gives it an ID)");
	buf_rtrim(&id);
	owner = xasprintf("%s:%s", id.s, state_path(st));
	json_put_str(o, "owner", owner);
	return 0;
}

int
driver_put_config(struct state *st, const char *driver, struct json *o,
	struct err *err)
{
	struct json *keys = json_object();
	struct config *c;
	size_t i;

	if (state_config(st, &c, err)) {
		json_free(keys);
		return -1;
	}
	for (i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		const char *value;

		if (strcmp(k->section, "driver") != 0)
			continue;
		value = config_str(c, "driver", driver, k->key, NULL);
		if (value)
			json_put_str(keys, k->key, value);
	}
	json_put(o, "config", keys);
	return put_owner(st, o, err);
}

int
driver_prepare(struct state *st, const char *name, const struct image *image,
	struct err *err)
{
	struct driver d;

	if (driver_find(name, &d, err))
		return -1;
	return d.tree ? image_tree_make(st, image, err) : 0;
}

/* With a monitor it can be saved: then its memory is a file that we know. */
static struct json *
memory_spec(const struct driver *d, const struct vm_fds *fds)
{
	CLEANUP_FREE char *path = fds->snapshot ?
		xstrdup(fds->snapshot) :
		xasprintf("/proc/self/fd/%d", fds->memory);
	struct json *o;

	if (!d->qmp || (!fds->snapshot && fds->memory < 0))
		return json_string(NULL);
	o = json_object();
	json_put_str(o, "path", path);
	json_put_bool(o, "share", !fds->snapshot);
	json_put_bool(o, "incoming", fds->snapshot != NULL);
	return o;
}

int
driver_spec(struct state *st, const struct vm_spec *vm,
	const struct image *image, const struct vm_address *address,
	const struct subnet *subnet, const struct vm_fds *fds,
	struct json **ret, struct err *err)
{
	struct json *o, *list;
	CLEANUP_FREE char *dir = xasprintf("%s/vm/%s", state_path(st),
		vm->name);
	const char *accel = NULL;
	struct driver d;
	int64_t khz = 0;

	if (driver_find(vm->driver, &d, err) || check_net(&d, vm->net, err))
		return -1;
	if (check_image(&d, image, err) || check_disks(&d, vm, image, err))
		return -1;
	if (d.machine && find_speed(st, &d, image, &accel, &khz, err))
		return -1;
	o = json_object();
	json_put_str(o, "name", vm->name);
	json_put_str(o, "dir", dir);
	json_put_str(o, "kernel", image->kernel);
	json_put_str(o, "initramfs", image->initramfs);
	json_put_str(o, "root", image->root);
	json_put_str(o, "rootfs", image->rootfs);
	json_put(o, "tree", d.tree ? tree_spec(st, image) : json_string(NULL));
	json_put(o, "disks", disks_json(&vm->disk, dir));
	json_put_int(o, "cpus", vm->cpus);
	json_put_int(o, "memory_mb", vm->memory >> 20);
	json_put_str(o, "accel", accel);
	json_put_int(o, "tsc_khz", khz);
	json_put(o, "net", net_spec(vm, address, subnet));
	json_put_str(o, "template", image->template);
	if (d.elsewhere && driver_put_config(st, d.name, o, err)) {
		json_free(o);
		return -1;
	}
	list = json_object();
	json_put_int(list, "channel",
		d.elsewhere ? STDOUT_FILENO : fds->channel);
	json_put_int(list, "console", d.elsewhere ? -1 : fds->console);
	json_put_int(list, "net", fds->net);
	json_put_int(list, "monitor", fds->monitor);
	json_put_int(list, "memory", fds->memory);
	json_put(o, "memory", memory_spec(&d, fds));
	json_put(o, "fds", list);
	*ret = o;
	return 0;
}
