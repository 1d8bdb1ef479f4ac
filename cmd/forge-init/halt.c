#include "cmd/forge-init/init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void
wait_children(unsigned ms)
{
	int64_t end = now_ms() + ms;
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	for (;;) {
		struct timespec ts;
		int64_t left = end - now_ms();
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 || left <= 0)
			return;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = (long)(left % 1000 * 1000000);
		(void)sigtimedwait(&chld, NULL, &ts);
	}
}

/* TERM to all, up to grace_ms, KILL. */
static void
end_all(unsigned grace_ms)
{
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &chld, NULL);
	if (!kill(-1, SIGTERM))
		wait_children(grace_ms);
	(void)kill(-1, SIGKILL);
	wait_children(1000);
}

_Noreturn void
halt_place(unsigned grace_ms)
{
	end_all(grace_ms);
	_exit(0);
}

_Noreturn void
halt_system(bool restart, unsigned grace_ms)
{
	end_all(grace_ms);
	sync();
	root_readonly();
	(void)reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF);
	/* A machine without power-off: a restart ends it (-no-reboot). */
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
