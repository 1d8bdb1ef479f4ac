#include "cmd/forge-vm/forge-vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/forge-vm/bar.h"
#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/parse.h"
#include "lib/state/state.h"
#include "lib/vm/image_build.h"
#include "lib/vm/recipe.h"
#include "lib/base/banned.h"

#define IMPORT_MAX ((int64_t)16 << 30)

static char *arg_base, *arg_kernel, *arg_modules;
static char *arg_initramfs, *arg_template, *arg_ref, *arg_max_size;
static char **arg_packages, **arg_files, **arg_run;
static char *arg_recipe, *arg_user, *arg_workdir;
static char **arg_set, **arg_tars, **arg_env, **arg_cmd;
static int arg_replace;
static struct bar bar;

#define KERNEL_OPTIONS                                                         \
	{ "kernel", 0, POPT_ARG_STRING, &arg_kernel, 0,                        \
		"a vmlinux or bzImage instead of Debian's cloud kernel",       \
		"FILE" },                                                      \
		{ "modules", 0, POPT_ARG_STRING, &arg_modules, 0,              \
			"directory of that kernel's modules", "DIR" },         \
	{                                                                      \
		"replace", 0, POPT_ARG_NONE, &arg_replace, 0,                  \
			"replace an image of this name", NULL                  \
	}

const struct poptOption image_build_options[] = {
	{ "base", 'b', POPT_ARG_STRING, &arg_base, 0,
		"busybox, debian or debian:SUITE", "BASE" },
	{ "package", 'p', POPT_ARG_ARGV, &arg_packages, 0,
		"debian: install it as well (may be repeated)", "PACKAGE" },
	{ "file", 'f', POPT_ARG_ARGV, &arg_files, 0,
		"put file SRC there as DST (may be repeated)", "SRC:DST" },
	{ "run", 0, POPT_ARG_ARGV, &arg_run, 0,
		"debian: run a shell command inside (may be repeated)",
		"COMMAND" },
	{ "tar", 0, POPT_ARG_ARGV, &arg_tars, 0,
		"debian: unpack a tar file there (may be repeated)",
		"SRC:DIR" },
	{ "env", 0, POPT_ARG_ARGV, &arg_env, 0,
		"set NAME=VALUE for what is run in it (may be repeated)",
		"NAME=VALUE" },
	{ "user", 0, POPT_ARG_STRING, &arg_user, 0, "who runs it", "USER" },
	{ "workdir", 0, POPT_ARG_STRING, &arg_workdir, 0,
		"directory that it starts in", "DIR" },
	{ "cmd", 0, POPT_ARG_ARGV, &arg_cmd, 0,
		"what is run when nothing is said, word by word", "WORD" },
	{ "recipe", 0, POPT_ARG_STRING, &arg_recipe, 0,
		"build by a recipe: agent, browser, runner or a path",
		"RECIPE" },
	{ "set", 0, POPT_ARG_ARGV, &arg_set, 0,
		"tell the recipe something (may be repeated)", "NAME=VALUE" },
	KERNEL_OPTIONS, POPT_TABLEEND
};

const struct poptOption image_import_options[] = {
	{ "ref", 0, POPT_ARG_STRING, &arg_ref, 0,
		"take the image of this name, or tag, of several", "REF" },
	{ "initramfs", 0, POPT_ARG_STRING, &arg_initramfs, 0,
		"instead of SOURCE: the root, for the kernel of --kernel",
		"FILE" },
	{ "template", 0, POPT_ARG_STRING, &arg_template, 0,
		"instead of SOURCE: its name on another machine, for the "
		"drivers proxmox and tart", "TEMPLATE" },
	{ "max-size", 0, POPT_ARG_STRING, &arg_max_size, 0,
		"refuse more than that when unpacked (16G)", "SIZE" },
	KERNEL_OPTIONS, POPT_TABLEEND
};

static void
push_all(struct argv *a, char **list)
{
	for (; list && *list; list++)
		argv_push(a, *list);
}

/* "debian:trixie" without a name of its own becomes debian-trixie. */
static char *
name_of(const char *base)
{
	char *name = xstrdup(base), *colon = strchr(name, ':');

	if (colon)
		*colon = '-';
	return name;
}

static int
build(const struct image_spec *spec, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row;
	int rc = state_open(&st, err) || image_build(st, spec, &row, err);

	bar_done(&bar);
	if (rc)
		return err_status(err->code);
	if (common.json || common.filter)
		return output_one(row, err) ? err_status(err->code) : EXIT_OK;
	printf("%s %s\n", json_str(row, "name", ""),
		json_str(row, "digest", ""));
	json_free(row);
	return EXIT_OK;
}

/* The options that a recipe hands on to `image build`. */
static void
push_option(struct argv *a, const char *option, char **list)
{
	for (; list && *list; list++)
		argv_pushf(a, "--%s=%s", option, *list);
}

static void
push_word(struct argv *a, const char *option, char *value)
{
	char *list[] = { value, NULL };

	push_option(a, option, list);
}

