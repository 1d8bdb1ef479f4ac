#include "lib/vm/image_config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/image_dir.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define DEFAULTS_MAX (1u << 20)

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

/* ---- in the directory of a VM ---- */

/*
 * Before the link, which says that it is all there: user, workdir and env,
 * each with a NUL.  Neither a database nor a parser is needed to read them,
 * which is what a short command would spend most of its time with.
 */
static int
put_defaults(int dirfd, const struct image_config *c, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_CLOSE int fd = -1;
	size_t i;

	if (!c->user && !c->workdir && !c->env.n)
		return 0;
	buf_add(&b, c->user ? c->user : "",
		(c->user ? strlen(c->user) : 0) + 1);
	buf_add(&b, c->workdir ? c->workdir : "",
		(c->workdir ? strlen(c->workdir) : 0) + 1);
	for (i = 0; i < c->env.n; i++)
		buf_add(&b, c->env.v[i], strlen(c->env.v[i]) + 1);
	/* Not synced: it is of this life of the VM only. */
	fd = openat(dirfd, VM_DEFAULTS,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 || write_all(fd, b.s, b.len) ?
		err_sys(err, "cannot write '" VM_DEFAULTS "'") :
		0;
}

int
image_config_link(int dirfd, const char *image, const struct json *manifest,
	struct err *err)
{
	CLEANUP_FREE char *target = xasprintf("../../image/%s", image);
	CLEANUP_IMAGE_CONFIG struct image_config c = IMAGE_CONFIG_INIT;

	image_config_read(manifest, &c);
	if (put_defaults(dirfd, &c, err))
		return -1;
	return symlinkat(target, dirfd, VM_IMAGE) ?
		err_sys(err, "cannot link '%s'", target) :
		0;
}

static void
read_defaults(const struct buf *b, struct image_config *ret)
{
	const char *p = b->s, *end = b->s + b->len;
	int i;

	for (i = 0; p < end; i++, p += strlen(p) + 1) {
		if (i > 1)
			argv_push(&ret->env, p);
		else if (*p)
			*(i ? &ret->workdir : &ret->user) = xstrdup(p);
	}
}

int
image_config_defaults(struct state *st, const char *vm,
	struct image_config *ret, struct err *err)
{
	CLEANUP_FREE char *dir = xasprintf("vm/%s", vm);
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_CLOSE int fd = openat(state_dir(st), dir,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct err none = ERR_INIT;

	/* Of one that does not run, or is none, the database knows more. */
	if (fd < 0 || faccessat(fd, VM_IMAGE, F_OK, AT_SYMLINK_NOFOLLOW))
		return image_config_of_vm(st, vm, ret, err);
	if (!fs_read(fd, VM_DEFAULTS, DEFAULTS_MAX, &b, &none)) {
		read_defaults(&b, ret);
		return 0;
	}
	if (none.code == ERR_NOTFOUND)
		return 0;
	*err = none;
	return -1;
}

int
image_config_of_vm(struct state *st, const char *vm, struct image_config *ret,
	struct err *err)
{
	CLEANUP_JSON struct json *row = NULL, *m = NULL;
	CLEANUP_CLOSE int dirfd = -1;
	struct err gone = ERR_INIT;
	struct db *db;

	if (state_db(st, &db, err) || vm_show(db, vm, &row, err))
		return -1;
	dirfd = image_dir_open(st, err);
	if (dirfd < 0)
		return -1;
	if (!image_manifest(dirfd, json_str(row, "image", ""), false, &m,
		    &gone))
		image_config_read(m, ret);
	return 0;
}
