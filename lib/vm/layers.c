#include "lib/vm/layers.h"
#include "lib/vm/layers_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define AUFS ".wh..wh." /* its own bookkeeping */

void
layer_files_release(struct layer_files *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		free(f->v[i]);
	free(f->v);
}

static struct layer_data *
new_file(struct layer_files *f)
{
	if (f->n == f->alloc) {
		f->alloc = f->alloc ? 2 * f->alloc : 64;
		f->v = xreallocarray(f->v, f->alloc,
			sizeof(struct layer_data *));
	}
	f->v[f->n] = xcalloc(1, sizeof(struct layer_data));
	return f->v[f->n++];
}

/* 1 it was a whiteout, 0 it is none. */
static int
whiteout(struct layer_tree *t, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	CLEANUP_FREE char *dir = xstrndup(path, (size_t)(base - path));
	CLEANUP_FREE char *hidden = NULL;

	if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) != 0)
		return 0;
	if (!strcmp(base, OPAQUE))
		return layer_tree_hide(t, dir, true, err) ? -1 : 1;
	if (!strncmp(base, AUFS, strlen(AUFS)))
		return 1;
	hidden = xasprintf("%s%s", dir, base + strlen(WHITEOUT));
	return layer_tree_hide(t, hidden, false, err) ? -1 : 1;
}

static int
count(struct layers_reading *r, struct archive_entry *e, struct err *err)
{
	int64_t size = archive_entry_size(e);
	char text[16];

	if (size >= 0 && size <= r->left) {
		r->left -= size;
		return 0;
	}
	return err_set(err, ERR_INVALID,
		"more than %s when unpacked (--max-size)",
		format_size(r->l->max_bytes, text, sizeof(text)));
}

static int
add_entry(struct layers_reading *r, size_t i, struct archive_entry *e,
	struct err *err)
{
	const char *path = archive_entry_pathname(e);
	const char *link = archive_entry_hardlink(e);
	struct layer_meta m = { .mode = archive_entry_mode(e),
		.uid = archive_entry_uid(e), .gid = archive_entry_gid(e),
		.mtime = archive_entry_mtime(e) };
	struct layer_data *data = NULL;
	int rc;

	if (!path)
		return err_set(err, ERR_INVALID, "an entry without a name");
	rc = r->l->whiteouts ? whiteout(r->tree, path, err) : 0;
	if (rc)
		return rc < 0 ? -1 : 0;
	if (link)
		return layer_tree_link(r->tree, path, link, err);
	if (m.uid < 0 || m.gid < 0 || m.uid > UINT32_MAX ||
		m.gid > UINT32_MAX)
		return err_set(err, ERR_INVALID, "'%.200s' has owner %" PRId64
			":%" PRId64, path, m.uid, m.gid);
	switch (m.mode & S_IFMT) {
	case S_IFREG:
		if (count(r, e, err))
			return -1;
		data = new_file(&r->files[i]);
		break;
	case S_IFLNK:
		m.target = archive_entry_symlink(e);
		if (!m.target || !*m.target)
			return err_set(err, ERR_INVALID,
				"'%.200s' is a link to nothing", path);
		break;
	case S_IFCHR:
	case S_IFBLK:
		m.rdev = archive_entry_rdev(e);
		break;
	case S_IFDIR:
	case S_IFIFO:
		break;
	default: /* a socket means nothing without its process */
		return 0;
	}
	return layer_tree_add(r->tree, path, &m, data, err);
}

void
layers_progress(struct layers_reading *r, struct archive *a)
{
	progress_at(r->l->progress, "layers",
		r->done + archive_filter_bytes(a, -1), r->total);
}

static int
scan(struct layers_reading *r, size_t i, struct archive *a, struct err *err)
{
	const char *what = r->l->v[i].what;
	struct archive_entry *e;
	int rc;

	layer_tree_begin(r->tree);
	while ((rc = archive_next(a, what, &e, err)) == 1) {
		if (add_entry(r, i, e, err))
			return err_wrap(err, "%s", what);
		layers_progress(r, a);
	}
	return rc;
}

int
layers_scan(struct layers_reading *r, size_t i, struct err *err)
{
	CLEANUP_ARCHIVE struct archive *a = NULL;
	const struct layer *l = &r->l->v[i];

	return archive_open_tar(l->fd, l->what, &a, err) ? -1 :
							   scan(r, i, a, err);
}

int
layers_read_memory(struct layer_tree *t, const void *p, size_t n,
	int64_t max_bytes, struct err *err)
{
	CLEANUP_ARCHIVE struct archive *a = archive_reader();
	__attribute__((cleanup(layer_files_release)))
	struct layer_files files = { 0 };
	const struct layer one = { .fd = -1, .what = "layer" };
	const struct layers l = { .v = &one, .n = 1, .whiteouts = true,
		.max_bytes = max_bytes };
	struct layers_reading r = { .l = &l, .tree = t, .files = &files,
		.left = max_bytes };
	size_t i;
	int rc;

	(void)archive_read_support_format_tar(a);
	(void)archive_read_support_format_empty(a);
	if (archive_read_open_memory(a, p, n))
		return archive_fail(a, one.what, err);
	rc = scan(&r, 0, a, err);
	/* the nodes outlive their bytes */
	for (i = 0; i < files.n; i++)
		layer_data_forget(files.v[i]);
	return rc;
}
