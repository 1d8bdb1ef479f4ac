/*
 * driver-firecracker: see lib/vm/driver.h for the contract.  Everything is in
 * the configuration file that it reads at its start; the API socket is for
 * stop, pause and resume.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/channel.h"
#include "lib/vm/driver_program.h"
#include "lib/vm/vsock.h"
#include "lib/base/banned.h"

#define PROGRAM "firecracker"
#define CONFIG "firecracker.json"
#define CPUS_MAX 32

static int
make_argv(const struct json *spec, struct argv *a, struct err *err)
{
	const char *net = json_str(spec, "net.mode", "none");
	int64_t cpus = json_int(spec, "cpus", 1);

	if (strcmp(net, "none") != 0)
		return err_set(err, ERR_USAGE, "net mode '%.40s' is not known",
			net);
	if (cpus > CPUS_MAX)
		return err_set(err, ERR_USAGE,
			PROGRAM " has at most %d processors, not %" PRId64,
			CPUS_MAX, cpus);
	argv_pushv(a, (const char *[]){ PROGRAM, "--api-sock", DRIVER_API,
			      "--config-file", CONFIG, NULL });
	return 0;
}

/* ---- the configuration ---- */

static void
put_boot(struct json *o, const struct json *spec)
{
	struct json *b = json_object();

	json_put_str(b, "kernel_image_path", json_str(spec, "kernel", ""));
	json_put_str(b, "initrd_path", json_str(spec, "initramfs", ""));
	/* It has no power-off: a guest ends by reboot, and a panic too. */
	json_put_str(b, "boot_args",
		"console=ttyS0 quiet reboot=k panic=-1 pci=off "
		"i8042.noaux i8042.nomux i8042.dumbkbd " CHANNEL_WORD
		"=vsock " CHANNEL_HALT_WORD "=reboot");
	json_put(o, "boot-source", b);
}

static void
put_drives(struct json *o, const char *root)
{
	struct json *list = json_array(), *d;

	if (root) {
		d = json_object();
		json_put_str(d, "drive_id", "root");
		json_put_str(d, "path_on_host", root);
		/* forge-init mounts it, not the kernel */
		json_put_bool(d, "is_root_device", false);
		json_put_bool(d, "is_read_only", true);
		json_push(list, d);
	}
	json_put(o, "drives", list);
}

static struct json *
config(const struct json *spec)
{
	struct json *o = json_object(), *part;

	put_boot(o, spec);
	put_drives(o, json_str(spec, "root", NULL));
	part = json_object();
	json_put_int(part, "vcpu_count", json_int(spec, "cpus", 1));
	json_put_int(part, "mem_size_mib", json_int(spec, "memory_mb", 512));
	json_put(o, "machine-config", part);
	part = json_object();
	json_put_int(part, "guest_cid", 3);
	json_put_str(part, "uds_path", VSOCK_FILE);
	json_put(o, "vsock", part);
	json_put(o, "entropy", json_object());
	/* Else it would write among the console's lines. */
	part = json_object();
	json_put_str(part, "log_path", "/dev/stderr");
	json_put_str(part, "level", "Error");
	json_put(o, "logger", part);
	return o;
}

static int
prepare(const struct json *spec, struct argv *a, struct err *err)
{
	CLEANUP_JSON struct json *o = config(spec);
	CLEANUP_FREE char *text = json_text(o);

	(void)a;
	return driver_enter(spec, err) || fs_replace(AT_FDCWD, CONFIG, text,
			strlen(text), 0600, err) ?
		-1 :
		0;
}

/* ---- the API ---- */

static int
stop(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	const char *mode = json_str(spec, "mode", "power-button");

	if (strcmp(mode, "power-button") != 0)
		return err_set(err, ERR_USAGE,
			"mode '%.40s' is not power-button, the only one of "
			PROGRAM,
			mode);
	/* Its only button: Linux reboots by it, which ends the process. */
	json_put_str(o, "action_type", "SendCtrlAltDel");
	return driver_api(spec, "PUT", "/actions", o, err);
}

static int
set_state(const struct json *spec, const char *state, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();

	json_put_str(o, "state", state);
	return driver_api(spec, "PATCH", "/vm", o, err);
}

static int
pause_vm(const struct json *spec, struct err *err)
{
	return set_state(spec, "Paused", err);
}

static int
resume_vm(const struct json *spec, struct err *err)
{
	return set_state(spec, "Resumed", err);
}

/* `plan` shows what the file would be. */
static int
show_config(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *o = config(spec);

	return driver_print(o, err);
}

static void
caps(struct json *o)
{
	json_put_bool(o, "machine", true);
	json_put_str(o, "root", "disk");
	json_put_str(o, "channel", "vsock");
	json_put_bool(o, "api", true);
	json_put_str(o, "halt", "reboot");
	driver_put_words(o, "net", (const char *[]){ "none", NULL });
	json_put_str(o, "address", "ours");
	json_put_str(o, "exec", "agent");
}

int
main(int argc, char **argv)
{
	static const struct driver_verb verbs[] = { { "config", show_config },
		{ "stop", stop }, { "pause", pause_vm },
		{ "resume", resume_vm }, { NULL, NULL } };
	static const struct driver_program p = { "driver-firecracker", caps,
		make_argv, prepare, driver_kvm, PROGRAM,
		"it from its project's releases", verbs, NULL };

	return driver_main(&p, argc, argv);
}
