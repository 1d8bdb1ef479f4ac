/*
 * driver-cloud-hypervisor: see lib/vm/driver.h for the contract.  Everything
 * is on the command line; the API socket is for stop, pause and resume.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/cloud-hypervisor/events.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/channel.h"
#include "lib/vm/driver_program.h"
#include "lib/vm/vsock.h"
#include "lib/base/banned.h"

#define PROGRAM "cloud-hypervisor"

/* As a number for `argv`, which makes no pipe; boot puts the real one. */
static int fd_events = 5;

/* <linux/landlock.h>: ask for the version, 1 or more */
static bool
landlock(void)
{
	return syscall(444, NULL, 0, 1u) >= 1;
}

/* Its options are lists with commas and quotes of their own. */
static int
push_disk(struct argv *a, const char *path, struct err *err)
{
	if (strpbrk(path, ",\"[]"))
		return err_set(err, ERR_INVALID,
			"'%s': " PROGRAM " can have none of ,\"[] in a path",
			path);
	argv_push(a, "--disk");
	argv_pushf(a, "path=%s,readonly=on,image_type=raw,id=root", path);
	return 0;
}

static int
make_argv(const struct json *spec, struct argv *a, struct err *err)
{
	const char *net = json_str(spec, "net.mode", "none");
	const char *root = json_str(spec, "root", NULL);
	int64_t cpus = json_int(spec, "cpus", 1);

	bool tap = !strcmp(net, "tap");

	if (!tap && strcmp(net, "none") != 0)
		return err_set(err, ERR_USAGE, "net mode '%.40s' is not known",
			net);
	argv_pushv(a, (const char *[]){ PROGRAM, "--api-socket",
			      "path=" DRIVER_API, "--event-monitor", NULL });
	argv_pushf(a, "fd=%d", fd_events);
	argv_push(a, "--cpus");
	argv_pushf(a, "boot=%" PRId64 ",max=%" PRId64, cpus, cpus);
	argv_push(a, "--memory");
	argv_pushf(a, "size=%" PRId64 "M", json_int(spec, "memory_mb", 512));
	argv_push(a, "--kernel");
	argv_push(a, json_str(spec, "kernel", ""));
	argv_push(a, "--initramfs");
	argv_push(a, json_str(spec, "initramfs", ""));
	/* panic=-1: a reset, which the events tell of; a panic may not be */
	argv_pushv(a, (const char *[]){ "--cmdline",
			      "console=ttyS0 quiet panic=-1 " CHANNEL_WORD
			      "=vsock",
			      NULL });
	if (root && push_disk(a, root, err))
		return -1;
	if (tap) {
		argv_push(a, "--net");
		argv_pushf(a, "fd=[%" PRId64 "],mac=%s,id=net0",
			json_int(spec, "fds.net", -1),
			json_str(spec, "net.mac", ""));
	}
	argv_pushv(a, (const char *[]){ "--vsock", "cid=3,socket=" VSOCK_FILE,
			      "--rng", "src=/dev/urandom", "--serial", "tty",
			      "--console", "off", "--pvpanic", "--seccomp",
			      "true", NULL });
	/* Files given by option are allowed by themselves, sockets are not */
	if (landlock())
		argv_pushv(a, (const char *[]){ "--landlock",
				      "--landlock-rules", "path=.,access=rw",
				      NULL });
	return 0;
}

static int
prepare(const struct json *spec, struct argv *a, struct err *err)
{
	if (driver_enter(spec, err) || events_watch(&fd_events, err))
		return -1;
	argv_release(a);
	*a = ARGV_INIT;
	return make_argv(spec, a, err);
}

/* ---- the API ---- */

static int
put(const struct json *spec, const char *method, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("/api/v1/%s", method);

	return driver_api(spec, "PUT", path, NULL, err);
}

static int
stop(const struct json *spec, struct err *err)
{
	const char *mode = json_str(spec, "mode", "power-button");

	if (!strcmp(mode, "power-button"))
		return put(spec, "vm.power-button", err);
	if (!strcmp(mode, "shutdown"))
		return put(spec, "vm.shutdown", err);
	if (!strcmp(mode, "vmm"))
		return put(spec, "vmm.shutdown", err);
	return err_set(err, ERR_USAGE,
		"mode '%.40s' is none of power-button, shutdown, vmm", mode);
}

static int
pause_vm(const struct json *spec, struct err *err)
{
	return put(spec, "vm.pause", err);
}

static int
resume_vm(const struct json *spec, struct err *err)
{
	return put(spec, "vm.resume", err);
}

static void
caps(struct json *o)
{
	json_put_bool(o, "machine", true);
	json_put_str(o, "root", "disk");
	json_put_str(o, "channel", "vsock");
	json_put_bool(o, "api", true);
	json_put_str(o, "halt", "poweroff");
	driver_put_words(o, "net", (const char *[]){ "none", "tap", NULL });
	json_put_str(o, "address", "ours");
	json_put_str(o, "exec", "agent");
}

int
main(int argc, char **argv)
{
	static const struct driver_verb verbs[] = { { "stop", stop },
		{ "pause", pause_vm }, { "resume", resume_vm },
		{ NULL, NULL } };
	static const struct driver_program p = { "driver-cloud-hypervisor",
		caps, make_argv, prepare, driver_kvm, PROGRAM,
		"it from its project's releases", verbs, NULL };

	return driver_main(&p, argc, argv);
}
