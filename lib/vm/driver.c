#include "lib/vm/driver_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
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

bool
driver_has_net(const struct driver *d, const char *mode)
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
	if (wanted && driver_has_net(&d, wanted)) {
		*ret = wanted;
		return 0;
	}
	(void)snprintf(mode, sizeof(mode), "%.*s",
		(int)strcspn(d.nets, " "), d.nets);
	*ret = mode;
	return 0;
}

/* ---- what they are asked ---- */

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
	return driver_put_config(st, driver, spec, err) ||
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
	return driver_put_config(st, d->name, spec, err) ||
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

	if (driver_put_config(st, driver, spec, err) ||
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
