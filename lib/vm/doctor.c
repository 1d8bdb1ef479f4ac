#include "lib/vm/doctor.h"
#include "lib/vm/doctor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/accel.h"
#include "lib/vm/cgroup.h"
#include "lib/vm/image.h"
#include "lib/base/banned.h"

#define NEED_MEMORY ((int64_t)512 << 20) /* one small guest with QEMU */
#define NEED_DISK ((int64_t)512 << 20) /* an image and some logs */

void
doctor_tell(struct doctor *d, const char *check, enum need need,
	const char *status, const char *detail, const char *fix)
{
	struct json *row;

	if (d->stop)
		return;
	if (need == REQUIRED && strcmp(status, "ok") != 0)
		d->able = false;
	row = json_object();
	json_put_str(row, "check", check);
	json_put_str(row, "status", status);
	json_put_bool(row, "required", need == REQUIRED);
	json_put_str(row, "detail", detail);
	json_put_str(row, "fix", fix);
	d->stop = d->emit(row, d->arg);
}

static void
tell_ok(struct doctor *d, const char *check, enum need need,
	const char *detail)
{
	doctor_tell(d, check, need, "ok", detail, NULL);
}

/* A program in PATH, with the package that has it. */
static void
check_tool(struct doctor *d, const char *name, enum need need,
	const char *why, const char *package)
{
	CLEANUP_FREE char *path = fs_which(name);
	CLEANUP_FREE char *fix = xasprintf("apt-get install %s", package);

	if (path)
		tell_ok(d, name, need, path);
	else
		doctor_tell(d, name, need, "missing", why, fix);
}

static void
check_qemu(struct doctor *d)
{
	static const char name[] = "qemu-system-x86_64";
	enum need need = strcmp(d->driver, "qemu") ? OPTIONAL : REQUIRED;
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	argv_push(&p.argv, name);
	argv_push(&p.argv, "--version");
	if (!proc_run(&p, NULL, &out, 65536, 10000, &err)) {
		buf_setlen(&out, strcspn(out.s, "\n"));
		err_clean(out.s);
		tell_ok(d, name, need, out.s);
	} else {
		doctor_tell(d, name, need,
			err.code == ERR_NOTFOUND ? "missing" : "failed",
			err.msg, "apt-get install qemu-system-x86");
	}
}

static void
check_passt(struct doctor *d)
{
	CLEANUP_FREE char *path = fs_which("passt");

	if (path)
		tell_ok(d, "passt", OPTIONAL, path);
	else
		doctor_tell(d, "passt", OPTIONAL, "missing",
			"VMs can only be started with --net none",
			"apt-get install passt");
}

static void
check_helper(struct doctor *d, const char *name)
{
	CLEANUP_FREE char *path = NULL;
	struct err err = ERR_INIT;

	if (find_helper(name, &path, &err))
		doctor_tell(d, name, REQUIRED, "missing", err.msg,
			"install forge again, or set $FORGE_LIBEXEC");
	else
		tell_ok(d, name, REQUIRED, path);
}

/* A device that must open for reading and writing. */
static void
check_device(struct doctor *d, const char *check, const char *path,
	const char *missing, const char *denied)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	CLEANUP_FREE char *why = xasprintf("%s: %s", path, strerror(errno));

	if (fd >= 0) {
		(void)close(fd);
		tell_ok(d, check, OPTIONAL, path);
	} else if (errno == EACCES || errno == EPERM) {
		doctor_tell(d, check, OPTIONAL, "failed", why, denied);
	} else {
		doctor_tell(d, check, OPTIONAL, "missing", why, missing);
	}
}

/* Keeps the first name of one that has a kernel. */
static int
first_image(struct json *row, void *arg)
{
	char **name = arg;

	if (!*name && !strcmp(json_str(row, "state", ""), "ready") &&
		strcmp(json_str(row, "base", ""), "template") != 0)
		*name = xstrdup(json_str(row, "name", ""));
	json_free(row);
	return 0;
}

