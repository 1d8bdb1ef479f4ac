#include "lib/vm/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

#define ANSWER_MAX (1u << 20)
#define ANSWER_TIMEOUT 10000 /* ms */
/* A DNS label has 63, "forge-", 12 digits and "-" are ours. */
#define ELSEWHERE_NAME_MAX 44
#define DESTROY_TIMEOUT 120000 /* ms; tasks of another machine */

/* ---- which there are ---- */

/* Their caps say the same (a test compares); asking would cost a process. */
static const struct driver known[] = {
	{ "qemu", .machine = true, .qmp = true, .disks = true,
		.nets = "user user+loopback tap none" },
	{ "process", .tree = true, .nets = "none user user+loopback" },
	{ "cloud-hypervisor", .machine = true, .vsock = true, .api = true,
		.stop = true, .nets = "none tap" },
	{ "firecracker", .machine = true, .vsock = true, .api = true,
		.stop = true, .restart = true, .nets = "none" },
	{ "proxmox", .elsewhere = true, .stop = true, .nets = "driver" },
	{ "tart", .elsewhere = true, .stop = true, .nets = "driver" },
};

const char *
driver_known(size_t i)
{
	return i < ARRAY_SIZE(known) ? known[i].name : NULL;
}

static bool
has_word(const struct json *caps, const char *key, const char *word)
{
	CLEANUP_JSON struct json *list = json_get(caps, key);
	size_t n = list ? json_len(list, "") : 0, i;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *one = json_at(list, i);

		if (!strcmp(json_str(one, "", ""), word))
			return true;
	}
	return false;
}

static int
ask_caps(const char *name, struct driver *ret, struct err *err)
{
	CLEANUP_JSON struct json *caps = NULL, *nets = NULL;
	size_t i, n;

	if (driver_ask(name, "caps", NULL, &caps, err))
		return -1;
	*ret = (struct driver){ .machine = json_bool(caps, "machine", true),
		.tree = !strcmp(json_str(caps, "root", ""), "tree"),
		.vsock = !strcmp(json_str(caps, "channel", ""), "vsock"),
		.api = json_bool(caps, "api", false),
		.stop = has_word(caps, "verbs", "stop"),
		.qmp = !strcmp(json_str(caps, "monitor", ""), "qmp"),
		.disks = json_bool(caps, "disks", false),
		.elsewhere = json_bool(caps, "elsewhere", false),
		.restart = !strcmp(json_str(caps, "halt", ""), "reboot") };
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	nets = json_get(caps, "net");
	n = nets ? json_len(nets, "") : 0;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *mode = json_at(nets, i);
		size_t len = strlen(ret->nets);

		(void)snprintf(ret->nets + len, sizeof(ret->nets) - len,
			"%s%s", len ? " " : "", json_str(mode, "", ""));
	}
	return 0;
}

int
driver_find(const char *name, struct driver *ret, struct err *err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, name)) {
			*ret = known[i];
			return 0;
		}
	return ask_caps(name, ret, err);
}

int
driver_check_name(const char *driver, const char *vm, struct err *err)
{
	struct driver d;

	if (driver_find(driver, &d, err))
		return -1;
	if (!d.elsewhere || (strlen(vm) <= ELSEWHERE_NAME_MAX &&
		!vm[strspn(vm, "abcdefghijklmnopqrstuvwxyz0123456789-")]))
		return 0;
	return err_set(err, ERR_USAGE,
		"--name: '%s': driver '%s' takes at most %d of a-z, 0-9 and -",
		vm, driver, ELSEWHERE_NAME_MAX);
}

static bool
has_net(const struct driver *d, const char *mode)
{
	CLEANUP_ARGV struct argv list = ARGV_INIT;
	size_t i;

	argv_split(&list, d->nets);
	for (i = 0; i < list.n; i++)
		if (!strcmp(list.v[i], mode))
			return true;
	return false;
}

int
driver_net(const char *name, const char *wanted, const char **ret,
	struct err *err)
{
	static char mode[64];
	struct driver d;

	if (driver_find(name, &d, err))
		return -1;
	if (wanted && has_net(&d, wanted)) {
		*ret = wanted;
		return 0;
	}
	(void)snprintf(mode, sizeof(mode), "%.*s",
		(int)strcspn(d.nets, " "), d.nets);
	*ret = mode;
	return 0;
}

/* ---- the spec ---- */

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
	if (has_net(d, mode))
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

