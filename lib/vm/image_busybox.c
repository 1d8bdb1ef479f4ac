#include "lib/vm/image_root.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define BUSYBOX_MAX ((size_t)32 << 20)
#define FILE_MAX ((size_t)1 << 30)
#define CA_BUNDLE "etc/ssl/certs/ca-certificates.crt"

static const struct {
	const char *path;
	mode_t mode;
} dirs[] = { { "bin", 0755 }, { "sbin", 0755 }, { "usr", 0755 },
	{ "usr/bin", 0755 }, { "usr/sbin", 0755 }, { "etc", 0755 },
	{ "etc/ssl", 0755 }, { "etc/ssl/certs", 0755 }, { "dev", 0755 },
	{ "proc", 0755 }, { "sys", 0755 }, { "run", 0755 }, { "tmp", 01777 },
	{ "root", 0700 }, { "home", 0755 }, { "mnt", 0755 }, { "var", 0755 },
	{ "var/tmp", 01777 }, { "var/log", 0755 } };

static const struct {
	const char *path, *text;
} texts[] = { { "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
		"nobody:x:65534:65534:nobody:/:/bin/false\n" },
	{ "etc/group", "root:x:0:\nnogroup:x:65534:\n" },
	{ "etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n" },
	{ "etc/hostname", "localhost\n" }, { "etc/resolv.conf", "" },
	{ "etc/shells", "/bin/sh\n" },
	{ "etc/profile", "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n" } };

/* The mode is what was asked for, whatever the umask is. */
static int
put_file(int fd, const char *path, mode_t mode, const void *p, size_t n,
	struct err *err)
{
	CLEANUP_CLOSE int out = openat(fd, path,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (out < 0 || write_all(out, p, n) || fchmod(out, mode))
		return err_sys(err, "cannot write '%s'", path);
	return 0;
}

static int
put_dir(int fd, const char *path, mode_t mode, struct err *err)
{
	if (mkdirat(fd, path, 0700) || fchmodat(fd, path, mode, 0))
		return err_sys(err, "cannot make directory '%s'", path);
	return 0;
}

/* A dynamic busybox would find no libraries inside. */
static bool
is_static(const struct buf *b)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	size_t i;

	if (b->len < sizeof(eh))
		return false;
	memcpy(&eh, b->s, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_phoff > b->len ||
		(b->len - eh.e_phoff) / sizeof(ph) < eh.e_phnum)
		return false;
	for (i = 0; i < eh.e_phnum; i++) {
		memcpy(&ph, b->s + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

/* Its applets, as it lists them ("usr/bin/awk"), become links to it. */
static int
link_applets(int fd, const char *busybox, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf list = BUF_INIT;
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	size_t i;

	argv_push(&p.argv, busybox);
	argv_push(&p.argv, "--list-full");
	if (proc_run(&p, NULL, &list, 65536, 10000, err))
		return -1;
	argv_split(&names, list.s);
	for (i = 0; i < names.n; i++)
		if (strchr(names.v[i], '/') &&
			symlinkat("/bin/busybox", fd, names.v[i]) &&
			errno != EEXIST)
			return err_sys(err, "cannot link '%s'", names.v[i]);
	return 0;
}

static int
put_busybox(int fd, struct err *err)
{
	CLEANUP_FREE char *path = fs_which("busybox");
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (!path)
		return err_set(err, ERR_NOTFOUND,
			"no 'busybox' in PATH: apt-get install "
			"busybox-static");
	if (fs_read(AT_FDCWD, path, BUSYBOX_MAX, &b, err))
		return -1;
	if (!is_static(&b))
		return err_set(err, ERR_NOTFOUND,
			"'%s' is not linked statically: apt-get install "
			"busybox-static", path);
	if (put_file(fd, "bin/busybox", 0755, b.s, b.len, err))
		return -1;
	return link_applets(fd, path, err);
}

static int
put_certificates(int fd, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err none = ERR_INIT;

	/* what the host has not, the image has not */
	if (fs_read(AT_FDCWD, "/" CA_BUNDLE, FILE_MAX, &b, &none))
		return 0;
	return put_file(fd, CA_BUNDLE, 0644, b.s, b.len, err);
}

static int
put_extra(int fd, const char *s, struct err *err)
{
	__attribute__((cleanup(image_file_release))) struct image_file f = {
		0
	};
	CLEANUP_BUF struct buf b = BUF_INIT;
	char *p;

	if (image_file_parse(s, false, &f, err))
		return -1;
	for (p = f.dst + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (!fs_exists(fd, f.dst + 1) &&
			put_dir(fd, f.dst + 1, 0755, err))
			return -1;
		*p = '/';
	}
	if (fs_read(AT_FDCWD, f.src, FILE_MAX, &b, err))
		return -1;
	/* in place of an applet, for example */
	if (unlinkat(fd, f.dst + 1, 0) && errno != ENOENT)
		return err_sys(err, "--file: cannot replace '%s'", f.dst);
	return put_file(fd, f.dst + 1, f.mode, b.s, b.len, err);
}

int
image_root_busybox(const struct image_spec *spec, const char *tree,
	struct err *err)
{
	CLEANUP_CLOSE int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i;

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", tree);
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (put_dir(fd, dirs[i].path, dirs[i].mode, err))
			return -1;
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (put_file(fd, texts[i].path, 0644, texts[i].text,
			strlen(texts[i].text), err))
			return -1;
	if (put_busybox(fd, err) || put_certificates(fd, err))
		return -1;
	for (i = 0; i < spec->files.n; i++)
		if (put_extra(fd, spec->files.v[i], err))
			return -1;
	return 0;
}
