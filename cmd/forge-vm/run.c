#include "cmd/forge-vm/forge-vm.h"
#include "cmd/forge-vm/disk_options.h"
#include "cmd/forge-vm/exec_options.h"
#include "cmd/forge-vm/limit_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cmd.h"
#include "lib/base/detach.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/vm/driver.h"
#include "lib/vm/image.h"
#include "lib/vm/net.h"
#include "lib/vm/image_config.h"
#include "lib/vm/snapshot.h"
#include "lib/vm/supervise.h"
#include "lib/vm/supervise_early.h"
#include "lib/vm/timings.h"
#include "lib/vm/usernet.h"
#include "lib/vm/warm.h"
#include "lib/base/banned.h"

static char *arg_snapshot;
static char *arg_name, *arg_image, *arg_memory, *arg_net, *arg_driver;
static char *arg_egress;
static char *arg_timeout, *arg_boot_timeout;
static int arg_cpus = 1, arg_notify_fd = -1;
static int arg_timings, arg_restart, arg_again, arg_waits, arg_unkept;
static int arg_warm = -1;
static bool named; /* the VM, by its caller */

#define VM_OPTIONS                                                           \
	{ "image", 'i', POPT_ARG_STRING, &arg_image, 0, "boot this image",   \
		"IMAGE" },                                                   \
		{ "name", 'n', POPT_ARG_STRING, &arg_name, 0,                \
			"name of the VM (default: made up)", "NAME" },       \
		{ "cpus", 0, POPT_ARG_INT, &arg_cpus, 0,                     \
			"processors (1)", "N" },                             \
		{ "memory", 'm', POPT_ARG_STRING, &arg_memory, 0,            \
			"memory (512M)", "SIZE" },                           \
		{ "net", 0, POPT_ARG_STRING, &arg_net, 0,                    \
			"none, user, user+loopback or tap (vm.net)", "MODE" },   \
		{ "egress", 0, POPT_ARG_STRING, &arg_egress, 0,              \
			"of a tap: none, all or allow=CIDR,HOST,... "        \
			"(vm.egress, else all)", "POLICY" },                 \
		{ "driver", 0, POPT_ARG_STRING, &arg_driver, 0,              \
			"hypervisor driver (vm.driver, else qemu)",          \
			"NAME" },                                            \
		LIMIT_OPTIONS,                                               \
		DISK_OPTIONS,                                                \
	{                                                                    \
		"boot-timeout", 0, POPT_ARG_STRING, &arg_boot_timeout, 0,    \
			"give up when it is not up by then "                 \
			"(vm.boot-timeout, else 60s)", "DURATION"            \
	}

#define NOTIFY                                                             \
	{                                                                  \
		"notify-fd", 0, POPT_ARG_INT, &arg_notify_fd, 0,           \
			"write its name to this fd when it is up", "FD"    \
	}

#define RESTART                                                             \
	{                                                                   \
		"restart", 0, POPT_ARG_NONE, &arg_restart, 0,               \
			"let forge-watch start it again after a crash",     \
			NULL                                                \
	}

#define SNAPSHOT                                                           \
	{                                                                  \
		"snapshot", 0, POPT_ARG_STRING, &arg_snapshot, 0,          \
			"continue from this, instead of --image",          \
			"SNAPSHOT"                                         \
	}

const struct poptOption run_options[] = { VM_OPTIONS, SNAPSHOT, NOTIFY,
	EXEC_OPTIONS,
	{ "timeout", 0, POPT_ARG_STRING, &arg_timeout, 0,
		"end a command that takes longer", "DURATION" },
	{ "timings", 0, POPT_ARG_NONE, &arg_timings, 0,
		"tell on stderr where the time of the boot went", NULL },
	POPT_TABLEEND };
const struct poptOption start_options[] = { VM_OPTIONS, SNAPSHOT, RESTART,
	POPT_TABLEEND };