static int
find_accel(struct doctor *d, bool fresh, struct accel *ret, struct err *err)
{
	CLEANUP_IMAGE struct image im = IMAGE_INIT;
	CLEANUP_FREE char *name = NULL;

	if (image_each(d->st, first_image, &name, err) ||
		(name && image_open(d->st, name, &im, err)))
		return -1;
	if (name && fresh && accel_forget(d->st, err))
		return -1;
	return accel_find(d->st, im.kernel, im.initramfs, ret, err);
}

static void
check_kvm_boot(struct doctor *d, bool fresh)
{
	static const char check[] = "kvm-boot";
	struct err err = ERR_INIT;
	struct accel a = { 0 };

	if (!d->st)
		return; /* told already */
	if (find_accel(d, fresh, &a, &err))
		doctor_tell(d, check, OPTIONAL,
			err.code == ERR_NOTFOUND ? "missing" : "failed",
			err.msg, "forge-vm image build busybox, then again");
	else if (!strcmp(a.name, "kvm"))
		tell_ok(d, check, OPTIONAL, a.reason);
	else {
		d->no_kvm = xstrdup(a.reason);
		doctor_tell(d, check, OPTIONAL, "failed", a.reason,
			"VMs run emulated (TCG), several times slower: use a "
			"host where KVM works");
	}
}

static void
check_images(struct doctor *d)
{
	CLEANUP_FREE char *name = NULL;
	struct err err = ERR_INIT;

	if (!d->st)
		return;
	if (image_each(d->st, first_image, &name, &err))
		doctor_tell(d, "image", OPTIONAL, "failed", err.msg,
			"forge-vm fsck");
	else if (name)
		tell_ok(d, "image", OPTIONAL, name);
	else
		doctor_tell(d, "image", OPTIONAL, "missing", "there is none yet",
			"forge-vm image build busybox");
}

static void
check_state(struct doctor *d)
{
	struct err err = ERR_INIT;
	int64_t version;
	struct db *db;
	char text[64];

	if (state_open(&d->st, &err)) {
		d->st = NULL;
		doctor_tell(d, "state", REQUIRED, "failed", err.msg,
			"give -C DIR, or set $FORGE_STATE");
		return;
	}
	tell_ok(d, "state", REQUIRED, state_path(d->st));
	if (state_db(d->st, &db, &err) ||
		db_get_int(db, &version, "PRAGMA user_version", &err)) {
		doctor_tell(d, "database", REQUIRED, "failed", err.msg,
			"restore forge.db, or move it away to begin anew");
		return;
	}
	(void)snprintf(text, sizeof(text), "schema %lld", (long long)version);
	tell_ok(d, "database", REQUIRED, text);
}

static void
check_config(struct doctor *d)
{
	CLEANUP_ARGV struct argv lines = ARGV_INIT;
	struct err err = ERR_INIT;
	struct config *config;
	size_t i;

	if (!d->st)
		return;
	if (state_config(d->st, &config, &err) ||
		config_check(config, &lines, &err)) {
		doctor_tell(d, "config", REQUIRED, "failed", err.msg,
			"mend it: see forge-config(5)");
		return;
	}
	free(d->driver);
	d->driver = xstrdup(config_str(config, "vm", NULL, "driver", "qemu"));
	for (i = 0; i < lines.n; i++)
		doctor_tell(d, "config", OPTIONAL, "failed", lines.v[i],
			"mend it: see forge-config(5)");
	if (!lines.n)
		tell_ok(d, "config", OPTIONAL, NULL);
}

static int64_t
memory_available(void)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	const char *p;

	if (fs_read(AT_FDCWD, "/proc/meminfo", 65536, &b, &err))
		return 0;
	p = strstr(b.s, "MemAvailable:");
	return p ? (int64_t)strtoll(p + 13, NULL, 10) * 1024 : 0;
}