/* Those keys of [driver "NAME"] that are set, and the owner. */
static int
put_config(struct state *st, const char *driver, struct json *o,
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
	if (d.elsewhere && put_config(st, d.name, o, err)) {
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

static int
prepare(struct proc *p, const char *driver, const char *verb, struct err *err)
{
	CLEANUP_FREE char *name = xasprintf("driver-%s", driver);
	CLEANUP_FREE char *path = NULL;

	if (find_helper(name, &path, err))
		return -1;
	argv_push(&p->argv, path);
	argv_push(&p->argv, verb);
	return 0;
}

static int
ask(const char *driver, const char *verb, const struct json *spec, int timeout,
	struct json **ret, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT, out = BUF_INIT;

	if (prepare(&p, driver, verb, err))
		return -1;
	if (spec)
		json_write(spec, &in);
	if (proc_run(&p, &in, &out, ANSWER_MAX, timeout, err))
		return -1;
	return ret ? json_parse(out.s, out.len, ret, err) : 0;
}

int
driver_ask(const char *driver, const char *verb, const struct json *spec,
	struct json **ret, struct err *err)
{
	return ask(driver, verb, spec, ANSWER_TIMEOUT, ret, err);
}

static struct json *
elsewhere_spec(struct state *st, const char *vm)
{
	CLEANUP_FREE char *dir = xasprintf("%s/vm/%s", state_path(st), vm);
	struct json *o = json_object();

	json_put_str(o, "name", vm);
	json_put_str(o, "dir", dir);
	return o;
}

int
driver_destroy(struct state *st, const char *driver, const char *vm,
	struct err *err)
{
	CLEANUP_JSON struct json *spec = NULL;
	struct driver d;

	if (driver_find(driver, &d, err))
		return -1;
	if (!d.elsewhere)
		return 0;
	spec = elsewhere_spec(st, vm);
	return put_config(st, driver, spec, err) ||
			ask(driver, "destroy", spec, DESTROY_TIMEOUT, NULL,
				err) ?
		-1 :
		0;
}

int
driver_stop(struct state *st, const struct driver *d, const char *vm,
	int64_t grace, struct err *err)
{
	CLEANUP_JSON struct json *spec = elsewhere_spec(st, vm);

	if (!d->stop)
		return err_set(err, ERR_LIMIT, "driver '%s' has no verb stop",
			d->name);
	if (!d->elsewhere) {
		json_put_str(spec, "mode", "power-button");
		return ask(d->name, "stop", spec, ANSWER_TIMEOUT, NULL, err);
	}
	json_put_int(spec, "grace_ms", grace);
	return put_config(st, d->name, spec, err) ||
			ask(d->name, "stop", spec,
				(int)grace + DESTROY_TIMEOUT, NULL, err) ?
		-1 :
		0;
}

static int
list_one(struct state *st, const char *driver, struct argv *ret,
	struct err *err)
{
	CLEANUP_JSON struct json *spec = json_object(), *answer = NULL;
	CLEANUP_JSON struct json *names = NULL;
	size_t i, n;

	if (put_config(st, driver, spec, err) ||
		driver_ask(driver, "list", spec, &answer, err))
		return -1;
	names = json_get(answer, "names");
	n = names ? json_len(names, "") : 0;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *name = json_at(names, i);

		argv_push(ret, json_str(name, "", ""));
		argv_push(ret, driver);
	}
	return 0;
}

int
driver_list(struct state *st, struct argv *ret, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	size_t i;

	if (state_config(st, &c, err))
		return -1;
	config_names(c, "driver", &names);
	for (i = 0; i < names.n; i++) {
		struct driver d;

		if (driver_find(names.v[i], &d, err) ||
			(d.elsewhere && list_one(st, d.name, ret, err)))
			return -1;
	}
	return 0;
}

int
driver_address(struct state *st, const char *driver, const char *vm,
	char **ret, struct err *err)
{
	CLEANUP_JSON struct json *spec = elsewhere_spec(st, vm), *answer = NULL;

	if (driver_ask(driver, "address", spec, &answer, err))
		return -1;
	*ret = xstrdup(json_str(answer, "address", ""));
	return 0;
}

/* A spec is a few hundred bytes: a pipe takes it whole. */
int
driver_tell(struct child *c, const struct json *spec, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	int rc;

	json_write(spec, &b);
	rc = write_all(c->in, b.s, b.len);
	if (rc)
		(void)err_sys(err, "cannot tell the driver what to boot");
	(void)close(steal_fd(&c->in)); /* a pipe */
	return rc;
}

int
driver_start(const char *driver, const struct vm_fds *fds,
	const struct proc_cgroup *cgroup, struct child *ret, struct err *err)
{
	const int list[] = { fds->channel, fds->console, fds->net,
		fds->monitor, fds->memory };
	CLEANUP_PROC struct proc p = PROC_INIT;
	struct driver d;
	size_t i;

	if (driver_find(driver, &d, err) || prepare(&p, driver, "boot", err))
		return -1;
	p.in = PROC_PIPE;
	p.out = d.elsewhere ? fds->channel : PROC_NULL;
	p.err = PROC_PIPE;
	p.parent_death = SIGKILL;
	p.cgroup = cgroup;
	p.headlong = fds->headlong;
	p.new_group = true; /* the terminal's ^C is for us to pass on */
	for (i = d.elsewhere ? ARRAY_SIZE(list) : 0; i < ARRAY_SIZE(list); i++)
		if (list[i] > STDERR_FILENO)
			p.pass[p.npass++] = list[i];
	return proc_spawn(&p, ret, err);
}

int
driver_verb(const char *driver, const char *verb, const char *dir,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT, out = BUF_INIT;
	CLEANUP_JSON struct json *o = json_object();

	json_put_str(o, "dir", dir);
	json_write(o, &in);
	return prepare(&p, driver, verb, err) ||
			proc_run(&p, &in, &out, ANSWER_MAX, ANSWER_TIMEOUT,
				err) ?
		-1 :
		0;
}
