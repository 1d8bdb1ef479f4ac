/*
 * driver-qemu: QEMU's microvm machine; see lib/vm/driver.h for the contract.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/vm/channel.h"
#include "lib/base/banned.h"

#define PROGRAM "qemu-system-x86_64"
#define SPEC_MAX 65536

static void
push_kernel(struct argv *a, const struct json *spec, bool tcg)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	int64_t khz = json_int(spec, "tsc_khz", 0);

	/* reboot=t and panic=-1: a guest that dies ends the process */
	buf_adds(&b, "console=ttyS0 quiet reboot=t panic=-1");
	if (tcg) {
		/* What costs boot time and proves nothing in emulation. */
		buf_adds(&b, " cryptomgr.notests mitigations=off");
		if (json_int(spec, "cpus", 1) == 1)
			buf_adds(&b, " noreplace-smp");
		if (khz)
			buf_addf(&b, " tsc_early_khz=%" PRId64 " tsc=reliable",
				khz);
	}
	argv_push(a, "-kernel");
	argv_push(a, json_str(spec, "kernel", ""));
	argv_push(a, "-initrd");
	argv_push(a, json_str(spec, "initramfs", ""));
	argv_push(a, "-append");
	argv_push(a, b.s);
}

static void
push_machine(struct argv *a, const struct json *spec, bool tcg)
{
	argv_pushv(a, (const char *[]){ "-nodefaults", "-no-user-config",
			      "-display", "none", "-no-reboot", NULL });
	/* acpi=on: Debian's kernel finds virtio-mmio only in the DSDT */
	argv_pushv(a, (const char *[]){ "-M", "microvm,acpi=on",
			      "-global", "virtio-mmio.force-legacy=false",
			      NULL });
	if (tcg)
		/* rdrand: or the first getrandom blocks for a second */
		argv_pushv(a, (const char *[]){ "-accel", "tcg,tb-size=64",
				      "-cpu",
				      "qemu64,+rdrand,+ssse3,+sse4.1,"
				      "+sse4.2,+popcnt",
				      NULL });
	else
		argv_pushv(a, (const char *[]){ "-accel", "kvm", "-cpu",
				      "host", NULL });
	argv_push(a, "-smp");
	argv_pushf(a, "%" PRId64, json_int(spec, "cpus", 1));
	argv_push(a, "-m");
	argv_pushf(a, "%" PRId64, json_int(spec, "memory_mb", 512));
	argv_pushv(a, (const char *[]){ "-sandbox",
			      "on,obsolete=deny,elevateprivileges=deny,"
			      "spawn=deny,resourcecontrol=deny",
			      NULL });
}

/* A comma in a value of -drive or -chardev is written twice. */
static void
add_escaped(struct buf *b, const char *s)
{
	for (; *s; s++) {
		buf_addc(b, *s);
		if (*s == ',')
			buf_addc(b, ',');
	}
}

static void
push_devices(struct argv *a, const struct json *spec)
{
	const char *root = json_str(spec, "root", NULL);

	argv_push(a, "-chardev");
	argv_pushf(a, "socket,id=channel,fd=%" PRId64,
		json_int(spec, "fds.channel", -1));
	argv_pushv(a, (const char *[]){ "-device", "virtio-serial-device",
			      "-device",
			      "virtserialport,chardev=channel,"
			      "name=" CHANNEL_PORT,
			      NULL });
	argv_push(a, "-chardev");
	argv_pushf(a, "socket,id=console,fd=%" PRId64,
		json_int(spec, "fds.console", -1));
	argv_pushv(a, (const char *[]){ "-serial", "chardev:console", NULL });
	argv_pushv(a, (const char *[]){ "-device", "virtio-rng-device", NULL });
	if (root) {
		CLEANUP_BUF struct buf b = BUF_INIT;

		buf_adds(&b, "if=none,id=root,format=raw,readonly=on,file=");
		add_escaped(&b, root);
		argv_push(a, "-drive");
		argv_push(a, b.s);
		argv_pushv(a, (const char *[]){ "-device",
				      "virtio-blk-device,drive=root", NULL });
	}
}

