#include "lib/vm/cp.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/signals.h"
#include "lib/vm/cp_tar.h"
#include "lib/vm/exec_client.h"
#include "lib/vm/supervise.h"
#include "lib/vm/tree.h"
#include "lib/vm/walk.h"
#include "lib/base/banned.h"

#define NOTES_MAX 65536

struct copy {
	const struct cp *cp;
	struct buf *notes;
	int stop; /* signalfd */
	uint64_t left_out;
	uint64_t received; /* bytes of the pack */
	char name[NAME_MAX + 1]; /* of the source */
	/* one source or one destination */
	struct walk walk;
	struct tar_in *in;
	struct tree tree;
	bool tree_open;
	struct tar_out *out;
	struct pack_reader reader;
};

/* ---- which is which ---- */

/* The colon of VM:PATH, or NULL when s is a path of this host. */
static const char *
vm_colon(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon && colon != s && !memchr(s, '/', (size_t)(colon - s)) ?
		colon :
		NULL;
}

int
cp_parse(const char *src, const char *dst, struct cp *ret, struct err *err)
{
	const char *from = vm_colon(src), *to = vm_colon(dst);
	const char *inside = to ? dst : src, *colon = to ? to : from;

	*ret = (struct cp){ .to_vm = to != NULL, .outside = to ? src : dst,
		.max = UINT64_MAX };
	if (!from == !to)
		return err_set(err, ERR_USAGE,
			"one of '%.80s' and '%.80s' must be NAME:PATH, the "
			"other not", src, dst);
	if (!*ret->outside)
		return err_set(err, ERR_USAGE, "a path is empty");
	ret->vm = xstrndup(inside, (size_t)(colon - inside));
	ret->inside = colon[1] ? colon + 1 : ".";
	return parse_name(ret->vm, "NAME", err);
}

void
cp_release(struct cp *c)
{
	cleanup_free(&c->vm);
}

/* ---- towards the VM ---- */

static void
note(void *arg, const char *path, int e)
{
	struct copy *c = arg;

	c->left_out++;
	if (c->notes->len < NOTES_MAX)
		buf_addf(c->notes, "cannot read '%s': %s\n", path,
			strerrordesc_np(e));
}

static ssize_t
input(void *arg, void *p, size_t n, struct err *err)
{
	struct copy *c = arg;

	return c->in ? tar_in_read(c->in, p, n, err) :
		       (ssize_t)walk_read(&c->walk, p, n);
}

static int
open_source(struct copy *c, struct err *err)
{
	const char *path = c->cp->outside;

	if (!strcmp(path, "-")) {
		memcpy(c->name, ".", 2);
		return tar_in_open(STDIN_FILENO, c->stop, &c->in, err);
	}
	if (walk_name(path, c->name) ||
		walk_open(&c->walk, path,
			c->cp->flags & CP_DEVICES ? WALK_DEVICES : 0))
		return err_sys(err, "cannot read '%s'", path);
	c->walk.note = note;
	c->walk.arg = c;
	return 0;
}

/* ---- from the VM ---- */

static int
receive_failed(const struct copy *c, struct err *err)
{
	const char *at = c->tree_open ? c->tree.at : "";
	int e = errno;

	if (c->out && tar_out_error(c->out)->code) {
		*err = *tar_out_error(c->out);
		return -1;
	}
	if (e == EPROTO)
		return err_set(err, ERR_INVALID,
			"the VM sent what is no copy of files");
	if (e == EPERM && tree_check(at, c->name))
		return err_set(err, ERR_INVALID,
			"the VM sent '%.200s', which is not below '%s'", at,
			c->name);
	errno = e;
	return err_sys(err, "cannot write '%s'", *at ? at : c->cp->outside);
}

static int
output(void *arg, const void *p, size_t n, struct err *err)
{
	struct copy *c = arg;

	c->received += n;
	if (c->received > c->cp->max)
		return err_set(err, ERR_LIMIT,
			"the VM sent more than --max-size allows");
	return pack_feed(&c->reader, p, n) ? receive_failed(c, err) : 0;
}

