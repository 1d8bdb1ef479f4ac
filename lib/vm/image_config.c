#include "lib/vm/image_config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/image_dir.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

void
image_config_release(struct image_config *c)
{
	argv_release(&c->env);
	argv_release(&c->entrypoint);
	argv_release(&c->cmd);
	free(c->user);
	free(c->workdir);
}

void
image_config_list(const struct json *j, const char *key, struct argv *ret)
{
	CLEANUP_JSON struct json *list = json_get(j, key);
	struct json *word;
	size_t i;

	for (i = 0; list && (word = json_at(list, i)); i++) {
		const char *s = json_str(word, "", NULL);

		if (s)
			argv_push(ret, s);
		json_free(word);
	}
}

static char *
read_word(const struct json *m, const char *key)
{
	const char *s = json_str(m, key, "");

	return *s ? xstrdup(s) : NULL;
}

void
image_config_read(const struct json *m, struct image_config *ret)
{
	CLEANUP_ARGV struct argv env = ARGV_INIT;
	size_t i;

	image_config_list(m, "env", &env);
	for (i = 0; i < env.n; i++)
		if (strchr(env.v[i], '=') && *env.v[i] != '=')
			argv_push(&ret->env, env.v[i]);
	image_config_list(m, "entrypoint", &ret->entrypoint);
	image_config_list(m, "cmd", &ret->cmd);
	ret->user = read_word(m, "user");
	ret->workdir = read_word(m, "workdir");
}

static void
put_list(const struct argv *a, struct json *m, const char *key)
{
	struct json *list = json_array();
	size_t i;

	for (i = 0; i < a->n; i++)
		json_push_str(list, a->v[i]);
	json_put(m, key, list);
}

void
image_config_put(const struct image_config *c, struct json *m)
{
	put_list(&c->env, m, "env");
	put_list(&c->entrypoint, m, "entrypoint");
	if (c->cmd.n)
		put_list(&c->cmd, m, "cmd");
	if (c->user)
		json_put_str(m, "user", c->user);
	if (c->workdir)
		json_put_str(m, "workdir", c->workdir);
}

void
image_config_command(const struct image_config *c, struct argv *ret)
{
	argv_pushv(ret, (const char *const *)c->entrypoint.v);
	argv_pushv(ret, (const char *const *)c->cmd.v);
	if (!ret->n)
		argv_push(ret, "/bin/sh");
}

int
image_config_link(int dirfd, const char *image, struct err *err)
{
	CLEANUP_FREE char *target = xasprintf("../../image/%s", image);

	return symlinkat(target, dirfd, VM_IMAGE) ?
		err_sys(err, "cannot link '%s'", target) :
		0;
}

/* The database takes longer to open than all else of a short command. */
static char *
linked_image(struct state *st, const char *vm)
{
	CLEANUP_FREE char *path = xasprintf("vm/%s/" VM_IMAGE, vm);
	struct err bad = ERR_INIT;
	char target[PATH_MAX];
	const char *name;
	ssize_t n = readlinkat(state_dir(st), path, target, sizeof(target) - 1);

	if (n < 0)
		return NULL;
	target[n] = '\0';
	name = strrchr(target, '/');
	return name && !parse_name(name + 1, "image", &bad) ?
		xstrdup(name + 1) :
		NULL;
}

static int
find_image(struct state *st, const char *vm, char **ret, struct err *err)
{
	CLEANUP_JSON struct json *row = NULL;
	struct db *db;

	*ret = linked_image(st, vm);
	if (*ret)
		return 0;
	if (state_db(st, &db, err) || vm_show(db, vm, &row, err))
		return -1;
	*ret = xstrdup(json_str(row, "image", ""));
	return 0;
}

int
image_config_of_vm(struct state *st, const char *vm, struct image_config *ret,
	struct err *err)
{
	CLEANUP_JSON struct json *m = NULL;
	CLEANUP_FREE char *image = NULL;
	CLEANUP_CLOSE int dirfd = -1;
	struct err gone = ERR_INIT;

	if (find_image(st, vm, &image, err))
		return -1;
	dirfd = image_dir_open(st, err);
	if (dirfd < 0)
		return -1;
	if (!image_manifest(dirfd, image, false, &m, &gone))
		image_config_read(m, ret);
	return 0;
}
