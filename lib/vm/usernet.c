#include "lib/vm/usernet.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/lease.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define PROGRAM "passt"
#define SAID_MAX 4096

bool
usernet_mode(const char *net)
{
	return !strcmp(net, "user") || !strcmp(net, "user+loopback");
}

static void
push_address(struct argv *a, const char *option, uint32_t address)
{
	char text[16];

	argv_push(a, option);
	argv_push(a, address_format(address, text, sizeof(text)));
}

static void
push_options(struct argv *a, const char *net, const struct vm_address *address,
	const struct subnet *subnet, int fd)
{
	/* The guest is told its addresses by us: nothing is announced. */
	argv_pushv(a, (const char *[]){ PROGRAM, "--foreground", "--quiet",
			      "--stderr", "--ipv4-only", "--no-dhcp",
			      "--no-dhcpv6", "--no-ndp", "--no-ra", NULL });
	/* And nobody outside gets in: that is `forge-vm forward`. */
	argv_pushv(a, (const char *[]){ "--tcp-ports", "none", "--udp-ports",
			      "none", NULL });
	if (!strcmp(net, "user"))
		argv_push(a, "--no-map-gw");
	push_address(a, "--address", address->address);
	argv_push(a, "--netmask");
	argv_pushf(a, "%d", subnet->prefix);
	push_address(a, "--gateway", subnet_gateway(subnet));
	push_address(a, "--dns-forward", subnet_dns(subnet));
	argv_push(a, "--fd");
	argv_pushf(a, "%d", fd);
}

int
usernet_start(const char *net, const struct vm_address *address,
	const struct subnet *subnet, int *ret_fd, struct child *ret,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int ours = -1, theirs = -1;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return err_sys(err, "cannot make a socket");
	ours = fds[0];
	theirs = fds[1];
	push_options(&p.argv, net, address, subnet, theirs);
	p.in = p.out = PROC_NULL;
	p.err = PROC_PIPE;
	p.new_group = true;
	p.parent_death = SIGKILL;
	p.pass[p.npass++] = theirs;
	if (proc_spawn(&p, ret, err)) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		return err_set(err, ERR_NOTFOUND,
			"--net %s needs " PROGRAM ": install it, or use --net "
			"none", net);
	}
	(void)fd_nonblock(ret->err, true); /* a pipe */
	*ret_fd = steal_fd(&ours);
	return 0;
}

/*
 * The last line that says why.  Without a syslogd passt complains of that
 * after each line, and as root it always has something to say.
 */
static const char *
last_words(char *said)
{
	const char *last = "";
	char *line, *rest = said;

	while ((line = strsep(&rest, "\n")))
		if (*line && strncmp(line, "Failed to send ", 15) != 0 &&
			strncmp(line, "Don't run as root", 17) != 0)
			last = line;
	return last;
}

void
usernet_ended(struct child *c, struct err *err)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	struct proc_status status;
	const char *last;

	while (said.len < SAID_MAX && buf_read_some(&said, c->err, SAID_MAX) > 0)
		;
	if (proc_wait(c, -1, &status, err))
		return;
	last = last_words(said.s);
	(void)err_set(err, ERR_PLACE, PROGRAM " ended with status %d%s%.300s",
		proc_exit_status(&status), *last ? ": " : "", last);
}
