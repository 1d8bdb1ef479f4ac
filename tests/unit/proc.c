/*
 * proc: real programs, started, fed, stopped and recognised.
 */
#include "lib/base/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "tests/unit/tap.h"

/* Run sh -c SCRIPT to its end; the wait status as a shell has it, or -1. */
static int
sh(const char *script, const char *input, struct buf *out, size_t max,
	int64_t timeout, struct err *err)
{
	struct proc p = PROC_INIT;
	struct buf in = BUF_INIT;
	int rc;

	argv_pushv(&p.argv, (const char *[]){ "sh", "-c", script, NULL });
	if (input)
		buf_adds(&in, input);
	rc = proc_run(&p, input ? &in : NULL, out, max, timeout, err);
	buf_release(&in);
	proc_release(&p);
	return rc;
}

static void
test_run(void)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	int64_t before;

	is_int(sh("cat; echo done", "fed\n", &out, 100, 5000, &err), 0, "fed");
	is_str(out.s, "fed\ndone\n", "and read");
	buf_reset(&out);
	is_int(sh("true", "nobody reads this", &out, 100, 5000, &err), 0,
		"input that is not read");
	is_int(sh("echo one >&2; echo two >&2; exit 3", NULL, &out, 100, 5000,
		       &err), -1, "a failure");
	is_str(err.msg, "'sh' failed with status 3: two",
		"tells the last line of stderr");
	is_int(sh("kill -9 $$", NULL, &out, 100, 5000, &err), -1, "a signal");
	is_str(err.msg, "'sh' was killed by signal 9", "is told");
	is_int(sh("head -c 101 /dev/zero; sleep 10", NULL, &out, 100, 5000,
		       &err), -1, "too much output");
	is_int(err.code, ERR_LIMIT, "is a limit, at once");
	before = clock_mono();
	is_int(sh("trap '' TERM; sleep 10 & wait", NULL, &out, 100, 200, &err),
		-1, "too slow");
	is_int(err.code, ERR_TIMEOUT, "is a timeout");
	ok(clock_mono() - before < 5000, "and killed though it ignores TERM");
	buf_reset(&out);
	is_int(sh("sleep 10 >&1 & echo x", NULL, &out, 100, 5000, &err), 0,
		"a grandchild that keeps the pipe is not waited for");
	is_str(out.s, "x\n", "what was printed is there");
	buf_release(&out);
}

static void
test_spawn(void)
{
	struct proc p = PROC_INIT;
	struct child c = CHILD_INIT;
	struct proc_status s;
	struct err err = ERR_INIT;

	argv_push(&p.argv, "no-such-program-anywhere");
	is_int(proc_spawn(&p, &c, &err), -1, "no such program");
	is_int(err.code, ERR_NOTFOUND, "is not found");
	proc_release(&p);

	argv_push(&p.argv, "/etc/passwd");
	is_int(proc_spawn(&p, &c, &err), -1, "not executable");
	is_str(err.msg, "cannot execute '/etc/passwd': Permission denied",
		"is told by exec itself");
	proc_release(&p);

	argv_pushv(&p.argv, (const char *[]){ "sleep", "100", NULL });
	is_int(proc_spawn(&p, &c, &err), 0, "started");
	is_int(proc_wait(&c, clock_mono() + 20, &s, &err), 0, "looked at");
	ok(s.timed_out, "it still runs");
	is_int(proc_stop(&c, 1000, &s, &err), 0, "stopped");
	ok(s.signaled && s.value == SIGTERM, "by TERM");
	is_int(proc_exit_status(&s), 143, "as a shell has it");
	is_int(c.pid, 0, "and reaped");
	proc_release(&p);
}

/* A member of the group that outlives the leader and ignores TERM. */
static void
test_group(void)
{
	struct proc p = PROC_INIT;
	struct child c = CHILD_INIT;
	struct proc_status s;
	struct err err = ERR_INIT;
	char said[32] = "";
	char *identity = NULL;
	int i;

	argv_pushv(&p.argv, (const char *[]){ "sh", "-c",
		"(trap '' TERM; exec sleep 100) & echo $!; wait", NULL });
	p.new_group = true;
	p.out = PROC_PIPE;
	is_int(proc_spawn(&p, &c, &err), 0, "a group");
	ok(read(c.out, said, sizeof(said) - 1) > 0, "its member");
	is_int(proc_identity((pid_t)strtol(said, NULL, 10), &identity, &err),
		0, "lives");
	(void)usleep(200000); /* until it ignores TERM */
	is_int(proc_stop(&c, 2000, &s, &err), 0, "stopped");
	ok(s.signaled && s.value == SIGTERM, "the leader by TERM");
	for (i = 0; i < 200 && proc_find(identity); i++)
		(void)usleep(10000);
	is_int(proc_find(identity), 0, "nothing of the group is left");
	child_close(&c);
	free(identity);
	proc_release(&p);
}