static int
push_net(struct argv *a, const struct json *spec, struct err *err)
{
	const char *mode = json_str(spec, "net.mode", "none");

	if (!strcmp(mode, "none"))
		return 0;
	if (strcmp(mode, "user") != 0)
		return err_set(err, ERR_USAGE, "net mode '%s' is not known",
			mode);
	argv_push(a, "-netdev");
	argv_pushf(a, "user,id=net0,ipv6=off,net=%s/%" PRId64
		      ",host=%s,dns=%s",
		json_str(spec, "net.network", ""),
		json_int(spec, "net.prefix", 0),
		json_str(spec, "net.gateway", ""),
		json_str(spec, "net.dns", ""));
	argv_push(a, "-device");
	argv_pushf(a, "virtio-net-device,netdev=net0,mac=%s",
		json_str(spec, "net.mac", ""));
	return 0;
}

static int
make_argv(const struct json *spec, struct argv *a, struct err *err)
{
	bool tcg = strcmp(json_str(spec, "accel", "tcg"), "kvm") != 0;

	argv_push(a, PROGRAM);
	argv_push(a, "-name");
	argv_pushf(a, "forge-%s,process=forge-%s", json_str(spec, "name", ""),
		json_str(spec, "name", ""));
	push_machine(a, spec, tcg);
	push_kernel(a, spec, tcg);
	push_devices(a, spec);
	return push_net(a, spec, err);
}

static int
read_spec(struct json **ret, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (buf_read_fd(&b, STDIN_FILENO, SPEC_MAX, "the spec", err))
		return -1;
	return json_parse(b.s, b.len, ret, err);
}

static int
caps(void)
{
	CLEANUP_JSON struct json *o = json_object();
	struct json *verbs = json_array(), *net = json_array();
	CLEANUP_FREE char *path = fs_which(PROGRAM);
	CLEANUP_FREE char *text = NULL;

	json_put_str(o, "driver", "qemu");
	json_put_str(o, "program", path);
	json_put_bool(o, "usable", path != NULL);
	json_push_str(verbs, "caps");
	json_push_str(verbs, "argv");
	json_push_str(verbs, "boot");
	json_put(o, "verbs", verbs);
	json_push_str(net, "none");
	json_push_str(net, "user");
	json_put(o, "net", net);
	json_put_str(o, "address", "ours");
	json_put_str(o, "exec", "agent");
	text = json_text(o);
	return puts(text) < 0;
}

static int
print_argv(const struct argv *a)
{
	CLEANUP_JSON struct json *list = json_array();
	CLEANUP_FREE char *text = NULL;
	size_t i;

	for (i = 0; i < a->n; i++)
		json_push_str(list, a->v[i]);
	text = json_text(list);
	return puts(text) < 0;
}

static int
become(const struct argv *a, struct err *err)
{
	CLEANUP_FREE char *path = fs_which(PROGRAM);

	if (!path)
		return err_set(err, ERR_NOTFOUND,
			"no " PROGRAM " in PATH: install qemu-system-x86");
	(void)execv(path, a->v);
	return err_sys(err, "cannot execute '%s'", path);
}

static int
run(const char *verb, struct err *err)
{
	CLEANUP_JSON struct json *spec = NULL;
	CLEANUP_ARGV struct argv a = ARGV_INIT;

	if (!strcmp(verb, "caps"))
		return caps();
	if (strcmp(verb, "argv") != 0 && strcmp(verb, "boot") != 0)
		return err_set(err, ERR_USAGE,
			"verb '%s' is not one of caps, argv, boot", verb);
	if (read_spec(&spec, err) || make_argv(spec, &a, err))
		return -1;
	return !strcmp(verb, "argv") ? print_argv(&a) : become(&a, err);
}

int
main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	main_init("driver-qemu");
	if (argc != 2)
		(void)err_set(&err, ERR_USAGE,
			"one verb is needed: caps, argv or boot");
	else if (!run(argv[1], &err))
		return 0;
	return err_print(&err);
}
