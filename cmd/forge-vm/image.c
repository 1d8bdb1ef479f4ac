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
#include "lib/vm/image.h"
#include "lib/vm/image_build.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define GC_AGE ((int64_t)30 * 24 * 60 * 60 * 1000)
#define IMPORT_MAX ((int64_t)16 << 30)

static char *arg_base, *arg_kernel, *arg_modules;
static char *arg_initramfs, *arg_ref, *arg_max_size;
static char **arg_packages, **arg_files, **arg_run;
static char *arg_older_than;
static int arg_replace, arg_dry;
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
	KERNEL_OPTIONS, POPT_TABLEEND
};

const struct poptOption image_import_options[] = {
	{ "ref", 0, POPT_ARG_STRING, &arg_ref, 0,
		"take the image of this name, or tag, of several", "REF" },
	{ "initramfs", 0, POPT_ARG_STRING, &arg_initramfs, 0,
		"instead of SOURCE: the root, for the kernel of --kernel",
		"FILE" },
	{ "max-size", 0, POPT_ARG_STRING, &arg_max_size, 0,
		"refuse more than that when unpacked (16G)", "SIZE" },
	KERNEL_OPTIONS, POPT_TABLEEND
};

const struct poptOption image_gc_options[] = {
	{ "older-than", 0, POPT_ARG_STRING, &arg_older_than, 0,
		"not used for that long (30d)", "DURATION" },
	{ "dry-run", 'n', POPT_ARG_NONE, &arg_dry, 0,
		"tell what would be removed, remove nothing", NULL },
	POPT_TABLEEND
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

int
cmd_image_build(int argc, const char **argv, struct err *err)
{
	CLEANUP_IMAGE_SPEC struct image_spec spec = IMAGE_SPEC_INIT;
	CLEANUP_FREE char *name = NULL;

	if (!arg_base && argc && image_base(argv[0]))
		arg_base = xstrdup(argv[0]);
	if (!arg_base)
		return cmd_usage(err, "--base BASE is needed: busybox, debian "
			"or debian:SUITE");
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
	push_all(&spec.run, arg_run);
	return build(&spec, err);
}

int
cmd_image_import(int argc, const char **argv, struct err *err)
{
	CLEANUP_IMAGE_SPEC struct image_spec spec = IMAGE_SPEC_INIT;

	spec.max_size = IMPORT_MAX;
	if (argc != (arg_initramfs ? 1 : 2))
		return cmd_usage(err, arg_initramfs ?
				"--initramfs is itself the root: give NAME, "
				"and no SOURCE" :
				"SOURCE and NAME are needed");
	if (arg_max_size &&
		parse_size(arg_max_size, 1, (int64_t)1 << 50, "--max-size",
			&spec.max_size, err))
		return err_status(err->code);
	spec.name = argv[argc - 1];
	spec.base = arg_initramfs ? "initramfs" : "import";
	spec.source = arg_initramfs ? NULL : argv[0];
	spec.initramfs = arg_initramfs;
	spec.ref = arg_ref;
	spec.kernel = arg_kernel;
	spec.modules = arg_modules;
	spec.replace = arg_replace;
	spec.bar = bar_init(&bar);
	return build(&spec, err);
}

int
cmd_image_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "STATE", "state", 0 }, { "BASE", "base", 0 },
		{ "SIZE", "size", COLUMN_SIZE | COLUMN_RIGHT },
		{ "AGE", "created_at", COLUMN_AGE },
		{ "DIGEST", "digest", 0 } };
	CLEANUP_STATE struct state *st = NULL;
	struct emitter p = { .err = err };

	(void)argc;
	(void)argv;
	if (state_open(&st, err) ||
		output_open(&p.out, columns, ARRAY_SIZE(columns), err) ||
		image_each(st, output_emit, &p, err) || output_close(p.out, err))
		return err_status(err->code);
	return EXIT_OK;
}

int
cmd_image_show(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct json *row;

	(void)argc;
	if (state_open(&st, err) || image_show(st, argv[0], &row, err) ||
		output_one(row, err))
		return err_status(err->code);
	return EXIT_OK;
}

static int
remove_one(const char *name, void *st, struct err *err)
{
	return image_remove(st, name, err);
}

int
cmd_image_rm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;

	if (state_open(&st, err))
		return err_status(err->code);
	return cmd_each(argc, argv, "NAME", remove_one, st);
}

static void
tell(const char *line, void *arg)
{
	(void)arg;
	puts(line);
}

int
cmd_image_gc(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct image_gc gc = { .older_than = GC_AGE, .dry = arg_dry,
		.found = tell };

	(void)argc;
	(void)argv;
	if ((arg_older_than &&
		    parse_duration(arg_older_than, "--older-than",
			    &gc.older_than, err)) ||
		state_open(&st, err) || vm_repair(st, false, NULL, NULL, err) ||
		image_collect(st, &gc, err))
		return err_status(err->code);
	return EXIT_OK;
}
