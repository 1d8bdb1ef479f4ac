/*
 * driver-proxmox: VMs on a cluster of Proxmox VE; lib/vm/driver.h has the
 * contract ("elsewhere").  An image is a template there, by its VM id.
 *
 * A VM is called forge-HASH-NAME, HASH from its owner, a host and a state directory;
 * forge-vm sees to it that this is a DNS name.
 * By that name it is found again, however far its boot came, and nothing that
 * is called otherwise is ever touched.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/proxmox/api.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/net/http.h"
#include "lib/vm/digest.h"
#include "lib/vm/driver_program.h"
#include "lib/base/banned.h"

#define ID_TRIES 8 /* others take ids as well */
#define LOOK_AGAIN 1000 /* ms */
#define KEY_FILE "/etc/ssh/ssh_host_ed25519_key.pub"
#define ADDRESS "address" /* in the VM's directory: what boot found */
#define KNOWN_HOSTS "known_hosts"

#define CLEANUP_PVE __attribute__((cleanup(cleanup_pve)))

static void
cleanup_pve(struct pve **p)
{
	pve_close(*p);
}

static void
look_again(void)
{
	const struct timespec pause = { .tv_sec = LOOK_AGAIN / 1000 };

	(void)nanosleep(&pause, NULL); /* shorter is no harm */
}

/* "forge-0123456789ab-": what the names of this owner's VMs begin with. */
static char *
label_prefix(const struct json *spec)
{
	const char *owner = json_str(spec, "owner", "");
	struct digest d;

	digest_bytes(owner, strlen(owner), &d);
	return xasprintf("forge-%.12s-", d.hex);
}

static char *
label_of(const struct json *spec)
{
	CLEANUP_FREE char *prefix = label_prefix(spec);

	return xasprintf("%s%s", prefix, json_str(spec, "name", ""));
}

/* ---- which VMs of ours there are ---- */

struct found {
	char *name;
	char *node;
	int64_t id;
	bool running;
};

static int
each_vm(struct pve *p, int (*emit)(const struct found *f, void *arg),
	void *arg, struct err *err)
{
	CLEANUP_JSON struct json *list = NULL;
	size_t i, n;

	if (pve_call(p, "GET", "/cluster/resources?type=vm", NULL, &list, err))
		return -1;
	n = list ? json_len(list, "") : 0;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *vm = json_at(list, i);
		CLEANUP_FREE char *name = xstrdup(json_str(vm, "name", ""));
		CLEANUP_FREE char *node = xstrdup(json_str(vm, "node", ""));
		struct found f = { .name = name, .node = node,
			.id = json_int(vm, "vmid", 0),
			.running = !strcmp(json_str(vm, "status", ""),
				"running") };

		if (!json_int(vm, "template", 0) && emit(&f, arg))
			return -1;
	}
	return 0;
}

static char *
vm_path(const char *node, int64_t id, const char *rest)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	buf_adds(&b, "/nodes/");
	http_escape(&b, node);
	buf_addf(&b, "/qemu/%" PRId64 "%s", id, rest);
	return xstrdup(b.s);
}

/* ---- destroy ---- */

struct wanted {
	const char *label;
	struct found vm;
};

static int
take_label(const struct found *f, void *arg)
{
	struct wanted *w = arg;

	if (!w->vm.id && !strcmp(f->name, w->label)) {
		w->vm = *f;
		w->vm.node = xstrdup(f->node);
		w->vm.name = NULL;
	}
	return 0;
}

/* A stop of one that has ended meanwhile fails, and the deletion will tell. */
static int
remove_vm(struct pve *p, const struct found *f, struct err *err)
{
	CLEANUP_FREE char *stop = vm_path(f->node, f->id, "/status/stop");
	CLEANUP_FREE char *gone = vm_path(f->node, f->id,
		"?purge=1&destroy-unreferenced-disks=1");
	struct err ended = ERR_INIT;

	if (f->running && pve_task(p, "POST", stop, NULL, &ended))
		log_debug("proxmox.stop", "error", ended.msg, NULL);
	return pve_task(p, "DELETE", gone, NULL, err);
}

