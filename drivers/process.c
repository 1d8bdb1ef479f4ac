/*
 * driver-process: no hypervisor; the image's root in namespaces of its own,
 * by bubblewrap.  See lib/vm/driver.h for the contract, process/process.h for
 * the steps.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/process/process.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/driver_program.h"
#include "lib/base/banned.h"

#define INIT "/run/" STAGE_INIT

/* As numbers for `argv`, which opens nothing; boot puts the real ones. */
static int fd_init = -1, fd_filter = 5;

static int64_t
memory(const struct json *spec)
{
	return json_int(spec, "memory_mb", 512) << 20;
}

static void
push_capabilities(struct argv *a)
{
	/* Of root in its own files and processes; nothing of the machine. */
	static const char *const some[] = { "CAP_CHOWN", "CAP_DAC_OVERRIDE",
		"CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP",
		"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT" };
	size_t i;

	argv_push(a, "--cap-drop");
	argv_push(a, "ALL");
	for (i = 0; i < ARRAY_SIZE(some); i++) {
		argv_push(a, "--cap-add");
		argv_push(a, some[i]);
	}
}

static int
make_argv(const struct json *spec, struct argv *a, struct err *err)
{
	const char *net = json_str(spec, "net.mode", "none");
	bool alone = !strcmp(net, "none");

	if (!alone && strcmp(net, "user") != 0 &&
		strcmp(net, "user+loopback") != 0)
		return err_set(err, ERR_USAGE, "net mode '%.40s' is not known",
			net);
	if (!json_has(spec, "tree.path"))
		return err_set(err, ERR_USAGE, "the spec has no tree.path");
	argv_push(a, "bwrap");
	if (alone)
		argv_push(a, "--unshare-net");
	argv_pushv(a, (const char *[]){ "--unshare-pid", "--unshare-ipc",
			      "--unshare-uts", "--unshare-cgroup-try",
			      "--die-with-parent", "--new-session",
			      "--as-pid-1", "--clearenv", "--hostname", NULL });
	argv_push(a, json_str(spec, "name", ""));
	/* One mount, with all that is in it, as bwrap reads the table of all
	 * mounts after each: "dev" so that devices stay what they are. */
	argv_pushv(a, (const char *[]){ "--dev-bind", STAGE "/root", "/",
			      "--proc", "/proc", NULL });
	push_capabilities(a);
	argv_push(a, "--seccomp");
	argv_pushf(a, "%d", fd_filter);
	argv_pushv(a, (const char *[]){ "--", INIT, "--place", NULL });
	argv_pushf(a, "%" PRId64, json_int(spec, "fds.channel", -1));
	return 0;
}

static int
open_init(struct err *err)
{
	CLEANUP_FREE char *path = NULL;
	int fd;

	if (find_helper("forge-init", &path, err))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "cannot open '%s'", path) : fd;
}

/* What a machine would send to its serial line is PID 1's output. */
static int
set_standard(const struct json *spec, struct err *err)
{
	int console = (int)json_int(spec, "fds.console", -1);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(console, STDOUT_FILENO) < 0)
		return err_sys(err, "no console");
	(void)close(null); /* read only */
	(void)close(console); /* a copy */
	return 0;
}

/* Who may use /dev/net/tun is a question of the host's users. */
static int
enter(const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *net = json_get(spec, "net");
	uint32_t base = (uint32_t)json_int(spec, "tree.id_base", 0);
	int frames = (int)json_int(spec, "fds.net", -1);

	if (frames < 0)
		return userns_enter(base, err);
	if (base ? net_enter(net, frames, err) || userns_enter(base, err) :
		   userns_enter(base, err) || net_enter(net, frames, err))
		return -1;
	(void)close(frames); /* the relay has it */
	return 0;
}

static int
begin(struct err *err)
{
	fd_init = open_init(err);
	fd_filter = fd_init < 0 ? -1 : filter_fd(err);
	return fd_filter < 0 ? -1 : 0;
}

static int
prepare(const struct json *spec, struct argv *a, struct err *err)
{
	const char *tree = json_str(spec, "tree.path", "");

	if (fd_cloexec(fd_filter, false))
		return err_sys(err, "cannot hand fds on");
	if (chdir(tree))
		return err_sys(err, "cannot enter '%s'", tree);
	if (set_standard(spec, err) || enter(spec, err) ||
		stage_mount(memory(spec), err) || stage_fill(fd_init, err))
		return -1;
	argv_release(a);
	*a = ARGV_INIT;
	return make_argv(spec, a, err);
}

/* In a process of its own, since there is no way back. */
_Noreturn static void
try_walls(int report)
{
	struct err err = ERR_INIT;

	if (chdir("/etc"))
		(void)err_sys(&err, "cannot enter '/etc'");
	else if (!userns_enter(0, &err))
		(void)!stage_mount(1 << 20, &err);
	_exit(write_all(report, err.msg, strlen(err.msg)) != 0);
}

static int
check(const char **ret_fix, struct err *why)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	CLEANUP_FREE char *unpacker = NULL;
	struct err err = ERR_INIT;
	int fds[2], rc;
	pid_t child;

	*ret_fix = "apt-get install erofs-utils";
	unpacker = fs_which("fsck.erofs");
	if (!unpacker)
		return err_set(why, ERR_NOTFOUND,
			"no fsck.erofs in PATH to unpack images");
	*ret_fix = "sysctl user.max_user_namespaces=10000 "
		   "kernel.unprivileged_userns_clone=1, and see if AppArmor "
		   "restricts user namespaces";
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(why, "cannot make a pipe");
	child = fork();
	if (child < 0)
		return err_sys(why, "cannot fork");
	if (!child)
		try_walls(fds[1]);
	(void)close(fds[1]); /* the child's */
	rc = buf_read_fd(&said, fds[0], sizeof(why->msg), "its report", &err);
	(void)close(fds[0]); /* read only */
	(void)waitpid(child, NULL, 0);
	if (rc || said.len)
		return err_set(why, ERR_SYS, "%s", rc ? err.msg : said.s);
	return 0;
}

static void
caps(struct json *o)
{
	json_put_bool(o, "machine", false);
	json_put_str(o, "root", "tree");
	driver_put_words(o, "net", (const char *[]){ "none", "user",
					 "user+loopback", NULL });
	json_put_str(o, "address", "ours");
	json_put_str(o, "exec", "agent");
}

int
main(int argc, char **argv)
{
	static const struct driver_program p = { "driver-process", caps,
		make_argv, prepare, check, "bwrap", "bubblewrap", NULL, begin };

	return driver_main(&p, argc, argv);
}
