#include "lib/vm/image_root.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define DEFAULT_SUITE "stable"

static void
quote(struct buf *out, const char *s)
{
	const char *one[] = { s, NULL };

	argv_quote(one, out);
}

/*
 * Files and commands are mmdebstrap's hooks: they run inside its user
 * namespace, where an ordinary user may write as root.
 */
static int
file_hook(struct proc *p, const char *s, struct err *err)
{
	__attribute__((cleanup(image_file_release))) struct image_file f = {
		0
	};
	CLEANUP_BUF struct buf hook = BUF_INIT;
	CLEANUP_FREE char *dir = NULL;

	if (image_file_parse(s, false, &f, err))
		return -1;
	dir = xstrndup(f.dst, (size_t)(strrchr(f.dst, '/') - f.dst));
	buf_adds(&hook, "mkdir -p \"$1\"");
	quote(&hook, *dir ? dir : "/");
	argv_pushf(&p->argv, "--customize-hook=%s", hook.s);
	buf_reset(&hook);
	buf_adds(&hook, "upload ");
	quote(&hook, f.src);
	buf_addc(&hook, ' ');
	quote(&hook, f.dst);
	argv_pushf(&p->argv, "--customize-hook=%s", hook.s);
	buf_reset(&hook);
	buf_addf(&hook, "chmod %o \"$1\"", f.mode);
	quote(&hook, f.dst);
	argv_pushf(&p->argv, "--customize-hook=%s", hook.s);
	return 0;
}

/* What undoes its compression, by its first bytes. */
static const char *
decompressor(const char *path)
{
	static const struct {
		const char *magic, *program;
	} known[] = { { "\x1f\x8b", "gzip -dc" }, { "\xfd" "7zXZ", "xz -dc" },
		{ "\x28\xb5\x2f\xfd", "zstd -dcq" },
		{ "BZh", "bzip2 -dc" } };
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char head[8] = "";
	size_t i;

	if (fd < 0 || read(fd, head, sizeof(head)) < 0)
		return "cat"; /* and it tells what is wrong */
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!memcmp(head, known[i].magic, strlen(known[i].magic)))
			return known[i].program;
	return "cat";
}

/* Unpacked inside, where no link leads to the host. */
static int
tar_hook(struct proc *p, const char *s, struct err *err)
{
	__attribute__((cleanup(image_file_release))) struct image_file f = {
		0
	};
	CLEANUP_BUF struct buf hook = BUF_INIT;
	CLEANUP_FREE char *path = NULL;

	if (image_file_parse(s, true, &f, err))
		return -1;
	path = realpath(f.src, NULL);
	if (!path)
		return err_sys(err, "--tar '%s'", f.src);
	buf_adds(&hook, "chroot \"$1\" mkdir -p ");
	quote(&hook, f.dst);
	buf_addf(&hook, " && %s ", decompressor(path));
	quote(&hook, path);
	buf_adds(&hook, " | chroot \"$1\" tar --numeric-owner -xpf - -C ");
	quote(&hook, f.dst);
	argv_pushf(&p->argv, "--customize-hook=%s", hook.s);
	return 0;
}

static void
run_hook(struct proc *p, const char *command)
{
	CLEANUP_BUF struct buf hook = BUF_INIT;

	buf_adds(&hook, "chroot \"$1\" /bin/sh -ec ");
	quote(&hook, command);
	argv_pushf(&p->argv, "--customize-hook=%s", hook.s);
}

/* On Debian its own release, whose keys and mirror are known to work. */
static char *
default_suite(void)
{
	static const char key[] = "\nVERSION_CODENAME=";
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err none = ERR_INIT;
	const char *p;

	buf_addc(&b, '\n');
	if (fs_read(AT_FDCWD, "/etc/os-release", 65536, &b, &none) ||
		!strstr(b.s, "\nID=debian\n"))
		return xstrdup(DEFAULT_SUITE);
	p = strstr(b.s, key);
	if (!p)
		return xstrdup(DEFAULT_SUITE);
	p += strlen(key);
	return xstrndup(p, strcspn(p, "\n"));
}

/* Where the host takes expired release files, its images do as well. */
static void
pass_expired(struct proc *p)
{
	static const char option[] = "Acquire::Check-Valid-Until";
	CLEANUP_PROC struct proc ask = PROC_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err none = ERR_INIT;

	argv_push(&ask.argv, "apt-config");
	argv_push(&ask.argv, "dump");
	argv_push(&ask.argv, option);
	if (!proc_run(&ask, NULL, &b, 4096, 10000, &none) &&
		strstr(b.s, "\"false\""))
		argv_pushf(&p->argv, "--aptopt=%s \"false\"", option);
}

static int
bootstrap(struct state *st, const struct image_spec *spec, const char *tar,
	struct err *err)
{
	const char *colon = strchr(spec->base, ':');
	CLEANUP_FREE char *suite = colon ? xstrdup(colon + 1) :
					   default_suite();
	CLEANUP_PROC struct proc p = PROC_INIT;
	struct config *config;
	const char *mirror;
	size_t i;

	if (state_config(st, &config, err))
		return -1;
	mirror = config_str(config, "image", NULL, "mirror", NULL);
	argv_push(&p.argv, "mmdebstrap");
	argv_push(&p.argv, "--variant=minbase");
	argv_push(&p.argv, "--mode=auto");
	argv_push(&p.argv, "--format=tar");
	/* the guest mounts its own /dev */
	argv_push(&p.argv, "--skip=output/dev");
	argv_push(&p.argv, "--include=ca-certificates,git");
	for (i = 0; i < spec->packages.n; i++)
		argv_pushf(&p.argv, "--include=%s", spec->packages.v[i]);
	for (i = 0; i < spec->files.n; i++)
		if (file_hook(&p, spec->files.v[i], err))
			return -1;
	for (i = 0; i < spec->tars.n; i++)
		if (tar_hook(&p, spec->tars.v[i], err))
			return -1;
	for (i = 0; i < spec->run.n; i++)
		run_hook(&p, spec->run.v[i]);
	pass_expired(&p);
	argv_push(&p.argv, suite);
	argv_push(&p.argv, tar);
	if (mirror)
		argv_push(&p.argv, mirror);
	if (!image_tool(spec, &p, "mmdebstrap", err))
		return 0;
	if (err->code == ERR_NOTFOUND || spec->progress)
		return -1;
	return err_wrap(err, "base '%s' (-v shows more%s)", spec->base,
		geteuid() ? "; an ordinary user needs package uidmap and a "
			    "range in /etc/subuid and /etc/subgid" : "");
}

int
image_root_debian(struct state *st, const struct image_spec *spec,
	const char *tree, struct err *err)
{
	CLEANUP_FREE char *tar = xasprintf("%s.tar", tree);
	CLEANUP_PROC struct proc p = PROC_INIT;

	if (bootstrap(st, spec, tar, err))
		return -1;
	argv_push(&p.argv, "tar");
	argv_push(&p.argv, "-xpf");
	argv_push(&p.argv, tar);
	argv_push(&p.argv, "-C");
	argv_push(&p.argv, tree);
	argv_push(&p.argv, "--numeric-owner");
	argv_push(&p.argv, geteuid() ? "--no-same-owner" : "--same-owner");
	if (image_tool(spec, &p, "tar", err))
		return -1;
	return unlink(tar) ? err_sys(err, "cannot remove '%s'", tar) : 0;
}
