#include "lib/vm/layers.h"
#include "lib/vm/layers_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/base/banned.h"

#define CHUNK ((size_t)256 << 10)
#define SAID_MAX 65536

/* ---- the tar stream ---- */

struct stream {
	struct archive *out;
	int fd; /* a socket: its reader may die without a signal for us */
	char *block;
	bool broken; /* sqfstar went away */
	struct err *err;
};

static la_ssize_t
put(struct archive *a, void *arg, const void *p, size_t n)
{
	struct stream *s = arg;
	ssize_t did;

	do {
		did = send(s->fd, p, n, MSG_NOSIGNAL);
	} while (did < 0 && errno == EINTR);
	if (did < 0) {
		s->broken = true;
		archive_set_error(a, errno, "sqfstar ended early");
	}
	return did;
}

/* squashfs has 32 bits for a time */
static int64_t
clamp(int64_t t)
{
	return t < 0 ? 0 : t > UINT32_MAX ? UINT32_MAX : t;
}

static void
set_entry(struct archive_entry *e, const struct layer_node *n)
{
	CLEANUP_FREE char *path = layer_node_path(n);

	archive_entry_copy_pathname(e, path);
	archive_entry_set_mode(e, n->meta.mode);
	archive_entry_set_uid(e, n->meta.uid);
	archive_entry_set_gid(e, n->meta.gid);
	archive_entry_set_mtime(e, clamp(n->meta.mtime), 0);
	archive_entry_set_size(e, 0);
}

static void
cleanup_entry(struct archive_entry **e)
{
	archive_entry_free(*e);
}
#define CLEANUP_ENTRY __attribute__((cleanup(cleanup_entry)))

static int
put_header(struct stream *s, struct archive_entry *e)
{
	int rc = archive_write_header(s->out, e);

	return rc == ARCHIVE_OK || rc == ARCHIVE_WARN ?
		0 :
		archive_fail(s->out, "packing", s->err);
}

/* All that has no bytes of its own. */
static int
put_plain(const struct layer_node *n, void *arg)
{
	CLEANUP_ENTRY struct archive_entry *e = NULL;
	struct stream *s = arg;

	if (n->data)
		return 0;
	e = archive_entry_new();
	set_entry(e, n);
	if (S_ISLNK(n->meta.mode))
		archive_entry_copy_symlink(e, n->meta.target);
	else if (S_ISCHR(n->meta.mode) || S_ISBLK(n->meta.mode))
		archive_entry_set_rdev(e, n->meta.rdev);
	return put_header(s, e);
}

static int
put_bytes(struct stream *s, struct archive *in, const char *what)
{
	la_ssize_t n;

	while ((n = archive_read_data(in, s->block, CHUNK)) > 0)
		if (archive_write_data(s->out, s->block, (size_t)n) != n)
			return archive_fail(s->out, "packing", s->err);
	return n ? archive_fail(in, what, s->err) : 0;
}

static void
copy_xattrs(struct archive_entry *to, struct archive_entry *from)
{
	const char *name;
	const void *value;
	size_t n;

	(void)archive_entry_xattr_reset(from);
	while (!archive_entry_xattr_next(from, &name, &value, &n))
		archive_entry_xattr_add_entry(to, name, value, n);
}

/* One file under its first name, then the other names as links to it. */
static int
put_file(struct stream *s, const struct layer_data *data, struct archive *in,
	struct archive_entry *from, const char *what)
{
	CLEANUP_ENTRY struct archive_entry *e = archive_entry_new();
	const struct layer_node *n = data->first;

	set_entry(e, n);
	copy_xattrs(e, from);
	archive_entry_set_size(e, archive_entry_size(from));
	if (put_header(s, e) || put_bytes(s, in, what))
		return -1;
	CLEANUP_FREE char *first = layer_node_path(n);
	while ((n = n->next)) {
		CLEANUP_ENTRY struct archive_entry *link =
			archive_entry_new();

		set_entry(link, n);
		archive_entry_copy_hardlink(link, first);
		if (put_header(s, link))
			return -1;
	}
	return 0;
}