const struct poptOption supervise_options[] = { VM_OPTIONS, SNAPSHOT, NOTIFY,
	RESTART,
	{ "again", 0, POPT_ARG_NONE, &arg_again, 0,
		"it was there before", NULL },
	{ "waits", 0, POPT_ARG_NONE, &arg_waits, 0,
		"until it is taken", NULL },
	{ "unkept", 0, POPT_ARG_NONE, &arg_unkept, 0,
		"nothing is left at its end", NULL },
	POPT_TABLEEND };
const struct poptOption warm_options[] = { VM_OPTIONS,
	{ "warm", 0, POPT_ARG_INT, &arg_warm, 0,
		"so many shall wait for run and start; 0: none", "N" },
	POPT_TABLEEND };
const struct poptOption restore_options[] = { { "name", 'n', POPT_ARG_STRING,
							  &arg_name, 0,
							  "name of the VM "
							  "(default: made up)",
							  "NAME" },
	POPT_TABLEEND };
const struct poptOption plan_options[] = { VM_OPTIONS, POPT_TABLEEND };

/* ---- from options to a specification ---- */

static int
fill_numbers(struct config *c, struct vm_boot *boot, struct err *err)
{
	boot->spec.memory = 512 << 20;
	boot->boot_timeout = 60000;
	if (config_duration(c, "vm", NULL, "boot-timeout", boot->boot_timeout,
		    &boot->boot_timeout, err))
		return -1;
	if (arg_boot_timeout &&
		parse_duration(arg_boot_timeout, "--boot-timeout",
			&boot->boot_timeout, err))
		return -1;
	if (arg_memory &&
		parse_size(arg_memory, 64 << 20, (int64_t)1 << 42, "--memory",
			&boot->spec.memory, err))
		return -1;
	boot->spec.memory &= ~(int64_t)0xfffff;
	if (arg_cpus < 1 || arg_cpus > 255)
		return err_set(err, ERR_USAGE, "--cpus: %d is not 1 to 255",
			arg_cpus);
	boot->spec.cpus = arg_cpus;
	return arg_timeout ? parse_duration(arg_timeout, "--timeout",
				     &boot->timeout, err) :
			     0;
}

static int
check_names(const struct vm_spec *s, struct err *err)
{
	if (vm_has_lease(s) && !usernet_mode(s->net) && !net_is_tap(s))
		return err_set(err, ERR_USAGE,
			"--net: '%.40s' is not none, user, user+loopback or "
			"tap",
			s->net);
	if (arg_egress && !net_is_tap(s))
		return err_set(err, ERR_USAGE,
			"--egress needs --net tap, not %.40s", s->net);
	return parse_name(s->name, "--name", err) ||
			parse_name(s->image, "--image", err) ||
			parse_name(s->driver, "--driver", err) ||
			driver_check_name(s->driver, s->name, err) ?
		-1 :
		0;
}

/* What a snapshot is of is not ours to choose. */
static int
from_snapshot(struct state *st, struct err *err)
{
	CLEANUP_JSON struct json *about = NULL;

	if (arg_image || arg_memory || arg_net || arg_driver || arg_cpus != 1)
		return err_set(err, ERR_USAGE,
			"--snapshot says itself what --image, --memory, "
			"--cpus, --net and --driver are");
	if (parse_name(arg_snapshot, "--snapshot", err) ||
		snapshot_show(st, arg_snapshot, &about, err))
		return -1;
	arg_image = xstrdup(json_str(about, "image", ""));
	arg_memory = xasprintf("%lldM",
		(long long)json_int(about, "memory_mb", 512));
	arg_net = xstrdup(json_str(about, "net", ""));
	arg_driver = xstrdup(json_str(about, "driver", ""));
	arg_cpus = (int)json_int(about, "cpus", 1);
	return 0;
}

