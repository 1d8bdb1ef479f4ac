#include "cmd/forge-runner/forge-runner.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/runner/github.h"
#include "lib/runner/pool.h"
#include "lib/runner/run.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_pool, *arg_scope, *arg_labels, *arg_place, *arg_github;
static char *arg_name, *arg_memory, *arg_command, *arg_group, *arg_timeout;
static int arg_cpus, arg_notify_fd = -1;

#define WHAT                                                                  \
	{ "pool", 'p', POPT_ARG_STRING, &arg_pool, 0,                         \
		"take everything from [pool \"POOL\"]", "POOL" },             \
		{ "scope", 0, POPT_ARG_STRING, &arg_scope, 0,                 \
			"repo:OWNER/NAME, org:NAME or enterprise:NAME",       \
			"SCOPE" },                                            \
		{ "labels", 0, POPT_ARG_STRING, &arg_labels, 0,               \
			"labels to register, with commas between", "LIST" },  \
		{ "place", 0, POPT_ARG_STRING, &arg_place, 0,                 \
			"vm:IMAGE, here, or a [place] of the configuration",  \
			"PLACE" },                                            \
		{ "github", 0, POPT_ARG_STRING, &arg_github, 0,               \
			"the [github] section to use", "NAME" },              \
		{ "name", 0, POPT_ARG_STRING, &arg_name, 0,                   \
			"name of the runner (default: made up)", "NAME" },    \
		{ "cpus", 0, POPT_ARG_INT, &arg_cpus, 0,                      \
			"processors of the VM", "N" },                        \
		{ "memory", 0, POPT_ARG_STRING, &arg_memory, 0,               \
			"memory of the VM", "SIZE" },                         \
		{ "group", 0, POPT_ARG_STRING, &arg_group, 0,                 \
			"runner group, by name", "NAME" },                    \
		{ "command", 0, POPT_ARG_STRING, &arg_command, 0,             \
			"the listener inside the place", "COMMAND" },         \
	{                                                                     \
		"job-timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,           \
			"end a job that runs longer", "DURATION"              \
	}

const struct poptOption run_options[] = { WHAT,
	{ "notify-fd", 0, POPT_ARG_INT, &arg_notify_fd, 0,
		"write the name to this fd when the runner is on record",
		"FD" },
	POPT_TABLEEND };
const struct poptOption start_options[] = { WHAT, POPT_TABLEEND };

static void
replace(char **field, const char *value)
{
	if (!value)
		return;
	free(*field);
	*field = xstrdup(value);
}

static int
from_options(struct pool *p, struct err *err)
{
	replace(&p->scope, arg_scope);
	replace(&p->place, arg_place);
	replace(&p->github, arg_github);
	replace(&p->group, arg_group);
	replace(&p->command, arg_command);
	if (arg_cpus < 0 || arg_cpus > 1024)
		return err_set(err, ERR_USAGE, "--cpus: 1 to 1024");
	if (arg_cpus)
		p->cpus = arg_cpus;
	if (arg_memory &&
		parse_size(arg_memory, 64 << 20, (int64_t)1 << 44, "--memory",
			&p->memory, err))
		return -1;
	if (arg_timeout &&
		parse_duration(arg_timeout, "--job-timeout", &p->job_timeout,
			err))
		return -1;
	if (arg_labels) {
		pool_clear_labels(p);
		if (pool_add_labels(p, arg_labels, err))
			return -1;
	}
	return 0;
}

/* Everything is known and sound before anything is begun. */
static int
resolve(struct state *st, struct pool *p, struct err *err)
{
	if (arg_pool) {
		if (pool_load(st, arg_pool, p, err))
			return -1;
	} else {
		pool_defaults(p);
	}
	if (from_options(p, err))
		return -1;
	if (!p->scope || !p->place || !p->nsets)
		return cmd_usage(err,
			"--pool, or --scope with --labels and --place, is "
			"needed");
	if (arg_name && parse_name(arg_name, "--name", err))
		return -1;
	return scope_check(p->scope, err);
}

int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_POOL struct pool pool = POOL_INIT;
	CLEANUP_FREE char *labels = NULL;
	struct runner_run run = { .pool = &pool, .name = arg_name,
		.notify_fd = arg_notify_fd,
		.output_fd = arg_notify_fd < 0 ? STDOUT_FILENO : -1 };
	int status;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || resolve(st, &pool, err))
		return err_status(err->code);
	labels = labels_json(&pool.sets[0]);
	run.labels = labels;
	if (runner_run(st, &run, &status, err))
		return err_status(err->code);
	return status;
}

static void
pass(struct argv *a, const char *name, const char *value)
{
	if (value)
		argv_pushf(a, "--%s=%s", name, value);
}

static int
self(struct proc *p, struct state *st, int fd, struct err *err)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return err_sys(err, "cannot read /proc/self/exe");
	exe[n] = '\0';
	argv_push(&p->argv, exe);
	argv_push(&p->argv, "run");
	argv_pushf(&p->argv, "--state=%s", state_path(st));
	argv_pushf(&p->argv, "--notify-fd=%d", fd);
	pass(&p->argv, "pool", arg_pool);
	pass(&p->argv, "scope", arg_scope);
	pass(&p->argv, "labels", arg_labels);
	pass(&p->argv, "place", arg_place);
	pass(&p->argv, "github", arg_github);
	pass(&p->argv, "name", arg_name);
	pass(&p->argv, "memory", arg_memory);
	pass(&p->argv, "group", arg_group);
	pass(&p->argv, "command", arg_command);
	pass(&p->argv, "job-timeout", arg_timeout);
	if (arg_cpus)
		argv_pushf(&p->argv, "--cpus=%d", arg_cpus);
	return 0;
}

/*
 * The same program in a session of its own.  Its stderr is a pipe until it
 * says that its row is there: what it has to complain of before that is told
 * here, with its status.
 */
static int
detach(struct state *st, struct buf *ret_name, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf said = BUF_INIT;
	CLEANUP_CLOSE int rfd = -1, wfd = -1;
	struct child child = CHILD_INIT;
	struct proc_status status;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot make a pipe");
	rfd = fds[0];
	wfd = fds[1];
	if (self(&p, st, wfd, err))
		return -1;
	p.in = PROC_NULL;
	p.out = PROC_NULL;
	p.err = PROC_PIPE;
	p.new_session = true;
	p.pass[p.npass++] = wfd;
	if (proc_spawn(&p, &child, err))
		return -1;
	cleanup_close(&wfd);
	wfd = -1;
	if (buf_read_fd(ret_name, rfd, 4096, "the runner's name", err))
		return -1;
	buf_rtrim(ret_name);
	if (ret_name->len) {
		child_close(&child);
		return 0;
	}
	if (buf_read_fd(&said, child.err, 65536, "its errors", err) ||
		proc_wait(&child, -1, &status, err))
		return -1;
	child_close(&child);
	if (write_all(STDERR_FILENO, said.s, said.len))
		return err_sys(err, "cannot write to stderr");
	return proc_exit_status(&status);
}

int
cmd_start(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_POOL struct pool pool = POOL_INIT;
	CLEANUP_BUF struct buf name = BUF_INIT;
	int rc;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || resolve(st, &pool, err))
		return err_status(err->code);
	rc = detach(st, &name, err);
	if (rc < 0)
		return err_status(err->code);
	if (!rc)
		puts(name.s);
	return rc;
}
