#include "lib/runner/run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/runner/github.h"
#include "lib/runner/place.h"
#include "lib/runner/runner.h"
#include "lib/base/banned.h"

#define LOG_MAX (16u << 20) /* a job that floods fills no disk */
#define DIAG_MAX (32u << 20) /* likewise of the archive, base64 */
#define LINE_MAX_BYTES 65536

/*
 * What the place executes: say that it is up, take the secret, be the
 * listener, say how that ended.  Then, as it is told, give the diagnostics,
 * and wait: while nobody says more, the place stays.  $0 is the mark.
 */
static const char script[] =
	"echo \"$0\"; IFS= read -r ACTIONS_RUNNER_INPUT_JITCONFIG || exit 125; "
	"ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED=1; "
	"export ACTIONS_RUNNER_INPUT_JITCONFIG "
	"ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED; "
	"p=; trap '[ -z \"$p\" ] || kill -TERM \"$p\" 2>/dev/null' TERM INT; "
	"\"$@\" </dev/null & p=$!; unset ACTIONS_RUNNER_INPUT_JITCONFIG; "
	"while :; do wait \"$p\"; s=$?; kill -0 \"$p\" 2>/dev/null || break; "
	"done; echo \"$0 $s\"; d=${1%/*}; d=${d%/bin}; "
	"while read -r w && [ \"$w\" = diag ]; do "
	"[ ! -d \"$d/_diag\" ] || tar -C \"$d\" -cf - _diag 2>/dev/null | "
	"gzip -c | base64; echo \"$0 .\"; done; exit \"$s\"";

/* The same of act_runner, which reads its registration from a file. */
static const char gitea_script[] =
	"echo \"$0\"; IFS= read -r c || exit 125; "
	"d=$(mktemp -d) && cd \"$d\" || exit 125; "
	"printf %s \"$c\" | base64 -d >.runner || exit 125; c=; "
	"p=; trap '[ -z \"$p\" ] || kill -TERM \"$p\" 2>/dev/null' TERM INT; "
	"\"$@\" </dev/null & p=$!; "
	"while :; do wait \"$p\"; s=$?; kill -0 \"$p\" 2>/dev/null || break; "
	"done; cd /; rm -rf \"$d\"; echo \"$0 $s\"; "
	"while read -r w && [ \"$w\" = diag ]; do echo \"$0 .\"; done; "
	"exit \"$s\"";

static bool
at_gitea(const struct run *r)
{
	return r->gh && github_is_gitea(r->gh);
}

int
place_start(struct run *r, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int wfd = -1;
	struct place place = { .place = r->pool->place, .name = r->name,
		.cpus = r->pool->cpus, .memory = r->pool->memory };
	CLEANUP_FREE char *random = random_name(24);
	int fds[2];

	r->mark = xasprintf("forge-place-ready-%s", random);
	if (at_gitea(r) && place_is_far(place.place))
		return err_set(err, ERR_USAGE, "'%s' runs GitHub's listener, "
			"and github '%s' is a Gitea", place.place,
			github_name(r->gh));
	place.mark = r->mark;
	place.labels = r->labels;
	place.scope = r->pool->scope;
	place.pool = r->pool->name;
	place.github = r->pool->github;
	place.adopt = r->adopted;
	if (place_prefix(r->st, &place, &p.argv, err))
		return -1;
	argv_pushv(&p.argv, (const char *[]){ "sh", "-c",
				    at_gitea(r) ? gitea_script : script,
				    r->mark, NULL });
	argv_split(&p.argv, r->pool->command ? r->pool->command :
			at_gitea(r) ? "act_runner daemon" :
		"/opt/actions-runner/bin/Runner.Listener run");
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	r->output = fds[0];
	wfd = fds[1];
	p.in = PROC_PIPE;
	p.out = wfd;
	p.err = wfd;
	p.new_group = true;
	p.parent_death = SIGTERM;
	return proc_spawn(&p, &r->place, err);
}

void
place_signal(struct run *r, int sig)
{
	if (r->place.pid)
		proc_kill(&r->place, sig);
}

void
place_tell(struct run *r, const char *word)
{
	if (r->place.in < 0)
		return;
	/* A place that is gone shows itself by its end. */
	if (!word || write_all(r->place.in, word, strlen(word)))
		(void)close(steal_fd(&r->place.in)); /* a pipe: no flush */
}

/* ---- the log ---- */

/* "Current runner version: '2.329.0'", where it is in one piece. */
static void
find_version(struct run *r, const char *p, size_t n)
{
	static const char words[] = "Current runner version: '";
	const char *s = memmem(p, n, words, strlen(words));
	struct err err = ERR_INIT;
	char version[32];
	size_t len;

	if (!s)
		return;
	s += strlen(words);
	len = (size_t)(p + n - s);
	if (len > sizeof(version) - 1)
		len = sizeof(version) - 1;
	memcpy(version, s, len);
	version[len] = '\0';
	version[strspn(version, "0123456789.")] = '\0';
	r->versioned = true;
	if (*version && runner_version_is(r->db, r->name, version, &err))
		log_warning("runner.version", "name", r->name, "error",
			err.msg, NULL);
}