static int
destroy(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *config = json_get(spec, "config");
	CLEANUP_FREE char *label = label_of(spec);
	CLEANUP_PVE struct pve *p = NULL;

	if (pve_open(config, &p, err))
		return -1;
	for (;;) {
		struct wanted w = { .label = label };
		int rc = each_vm(p, take_label, &w, err);

		if (!rc && w.vm.id)
			rc = remove_vm(p, &w.vm, err);
		free(w.vm.node);
		if (!rc && !w.vm.id)
			return 0;
		if (rc && err->code != ERR_BUSY && err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT; /* a clone that goes on, or another was faster */
		look_again();
	}
}

/* ---- stop ---- */

/*
 * By the guest's agent or ACPI.  One that is not there, or has ended, is what
 * was wanted.
 */
static int
stop(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *config = json_get(spec, "config");
	CLEANUP_FREE char *label = label_of(spec);
	CLEANUP_ARGV struct argv form = ARGV_INIT;
	CLEANUP_PVE struct pve *p = NULL;
	struct wanted w = { .label = label };
	int rc;

	if (pve_open(config, &p, err))
		return -1;
	rc = each_vm(p, take_label, &w, err);
	if (!rc && w.vm.id && w.vm.running) {
		CLEANUP_FREE char *path = vm_path(w.vm.node, w.vm.id,
			"/status/shutdown");

		argv_push(&form, "timeout");
		argv_pushf(&form, "%" PRId64,
			(json_int(spec, "grace_ms", 0) + 999) / 1000);
		rc = pve_task(p, "POST", path, &form, err);
	}
	free(w.vm.node);
	return rc ? -1 : 0;
}

/* ---- list ---- */

struct listing {
	const char *prefix;
	struct json *names;
};

static int
take_name(const struct found *f, void *arg)
{
	struct listing *l = arg;
	size_t n = strlen(l->prefix);

	if (!strncmp(f->name, l->prefix, n))
		json_push_str(l->names, f->name + n);
	return 0;
}

static int
list(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *config = json_get(spec, "config"), *o = NULL;
	CLEANUP_FREE char *prefix = label_prefix(spec);
	struct listing l = { prefix, json_array() };
	CLEANUP_PVE struct pve *p = NULL;
	int rc = pve_open(config, &p, err) || each_vm(p, take_name, &l, err);

	o = json_object();
	json_put(o, "names", l.names);
	return rc || driver_print(o, err) ? -1 : 0;
}

/* ---- address ---- */

static int
address(const struct json *spec, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/" ADDRESS,
		json_str(spec, "dir", ""));
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (fs_read(AT_FDCWD, path, 128, &b, err))
		return -1;
	buf_rtrim(&b);
	json_put_str(o, "address", b.s);
	return driver_print(o, err);
}

/* ---- boot ---- */

struct machine {
	struct pve *pve;
	const struct json *spec;
	struct json *config;
	const char *node;
	int64_t id;
	char *address;
};

static int
template_id(const struct json *spec, int64_t *ret, struct err *err)
{
	return parse_i64(json_str(spec, "template", ""), 100, 999999999,
		"a template of Proxmox", ret, err);
}

static int
clone_as(struct machine *m, int64_t template, const char *label,
	struct err *err)
{
	CLEANUP_FREE char *path = vm_path(m->node, template, "/clone");
	const char *storage = json_str(m->config, "storage", NULL);
	const char *linked = json_str(m->config, "linked-clone", "true");
	CLEANUP_ARGV struct argv form = ARGV_INIT;
	bool full;

	if (parse_bool(linked, "driver.proxmox.linked-clone", &full, err))
		return -1;
	full = !full;
	argv_push(&form, "newid");
	argv_pushf(&form, "%" PRId64, m->id);
	argv_pushv(&form, (const char *[]){ "name", label, "full",
				  full ? "1" : "0", NULL });
	argv_push(&form, "description");
	argv_pushf(&form, "VM '%s' of forge in %s",
		json_str(m->spec, "name", ""), json_str(m->spec, "owner", ""));
	if (full && storage)
		argv_pushv(&form,
			(const char *[]){ "storage", storage, NULL });
	return pve_task(m->pve, "POST", path, &form, err);
}

