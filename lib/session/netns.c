#include "lib/session/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum { FDS = 3 };

/* ---- in the child ---- */

static int
put(const char *path, const char *text)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write_all(fd, text, strlen(text)) ? -1 : 0;
}

/* Who we are stays who we are. */
static int
map_ids(uid_t uid, gid_t gid)
{
	CLEANUP_FREE char *u = xasprintf("%u %u 1", uid, uid);
	CLEANUP_FREE char *g = xasprintf("%u %u 1", gid, gid);

	return put("/proc/self/setgroups", "deny") ||
			put("/proc/self/uid_map", u) ||
			put("/proc/self/gid_map", g) ?
		-1 :
		0;
}

static int
listen_inside(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifreq lo = { .ifr_name = "lo" };
	CLEANUP_CLOSE int fd = socket(AF_INET,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo))
		return -1;
	lo.ifr_flags = (short)(lo.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &lo) ||
		bind(fd, (struct sockaddr *)&to, sizeof(to)) ||
		listen(fd, SOMAXCONN))
		return -1;
	return steal_fd(&fd);
}

/* A message with fds, or with why there are none. */
static void
report(int sock, const int *fds, int e)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * FDS)];
	} u = { 0 };
	struct iovec iov = { .iov_base = &e, .iov_len = sizeof(e) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!e) {
		m.msg_control = u.room;
		m.msg_controllen = sizeof(u.room);
		u.head.cmsg_level = SOL_SOCKET;
		u.head.cmsg_type = SCM_RIGHTS;
		u.head.cmsg_len = CMSG_LEN(sizeof(int) * FDS);
		memcpy(CMSG_DATA(&u.head), fds, sizeof(int) * FDS);
	}
	(void)!sendmsg(sock, &m, MSG_NOSIGNAL); /* its end says it as well */
}

static int
make(int *fds)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) || map_ids(uid, gid))
		return -1;
	fds[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	fds[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	fds[2] = listen_inside();
	return fds[0] < 0 || fds[1] < 0 || fds[2] < 0 ? -1 : 0;
}

/* ---- outside ---- */

static int
receive(int sock, int *fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * FDS)];
	} u;
	int e = EPROTO;
	struct iovec iov = { .iov_base = &e, .iov_len = sizeof(e) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = u.room, .msg_controllen = sizeof(u.room) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n == sizeof(e) ? CMSG_FIRSTHDR(&m) : NULL;
	if (!e && c && c->cmsg_len == CMSG_LEN(sizeof(int) * FDS)) {
		memcpy(fds, CMSG_DATA(c), sizeof(int) * FDS);
		return 0;
	}
	errno = e ? e : EPROTO;
	return -1;
}

int
netns_open(struct netns *ret, struct err *err)
{
	CLEANUP_CLOSE int ours = -1, its = -1;
	int pair[2], fds[FDS] = { -1, -1, -1 }, rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_sys(err, "cannot make a socket");
	ours = pair[0];
	its = pair[1];
	pid = fork();
	if (pid == 0) {
		report(its, fds, make(fds) ? errno : 0);
		_exit(0);
	}
	cleanup_close(&its);
	its = -1;
	rc = pid < 0 ? -1 : receive(ours, fds);
	if (rc)
		(void)err_sys(err, "--egress none: cannot make a network of "
			"its own");
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*ret = (struct netns){ fds[0], fds[1], fds[2] };
	return rc;
}

void
netns_close(struct netns *n)
{
	cleanup_close(&n->user);
	cleanup_close(&n->net);
	cleanup_close(&n->listen);
	*n = NETNS_INIT;
}

int
netns_prefix(const struct netns *n, struct proc *p, struct err *err)
{
	CLEANUP_FREE char *path = fs_which("nsenter");

	if (!path)
		return err_set(err, ERR_NOTFOUND,
			"--egress none: no nsenter in PATH: install "
			"util-linux");
	argv_push(&p->argv, path);
	argv_push(&p->argv, "--preserve-credentials");
	argv_pushf(&p->argv, "--user=/proc/self/fd/%d", n->user);
	argv_pushf(&p->argv, "--net=/proc/self/fd/%d", n->net);
	argv_push(&p->argv, "--");
	p->pass[p->npass++] = n->user;
	p->pass[p->npass++] = n->net;
	return 0;
}
