#include "lib/vm/image_import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/vm/image_dir.h"
#include "lib/vm/layers.h"
#include "lib/vm/oci.h"
#include "lib/vm/unpack.h"
#include "lib/base/banned.h"

#define CHUNK ((size_t)256 << 10)
#define INITRAMFS_MAX ((size_t)512 << 20)
#define STDIN "-"

/* Safe as a word of a shell, and of a URL. */
#define TEMPLATE_CHARS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"0123456789._:/@-"

int
image_import_check(const struct image_spec *spec, struct err *err)
{
	const char *path = spec->source ? spec->source : spec->initramfs;
	CLEANUP_FREE char *tool = fs_which("sqfstar");
	struct stat sb;

	if (spec->source && spec->initramfs)
		return err_set(err, ERR_USAGE,
			"--initramfs is itself the root: give no SOURCE");
	if (spec->template)
		return *spec->template && strlen(spec->template) < 256 &&
				!spec->template[strspn(spec->template,
					TEMPLATE_CHARS)] ?
			0 :
			err_set(err, ERR_USAGE, "--template: '%.40s' is not 1 "
				"to 255 of letters, digits and ._:/@-",
				spec->template);
	if (spec->initramfs && !spec->kernel)
		return err_set(err, ERR_USAGE,
			"--initramfs needs --kernel: the two are a pair");
	if (spec->source && !tool)
		return err_set(err, ERR_NOTFOUND,
			"no 'sqfstar' in PATH: apt-get install "
			"squashfs-tools");
	if (spec->source && !strcmp(spec->source, STDIN))
		return 0;
	if (!path)
		return err_set(err, ERR_USAGE, "a source is needed");
	if (stat(path, &sb))
		return err_sys(err, "cannot open '%s'", path);
	if (!S_ISREG(sb.st_mode) &&
		!(S_ISDIR(sb.st_mode) && spec->source))
		return err_set(err, ERR_USAGE,
			"'%s' is neither a file nor a directory", path);
	return 0;
}

/* ---- where the layers come from ---- */

struct source {
	int fd; /* a directory or a tar file */
	int work; /* directory for what is unpacked */
	enum oci_kind kind;
	bool directory;
};

static void
source_release(struct source *s)
{
	cleanup_close(&s->fd);
	cleanup_close(&s->work);
}