static void
check_amount(struct doctor *d, const char *check, int64_t have, int64_t need,
	const char *fix)
{
	char a[16], b[16];
	CLEANUP_FREE char *detail = xasprintf("%s free",
		format_size(have, a, sizeof(a)));
	CLEANUP_FREE char *less = xasprintf("%s free, %s needed",
		format_size(have, a, sizeof(a)),
		format_size(need, b, sizeof(b)));

	if (have >= need)
		tell_ok(d, check, REQUIRED, detail);
	else
		doctor_tell(d, check, REQUIRED, "failed", less, fix);
}

static void
check_disk(struct doctor *d)
{
	struct statvfs v;

	if (d->st && !fstatvfs(state_dir(d->st), &v))
		check_amount(d, "disk",
			(int64_t)(v.f_bavail * v.f_frsize), NEED_DISK,
			"make room below the state directory");
}

static void
check_cgroup(struct doctor *d)
{
	static const char *const names[CGROUP__MAX] = { "memory", "cpu", "",
		"pids", "io", "" };
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct cgroup_host h;
	int i;

	cgroup_host_find(&h);
	if (!h.n) {
		doctor_tell(d, "cgroup", OPTIONAL, "missing", h.why,
			geteuid() ? "systemd-run --user --scope COMMAND" :
				    "mount -t cgroup2 none /sys/fs/cgroup");
		return;
	}
	buf_addf(&b, "%s, limits:", h.version);
	for (i = 0; i < CGROUP__MAX; i++)
		if (*names[i] && h.controllers & 1u << i)
			buf_addf(&b, " %s", names[i]);
	tell_ok(d, "cgroup", OPTIONAL, b.s);
}

static void
check_userns(struct doctor *d)
{
	static const char *const try[] = { "unshare", "-Ur", "true", NULL };
	CLEANUP_PROC struct proc p = PROC_INIT;
	struct err err = ERR_INIT;

	argv_pushv(&p.argv, try);
	if (!proc_run(&p, NULL, NULL, 0, 10000, &err))
		tell_ok(d, "user-namespaces", OPTIONAL, NULL);
	else
		doctor_tell(d, "user-namespaces", OPTIONAL, "failed", err.msg,
			"sysctl user.max_user_namespaces=10000 "
			"kernel.unprivileged_userns_clone=1");
}

static void
check_busybox(struct doctor *d)
{
	check_tool(d, "busybox", OPTIONAL, "image build --base busybox needs it",
		"busybox-static");
}

int
doctor_run(bool fresh, int (*emit)(struct json *row, void *arg), void *arg,
	bool *ret_able, struct err *err)
{
	struct doctor d = { .emit = emit, .arg = arg, .able = true,
		.driver = xstrdup("qemu") };

	(void)err; /* every failure here is an answer */
	check_state(&d);
	check_config(&d);
	check_qemu(&d);
	check_passt(&d);
	check_helper(&d, "forge-init");
	check_device(&d, "kvm", "/dev/kvm",
		"switch virtualisation on (firmware, or nested in the host)",
		"adduser $USER kvm, then log in again");
	check_kvm_boot(&d, fresh);
	doctor_drivers(&d);
	check_images(&d);
	check_tool(&d, "mkfs.erofs", OPTIONAL, "image build needs it",
		"erofs-utils");
	check_busybox(&d);
	check_tool(&d, "mmdebstrap", OPTIONAL,
		"image build --base debian needs it", "mmdebstrap");
	check_tool(&d, "apt-get", OPTIONAL,
		"image build fetches Debian's kernel by it (or --kernel)",
		"apt");
	check_amount(&d, "memory", memory_available(), NEED_MEMORY,
		"end other programs, or add memory");
	check_disk(&d);
	check_cgroup(&d);
	check_userns(&d);
	check_device(&d, "tun", "/dev/net/tun",
		"modprobe tun (for --net tap)",
		"run as root (for --net tap)");
	state_close(d.st);
	free(d.driver);
	free(d.no_kvm);
	*ret_able = d.able;
	return d.stop;
}
