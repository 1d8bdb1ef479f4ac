#include "lib/vm/image_root.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/vm/image_dir.h"
#include "lib/base/banned.h"

#define TOOL_TIMEOUT ((int64_t)60 * 60 * 1000)
#define NO_UUID "00000000-0000-0000-0000-000000000000"

bool
image_base(const char *s)
{
	const char *colon = strchr(s, ':');
	struct err bad = ERR_INIT;

	if (!strcmp(s, "busybox") || !strcmp(s, "debian"))
		return true;
	return colon && !strncmp(s, "debian:", 7) &&
		!parse_name(colon + 1, "suite", &bad);
}

void
image_file_release(struct image_file *f)
{
	free(f->src);
	free(f->dst);
}

static bool
clean_path(const char *s)
{
	if (*s != '/' || !s[1] || s[strlen(s) - 1] == '/')
		return false;
	for (; *s; s += strcspn(s, "/")) {
		s += strspn(s, "/");
		if (!strncmp(s, "..", 2) && (!s[2] || s[2] == '/'))
			return false;
	}
	return true;
}

int
image_file_parse(const char *s, bool tar, struct image_file *ret,
	struct err *err)
{
	const char *colon = strrchr(s, ':'), *option = tar ? "tar" : "file";
	struct stat sb;

	if (!colon || colon == s || !(clean_path(colon + 1) ||
		(tar && !strcmp(colon + 1, "/"))))
		return err_set(err, ERR_USAGE,
			"--%s '%s': want SRC:DST, DST an absolute path",
			option, s);
	CLEANUP_FREE char *src = xstrndup(s, (size_t)(colon - s));
	if (stat(src, &sb))
		return err_sys(err, "--%s '%s'", option, src);
	if (!S_ISREG(sb.st_mode))
		return err_set(err, ERR_USAGE, "--%s '%s': not a file", option,
			src);
	ret->src = steal_ptr(&src);
	ret->dst = xstrdup(colon + 1);
	ret->mode = sb.st_mode & 0777;
	return 0;
}

static int
need_tool(const char *name, const char *package, struct err *err)
{
	CLEANUP_FREE char *path = fs_which(name);

	return path ? 0 : err_set(err, ERR_NOTFOUND,
		"no '%s' in PATH: apt-get install %s", name, package);
}

static int
check_files(const struct argv *files, bool tar, struct err *err)
{
	size_t i;

	for (i = 0; i < files->n; i++) {
		__attribute__((cleanup(image_file_release)))
		struct image_file f = { 0 };

		if (image_file_parse(files->v[i], tar, &f, err))
			return -1;
	}
	return 0;
}

int
image_root_check(const struct image_spec *spec, struct err *err)
{
	bool busybox = !strcmp(spec->base, "busybox");

	if (!image_base(spec->base))
		return err_set(err, ERR_USAGE,
			"no base '%s': there is busybox, debian and "
			"debian:SUITE", spec->base);
	if (busybox && spec->packages.n)
		return err_set(err, ERR_USAGE,
			"--package needs --base debian: busybox has none");
	if (busybox && spec->run.n)
		return err_set(err, ERR_USAGE,
			"--run needs --base debian: add files to busybox "
			"with --file");
	if (busybox && spec->tars.n)
		return err_set(err, ERR_USAGE,
			"--tar needs --base debian: add files to busybox "
			"with --file, or import the tar file");
	if (check_files(&spec->files, false, err) ||
		check_files(&spec->tars, true, err))
		return -1;
	if (need_tool("mkfs.erofs", "erofs-utils", err))
		return -1;
	return busybox ? need_tool("busybox", "busybox-static", err) :
			 need_tool("mmdebstrap", "mmdebstrap", err);
}

int
image_tool(const struct image_spec *spec, struct proc *p, const char *package,
	struct err *err)
{
	struct child child = CHILD_INIT;
	struct proc_status status;
	const char *name = p->argv.v[0];
	int rc;

	argv_push(&p->env, "LC_ALL=C");
	p->parent_death = SIGTERM; /* nothing works on when we are killed */
	if (!spec->progress) {
		rc = proc_run(p, NULL, NULL, 0, TOOL_TIMEOUT, err);
	} else {
		p->in = PROC_NULL;
		p->out = STDERR_FILENO;
		rc = proc_spawn(p, &child, err) ||
			proc_wait(&child, -1, &status, err) ? -1 : 0;
		if (!rc && proc_exit_status(&status))
			rc = err_set(err, ERR_SYS, "%s failed (status %d)",
				name, proc_exit_status(&status));
	}
	if (rc && err->code == ERR_NOTFOUND)
		return err_set(err, ERR_NOTFOUND,
			"no '%s' in PATH: apt-get install %s", name, package);
	return rc;
}

static int
make_erofs(const struct image_spec *spec, const char *dir, const char *tree,
	struct err *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	CLEANUP_PROC struct proc p = PROC_INIT;
	int64_t when = 0;

	if (epoch && *epoch &&
		parse_i64(epoch, 0, INT64_MAX, "$SOURCE_DATE_EPOCH", &when,
			err))
		return -1;
	argv_push(&p.argv, "mkfs.erofs");
	argv_push(&p.argv, "--quiet");
	argv_push(&p.argv, "-zlz4");
	argv_push(&p.argv, "-U" NO_UUID);
	/* a root build of Debian has owners that its daemons want */
	if (geteuid() || !strcmp(spec->base, "busybox"))
		argv_push(&p.argv, "--all-root");
	if (epoch || !strcmp(spec->base, "busybox"))
		argv_pushf(&p.argv, "-T%lld", (long long)when);
	argv_pushf(&p.argv, "%s/" IMAGE_ROOT, dir);
	argv_push(&p.argv, tree);
	return image_tool(spec, &p, "erofs-utils", err);
}

/* Where the guest mounts: what makes the tree may have left them out. */
static int
mount_points(const char *tree, struct err *err)
{
	static const char *const names[] = { "dev", "proc", "sys", "run",
		"tmp" };
	CLEANUP_CLOSE int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i;

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", tree);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (fs_exists(fd, names[i]))
			continue;
		if (mkdirat(fd, names[i], 0755) ||
			fchmodat(fd, names[i], 0755, 0))
			return err_sys(err, "cannot make '%s/%s'", tree,
				names[i]);
	}
	return 0;
}

int
image_root_build(struct state *st, const struct image_spec *spec,
	const char *dir, struct err *err)
{
	CLEANUP_FREE char *tree = xasprintf("%s/tree", dir);

	if (mkdir(tree, 0755) || chmod(tree, 0755))
		return err_sys(err, "cannot make directory '%s'", tree);
	if (!strcmp(spec->base, "busybox") ?
			image_root_busybox(spec, tree, err) :
			image_root_debian(st, spec, tree, err))
		return -1;
	if (mount_points(tree, err) || make_erofs(spec, dir, tree, err))
		return -1;
	return fs_remove_tree(AT_FDCWD, tree, err);
}
