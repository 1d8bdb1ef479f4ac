#include "cmd/forge-init/init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

/* Until there is no child any more; SIGCHLD is blocked, so it can be waited
 * for with a time-out. */
static void
wait_children(unsigned ms)
{
	long end = now_ms() + (long)ms;
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	for (;;) {
		struct timespec ts;
		long left = end - now_ms();
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 || left <= 0)
			return;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = left % 1000 * 1000000L;
		(void)sigtimedwait(&chld, NULL, &ts);
	}
}

_Noreturn void
halt_system(bool restart, unsigned grace_ms)
{
	sigset_t chld;

	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &chld, NULL);
	if (!kill(-1, SIGTERM))
		wait_children(grace_ms);
	(void)kill(-1, SIGKILL);
	wait_children(1000);
	sync();
	(void)reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF);
	/* A machine without power-off: a restart ends it (-no-reboot). */
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
