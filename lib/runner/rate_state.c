/* What rate.h keeps in run/rate. */
#include "lib/runner/rate.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { LOCK_MS = 5000, FILE_MAX = 4096, NAME_BYTES = 60 };

/* A section may have any name, a lock not. */
static void
file_name(const char *name, char out[NAME_BYTES + 3])
{
	size_t i;

	(void)snprintf(out, NAME_BYTES + 3, "g-%.*s", NAME_BYTES, name);
	for (i = 0; out[i]; i++)
		if (!isascii(out[i]) || !(isalnum(out[i]) ||
				strchr("._-", out[i])))
			out[i] = '_';
}

static struct json *
budget_json(const struct rate_budget *b)
{
	struct json *o = json_object();

	json_put_int(o, "limit", b->limit);
	json_put_int(o, "remaining", b->remaining);
	json_put_int(o, "reset", b->reset);
	return o;
}

struct json *
rate_json(const struct rate *r)
{
	struct json *o = json_object();

	json_put_int(o, "blocked_until", r->blocked_until);
	json_put_int(o, "strikes", r->strikes);
	json_put_int(o, "write_at", r->write_at);
	json_put_int(o, "mint_at", r->mint_at);
	json_put(o, "core", budget_json(&r->core));
	json_put(o, "registration", budget_json(&r->registration));
	json_put_str(o, "why", r->why);
	return o;
}

static void
parse_budget(const struct json *j, const char *key, struct rate_budget *b)
{
	CLEANUP_JSON struct json *o = json_get(j, key);

	if (!o)
		return;
	b->limit = json_int(o, "limit", -1);
	b->remaining = json_int(o, "remaining", -1);
	b->reset = json_int(o, "reset", -1);
}

/* A line that a crash cut short is no line: what it said is learned again. */
static void
parse(const struct buf *b, struct rate *r)
{
	CLEANUP_JSON struct json *j = NULL;
	struct err unused = ERR_INIT;

	*r = RATE_INIT;
	if (!b->len || json_parse(b->s, b->len, &j, &unused))
		return;
	r->blocked_until = json_int(j, "blocked_until", 0);
	r->strikes = json_int(j, "strikes", 0);
	if (r->strikes < 0 || r->strikes > 8)
		r->strikes = 0;
	r->write_at = json_int(j, "write_at", 0);
	r->mint_at = json_int(j, "mint_at", 0);
	parse_budget(j, "core", &r->core);
	parse_budget(j, "registration", &r->registration);
	(void)snprintf(r->why, sizeof(r->why), "%s", json_str(j, "why", ""));
}

/* Locked, and read; close *ret_fd to let go. */
static int
take(struct state *st, const char *name, struct rate *r, int *ret_fd,
	struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	char file[NAME_BYTES + 3];
	int fd;

	file_name(name, file);
	if (state_lock(st, "rate", file, 0, LOCK_MS, &fd, err))
		return -1;
	if (buf_read_fd(&b, fd, FILE_MAX, "run/rate", err)) {
		(void)close(fd); /* nothing was written */
		return -1;
	}
	parse(&b, r);
	*ret_fd = fd;
	return 0;
}

static int
put(int fd, const struct rate *r, struct err *err)
{
	CLEANUP_JSON struct json *o = rate_json(r);
	CLEANUP_BUF struct buf b = BUF_INIT;

	json_write(o, &b);
	buf_addc(&b, '\n');
	if (pwrite(fd, b.s, b.len, 0) != (ssize_t)b.len ||
		ftruncate(fd, (off_t)b.len))
		return err_sys(err, "cannot write 'run/rate'");
	return 0;
}

static int
refuse(const struct rate *r, const char *name, int64_t until, struct err *err)
{
	char text[32];

	return err_set(err, ERR_LIMIT,
		"github '%s' takes no more calls until %s: %s", name,
		clock_format(until, text, sizeof(text)),
		r->blocked_until >= until && r->why[0] ? r->why :
		"the budget is used up");
}

int
rate_turn(struct state *st, const char *name, const struct rate_ask *ask,
	int64_t *ret_wait, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;
	int64_t until = 0, wait;
	struct rate r;

	if (take(st, name, &r, &fd, err))
		return -1;
	wait = rate_take(&r, ask, clock_wall(), &until);
	if (wait < 0)
		return refuse(&r, name, until, err);
	if (ask->kind >= RATE_WRITE && put(fd, &r, err))
		return -1;
	*ret_wait = wait;
	return 0;
}

int
rate_heard(struct state *st, const char *name, const struct rate_answer *a,
	int64_t *ret_until, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;
	struct rate r;

	if (take(st, name, &r, &fd, err))
		return -1;
	rate_learn(&r, a, clock_wall());
	*ret_until = r.blocked_until;
	return put(fd, &r, err);
}

int
rate_load(struct state *st, const char *name, struct rate *ret,
	struct err *err)
{
	CLEANUP_FREE char *path = NULL;
	CLEANUP_BUF struct buf b = BUF_INIT;
	char file[NAME_BYTES + 3];
	struct err why = ERR_INIT;

	file_name(name, file);
	path = xasprintf("run/rate/%s", file);
	*ret = RATE_INIT;
	if (!fs_read(state_dir(st), path, FILE_MAX, &b, &why)) {
		parse(&b, ret);
		return 0;
	}
	if (why.code == ERR_NOTFOUND)
		return 0;
	*err = why;
	return -1;
}
