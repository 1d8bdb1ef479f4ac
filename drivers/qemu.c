/*
 * driver-qemu: QEMU's microvm machine; see lib/vm/driver.h for the contract.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/vm/channel.h"
#include "lib/vm/driver_program.h"
#include "lib/base/banned.h"

#define PROGRAM "qemu-system-x86_64"

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
	argv_push(a, "-M");
	argv_pushf(a, "microvm,acpi=on%s",
		json_has(spec, "memory") ? ",memory-backend=memory" : "");
	argv_pushv(a, (const char *[]){ "-global",
			      "virtio-mmio.force-legacy=false", NULL });
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

/* A file of ours: what the state of a machine is without it is small. */
static void
push_memory(struct argv *a, const struct json *spec)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (!json_has(spec, "memory"))
		return;
	buf_addf(&b, "memory-backend-file,id=memory,size=%" PRId64
		"M,share=%s,mem-path=", json_int(spec, "memory_mb", 512),
		json_bool(spec, "memory.share", true) ? "on" : "off");
	add_escaped(&b, json_str(spec, "memory.path", ""));
	argv_push(a, "-object");
	argv_push(a, b.s);
	if (json_bool(spec, "memory.incoming", false))
		argv_pushv(a, (const char *[]){ "-incoming", "defer", NULL });
}

static void
push_disk(struct argv *a, const char *id, const char *path,
	const char *format, bool readonly)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	buf_addf(&b, "if=none,id=%s,format=%s,%sfile=", id,
		strcmp(format, "qcow2") ? "raw" : "qcow2",
		readonly ? "readonly=on," : "discard=unmap,");
	add_escaped(&b, path);
	argv_push(a, "-drive");
	argv_push(a, b.s);
	argv_push(a, "-device");
	argv_pushf(a, "virtio-blk-device,drive=%s", id);
}

/* The root is before them: /dev/vdb and so on. */
static void
push_disks(struct argv *a, const struct json *spec)
{
	CLEANUP_JSON struct json *list = json_get(spec, "disks");
	size_t i, n = list ? json_len(list, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *d = json_at(list, i);
		CLEANUP_FREE char *id = xasprintf("disk%zu", i);

		if (d)
			push_disk(a, id, json_str(d, "path", ""),
				json_str(d, "format", "raw"),
				json_bool(d, "readonly", false));
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
	if (root)
		push_disk(a, "root", root, "raw", true);
	push_disks(a, spec);
}

static void
push_card(struct argv *a, const struct json *spec)
{
	argv_push(a, "-device");
	argv_pushf(a, "virtio-net-device,netdev=net0,mac=%s",
		json_str(spec, "net.mac", ""));
}

/* Packets pass by QEMU where the kernel can do it, which needs KVM. */
static void
push_tap(struct argv *a, const struct json *spec)
{
	bool vhost = !strcmp(json_str(spec, "accel", "tcg"), "kvm") &&
		!access("/dev/vhost-net", R_OK | W_OK);

	argv_push(a, "-netdev");
	argv_pushf(a, "tap,id=net0,fd=%" PRId64 "%s",
		json_int(spec, "fds.net", -1), vhost ? ",vhost=on" : "");
	push_card(a, spec);
}

/* What the supervisor pauses and saves the machine by. */
static void
push_monitor(struct argv *a, const struct json *spec)
{
	int64_t fd = json_int(spec, "fds.monitor", -1);

	if (fd < 0)
		return;
	argv_push(a, "-chardev");
	argv_pushf(a, "socket,id=monitor,fd=%" PRId64, fd);
	argv_pushv(a, (const char *[]){ "-mon", "chardev=monitor,mode=control",
			      NULL });
}

static int
push_net(struct argv *a, const struct json *spec, struct err *err)
{
	const char *mode = json_str(spec, "net.mode", "none");

	if (!strcmp(mode, "none"))
		return 0;
	if (!strcmp(mode, "tap")) {
		push_tap(a, spec);
		return 0;
	}
	if (strcmp(mode, "user") != 0 && strcmp(mode, "user+loopback") != 0)
		return err_set(err, ERR_USAGE, "net mode '%s' is not known",
			mode);
	/* The other end is passt(1), or nothing of it is different. */
	argv_push(a, "-netdev");
	argv_pushf(a, "stream,id=net0,server=off,addr.type=fd,addr.str=%"
		PRId64, json_int(spec, "fds.net", -1));
	push_card(a, spec);
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
	if (!json_bool(spec, "memory.incoming", false))
		push_kernel(a, spec, tcg); /* else it is in the memory */
	push_memory(a, spec);
	push_devices(a, spec);
	push_monitor(a, spec);
	return push_net(a, spec, err);
}

static void
caps(struct json *o)
{
	json_put_bool(o, "machine", true);
	json_put_str(o, "root", "disk");
	json_put_bool(o, "disks", true);
	driver_put_words(o, "net", (const char *[]){ "user", "user+loopback",
					   "tap", "none", NULL });
	json_put_str(o, "address", "ours");
	json_put_str(o, "exec", "agent");
	json_put_str(o, "monitor", "qmp");
}

int
main(int argc, char **argv)
{
	static const struct driver_program p = { "driver-qemu", caps,
		make_argv, NULL, NULL, PROGRAM, "qemu-system-x86", NULL,
		NULL };

	return driver_main(&p, argc, argv);
}