/* The id that is free may be taken before we use it. */
static int
make_clone(struct machine *m, struct err *err)
{
	CLEANUP_FREE char *label = label_of(m->spec);
	int64_t template;
	int try;

	if (template_id(m->spec, &template, err))
		return -1;
	for (try = 0; try < ID_TRIES; try++) {
		CLEANUP_JSON struct json *id = NULL;

		*err = ERR_INIT;
		if (pve_call(m->pve, "GET", "/cluster/nextid", NULL, &id, err))
			return -1;
		/* a string of digits, or a number: both were seen */
		m->id = id ? json_int(id, "", 0) : 0;
		if (!m->id && id &&
			parse_i64(json_str(id, "", ""), 100, INT64_MAX,
				"Proxmox's next id", &m->id, err))
			return -1;
		if (!clone_as(m, template, label, err))
			return 0;
		if (err->code != ERR_EXISTS)
			return -1;
	}
	return -1;
}

static int
start(struct machine *m, struct err *err)
{
	CLEANUP_FREE char *config = vm_path(m->node, m->id, "/config");
	CLEANUP_FREE char *path = vm_path(m->node, m->id, "/status/start");
	CLEANUP_ARGV struct argv form = ARGV_INIT;

	argv_push(&form, "cores");
	argv_pushf(&form, "%" PRId64, json_int(m->spec, "cpus", 1));
	argv_push(&form, "memory");
	argv_pushf(&form, "%" PRId64, json_int(m->spec, "memory_mb", 512));
	return pve_call(m->pve, "PUT", config, &form, NULL, err) ||
			pve_task(m->pve, "POST", path, NULL, err) ?
		-1 :
		0;
}

/* One that others can reach: not of the guest alone. */
static bool
reachable(const char *type, const char *a)
{
	if (!strcmp(type, "ipv4"))
		return strncmp(a, "127.", 4) != 0 &&
			strncmp(a, "169.254.", 8) != 0;
	return !strcmp(type, "ipv6") && strcmp(a, "::1") != 0 &&
		strncasecmp(a, "fe80:", 5) != 0;
}

/* IPv4 before IPv6: the first of either. */
static char *
first_address(const struct json *answer)
{
	CLEANUP_JSON struct json *nics = json_get(answer, "result");
	size_t n = nics ? json_len(nics, "") : 0, i, k;
	char *six = NULL;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *nic = json_at(nics, i);
		CLEANUP_JSON struct json *l = json_get(nic, "ip-addresses");

		for (k = 0; l && k < json_len(l, ""); k++) {
			CLEANUP_JSON struct json *a = json_at(l, k);
			const char *type = json_str(a, "ip-address-type", "");
			const char *s = json_str(a, "ip-address", "");

			if (!reachable(type, s) ||
				s[strspn(s, "0123456789abcdefABCDEF.:")])
				continue;
			if (!strcmp(type, "ipv4")) {
				free(six);
				return xstrdup(s);
			}
			if (!six)
				six = xstrdup(s);
		}
	}
	return six;
}

/* The agent in the guest does not answer until it runs. */
static int
find_address(struct machine *m, struct err *err)
{
	CLEANUP_FREE char *path = vm_path(m->node, m->id,
		"/agent/network-get-interfaces");

	for (;;) {
		CLEANUP_JSON struct json *answer = NULL;
		struct err none = ERR_INIT;

		if (!pve_call(m->pve, "GET", path, NULL, &answer, &none))
			m->address = answer ? first_address(answer) : NULL;
		else if (none.code == ERR_AUTH) {
			*err = none;
			return -1;
		}
		if (m->address)
			return 0;
		look_again();
	}
}

/*
 * The guest's key as the hypervisor sees it, so that nobody on the way can be
 * the guest.
 */
static int
know_host(struct machine *m, const char *port, int dir, struct err *err)
{
	CLEANUP_FREE char *path = vm_path(m->node, m->id,
		"/agent/file-read?file=" KEY_FILE);
	CLEANUP_JSON struct json *answer = NULL;
	CLEANUP_FREE char *line = NULL;
	const char *key;

	if (pve_call(m->pve, "GET", path, NULL, &answer, err))
		return err_wrap(err, "the guest's host key ("
			"driver.proxmox.host-key = accept-new goes without)");
	key = answer ? json_str(answer, "content", "") : "";
	if (strncmp(key, "ssh-ed25519 ", 12) != 0 ||
		strcspn(key, "\n") > 512)
		return err_set(err, ERR_INVALID,
			KEY_FILE " of the guest is no Ed25519 key");
	line = xasprintf("[%s]:%s %.*s\n", m->address, port,
		(int)strcspn(key, "\n"), key);
	/* Port 22 is looked up without brackets. */
	if (!strcmp(port, "22")) {
		free(line);
		line = xasprintf("%s %.*s\n", m->address,
			(int)strcspn(key, "\n"), key);
	}
	return fs_replace(dir, KNOWN_HOSTS, line, strlen(line), 0600, err);
}

