#include "lib/vm/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/vm/channel.h"
#include "lib/base/banned.h"

#define ANSWER "cache/kvm"
#define ANSWER_MAX 1024

static const char kvm[] = "kvm", tcg[] = "tcg";

static int answer(struct accel *a, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int
answer(struct accel *a, const char *name, const char *fmt, ...)
{
	va_list ap;

	a->name = name;
	va_start(ap, fmt);
	(void)vsnprintf(a->reason, sizeof(a->reason), fmt, ap);
	va_end(ap);
	err_clean(a->reason);
	return 0;
}

/* 1 answered, 0 not. */
static int
by_config(struct state *st, struct accel *ret, struct err *err)
{
	struct config *config;
	const char *s;

	if (state_config(st, &config, err))
		return -1;
	s = config_str(config, "vm", NULL, "accel", NULL);
	if (!s || !strcmp(s, "auto"))
		return 0;
	if (strcmp(s, kvm) != 0 && strcmp(s, tcg) != 0)
		return err_set(err, ERR_INVALID,
			"vm.accel = %s: want kvm, tcg or auto", s);
	(void)answer(ret, strcmp(s, kvm) ? tcg : kvm, "%s",
		"the configuration says so (vm.accel)");
	return 1;
}

/* No device, or not for us: no boot is needed to know. */
static int
by_device(struct accel *ret)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		(void)close(fd);
		return 0;
	}
	(void)answer(ret, tcg, "/dev/kvm: %s", strerror(errno));
	return 1;
}

/* "BOOT-ID kvm REASON\n" of this very boot. */
static int
by_file(struct state *st, struct accel *ret)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err none = ERR_INIT;
	size_t n = strlen(boot_id());
	const char *name;

	if (fs_read(state_dir(st), ANSWER, ANSWER_MAX, &b, &none))
		return 0;
	buf_rtrim(&b);
	if (!n || b.len < n + 5 || memcmp(b.s, boot_id(), n) != 0 ||
		b.s[n] != ' ')
		return 0;
	name = !memcmp(b.s + n + 1, "kvm ", 4) ? kvm :
		!memcmp(b.s + n + 1, "tcg ", 4) ? tcg : NULL;
	if (!name)
		return 0;
	(void)answer(ret, name, "%s", b.s + n + 5);
	return 1;
}

static int
keep(struct state *st, const struct accel *a, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	buf_addf(&b, "%s %s %s\n", boot_id(), a->name, a->reason);
	if (fs_mkdirs(state_dir(st), "cache", 0700, err))
		return -1;
	return fs_replace(state_dir(st), ANSWER, b.s, b.len, 0600, err);
}

static void
guest_argv(struct argv *a, const char *kernel, const char *initramfs, int fd)
{
	static const char port[] =
		"virtserialport,chardev=c,name=" CHANNEL_PORT;
	static const char *const fixed[] = { "qemu-system-x86_64",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-no-reboot", "-accel", "kvm", "-cpu", "host", "-m", "256",
		"-M", "microvm,acpi=on", "-global",
		"virtio-mmio.force-legacy=false", "-append",
		"console=ttyS0 quiet reboot=t panic=-1", "-device",
		"virtio-serial-device", "-device", port, NULL };

	argv_pushv(a, fixed);
	argv_push(a, "-kernel");
	argv_push(a, kernel);
	argv_push(a, "-initrd");
	argv_push(a, initramfs);
	argv_push(a, "-chardev");
	argv_pushf(a, "socket,id=c,fd=%d", fd);
}

/* A frame of type HELLO begins with these bytes, see frame.h. */
static const unsigned char hello[] = { 0xf7, 0x66, 0x72, 0x67,
	CHANNEL_HELLO };

/* 1 it said hello, 0 it ended or the time did. */
static int
wait_hello(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	CLEANUP_BUF struct buf b = BUF_INIT;

	for (;;) {
		int rc = poll(&p, 1, clock_left(deadline));

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0 || buf_read_some(&b, fd, 65536) <= 0)
			return 0;
		if (memmem(b.s, b.len, hello, sizeof(hello)))
			return 1;
	}
}

static int
boot(const char *kernel, const char *initramfs, struct accel *ret,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int ours = -1, theirs = -1;
	int64_t start = clock_mono();
	struct child child = CHILD_INIT;
	struct proc_status status;
	char took[32];
	int pair[2], said;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return err_sys(err, "cannot make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	guest_argv(&p.argv, kernel, initramfs, theirs);
	p.in = p.out = p.err = PROC_NULL;
	p.pass[p.npass++] = theirs;
	p.parent_death = SIGKILL;
	if (proc_spawn(&p, &child, err))
		return err_wrap(err, "KVM cannot be tried");
	(void)close(steal_fd(&theirs)); /* so that its end is seen */
	said = wait_hello(ours, start + ACCEL_DEADLINE_MS);
	if (proc_stop(&child, 0, &status, err))
		return -1;
	child_close(&child);
	if (said)
		return answer(ret, kvm, "a guest booted under it in %s",
			format_duration(clock_mono() - start, took,
				sizeof(took)));
	return answer(ret, tcg, "/dev/kvm opens, but a stock kernel %s",
		clock_left(start + ACCEL_DEADLINE_MS) ?
			"ends at once under it" :
			"hangs under it");
}

int
accel_find(struct state *st, const char *kernel, const char *initramfs,
	struct accel *ret, struct err *err)
{
	CLEANUP_CLOSE int lock = -1;
	int rc = by_config(st, ret, err);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (by_device(ret) || by_file(st, ret))
		return 0;
	if (!kernel || !initramfs)
		return err_set(err, ERR_NOTFOUND,
			"nothing has been booted under KVM yet");
	/* One boot answers for all that ask at the same time. */
	if (state_lock(st, "accel", NULL, 0, 4 * ACCEL_DEADLINE_MS, &lock,
		err))
		return -1;
	if (by_file(st, ret))
		return 0;
	return boot(kernel, initramfs, ret, err) || keep(st, ret, err) ? -1 :
									 0;
}

int
accel_probe(struct state *st, const char *kernel, const char *initramfs,
	const char **ret, struct err *err)
{
	struct accel a = { 0 };

	if (accel_find(st, kernel, initramfs, &a, err))
		return -1;
	*ret = a.name;
	return 0;
}

int
accel_forget(struct state *st, struct err *err)
{
	if (unlinkat(state_dir(st), ANSWER, 0) && errno != ENOENT)
		return err_sys(err, "cannot remove '%s/" ANSWER "'",
			state_path(st));
	return 0;
}