static void
test_orphan(void)
{
	struct proc p = PROC_INIT;
	struct child c = CHILD_INIT;
	struct proc_status s;
	struct err err = ERR_INIT;
	char said[64] = "";
	pid_t pid;

	argv_pushv(&p.argv, (const char *[]){ "sh", "-c",
		"read -r go; echo $$; exec sleep 100", NULL });
	p.orphan = true;
	p.in = p.out = PROC_PIPE;
	is_int(proc_spawn(&p, &c, &err), 0, "an orphan");
	is_int(proc_wait(&c, clock_mono() + 60000, &s, &err), 0, "its start");
	ok(!s.timed_out && !s.signaled && !s.value, "ends at once");
	ok(write(c.in, "\n", 1) == 1, "and it lives on");
	ok(read(c.out, said, sizeof(said) - 1) > 0, "as it says");
	pid = (pid_t)strtol(said, NULL, 10);
	ok(pid > 0 && getsid(pid) == pid, "in a session of its own");
	is_int(waitpid(pid, NULL, WNOHANG), -1, "and is not our child");
	(void)kill(pid, SIGKILL);
	child_close(&c);
	proc_release(&p);

	argv_push(&p.argv, "/etc/passwd");
	p.orphan = true;
	is_int(proc_spawn(&p, &c, &err), -1, "one that cannot be executed");
	is_str(err.msg, "cannot execute '/etc/passwd': Permission denied",
		"says so");
	is_int(waitpid(-1, NULL, WNOHANG), -1, "and leaves no child");
	proc_release(&p);
}

/* An fd that is passed is there under its number, one that is not is not. */
static void
test_fds(void)
{
	struct proc p = PROC_INIT;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	int kept = fcntl(open("/etc/passwd", O_RDONLY | O_CLOEXEC),
		F_DUPFD_CLOEXEC, 50);
	int other = fcntl(kept, F_DUPFD, 60); /* not even close-on-exec */

	argv_pushv(&p.argv, (const char *[]){ "sh", "-c",
		"cd /proc/self/fd && echo *", NULL });
	p.pass[p.npass++] = kept;
	is_int(proc_run(&p, NULL, &out, 1000, 5000, &err), 0, "run");
	ok(strstr(out.s, " 50") && !strstr(out.s, " 60"),
		"only what is passed is open");
	(void)close(kept);
	(void)close(other);
	buf_release(&out);
	proc_release(&p);
}

static void
test_env(void)
{
	struct proc p = PROC_INIT;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)setenv("FORGE_T_GONE", "1", 1);
	(void)setenv("FORGE_T_KEPT", "2", 1);
	(void)setenv("FORGE_T_SET", "3", 1);
	argv_push(&p.env, "FORGE_T_GONE");
	argv_push(&p.env, "FORGE_T_SET=new=1");
	argv_pushv(&p.argv, (const char *[]){ "sh", "-c",
		"env | grep ^FORGE_T_ | sort", NULL });
	is_int(proc_run(&p, NULL, &out, 1000, 5000, &err), 0, "run");
	is_str(out.s, "FORGE_T_KEPT=2\nFORGE_T_SET=new=1\n",
		"removed, kept and set");
	buf_release(&out);
	proc_release(&p);
}

static void
test_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t all, old;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	(void)sigaction(SIGINT, &ignore, NULL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &old);
	is_int(sh("grep -E '^Sig(Blk|Ign)' /proc/self/status", NULL, &out,
		       1000, 5000, &err), 0, "run");
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	is_str(out.s, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n",
		"a child starts with default signals");
	buf_release(&out);
}

static void
test_parent_death(void)
{
	struct err err = ERR_INIT;
	char *identity = NULL;
	int fds[2], i;
	pid_t parent, pid = 0;

	ok(!pipe(fds), "a pipe");
	parent = fork();
	if (parent == 0) {
		struct proc p = PROC_INIT;
		struct child c = CHILD_INIT;

		argv_pushv(&p.argv, (const char *[]){ "sleep", "100", NULL });
		p.parent_death = SIGKILL;
		if (proc_spawn(&p, &c, &err) ||
			write(fds[1], &c.pid, sizeof(c.pid)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	ok(read(fds[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid),
		"a child of a child");
	is_int(proc_identity(pid, &identity, &err), 0, "has an identity");
	is_int(proc_find(identity), pid, "is found by it");
	(void)kill(parent, SIGKILL);
	for (i = 0; i < 200 && proc_find(identity); i++)
		(void)usleep(10000);
	is_int(proc_find(identity), 0, "dies with its parent");
	free(identity);
	is_int(proc_find("another-boot:1:1"), 0, "not of this boot");
	is_int(proc_find("garbage"), 0, "garbage");
}

int
main(void)
{
	test_run();
	test_spawn();
	test_group();
	test_orphan();
	test_fds();
	test_env();
	test_signals();
	test_parent_death();
	return done();
}