/* Become what joins the channel to the guest: drivers/ssh-guest. */
static int
join(struct machine *m, const char *port, bool known, struct err *err)
{
	CLEANUP_FREE char *program = NULL;
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	const char *key = json_str(m->config, "key-file", NULL);

	if (find_helper("ssh-guest", &program, err))
		return -1;
	argv_push(&a, program);
	argv_pushf(&a, "%s/" KNOWN_HOSTS, json_str(m->spec, "dir", ""));
	argv_pushf(&a, "%s@%s", json_str(m->config, "user", "root"),
		m->address);
	argv_pushv(&a, (const char *[]){ "-p", port, NULL });
	if (key)
		argv_pushv(&a, (const char *[]){ "-i", key, "-o",
				      "IdentitiesOnly=yes", NULL });
	if (setenv("FORGE_HOST_KEY", known ? "yes" : "accept-new", 1))
		return err_sys(err, "setenv");
	(void)execv(program, a.v);
	return err_sys(err, "cannot execute '%s'", program);
}

static int
boot(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *config = json_get(spec, "config");
	CLEANUP_CLOSE int dir = -1;
	struct machine m = { .spec = spec, .config = config };
	const char *port, *how;
	bool known;

	m.node = json_str(config, "node", "");
	port = json_str(config, "ssh-port", "22");
	how = json_str(config, "host-key", "agent");
	known = !strcmp(how, "agent");
	if (!known && strcmp(how, "accept-new") != 0)
		return err_set(err, ERR_USAGE,
			"driver.proxmox.host-key: '%.40s' is neither agent "
			"nor accept-new", how);
	dir = open(json_str(spec, "dir", ""),
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, "the VM's directory");
	/* What is made from here on, destroy removes. */
	if (pve_open(config, &m.pve, err) || make_clone(&m, err) ||
		start(&m, err) || find_address(&m, err) ||
		fs_replace(dir, ADDRESS, m.address, strlen(m.address), 0600,
			err) ||
		(known && know_host(&m, port, dir, err)))
		return -1;
	pve_close(m.pve); /* the token is not for who comes next */
	return join(&m, port, known, err);
}

/* ---- what it is ---- */

/* What it would ask for, in order. */
static int
make_argv(const struct json *spec, struct argv *a, struct err *err)
{
	CLEANUP_FREE char *label = label_of(spec);
	const char *node = json_str(spec, "config.node", "NODE");
	int64_t template;

	if (template_id(spec, &template, err))
		return -1;
	argv_push(a, "GET /cluster/nextid");
	argv_pushf(a, "POST /nodes/%s/qemu/%" PRId64 "/clone name=%s", node,
		template, label);
	argv_pushf(a, "PUT /nodes/%s/qemu/ID/config cores=%" PRId64
		   " memory=%" PRId64, node, json_int(spec, "cpus", 1),
		json_int(spec, "memory_mb", 0));
	argv_pushf(a, "POST /nodes/%s/qemu/ID/status/start", node);
	argv_pushf(a, "GET /nodes/%s/qemu/ID/agent/network-get-interfaces",
		node);
	argv_pushf(a, "ssh %s@ADDRESS forge-init --guest 0,1",
		json_str(spec, "config.user", "root"));
	return 0;
}

static void
caps(struct json *o)
{
	json_put_bool(o, "machine", false);
	json_put_bool(o, "elsewhere", true);
	driver_put_words(o, "net", (const char *[]){ "driver", NULL });
}

int
main(int argc, char **argv)
{
	static const struct driver_verb verbs[] = { { "boot", boot },
		{ "stop", stop }, { "destroy", destroy },
		{ "address", address }, { "list", list }, { NULL, NULL } };
	static const struct driver_program program = {
		.name = "driver-proxmox", .caps = caps, .make_argv = make_argv,
		.program = "ssh", .package = "openssh-client", .verbs = verbs
	};

	return driver_main(&program, argc, argv);
}