static int
open_destination(struct copy *c, struct err *err)
{
	const char *path = c->cp->outside;
	bool root = !geteuid();
	unsigned flags = (root ? TREE_OWNERS : 0) |
		(root && c->cp->flags & CP_DEVICES ? TREE_DEVICES : 0);

	if (walk_name(c->cp->inside, c->name))
		return err_sys(err, "'%s'", c->cp->inside);
	if (!strcmp(path, "-")) {
		if (isatty(STDOUT_FILENO))
			return err_set(err, ERR_USAGE,
				"a tar stream is not for a terminal");
		pack_reader_init(&c->reader, NULL, NULL);
		if (tar_out_open(STDOUT_FILENO, c->stop, c->name, &c->out,
			    err))
			return -1;
		pack_reader_init(&c->reader, &tar_out_sink, c->out);
		return 0;
	}
	if (tree_target(path, c->name, flags, &c->tree))
		return err_sys(err, "cannot write '%s'", path);
	c->tree_open = true;
	pack_reader_init(&c->reader, &tree_sink, &c->tree);
	return 0;
}

static int
finish_destination(struct copy *c, struct err *err)
{
	if (!c->reader.ended)
		return err_set(err, ERR_INVALID,
			"the VM sent only a part of it");
	if (c->out)
		return tar_out_finish(c->out, err);
	if (tree_finish(&c->tree))
		return err_sys(err, "cannot write '%s'", c->cp->outside);
	c->left_out += c->tree.skipped;
	return 0;
}

/* ---- both ---- */

/* What forge-init said: the last line is the reason, when it is not alone. */
static int
guest_failed(struct copy *c, int status, struct buf *said, struct err *err)
{
	char *last;

	buf_rtrim(said);
	last = strrchr(said->s, '\n');
	if (status > EXIT_SIGNAL)
		return err_set(err, ERR_SYS, "signal %d ended the copy",
			status - EXIT_SIGNAL);
	if (last) {
		buf_add(c->notes, said->s, (size_t)(last - said->s) + 1);
		last++;
	}
	return err_set(err, status == EXIT_NOTFOUND ? ERR_NOTFOUND : ERR_SYS,
		"in the VM: %s", last ? last : said->s);
}

static int
transfer(struct state *st, struct copy *c, struct err *err)
{
	const struct cp *cp = c->cp;
	const char *const put[] = { "put", cp->inside, c->name, NULL };
	const char *const get[] = { "get", cp->inside, NULL };
	CLEANUP_BUF struct buf said = BUF_INIT;
	const struct exec_io io = { .input = cp->to_vm ? input : NULL,
		.output = output, .arg = c, .errors = &said };
	const struct exec_request request = { .argv = cp->to_vm ? put : get,
		.user = cp->user, .env_fd = -1, .builtin = true, .io = &io };
	int sock, status;

	if (supervisor_connect(st, cp->vm, &sock, err))
		return -1;
	if (exec_client_run(&request, sock, &status, err)) {
		if (err->code == ERR_PLACE)
			err->code = ERR_SYS; /* no command of anybody's */
		return -1;
	}
	if (status)
		return guest_failed(c, status, &said, err);
	return cp->to_vm ? 0 : finish_destination(c, err);
}

int
cp_run(struct state *st, const struct cp *cp, struct buf *notes,
	struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0 };
	struct copy *c = xcalloc(1, sizeof(*c));
	int rc;

	c->cp = cp;
	c->notes = notes;
	c->stop = -1;
	c->walk.start = c->walk.file = c->tree.file = -1;
	rc = signals_open(signals, &c->stop, err) ||
			(cp->to_vm ? open_source(c, err) :
				     open_destination(c, err)) ||
			transfer(st, c, err) ?
		-1 :
		0;
	if (!rc && c->left_out)
		rc = err_set(err, ERR_SYS, "%llu entries were left out",
			(unsigned long long)c->left_out);
	walk_close(&c->walk);
	tar_in_close(c->in);
	tar_out_close(c->out);
	if (c->tree_open)
		tree_release(&c->tree);
	cleanup_close(&c->stop);
	free(c);
	return rc;
}
