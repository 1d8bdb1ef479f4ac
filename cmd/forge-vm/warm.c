#include "cmd/forge-vm/forge-vm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/detach.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/vm/conn.h"
#include "lib/vm/supervise.h"
#include "lib/vm/warm.h"
#include "lib/base/banned.h"

static int
start(const struct argv *args, struct err *err)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	int status;

	if (detach_self(args, &line, &status, err))
		return -1;
	if (!status)
		return 0;
	if (!err->code)
		(void)err_set(err, ERR_PLACE, "it did not come up");
	/* A snapshot that does not fit is known by the exit status alone. */
	if (status == err_status(ERR_INVALID))
		err->code = ERR_INVALID;
	return -1;
}

static void
told(const char *name)
{
	puts(name);
}

int
warm_pools(struct state *st, struct err *err)
{
	static const struct warm_hooks hooks = { start, told };

	return vm_repair(st, false, NULL, err) ||
			warm_fill(st, &hooks, err) ?
		-1 :
		0;
}

/* What cannot be given to a VM that is there already. */
static bool
is_plain(const struct vm_boot *b)
{
	const struct vm_limits *l = &b->spec.limits;

	return !b->snapshot && !b->timeout && !b->spec.egress &&
		b->notify_fd < 0 && !disks_any(&b->spec.disk) && !l->pids &&
		!l->io_weight && !l->disk_rate;
}

int
warm_find(struct state *st, struct vm_boot *boot, bool run, int *ret_sock,
	struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct warm_how how = { .run = run, .spec = &boot->spec };
	size_t i;

	if (!is_plain(boot))
		return 0;
	if (warm_list(st, &boot->spec, &names, err))
		return -1;
	for (i = 0; i < names.n; i++) {
		CLEANUP_FREE char *argv = NULL;

		boot->spec.name = names.v[i];
		if (!run)
			argv = supervise_json(st, boot);
		boot->spec.argv = argv;
		if (!warm_take(st, names.v[i], &how, ret_sock, err)) {
			boot->spec.name = xstrdup(names.v[i]);
			boot->spec.argv = NULL;
			return 1;
		}
		boot->spec.argv = NULL;
		*err = ERR_INIT; /* somebody else has it, or it is gone */
	}
	return 0;
}

/* Its supervisor closes its end of sock when nothing is left of the VM. */
static void
end(int sock)
{
	struct frame f = { .type = CHANNEL_SHUTDOWN };
	unsigned char p[4];
	char rest[4096];
	struct conn *c = xmalloc(sizeof(*c));

	frame_put32(p, 0);
	f.length = sizeof(p);
	f.payload = p;
	conn_init(c, sock);
	conn_send(c, &f);
	(void)conn_flush(c); /* or it ends as the connection does */
	(void)fd_nonblock(sock, false);
	while (read(sock, rest, sizeof(rest)) > 0)
		;
	conn_release(c);
	free(c);
}

int
warm_run(struct state *st, struct vm_boot *boot, int *ret_status,
	struct err *err)
{
	int sock, kept, rc;

	rc = warm_find(st, boot, true, &sock, err);
	if (rc < 1)
		return rc;
	kept = fcntl(sock, F_DUPFD_CLOEXEC, 3);
	if (kept < 0) {
		(void)close(sock); /* and with it the VM ends */
		return err_sys(err, "cannot copy a socket");
	}
	rc = exec_client_run(boot->exec, sock, ret_status, err);
	end(kept);
	return rc ? -1 : 1;
}