/* Strings are the options' or the configuration's: they outlive boot. */
static int
make_boot(struct state *st, struct vm_boot *boot, struct err *err)
{
	struct config *c;

	*boot = (struct vm_boot){ .notify_fd = arg_notify_fd };
	if (arg_snapshot && from_snapshot(st, err))
		return -1;
	boot->snapshot = arg_snapshot;
	if (!arg_image)
		return err_set(err, ERR_USAGE, "--image is needed");
	named = arg_name != NULL;
	if (!arg_name) {
		CLEANUP_FREE char *random = random_name(8);

		arg_name = xasprintf("vm-%s", random);
	}
	if (state_config(st, &c, err))
		return -1;
	boot->spec.name = arg_name;
	boot->spec.image = arg_image;
	boot->spec.driver = arg_driver ? arg_driver :
		config_str(c, "vm", NULL, "driver", "qemu");
	boot->spec.net = arg_net;
	if (parse_name(boot->spec.driver, "--driver", err))
		return -1; /* before anything of that name is run */
	if (!arg_net &&
		driver_net(boot->spec.driver,
			config_str(c, "vm", NULL, "net", NULL),
			&boot->spec.net, err))
		return -1;
	if (net_is_tap(&boot->spec))
		boot->spec.egress = arg_egress ? arg_egress :
			config_str(c, "vm", NULL, "egress", "all");
	if (boot->spec.egress && net_check_egress(boot->spec.egress, err))
		return -1;
	if (arg_notify_fd >= 0 && fd_cloexec(arg_notify_fd, true))
		return err_sys(err, "--notify-fd %d", arg_notify_fd);
	if (fill_numbers(c, boot, err) || check_names(&boot->spec, err) ||
		limit_options_fill(&boot->spec, err) ||
		disk_options_fill(&boot->spec.disk, err))
		return -1;
	return arg_snapshot && disks_any(&boot->spec.disk) ?
		err_set(err, ERR_USAGE,
			"--snapshot continues without disks of its own") :
		0;
}

/* ---- run ---- */

static void
tell_timings(const struct timings *t)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_JSON struct json *o = NULL;

	if (common.json) {
		o = timings_json(t);
		json_write(o, &b);
		buf_addc(&b, '\n');
	} else {
		timings_text(t, &b);
	}
	fputs(b.s, stderr);
}

