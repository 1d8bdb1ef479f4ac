#include "lib/vm/kernel.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/vm/digest.h"
#include "lib/vm/unpack.h"
#include "lib/base/banned.h"

#define DEFAULT_PACKAGE "linux-image-cloud-amd64"
#define APT_OUTPUT ((size_t)1 << 20)
#define APT_TIMEOUT ((int64_t)10 * 60 * 1000)

/* Run a program of apt and collect what it prints. */
static int
apt(const char *const *argv, int dirfd, struct buf *out, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	argv_pushv(&p.argv, argv);
	argv_push(&p.env, "LC_ALL=C");
	p.dirfd = dirfd;
	p.parent_death = SIGTERM;
	if (!proc_run(&p, NULL, out, APT_OUTPUT, APT_TIMEOUT, err))
		return 0;
	if (err->code == ERR_NOTFOUND)
		return err_wrap(err, "fetching a kernel needs Debian's apt "
			"(or give --kernel FILE --modules DIR)");
	return err_wrap(err, "apt (does it need `apt-get update` first?)");
}

/* A meta package depends on the real one: its name, else the given one. */
static int
resolve(const char *package, char **ret, struct err *err)
{
	const char *argv[] = { "apt-cache", "depends", "--", package, NULL };
	static const char lead[] = "Depends: linux-image-";
	CLEANUP_BUF struct buf out = BUF_INIT;
	const char *p;

	if (apt(argv, -1, &out, err))
		return -1;
	p = strstr(out.s, lead);
	if (!p) {
		*ret = xstrdup(package);
		return 0;
	}
	p += strlen("Depends: ");
	*ret = xstrndup(p, strcspn(p, " \t\n"));
	return 0;
}

/* What apt-get would fetch: "'URI' FILE SIZE SHA256:HEX". */
struct offer {
	char *file;
	char *sha256; /* or NULL: apt knows another sum */
};

static void
offer_release(struct offer *o)
{
	free(o->file);
	free(o->sha256);
}

static int
ask(const char *package, struct offer *ret, struct err *err)
{
	const char *argv[] = { "apt-get", "download", "--print-uris", "--",
		package, NULL };
	CLEANUP_BUF struct buf out = BUF_INIT;
	CLEANUP_ARGV struct argv words = ARGV_INIT;
	const char *last, *sum = "SHA256:";

	if (apt(argv, -1, &out, err))
		return -1;
	buf_rtrim(&out);
	last = strrchr(out.s, '\n');
	argv_split(&words, last ? last + 1 : out.s);
	if (words.n < 3 || *words.v[0] != '\'' || strchr(words.v[1], '/') ||
		*words.v[1] == '.')
		return err_set(err, ERR_INVALID,
			"apt-get says nothing that is understood about '%s'",
			package);
	ret->file = xstrdup(words.v[1]);
	if (words.n > 3 && !strncmp(words.v[3], sum, strlen(sum)))
		ret->sha256 = xstrdup(words.v[3] + strlen(sum));
	return 0;
}

/* Is the file that was fetched earlier the one that apt would fetch now? */
static bool
have(int cache, const struct offer *o)
{
	struct err err = ERR_INIT;
	struct digest d;

	if (!o->sha256 || digest_file(cache, o->file, &d, &err))
		return false;
	return !strcmp(d.hex, o->sha256);
}

/* Into a directory of its own, checked, then under its name. */
static int
fetch(int cache, const char *package, const struct offer *o, struct err *err)
{
	const char *argv[] = { "apt-get", "download", "-q", "-o",
		"APT::Sandbox::User=root", "--", package, NULL };
	CLEANUP_FREE char *suffix = random_name(8);
	CLEANUP_FREE char *tmp = xasprintf(".fetch-%s", suffix);
	CLEANUP_FREE char *from = xasprintf("%s/%s", tmp, o->file);
	CLEANUP_CLOSE int dir = -1;
	struct err other = ERR_INIT;
	struct digest d;
	int rc = -1;

	if (fs_mkdirs(cache, tmp, 0700, err))
		return -1;
	dir = openat(cache, tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		(void)err_sys(err, "cannot open 'cache/%s'", tmp);
	else if (apt(argv, dir, NULL, err) || digest_file(cache, from, &d,
		err))
		; /* err is set */
	else if (o->sha256 && strcmp(d.hex, o->sha256) != 0)
		(void)err_set(err, ERR_INVALID,
			"'%s': not the bytes that apt announced", o->file);
	else if (renameat(cache, from, cache, o->file))
		(void)err_sys(err, "cannot rename to 'cache/%s'", o->file);
	else
		rc = 0;
	if (fs_remove_tree(cache, tmp, rc ? &other : err))
		rc = -1;
	return rc;
}

static bool
want(const char *name, void *arg)
{
	(void)arg;
	return !strncmp(name, "boot/vmlinuz-", 13) ||
		(!strncmp(name, "lib/modules/", 12) &&
			(module_path(name) ||
				strstr(name, "/modules.builtin") != NULL)) ||
		(!strncmp(name, "usr/lib/modules/", 16) &&
			module_path(name));
}

static int
keep(const char *name, struct buf *data, void *arg, struct err *err)
{
	struct kernel *k = arg;

	if (!strncmp(name, "boot/vmlinuz-", 13)) {
		if (k->version)
			return err_set(err, ERR_INVALID, "two kernels in it");
		k->version = xstrdup(name + 13);
		return kernel_extract(data->s, data->len, &k->image, err);
	}
	if (module_path(name))
		modules_add(&k->modules, name, data);
	else if (!strcmp(strrchr(name, '/'), "/modules.builtin"))
		modules_add_builtin(&k->modules, data);
	return 0;
}

static int
open_cache(struct state *st, struct err *err)
{
	int fd;

	if (fs_mkdirs(state_dir(st), "cache", 0700, err))
		return -1;
	fd = openat(state_dir(st), "cache",
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(err, "cannot open '%s/cache'",
		state_path(st));
}

int
kernel_from_debian(struct state *st, struct kernel *ret, struct err *err)
{
	const struct unpack u = { want, keep, ret, MODULES_MAX };
	__attribute__((cleanup(offer_release))) struct offer o = { 0 };
	CLEANUP_FREE char *package = NULL, *path = NULL;
	CLEANUP_CLOSE int cache = -1;
	struct config *config;

	if (state_config(st, &config, err) ||
		resolve(config_str(config, "image", NULL, "kernel-package",
			DEFAULT_PACKAGE), &package, err) ||
		ask(package, &o, err))
		return -1;
	if (!o.file)
		BUG("an offer without a file");
	cache = open_cache(st, err);
	if (cache < 0 || (!have(cache, &o) && fetch(cache, package, &o, err)))
		return -1;
	path = xasprintf("%s/cache/%s", state_path(st), o.file);
	ret->modules.trim = true;
	if (unpack_deb(path, &u, err))
		return err_wrap(err, "kernel package '%s'", package);
	if (!ret->version)
		return err_set(err, ERR_INVALID,
			"package '%s' holds no kernel", package);
	ret->source = xstrdup(o.file);
	return 0;
}
