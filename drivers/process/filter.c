#include "drivers/process/process.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

static const int refused[] = {
	/* the kernel itself */
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot),
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(lookup_dcookie),
	SCMP_SYS(syslog), SCMP_SYS(acct), SCMP_SYS(quotactl),
	SCMP_SYS(quotactl_fd), SCMP_SYS(swapon), SCMP_SYS(swapoff),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex),
	SCMP_SYS(vhangup), SCMP_SYS(uselib), SCMP_SYS(ustat),
	SCMP_SYS(_sysctl), SCMP_SYS(sysfs), SCMP_SYS(nfsservctl),
	SCMP_SYS(fanotify_init),
	/* keyrings are no namespace's */
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
	/* mounts and other namespaces */
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(fsopen), SCMP_SYS(fspick), SCMP_SYS(fsconfig),
	SCMP_SYS(fsmount), SCMP_SYS(move_mount), SCMP_SYS(open_tree),
	SCMP_SYS(mount_setattr), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at),
	/* memory of the machine */
	SCMP_SYS(move_pages), SCMP_SYS(migrate_pages),
};

#define FAMILIES 64 /* more than any kernel has */

#define NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static int
add_calls(scmp_filter_ctx f)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		if (seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0))
			return -1;
	/* Its flags are in memory: libc falls back to clone. */
	return seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
		0);
}

/* An argument of 32 bits: those above them may be anything. */
static int
refuse(scmp_filter_ctx f, int error, int call, unsigned arg, unsigned mask,
	unsigned value)
{
	const struct scmp_arg_cmp cmp = { .arg = arg,
		.op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value };

	return seccomp_rule_add_array(f, SCMP_ACT_ERRNO((unsigned)error), call,
		1, &cmp);
}

static int
add_clone(scmp_filter_ctx f)
{
	unsigned flag;

	for (flag = 1; flag; flag <<= 1)
		if (flag & NAMESPACES &&
			refuse(f, EPERM, SCMP_SYS(clone), 0, flag, flag))
			return -1;
	return 0;
}

static int
add_sockets(scmp_filter_ctx f)
{
	unsigned family;

	for (family = 1; family < FAMILIES; family++) {
		if (family == AF_UNIX || family == AF_INET ||
			family == AF_INET6 || family == AF_NETLINK ||
			family == AF_PACKET)
			continue;
		if (refuse(f, EAFNOSUPPORT, SCMP_SYS(socket), 0, ~0u, family))
			return -1;
	}
	return 0;
}

static int
add_ioctls(scmp_filter_ctx f)
{
	return refuse(f, EPERM, SCMP_SYS(ioctl), 1, ~0u, TIOCSTI) ||
			refuse(f, EPERM, SCMP_SYS(ioctl), 1, ~0u, TIOCLINUX) ?
		-1 :
		0;
}

int
filter_fd(struct err *err)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	CLEANUP_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int rc;

	if (!f || fd < 0) {
		seccomp_release(f);
		return err_sys(err, "cannot make a system call filter");
	}
	/* Calls of another architecture's numbers do not exist. */
	rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH,
		     SCMP_ACT_ERRNO(ENOSYS)) ||
		add_calls(f) || add_clone(f) || add_sockets(f) ||
		add_ioctls(f) || seccomp_export_bpf(f, fd) ||
		lseek(fd, 0, SEEK_SET);
	seccomp_release(f);
	return rc ? err_set(err, ERR_SYS, "cannot make a system call filter") :
		    steal_fd(&fd);
}