static int
run(struct state *st, const char **command, int n, struct early *early,
	int *ret_status, struct err *err)
{
	CLEANUP_IMAGE struct image im = IMAGE_INIT;
	CLEANUP_IMAGE_CONFIG struct image_config config = IMAGE_CONFIG_INIT;
	CLEANUP_ARGV struct argv env = ARGV_INIT, words = ARGV_INIT;
	struct exec_request request;
	struct timings timings;
	struct vm_boot boot;
	int rc;

	if (make_boot(st, &boot, err))
		return -1;
	if (!named && !boot.snapshot)
		early_begin(st, &boot.spec, early);
	boot.early = early;
	if (vm_repair(st, false, NULL, err) ||
		image_open(st, boot.spec.image, &im, err))
		return -1;
	image_config_read(im.manifest, &config);
	if (n)
		argv_pushv(&words, command);
	else
		image_config_command(&config, &words);
	if (exec_request_make((const char *const *)words.v, &config, &env,
		    &request, err))
		return -1;
	boot.exec = &request;
	boot.timings = &timings;
	if (!named && !arg_timings) {
		rc = warm_run(st, &boot, ret_status, err);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	rc = supervise(st, &boot, ret_status, err);
	if (arg_timings)
		tell_timings(&timings);
	return rc;
}

/* A place: 125 for whatever keeps the command from beginning. */
int
cmd_run(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	const char **command = cmd_command(&argc, argv);
	struct early early = EARLY_INIT;
	int status, rc;

	rc = state_open(&st, err) ||
		run(st, command, argc, &early, &status, err);
	early_release(st, arg_name, &early);
	if (!rc)
		return status;
	if (err->code == ERR_USAGE)
		return EXIT_USAGE;
	return err->code == ERR_TIMEOUT ? EXIT_TIMEOUT : EXIT_PLACE;
}

/* ---- start ---- */

static void
supervise_args(struct state *st, const struct vm_boot *boot, struct argv *a)
{
	argv_push(a, "supervise");
	argv_pushf(a, "--state=%s", state_path(st));
	argv_pushf(a, "--name=%s", boot->spec.name);
	if (boot->snapshot) {
		argv_pushf(a, "--snapshot=%s", boot->snapshot);
	} else {
		argv_pushf(a, "--image=%s", boot->spec.image);
		argv_pushf(a, "--driver=%s", boot->spec.driver);
		argv_pushf(a, "--net=%s", boot->spec.net);
		argv_pushf(a, "--cpus=%d", boot->spec.cpus);
		argv_pushf(a, "--memory=%lld", (long long)boot->spec.memory);
	}
	if (boot->spec.egress)
		argv_pushf(a, "--egress=%s", boot->spec.egress);
	disk_options_push(&boot->spec.disk, a);
	argv_pushf(a, "--boot-timeout=%lldms", (long long)boot->boot_timeout);
	limit_options_args(&boot->spec, a);
	if (arg_restart)
		argv_push(a, "--restart");
}

/* For `forge-vm restart`; caller frees. */
char *
supervise_json(struct state *st, const struct vm_boot *boot)
{
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	CLEANUP_JSON struct json *list = json_array();
	size_t i;

	supervise_args(st, boot, &a);
	for (i = 0; i < a.n; i++)
		json_push_str(list, a.v[i]);
	return json_text(list);
}

/* The supervisor of a started VM: the same process in its own session. */
int
cmd_supervise(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_FREE char *again = NULL;
	struct vm_boot boot;
	int status;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || make_boot(st, &boot, err))
		return err_status(err->code);
	boot.spec.keep = !arg_unkept;
	boot.waits = arg_waits;
	boot.spec.restart = arg_restart;
	boot.spec.again = arg_again;
	again = boot.spec.keep ? supervise_json(st, &boot) : NULL;
	boot.spec.argv = again;
	if (supervise(st, &boot, &status, err))
		return err_status(err->code);
	return status;
}

int
cmd_start(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_ARGV struct argv args = ARGV_INIT;
	CLEANUP_BUF struct buf name = BUF_INIT;
	CLEANUP_CLOSE int sock = -1;
	struct vm_boot boot;
	int status, warm = 0;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || make_boot(st, &boot, err) ||
		vm_repair(st, false, NULL, err))
		return err_status(err->code);
	boot.spec.restart = arg_restart;
	if (!named)
		warm = warm_find(st, &boot, false, &sock, err);
	if (warm) {
		if (warm > 0)
			puts(boot.spec.name);
		return warm > 0 ? EXIT_OK : err_status(err->code);
	}
	supervise_args(st, &boot, &args);
	if (detach_self(&args, &name, &status, err))
		return err_status(err->code);
	if (!status)
		puts(boot.spec.name);
	return status;
}

int
cmd_restore(int argc, const char **argv, struct err *err)
{
	arg_snapshot = xstrdup(argv[0]);
	return cmd_start(argc, argv, err);
}

/* ---- warm ---- */

/* Without --image: fill those that there are. */
int
cmd_warm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct vm_boot boot;

	(void)argc;
	(void)argv;
	if ((arg_image != NULL) != (arg_warm >= 0) || arg_warm > WARM_MAX)
		return cmd_usage(err, "warm: --image and --warm N (at most "
			"%d), or neither", WARM_MAX);
	if (state_open(&st, err) ||
		(arg_image && (make_boot(st, &boot, err) ||
			warm_set(st, &boot.spec, arg_warm, err))) ||
		warm_pools(st, err))
		return err_status(err->code);
	return EXIT_OK;
}

/* ---- plan ---- */

int
cmd_plan(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct vm_boot boot;

	(void)argc;
	(void)argv;
	if (state_open(&st, err) || make_boot(st, &boot, err) ||
		plan_print(st, &boot.spec, err))
		return err_status(err->code);
	return EXIT_OK;
}
