#include "cmd/forge-runner/forge-runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/detach.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/runner/github.h"
#include "lib/runner/place.h"
#include "lib/runner/pool.h"
#include "lib/runner/run.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define JIT_MAX 65536

static char *arg_pool, *arg_scope, *arg_labels, *arg_place, *arg_github;
static char *arg_name, *arg_memory, *arg_command, *arg_group, *arg_timeout;
static char *arg_boot, *arg_register, *arg_idle, *arg_hold;
static char *arg_adopt;
static int arg_cpus, arg_notify_fd = -1, arg_jit_fd = -1, arg_on_demand;

#define WHAT                                                                  \
	{ "pool", 'p', POPT_ARG_STRING, &arg_pool, 0,                         \
		"take everything from [pool \"POOL\"]", "POOL" },             \
		{ "scope", 0, POPT_ARG_STRING, &arg_scope, 0,                 \
			"repo:OWNER/NAME, org:NAME or enterprise:NAME",       \
			"SCOPE" },                                            \
		{ "labels", 0, POPT_ARG_STRING, &arg_labels, 0,               \
			"labels to register, with commas between", "LIST" },  \
		{ "place", 0, POPT_ARG_STRING, &arg_place, 0,                 \
			"vm:IMAGE, garm:NAME, bwrap, here, or a [place]",     \
			"PLACE" },                                            \
		{ "github", 0, POPT_ARG_STRING, &arg_github, 0,               \
			"the [github] section to use", "NAME" },              \
		{ "name", 0, POPT_ARG_STRING, &arg_name, 0,                   \
			"name of the runner (default: made up)", "NAME" },    \
		{ "cpus", 0, POPT_ARG_INT, &arg_cpus, 0,                      \
			"processors of the VM", "N" },                        \
		{ "memory", 0, POPT_ARG_STRING, &arg_memory, 0,               \
			"memory of the VM", "SIZE" },                         \
		{ "on-demand", 0, POPT_ARG_NONE, &arg_on_demand, 0,           \
			"forge-watch may remove it when no job waits", NULL },\
		{ "group", 0, POPT_ARG_STRING, &arg_group, 0,                 \
			"runner group, by name", "NAME" },                    \
		{ "command", 0, POPT_ARG_STRING, &arg_command, 0,             \
			"the listener inside the place", "COMMAND" },         \
	{                                                                     \
		"job-timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,           \
			"end a job that runs longer", "DURATION"              \
	},                                                                    \
		{ "boot-timeout", 0, POPT_ARG_STRING, &arg_boot, 0,           \
			"until the place is up", "DURATION" },                \
		{ "register-timeout", 0, POPT_ARG_STRING, &arg_register, 0,   \
			"until the listener is online", "DURATION" },         \
		{ "idle-timeout", 0, POPT_ARG_STRING, &arg_idle, 0,           \
			"until a job comes; 0: for ever", "DURATION" },       \
	{                                                                     \
		"hold-on-failure", 0, POPT_ARG_STRING, &arg_hold, 0,          \
			"keep the place of a failed job so long", "DURATION"  \
	}

const struct poptOption run_options[] = { WHAT,
	{ "notify-fd", 0, POPT_ARG_INT, &arg_notify_fd, 0,
		"write the name to this fd when the runner is on record",
		"FD" },
	{ "jit-fd", 0, POPT_ARG_INT, &arg_jit_fd, 0,
		"read the JIT configuration from this fd; register nothing",
		"FD" },
	{ "adopt", 0, POPT_ARG_STRING, &arg_adopt, 0,
		"take over a runner of a place garm: whose process died",
		"NAME" },
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
durations(struct pool *p, struct err *err)
{
	const struct {
		const char *arg, *name;
		int64_t *field;
	} all[] = {
		{ arg_timeout, "--job-timeout", &p->job_timeout },
		{ arg_boot, "--boot-timeout", &p->boot_timeout },
		{ arg_register, "--register-timeout", &p->register_timeout },
		{ arg_idle, "--idle-timeout", &p->idle_timeout },
		{ arg_hold, "--hold-on-failure", &p->hold },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].arg &&
			parse_duration(all[i].arg, all[i].name, all[i].field,
				err))
			return -1;
	return 0;
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
	if (durations(p, err))
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

/* By its pool: what else it was begun with is in its instance. */
static int
resolve_adopted(struct state *st, struct pool *p, struct err *err)
{
	CLEANUP_RUNNER struct runner r = RUNNER_INIT;
	struct db *db;

	if (parse_name(arg_adopt, "--adopt", err) || state_db(st, &db, err) ||
		runner_get(db, arg_adopt, &r, err))
		return -1;
	if (!r.pool)
		return err_set(err, ERR_INVALID,
			"runner '%s' is of no pool: it is not taken over",
			arg_adopt);
	if (pool_load(st, r.pool, p, err))
		return -1;
	return place_is_garm(p->place) ? 0 :
		err_set(err, ERR_INVALID, "runner '%s' is at '%s', which ends "
			"with its process: it is not taken over", arg_adopt,
			p->place);
}

/* What another registered: one line, a secret. */
static int
read_jit(struct buf *ret, struct err *err)
{
	if (arg_jit_fd < 0)
		return 0;
	if (buf_read_fd(ret, arg_jit_fd, JIT_MAX, "--jit-fd", err))
		return -1;
	(void)close(arg_jit_fd); /* read only */
	buf_rtrim(ret);
	if (ret->len && !memchr(ret->s, '\n', ret->len))
		return 0;
	return err_set(err, ERR_USAGE, "--jit-fd: one line is expected");
}

static void
wipe(struct buf *b)
{
	explicit_bzero(b->s, b->len);
	buf_release(b);
}

int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_POOL struct pool pool = POOL_INIT;
	CLEANUP_FREE char *labels = NULL;
	CLEANUP(wipe) struct buf jit = BUF_INIT;
	struct runner_run run = { .pool = &pool, .name = arg_name,
		.on_demand = arg_on_demand,
		.notify_fd = arg_notify_fd,
		.output_fd = arg_notify_fd < 0 ? STDOUT_FILENO : -1 };
	int status;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		(arg_adopt ? resolve_adopted(st, &pool, err) :
			     resolve(st, &pool, err)) ||
		read_jit(&jit, err))
		return err_status(err->code);
	if (arg_adopt)
		run.name = arg_adopt;
	run.adopt = arg_adopt != NULL;
	run.jit = arg_jit_fd < 0 ? NULL : jit.s;
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

static void
run_args(struct state *st, struct argv *a)
{
	argv_push(a, "run");
	argv_pushf(a, "--state=%s", state_path(st));
	pass(a, "pool", arg_pool);
	pass(a, "scope", arg_scope);
	pass(a, "labels", arg_labels);
	pass(a, "place", arg_place);
	pass(a, "github", arg_github);
	pass(a, "name", arg_name);
	pass(a, "memory", arg_memory);
	pass(a, "group", arg_group);
	pass(a, "command", arg_command);
	pass(a, "job-timeout", arg_timeout);
	pass(a, "boot-timeout", arg_boot);
	pass(a, "register-timeout", arg_register);
	pass(a, "idle-timeout", arg_idle);
	pass(a, "hold-on-failure", arg_hold);
	if (arg_on_demand)
		argv_push(a, "--on-demand");
	if (arg_cpus)
		argv_pushf(a, "--cpus=%d", arg_cpus);
}

int
cmd_start(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_POOL struct pool pool = POOL_INIT;
	CLEANUP_BUF struct buf name = BUF_INIT;
	CLEANUP_ARGV struct argv args = ARGV_INIT;
	int status;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || resolve(st, &pool, err))
		return err_status(err->code);
	run_args(st, &args);
	if (detach_self(&args, &name, &status, err))
		return err_status(err->code);
	if (!status)
		puts(name.s);
	return status;
}