static void
log_bytes(struct run *r, const char *p, size_t n)
{
	static const char cut[] = "\n[log cut here: it is full]\n";

	if (!n)
		return;
	if (!r->versioned)
		find_version(r, p, n);
	if (r->output_fd >= 0 && write_all(r->output_fd, p, n)) {
		/* Our reader went away: the job goes on without it. */
		r->output_fd = -1;
	}
	if (r->logged >= LOG_MAX)
		return;
	if (n > LOG_MAX - r->logged)
		n = LOG_MAX - r->logged;
	r->logged += n;
	if (write_all(r->log, p, n) ||
		(r->logged == LOG_MAX &&
			write_all(r->log, cut, strlen(cut)))) {
		log_warning("runner.log", "name", r->name, "error",
			strerrordesc_np(errno), NULL);
		r->logged = LOG_MAX;
	}
}

/* n bytes of what is held back are output like any other. */
static void
let_go(struct run *r, size_t n)
{
	log_bytes(r, r->line.s, n);
	buf_consume(&r->line, n);
}

void
place_flush(struct run *r)
{
	if (r->phase != RUN_ENDED && r->log >= 0)
		let_go(r, r->line.len);
}

/* ---- marks ---- */

/*
 * Until the place is up, look at whole lines; what the place itself has to
 * say before ("srun: job 7 queued") is output.  True when there is more to
 * look at.
 */
static bool
find_up(struct run *r)
{
	char *newline = memchr(r->line.s, '\n', r->line.len);
	size_t len, text;

	if (!newline) {
		if (r->line.len > LINE_MAX_BYTES)
			let_go(r, r->line.len);
		return false;
	}
	len = (size_t)(newline - r->line.s) + 1;
	text = len - 1;
	if (text && r->line.s[text - 1] == '\r')
		text--;
	if (text != strlen(r->mark) || memcmp(r->line.s, r->mark, text) != 0) {
		let_go(r, len);
		return true;
	}
	buf_consume(&r->line, len);
	run_up(r);
	return true;
}

/* How many of the last bytes may be the beginning of the mark. */
static size_t
promising(const struct run *r)
{
	size_t n = strlen(r->mark) - 1;

	if (n > r->line.len)
		n = r->line.len;
	while (n && memcmp(r->line.s + r->line.len - n, r->mark, n) != 0)
		n--;
	return n;
}

/* The listener's output may end without a newline: look everywhere. */
static bool
find_end(struct run *r)
{
	char *at = memmem(r->line.s, r->line.len, r->mark, strlen(r->mark));
	char *newline;

	if (!at) {
		let_go(r, r->line.len - promising(r));
		return false;
	}
	let_go(r, (size_t)(at - r->line.s));
	newline = memchr(r->line.s, '\n', r->line.len);
	if (!newline && r->line.len < strlen(r->mark) + 16)
		return false;
	if (newline && r->line.s[strlen(r->mark)] == ' ') {
		long status = strtol(r->line.s + strlen(r->mark), NULL, 10);

		buf_consume(&r->line, (size_t)(newline - r->line.s) + 1);
		run_listened(r, status >= 0 && status < 256 ? (int)status :
							      255);
	} else {
		let_go(r, strlen(r->mark)); /* a job that plays with it */
	}
	return true;
}

/* Lines of base64, then the mark. */
static bool
find_diag(struct run *r)
{
	char *newline = memchr(r->line.s, '\n', r->line.len);
	size_t n;

	if (!newline && r->line.len <= LINE_MAX_BYTES)
		return false;
	n = newline ? (size_t)(newline - r->line.s) : r->line.len;
	if (newline && !strncmp(r->line.s, r->mark, strlen(r->mark))) {
		buf_consume(&r->line, n + 1);
		run_archived(r);
		return true;
	}
	if (r->diag.len + n <= DIAG_MAX)
		buf_add(&r->diag, r->line.s, n);
	buf_consume(&r->line, newline ? n + 1 : n);
	return true;
}

static bool
find_mark(struct run *r)
{
	if (!r->line.len)
		return false;
	if (r->phase == RUN_BOOTING)
		return find_up(r);
	if (r->phase == RUN_LISTENING)
		return find_end(r);
	if (r->phase == RUN_ENDED)
		return find_diag(r);
	let_go(r, r->line.len);
	return false;
}

void
place_read(struct run *r)
{
	char chunk[16384];
	ssize_t n = read(r->output, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		(void)close(steal_fd(&r->output)); /* read only */
		return;
	}
	buf_add(&r->line, chunk, (size_t)n);
	while (find_mark(r))
		;
}