static int
put_layer(struct layers_reading *r, size_t i, struct stream *s)
{
	CLEANUP_ARCHIVE struct archive *in = NULL;
	const struct layer_files *f = &r->files[i];
	const char *what = r->l->v[i].what;
	struct archive_entry *e;
	size_t at = 0;
	int rc;

	if (archive_open_tar(r->l->v[i].fd, what, &in, s->err))
		return -1;
	while ((rc = archive_next(in, what, &e, s->err)) == 1) {
		const char *base, *path = archive_entry_pathname(e);

		layers_progress(r, in);
		if (!path || archive_entry_hardlink(e) ||
			!S_ISREG(archive_entry_mode(e)))
			continue;
		base = strrchr(path, '/');
		base = base ? base + 1 : path;
		if (r->l->whiteouts && !strncmp(base, ".wh.", 4))
			continue;
		if (at == f->n)
			break; /* somebody writes to it */
		if (f->v[at]->first && put_file(s, f->v[at], in, e, what))
			return -1;
		at++;
	}
	if (rc < 0)
		return -1;
	return rc || at != f->n ?
		err_set(s->err, ERR_INVALID, "%s: changed while it was read",
			what) :
		0;
}

/* ---- sqfstar ---- */

static int
later(const struct layer_node *n, void *arg)
{
	int64_t *latest = arg, t = clamp(n->meta.mtime);

	*latest = t > *latest ? t : *latest;
	return 0;
}

/*
 * A tar stream cannot tell sqfstar of the root, and the root's time would be
 * that of the packing: so no time is let be later than the latest there is.
 */
static int
push_times(const struct layers_reading *r, struct proc *p, struct err *err)
{
	const struct layer_meta *root = layer_tree_root(r->tree);
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	int64_t when = clamp(root->mtime);

	argv_push(&p->argv, "-root-mode");
	argv_pushf(&p->argv, "%o", root->mode & 07777u);
	argv_push(&p->argv, "-root-uid");
	argv_pushf(&p->argv, "%" PRId64, root->uid);
	argv_push(&p->argv, "-root-gid");
	argv_pushf(&p->argv, "%" PRId64, root->gid);
	if (!epoch || !*epoch) {
		(void)layer_tree_each(r->tree, later, &when);
		argv_pushf(&p->env, "SOURCE_DATE_EPOCH=%" PRId64, when);
		return 0;
	}
	if (parse_i64(epoch, 0, UINT32_MAX, "$SOURCE_DATE_EPOCH", &when,
			err))
		return -1;
	argv_push(&p->argv, "-mkfs-time");
	argv_pushf(&p->argv, "%" PRId64, when);
	argv_push(&p->argv, "-all-time");
	argv_pushf(&p->argv, "%" PRId64, when);
	argv_push(&p->env, "SOURCE_DATE_EPOCH"); /* it takes only one of them */
	return 0;
}

static int
start(const struct layers_reading *r, int in, int said, const char *out,
	struct child *ret, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	argv_pushv(&p.argv, (const char *[]){ "sqfstar", "-comp", "lz4",
			      "-quiet", "-no-progress", NULL });
	if (push_times(r, &p, err))
		return -1;
	argv_push(&p.argv, out);
	argv_push(&p.env, "LC_ALL=C");
	p.in = in;
	p.out = PROC_NULL;
	p.err = said;
	p.parent_death = SIGTERM;
	if (!proc_spawn(&p, ret, err))
		return 0;
	return err->code == ERR_NOTFOUND ?
		err_set(err, ERR_NOTFOUND,
			"no 'sqfstar' in PATH: apt-get install "
			"squashfs-tools") :
		-1;
}

