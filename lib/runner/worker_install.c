#include "lib/runner/worker_install.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define UNIT "forge-agent.service"
#define TIMEOUT 90000 /* ms */

/* A word of ExecStart: in quotes, with what means something to systemd
 * doubled or escaped. */
static void
add_word(struct buf *b, const char *s)
{
	buf_addc(b, '"');
	for (; *s; s++) {
		if (*s == '%' || *s == '$')
			buf_addc(b, *s);
		else if (*s == '"' || *s == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *s);
	}
	buf_addc(b, '"');
}

static int
unit_text(struct state *st, struct buf *b, struct err *err)
{
	CLEANUP_FREE char *state = xasprintf("--state=%s", state_path(st));
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return err_sys(err, "cannot read /proc/self/exe");
	exe[n] = '\0';
	if (strchr(exe, '\n') || strchr(state, '\n'))
		return err_set(err, ERR_INVALID, "a path has a newline");
	buf_adds(b,
		"[Unit]\n"
		"Description=forge: this host's VMs for a coordinator\n"
		"Wants=network-online.target\n"
		"After=network-online.target\n\n"
		"[Service]\n"
		"Type=notify\n"
		"ExecStart=");
	add_word(b, exe);
	buf_adds(b, " run ");
	add_word(b, state);
	/* Runners live on when the agent is started anew. */
	buf_adds(b,
		"\nKillMode=process\n"
		"Restart=always\n"
		"RestartSec=2\n\n"
		"[Install]\n"
		"WantedBy=multi-user.target\n");
	return 0;
}

static int
systemctl(const char *const *words, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	argv_push(&p.argv, "systemctl");
	argv_pushv(&p.argv, words);
	return proc_run(&p, NULL, NULL, 0, TIMEOUT, err);
}

int
worker_install(struct state *st, const char *dir, bool start,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/" UNIT,
		dir ? dir : "/etc/systemd/system");
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (unit_text(st, &text, err) ||
		fs_replace(AT_FDCWD, path, text.s, text.len, 0644, err))
		return -1;
	if (!start)
		return 0;
	return systemctl((const char *[]){ "daemon-reload", NULL }, err) ||
			systemctl((const char *[]){ "enable", UNIT, NULL },
				err) ||
			systemctl((const char *[]){ "restart", UNIT, NULL },
				err) ?
		-1 :
		0;
}
