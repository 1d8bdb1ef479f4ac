#include "lib/vm/modules.h"

#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/unpack.h"
#include "lib/base/banned.h"

/* Must be there, or be built in. */
static const char *const needed[] = { "virtio_console", "virtio_blk", "erofs",
	"overlay" };
/* In this order, those that there are. */
static const char *const useful[] = { "virtio_mmio", "virtio_pci",
	"virtio_console", "virtio_blk", "virtio_net", "virtio_rng", "erofs",
	"overlay", "ext4", "squashfs", "af_packet",
	"vmw_vsock_virtio_transport" };

void
modules_release(struct modules *m)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		free(m->v[i].name);
		free(m->v[i].path);
		buf_release(&m->v[i].data);
	}
	free(m->v);
	*m = MODULES_INIT;
}

/* The length of "NAME" in "NAME.ko[.xz|.zst|.gz]", 0 when it is not one. */
static size_t
stem(const char *base)
{
	static const char *const ends[] = { ".ko", ".ko.xz", ".ko.zst",
		".ko.gz" };
	size_t i, n = strlen(base);

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t k = strlen(ends[i]);

		if (n > k && !strcmp(base + n - k, ends[i]))
			return n - k;
	}
	return 0;
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool
module_path(const char *path)
{
	return stem(base_of(path)) > 0;
}

static struct module *
add(struct modules *m, const char *path)
{
	const char *base = base_of(path);
	struct module *mod;
	char *s;

	if (m->n == m->alloc) {
		m->alloc = m->alloc ? 2 * m->alloc : 512;
		m->v = xreallocarray(m->v, m->alloc, sizeof(*m->v));
	}
	mod = &m->v[m->n++];
	*mod = (struct module){ .name = xstrndup(base, stem(base)),
		.data = BUF_INIT };
	for (s = mod->name; *s; s++)
		if (*s == '-')
			*s = '_';
	m->known = true;
	return mod;
}

void
modules_add(struct modules *m, const char *path, struct buf *data)
{
	struct module *mod = add(m, path);

	mod->data = *data;
	*data = BUF_INIT;
}

void
modules_add_builtin(struct modules *m, const struct buf *text)
{
	CLEANUP_ARGV struct argv lines = ARGV_INIT;
	size_t i;

	argv_split(&lines, text->s);
	for (i = 0; i < lines.n; i++)
		if (module_path(lines.v[i]))
			add(m, lines.v[i])->builtin = true;
	m->known = true;
}

/* nftw() hands no argument on. */
static struct modules *scanning;

static int
scan_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
	(void)sb;
	(void)ftw;
	if (type == FTW_F && module_path(path))
		add(scanning, path)->path = xstrdup(path);
	return 0;
}

int
modules_scan(struct modules *m, const char *dir, struct err *err)
{
	CLEANUP_FREE char *list = xasprintf("%s/modules.builtin", dir);
	CLEANUP_BUF struct buf text = BUF_INIT;

	scanning = m;
	if (nftw(dir, scan_one, 16, FTW_PHYS))
		return err_sys(err, "cannot read the modules in '%s'", dir);
	m->known = true;
	if (!fs_exists(AT_FDCWD, list))
		return 0;
	if (fs_read(AT_FDCWD, list, MODULE_MAX, &text, err))
		return -1;
	modules_add_builtin(m, &text);
	return 0;
}

static struct module *
find(struct modules *m, const char *name, size_t len)
{
	size_t i, k;

	for (i = 0; i < m->n; i++) {
		const char *s = m->v[i].name;

		for (k = 0; k < len && s[k]; k++)
			if (s[k] != (name[k] == '-' ? '_' : name[k]))
				break;
		if (k == len && !s[k])
			return &m->v[i];
	}
	return NULL;
}

static bool
is_elf(const struct buf *b)
{
	return b->len >= SELFMAG && !memcmp(b->s, ELFMAG, SELFMAG);
}

/* Read, if it is on disk; plain, if it is compressed. */
static int
load(struct module *mod, struct err *err)
{
	CLEANUP_BUF struct buf plain = BUF_INIT;

	if (mod->path && !mod->data.len &&
		fs_read(AT_FDCWD, mod->path, MODULE_MAX, &mod->data, err))
		return -1;
	if (is_elf(&mod->data))
		return 0;
	if (unpack_stream(mod->data.s, mod->data.len, MODULE_MAX, &plain, err))
		return err_wrap(err, "module '%s'", mod->name);
	if (!is_elf(&plain))
		return err_set(err, ERR_INVALID, "module '%s': not an ELF file",
			mod->name);
	buf_release(&mod->data);
	mod->data = plain;
	plain = BUF_INIT;
	return 0;
}

struct walk {
	struct modules *m;
	int (*emit)(const struct module *mod, void *arg);
	void *arg;
	struct err *err;
};

enum { MARK_NONE, MARK_BUSY, MARK_DONE };

static int visit(struct walk *w, const char *name, size_t len, int depth);

/* "a,b,c"; names in it that nobody knows fail, as finit_module would. */
static int
visit_list(struct walk *w, const char *list, int depth)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (n && !find(w->m, list, n))
			return err_set(w->err, ERR_NOTFOUND,
				"kernel modules: '%.*s' is missing", (int)n,
				list);
		if (n && visit(w, list, n, depth))
			return -1;
		list += n;
		list += *list == ',';
	}
	return 0;
}

static int
visit(struct walk *w, const char *name, size_t len, int depth)
{
	struct module *mod = find(w->m, name, len);
	const char *depends;

	if (!mod || mod->builtin || mod->mark == MARK_DONE)
		return 0;
	if (mod->mark == MARK_BUSY || depth > 64)
		return err_set(w->err, ERR_INVALID,
			"kernel modules: '%s' depends on itself", mod->name);
	if (load(mod, w->err))
		return -1;
	mod->mark = MARK_BUSY;
	depends = module_info(mod->data.s, mod->data.len, "depends");
	if (!depends)
		return err_set(w->err, ERR_INVALID,
			"kernel modules: '%s' says nothing of what it needs",
			mod->name);
	if (visit_list(w, depends, depth + 1))
		return -1;
	mod->mark = MARK_DONE;
	if (w->m->trim)
		module_trim(&mod->data);
	return w->emit(mod, w->arg);
}

int
modules_order(struct modules *m,
	int (*emit)(const struct module *mod, void *arg), void *arg,
	struct err *err)
{
	struct walk w = { m, emit, arg, err };
	size_t i;

	for (i = 0; m->known && i < ARRAY_SIZE(needed); i++)
		if (!find(m, needed[i], strlen(needed[i])))
			return err_set(err, ERR_NOTFOUND,
				"kernel modules: no '%s' among them, and it "
				"is not built in", needed[i]);
	for (i = 0; i < m->n; i++)
		m->v[i].mark = MARK_NONE;
	for (i = 0; i < ARRAY_SIZE(useful); i++)
		if (visit(&w, useful[i], strlen(useful[i]), 0))
			return -1;
	return 0;
}