static int
end(struct child *c, int said, struct err *err)
{
	struct proc_status status;
	char text[512];
	ssize_t n;

	if (proc_wait(c, -1, &status, err))
		return -1;
	if (!proc_exit_status(&status))
		return 0;
	n = pread(said, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, ERR_SYS, "sqfstar failed (status %d)%s%s",
		proc_exit_status(&status), *text ? ": " : "", text);
}

static int
write_stream(struct layers_reading *r, struct stream *s)
{
	CLEANUP_ARCHIVE struct archive *out = archive_write_new();
	size_t i;

	if (!out)
		BUG("out of memory");
	s->out = out;
	(void)archive_write_set_format_pax_restricted(out);
	(void)archive_write_set_bytes_in_last_block(out, 1);
	if (archive_write_open(out, s, NULL, put, NULL))
		return archive_fail(out, "packing", s->err);
	if (layer_tree_each(r->tree, put_plain, s))
		return -1;
	for (i = 0; i < r->l->n; i++) {
		if (put_layer(r, i, s))
			return -1;
		r->done += r->total / 2 / (int64_t)r->l->n;
	}
	progress_at(r->l->progress, "layers", r->total, r->total);
	return archive_write_close(out) ?
		archive_fail(out, "packing", s->err) :
		0;
}

static int
pack(struct layers_reading *r, const char *out, struct err *err)
{
	CLEANUP_CLOSE int said = memfd_create("sqfstar", MFD_CLOEXEC);
	CLEANUP_FREE char *block = xmalloc(CHUNK);
	struct stream s = { .fd = -1, .block = block, .err = err };
	struct child child = CHILD_INIT;
	int fds[2], rc;

	if (said < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return err_sys(err, "cannot make a socket");
	s.fd = fds[0];
	rc = start(r, fds[1], said, out, &child, err);
	(void)close(fds[1]); /* the child's now */
	if (!rc && write_stream(r, &s)) {
		struct err why = ERR_INIT;

		rc = -1;
		proc_kill(&child, SIGTERM);
		/* when it ended first, it knows better why */
		if (end(&child, said, &why) && s.broken)
			*err = why;
	} else if (!rc) {
		(void)shutdown(s.fd, SHUT_WR);
		rc = end(&child, said, err);
	}
	(void)close(s.fd); /* a socket */
	return rc;
}

/* ---- all of it ---- */

static int
read_all(struct layers_reading *r, struct err *err)
{
	struct stat sb;
	size_t i;

	for (i = 0; i < r->l->n; i++) {
		if (fstat(r->l->v[i].fd, &sb))
			return err_sys(err, "%s", r->l->v[i].what);
		r->total += 2 * sb.st_size;
	}
	for (i = 0; i < r->l->n; i++) {
		if (layers_scan(r, i, err))
			return -1;
		(void)fstat(r->l->v[i].fd, &sb);
		r->done += sb.st_size;
	}
	for (i = 0; r->l->dirs && i < r->l->dirs->n; i++)
		if (layer_tree_dir(r->tree, r->l->dirs->v[i], err))
			return -1;
	return 0;
}

int
layers_pack(const struct layers *l, const char *out, struct err *err)
{
	/* names in archives are UTF-8, whatever the user's locale is */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t old = utf8 ? uselocale(utf8) : (locale_t)0;
	struct layers_reading r = { .l = l, .left = l->max_bytes,
		.tree = layer_tree_new(LAYERS_ENTRIES_MAX),
		.files = xcalloc(l->n + 1, sizeof(*r.files)) };
	size_t i;
	int rc;

	rc = read_all(&r, err) || pack(&r, out, err) ? -1 : 0;
	layer_tree_free(r.tree);
	for (i = 0; i < l->n; i++)
		layer_files_release(&r.files[i]);
	free(r.files);
	if (utf8) {
		(void)uselocale(old);
		freelocale(utf8);
	}
	return rc;
}
