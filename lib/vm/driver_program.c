#include "lib/vm/driver_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define SPEC_MAX 65536

static int
read_spec(struct json **ret, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (buf_read_fd(&b, STDIN_FILENO, SPEC_MAX, "the spec", err))
		return -1;
	return json_parse(b.s, b.len, ret, err);
}

int
driver_print(const struct json *j, struct err *err)
{
	CLEANUP_FREE char *text = json_text(j);

	return puts(text) < 0 ? err_sys(err, "cannot write to stdout") : 0;
}

void
driver_put_words(struct json *o, const char *key, const char *const *words)
{
	struct json *list = json_array();

	for (; *words; words++)
		json_push_str(list, *words);
	json_put(o, key, list);
}

static void
put_usable(const struct driver_program *p, const char *path, struct json *o)
{
	CLEANUP_FREE char *install = xasprintf("install %s", p->package);
	const char *fix = install;
	struct err why = ERR_INIT;

	if (!path)
		(void)err_set(&why, ERR_NOTFOUND, "no %s in PATH", p->program);
	else if (p->check)
		(void)!p->check(&fix, &why);
	json_put_bool(o, "usable", !why.code);
	json_put_str(o, "why", why.code ? why.msg : NULL);
	json_put_str(o, "fix", why.code ? fix : NULL);
}

static int
print_caps(const struct driver_program *p, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *path = fs_which(p->program);
	const struct driver_verb *v;
	struct json *verbs = json_array();

	json_put_str(o, "driver", p->name + strlen("driver-"));
	json_put_str(o, "program", path);
	put_usable(p, path, o);
	json_push_str(verbs, "caps");
	json_push_str(verbs, "argv");
	json_push_str(verbs, "boot");
	for (v = p->verbs; v && v->name; v++)
		if (strcmp(v->name, "boot") != 0)
			json_push_str(verbs, v->name);
	json_put(o, "verbs", verbs);
	p->caps(o);
	return driver_print(o, err);
}

static int
print_argv(const struct argv *a, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object(), *list = NULL;

	driver_put_words(o, "argv", (const char *const *)a->v);
	list = json_get(o, "argv");
	return driver_print(list, err);
}

static int
become(const struct driver_program *p, const struct json *spec,
	struct argv *a, struct err *err)
{
	CLEANUP_FREE char *path = fs_which(p->program);
	CLEANUP_CLOSE int fd = -1;

	if (!path)
		return err_set(err, ERR_NOTFOUND,
			"no %s in PATH: install %s", p->program, p->package);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p->prepare && p->prepare(spec, a, err))
		return -1;
	(void)execv(path, a->v);
	/* What prepare() did may have hidden the path from us. */
	if (fd >= 0)
		(void)fexecve(fd, a->v, environ);
	return err_sys(err, "cannot execute '%s'", path);
}

/* -1 with ERR_USAGE that lists those there are. */
static int
no_verb(const struct driver_program *p, const char *verb, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const struct driver_verb *v;

	for (v = p->verbs; v && v->name; v++)
		buf_addf(&b, ", %s", v->name);
	return err_set(err, ERR_USAGE,
		"verb '%.40s' is not one of caps, argv, boot%s", verb, b.s);
}

static int
run(const struct driver_program *p, const char *verb, struct err *err)
{
	CLEANUP_JSON struct json *spec = NULL;
	CLEANUP_ARGV struct argv a = ARGV_INIT;
	const struct driver_verb *v = p->verbs;

	if (!strcmp(verb, "caps"))
		return print_caps(p, err);
	while (v && v->name && strcmp(v->name, verb) != 0)
		v++;
	if (v && v->name)
		return read_spec(&spec, err) || v->run(spec, err) ? -1 : 0;
	if (strcmp(verb, "argv") != 0 && strcmp(verb, "boot") != 0)
		return no_verb(p, verb, err);
	if (p->begin && !strcmp(verb, "boot") && p->begin(err))
		return -1;
	if (read_spec(&spec, err) || p->make_argv(spec, &a, err))
		return -1;
	return !strcmp(verb, "argv") ? print_argv(&a, err) :
				       become(p, spec, &a, err);
}

int
driver_main(const struct driver_program *p, int argc, char **argv)
{
	struct err err = ERR_INIT;

	main_init(p->name);
	if (argc != 2)
		(void)err_set(&err, ERR_USAGE,
			"one verb is needed: caps, argv or boot");
	else if (!run(p, argv[1], &err))
		return 0;
	return err_print(&err);
}
