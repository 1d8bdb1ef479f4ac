#include "lib/base/signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/banned.h"

int
signals_open(const int *list, int *ret_fd, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	(void)sigemptyset(&set);
	for (; *list; list++)
		(void)sigaddset(&set, *list);
	if (sigprocmask(SIG_BLOCK, &set, NULL) ||
		sigaction(SIGPIPE, &ignore, NULL))
		return err_sys(err, "cannot set up signals");
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? err_sys(err, "cannot make a signalfd") : 0;
}

int
signals_next(int fd)
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return 0;
	return (int)si.ssi_signo;
}