static int
by_recipe(const char *name, struct err *err)
{
	CLEANUP_RECIPE struct recipe r = RECIPE_INIT;
	CLEANUP_STATE struct state *st = NULL;
	int status;

	r.name = arg_recipe;
	r.base = arg_base;
	push_all(&r.set, arg_set);
	push_option(&r.args, "package", arg_packages);
	push_option(&r.args, "file", arg_files);
	push_option(&r.args, "tar", arg_tars);
	push_option(&r.args, "run", arg_run);
	push_option(&r.args, "env", arg_env);
	push_option(&r.args, "cmd", arg_cmd);
	push_word(&r.args, "user", arg_user);
	push_word(&r.args, "workdir", arg_workdir);
	push_word(&r.args, "kernel", arg_kernel);
	push_word(&r.args, "modules", arg_modules);
	push_word(&r.args, "filter", common.filter);
	if (arg_replace)
		argv_push(&r.args, "--replace");
	if (common.json)
		argv_push(&r.args, "--json");
	if (common.quiet)
		argv_push(&r.args, "--quiet");
	if (common.verbose)
		argv_push(&r.args, "--verbose");
	argv_push(&r.args, name);
	if (parse_name(name, "image", err) || state_open(&st, err) ||
		recipe_run(st, &r, &status, err))
		return err_status(err->code);
	return status;
}

static int
fill_config(struct image_config *c, struct err *err)
{
	size_t i;

	push_all(&c->env, arg_env);
	push_all(&c->cmd, arg_cmd);
	c->user = xstrdup_null(arg_user);
	c->workdir = xstrdup_null(arg_workdir);
	for (i = 0; i < c->env.n; i++)
		if (!strchr(c->env.v[i], '=') || *c->env.v[i] == '=')
			return err_set(err, ERR_USAGE,
				"--env: '%.80s' is not NAME=VALUE",
				c->env.v[i]);
	if (arg_workdir && *arg_workdir != '/')
		return err_set(err, ERR_USAGE,
			"--workdir: '%.80s' is not absolute", arg_workdir);
	return 0;
}

int
cmd_image_build(int argc, const char **argv, struct err *err)
{
	CLEANUP_IMAGE_SPEC struct image_spec spec = IMAGE_SPEC_INIT;
	CLEANUP_FREE char *name = NULL;

	if (!arg_base && argc && image_base(argv[0]))
		arg_base = xstrdup(argv[0]);
	if (!arg_base && !arg_recipe && argc && recipe_exists(argv[0]))
		arg_recipe = xstrdup(argv[0]);
	if (arg_recipe)
		return by_recipe(argc ? argv[0] : arg_recipe, err);
	if (!arg_base)
		return cmd_usage(err, "--base BASE is needed: busybox, debian "
			"or debian:SUITE; or a recipe: agent, browser, runner");
	if (arg_set)
		return cmd_usage(err, "--set needs --recipe");
	if (fill_config(&spec.config, err))
		return err_status(err->code);
	spec.bar = bar_init(&bar);
	name = name_of(argc ? argv[0] : arg_base);
	spec.name = name;
	spec.base = arg_base;
	spec.kernel = arg_kernel;
	spec.modules = arg_modules;
	spec.replace = arg_replace;
	spec.progress = common.verbose || (!common.quiet &&
		isatty(STDERR_FILENO));
	push_all(&spec.packages, arg_packages);
	push_all(&spec.files, arg_files);
	push_all(&spec.tars, arg_tars);
	push_all(&spec.run, arg_run);
	return build(&spec, err);
}

int
cmd_image_import(int argc, const char **argv, struct err *err)
{
	CLEANUP_IMAGE_SPEC struct image_spec spec = IMAGE_SPEC_INIT;

	spec.max_size = IMPORT_MAX;
	if (arg_template && arg_initramfs)
		return cmd_usage(err, "--template and --initramfs exclude each other");
	if (arg_template && argc != 1)
		return cmd_usage(err, "--template is elsewhere: give NAME, and no SOURCE");
	if (argc != (arg_initramfs || arg_template ? 1 : 2))
		return cmd_usage(err, arg_initramfs ?
				"--initramfs is itself the root: give NAME, "
				"and no SOURCE" :
				"SOURCE and NAME are needed");
	if (arg_max_size &&
		parse_size(arg_max_size, 1, (int64_t)1 << 50, "--max-size",
			&spec.max_size, err))
		return err_status(err->code);
	spec.name = argv[argc - 1];
	spec.base = arg_initramfs ? "initramfs" :
		arg_template	  ? "template" :
				    "import";
	spec.source = arg_initramfs || arg_template ? NULL : argv[0];
	spec.template = arg_template;
	spec.initramfs = arg_initramfs;
	spec.ref = arg_ref;
	spec.kernel = arg_kernel;
	spec.modules = arg_modules;
	spec.replace = arg_replace;
	spec.bar = bar_init(&bar);
	return build(&spec, err);
}