/* A pipe cannot be read twice. */
static int
spool(const struct image_spec *spec, int work, int *ret, struct err *err)
{
	CLEANUP_FREE char *block = xmalloc(CHUNK);
	CLEANUP_CLOSE int fd = openat(work, "stdin",
		O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int64_t left = spec->max_size;
	char text[16];
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "cannot make a file for stdin");
	while ((n = read(STDIN_FILENO, block, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write_all(fd, block, (size_t)n))
			return err_sys(err, "cannot copy stdin");
		left -= n;
		if (left < 0)
			return err_set(err, ERR_INVALID,
				"stdin: more than %s (--max-size)",
				format_size(spec->max_size, text,
					sizeof(text)));
	}
	*ret = steal_fd(&fd);
	return 0;
}

static int
source_open(const struct image_spec *spec, int work, struct source *s,
	struct err *err)
{
	struct stat sb;

	if (!strcmp(spec->source, STDIN)) {
		if (spool(spec, work, &s->fd, err))
			return -1;
	} else {
		s->fd = open(spec->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (s->fd < 0 || fstat(s->fd, &sb))
		return err_sys(err, "cannot open '%s'", spec->source);
	s->directory = S_ISDIR(sb.st_mode);
	if (!s->directory)
		return oci_archive_kind(s->fd, spec->source, &s->kind, err);
	if (!fs_exists(s->fd, "oci-layout") || !fs_exists(s->fd, "index.json"))
		return err_set(err, ERR_INVALID,
			"'%s' is no OCI layout: it has no oci-layout and "
			"index.json", spec->source);
	s->kind = OCI_LAYOUT;
	return 0;
}

static int
read_oci(const struct image_spec *spec, struct source *s, struct oci *ret,
	struct err *err)
{
	int dirfd = s->directory ? s->fd : s->work;

	if (!s->directory && oci_archive_unpack(s->fd, spec->source,
		spec->max_size, dirfd, err))
		return -1;
	if (s->kind == OCI_LAYOUT ?
			oci_read_layout(dirfd, spec->ref, ret, err) :
			oci_read_docker(dirfd, spec->ref, ret, err))
		return err_wrap(err, "'%s'", spec->source);
	return 0;
}

static void
move_config(struct image_config *from, struct image_config *to)
{
	image_config_release(to);
	*to = *from;
	*from = IMAGE_CONFIG_INIT;
}

/* ---- the root ---- */

static int
pack(const struct image_spec *spec, const char *dir, struct oci *o,
	const struct layer *layers, size_t n, struct err *err)
{
	CLEANUP_FREE char *out = xasprintf("%s/" IMAGE_ROOT, dir);
	CLEANUP_ARGV struct argv dirs = ARGV_INIT;
	struct layers l = { .v = layers, .n = n, .whiteouts = n && o->n,
		.dirs = &dirs, .max_bytes = spec->max_size,
		.progress = spec->bar };

	argv_pushv(&dirs, (const char *[]){ "dev", "proc", "sys", "run",
			      "tmp", NULL });
	/* other tools make it when they start one */
	if (o->config.workdir)
		argv_push(&dirs, o->config.workdir);
	return layers_pack(&l, out, err);
}

static int
import(const struct image_spec *spec, const char *dir, struct source *s,
	struct json *manifest, struct image_config *config, struct err *err)
{
	static const char *const bases[] = { [OCI_NONE] = "tar",
		[OCI_LAYOUT] = "oci", [OCI_DOCKER] = "docker" };
	CLEANUP_OCI struct oci o = OCI_INIT;
	const struct layer one = { .fd = s->fd, .what = spec->source };

	if (s->kind == OCI_NONE && spec->ref)
		return err_set(err, ERR_USAGE,
			"--ref: '%s' is a root file system, not a set of "
			"images", spec->source);
	if (s->kind != OCI_NONE && read_oci(spec, s, &o, err))
		return -1;
	if (pack(spec, dir, &o, o.n ? o.layers : &one, o.n ? o.n : 1, err))
		return -1;
	json_put_str(manifest, "base", bases[s->kind]);
	json_put_str(manifest, "source", spec->source);
	if (o.digest)
		json_put_str(manifest, "source_digest", o.digest);
	move_config(&o.config, config);
	return 0;
}

int
image_import_root(const struct image_spec *spec, const char *dir,
	struct json *manifest, struct image_config *config, struct err *err)
{
	CLEANUP_FREE char *work = xasprintf("%s/work", dir);
	__attribute__((cleanup(source_release)))
	struct source s = { .fd = -1, .work = -1 };

	if (mkdir(work, 0700))
		return err_sys(err, "cannot make '%s'", work);
	s.work = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.work < 0)
		return err_sys(err, "cannot open '%s'", work);
	if (source_open(spec, s.work, &s, err) ||
		import(spec, dir, &s, manifest, config, err))
		return -1;
	return fs_remove_tree(AT_FDCWD, work, err);
}

/* ---- an initramfs ---- */

int
image_import_initramfs(const struct image_spec *spec, struct buf *ret,
	struct err *err)
{
	CLEANUP_BUF struct buf head = BUF_INIT;
	struct err none = ERR_INIT;
	const char *start;
	size_t pad;

	if (fs_read(AT_FDCWD, spec->initramfs, INITRAMFS_MAX, ret, err))
		return -1;
	start = ret->s;
	if (!unpack_stream(ret->s, ret->len, 6, &head, &none) &&
		head.len == 6)
		start = head.s;
	if (ret->len < 6 || (memcmp(start, "070701", 6) != 0 &&
		memcmp(start, "070702", 6) != 0))
		return err_set(err, ERR_INVALID,
			"'%s' is no initramfs: neither a cpio archive (newc) "
			"nor a compressed one", spec->initramfs);
	/* the kernel skips zeros between archives, by fours */
	for (pad = (512 - ret->len % 512) % 512; pad; pad--)
		buf_addc(ret, '\0');
	return 0;
}
