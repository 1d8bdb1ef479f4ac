#include "lib/vm/driver.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/accel.h"
#include "lib/vm/image.h"
#include "lib/vm/lease.h"
#include "lib/vm/tsc.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define ANSWER_MAX (1u << 20)
#define ANSWER_TIMEOUT 10000 /* ms */

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
	if (!strcmp(vm->net, "none"))
		return o;
	put_address(o, "address", a->address);
	json_put_int(o, "prefix", s->prefix);
	put_address(o, "network", s->network);
	put_address(o, "gateway", subnet_gateway(s));
	put_address(o, "dns", subnet_dns(s));
	json_put_str(o, "mac", a->mac);
	return o;
}

int
driver_spec(struct state *st, const struct vm_spec *vm,
	const struct image *image, const struct vm_address *address,
	const struct subnet *subnet, int channel_fd, int console_fd,
	struct json **ret, struct err *err)
{
	struct json *o, *fds;
	const char *accel;
	int64_t khz = 0;

	if (accel_probe(st, image->kernel, image->initramfs, &accel, err))
		return -1;
	if (!strcmp(accel, "tcg") && tsc_khz(st, &khz, err))
		return -1;
	o = json_object();
	json_put_str(o, "name", vm->name);
	json_put_str(o, "kernel", image->kernel);
	json_put_str(o, "initramfs", image->initramfs);
	json_put_str(o, "root", image->root);
	json_put_str(o, "rootfs", image->rootfs);
	json_put_int(o, "cpus", vm->cpus);
	json_put_int(o, "memory_mb", vm->memory >> 20);
	json_put_str(o, "accel", accel);
	json_put_int(o, "tsc_khz", khz);
	json_put(o, "net", net_spec(vm, address, subnet));
	fds = json_object();
	json_put_int(fds, "channel", channel_fd);
	json_put_int(fds, "console", console_fd);
	json_put(o, "fds", fds);
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

int
driver_ask(const char *driver, const char *verb, const struct json *spec,
	struct json **ret, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT, out = BUF_INIT;

	if (prepare(&p, driver, verb, err))
		return -1;
	if (spec)
		json_write(spec, &in);
	if (proc_run(&p, &in, &out, ANSWER_MAX, ANSWER_TIMEOUT, err))
		return -1;
	return json_parse(out.s, out.len, ret, err);
}

/* A spec is a few hundred bytes: a pipe takes it whole. */
static int
send_spec(struct child *c, const struct json *spec, struct err *err)
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
driver_boot(const char *driver, const struct json *spec, struct child *ret,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (prepare(&p, driver, "boot", err))
		return -1;
	p.in = PROC_PIPE;
	p.out = PROC_NULL;
	p.err = PROC_PIPE;
	p.parent_death = SIGKILL;
	p.new_group = true; /* the terminal's ^C is for us to pass on */
	p.pass[p.npass++] = (int)json_int(spec, "fds.channel", -1);
	p.pass[p.npass++] = (int)json_int(spec, "fds.console", -1);
	if (proc_spawn(&p, ret, err))
		return -1;
	return send_spec(ret, spec, err);
}
