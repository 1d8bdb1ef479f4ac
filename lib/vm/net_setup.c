#include "lib/vm/net_setup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/tell.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/lease.h"
#include "lib/vm/net.h"
#include "lib/base/banned.h"

#define TABLE "table inet forge"
#define SYSCTL "sysctl "
#define ROUTE "route unreachable "

struct setup {
	struct state *st;
	struct db *db;
	struct subnet subnet;
	bool dry;
	tell_fn *told;
};

/* ---- the record ---- */

/* What it was before the first change of this boot stays. */
static int
record(struct setup *s, const char *what, const char *before,
	const char *after, struct err *err)
{
	static const char sql[] =
		"INSERT INTO host_change (what, before, after, boot) VALUES "
		"(?1, ?2, ?3, ?4) ON CONFLICT (what) DO UPDATE SET "
		"before = iif(boot = excluded.boot, before, excluded.before), "
		"after = excluded.after, boot = excluded.boot";

	return db_run(s->db, sql, NULL, err, DB_S(what), DB_S(before),
		DB_S(after), DB_S(boot_id()));
}

static int
forget(struct setup *s, const char *what, struct err *err)
{
	return db_run(s->db, "DELETE FROM host_change WHERE what = ?1", NULL,
		err, DB_S(what));
}

/* What it was changed to in this boot, "" when it was not. */
static int
recorded(struct setup *s, const char *what, char **ret, struct err *err)
{
	static const char sql[] =
		"SELECT after FROM host_change WHERE what = ?1 AND boot = ?2";

	if (!db_get_text(s->db, ret, sql, err, DB_S(what), DB_S(boot_id())))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	*ret = xstrdup("");
	return 0;
}

/* ---- sysctls ---- */

/* "net.ipv4.ip_forward" to its file */
static char *
sysctl_path(const char *name)
{
	char *path = xasprintf("/proc/sys/%s", name), *p;

	for (p = path + sizeof("/proc/sys"); *p; p++)
		if (*p == '.')
			*p = '/';
	return path;
}

static int
sysctl_get(const char *name, struct buf *ret, struct err *err)
{
	CLEANUP_FREE char *path = sysctl_path(name);

	if (fs_read(AT_FDCWD, path, 64, ret, err))
		return -1;
	buf_rtrim(ret);
	return 0;
}

static int
sysctl_set(const char *name, const char *value, struct err *err)
{
	CLEANUP_FREE char *path = sysctl_path(name);
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write_all(fd, value, strlen(value)))
		return err_sys(err, "cannot write '%s'", path);
	return 0;
}

static int
setup_sysctl(struct setup *s, const char *name, struct err *err)
{
	CLEANUP_FREE char *what = xasprintf(SYSCTL "%s", name);
	CLEANUP_BUF struct buf now = BUF_INIT;

	if (sysctl_get(name, &now, err))
		return -1;
	if (!strcmp(now.s, "1"))
		return 0;
	tell_line(s->told, "%s: %s, now 1", what, now.s);
	if (s->dry)
		return 0;
	return record(s, what, now.s, "1", err) || sysctl_set(name, "1", err) ?
		-1 :
		0;
}

/* What somebody has changed again since is theirs. */
static int
undo_sysctl(struct setup *s, const char *what, const char *before,
	const char *after, struct err *err)
{
	const char *name = what + sizeof(SYSCTL) - 1;
	CLEANUP_BUF struct buf now = BUF_INIT;

	if (sysctl_get(name, &now, err))
		return -1;
	if (strcmp(now.s, after) != 0)
		return 0;
	tell_line(s->told, "%s: %s, now %s", what, now.s, before);
	return s->dry ? 0 : sysctl_set(name, before, err);
}

/* ---- table and routes ---- */

static struct json *
route_spec(const char *dst, int prefix)
{
	struct json *o = json_object();

	json_put_str(o, "dst", dst);
	json_put_int(o, "prefix", prefix);
	return o;
}

/* "10.127.0.0/16" */
static struct json *
route_parse(const char *text)
{
	CLEANUP_FREE char *dst = xstrdup(text);
	size_t n = strcspn(dst, "/");

	if (!dst[n])
		BUG("route '%s'", text);
	dst[n] = '\0';
	return route_spec(dst, (int)strtol(dst + n + 1, NULL, 10));
}

static int
has(const struct json *spec, const char *key, bool *ret, struct err *err)
{
	CLEANUP_JSON struct json *found = NULL;

	if (net_ask("scan", spec, &found, err))
		return -1;
	*ret = json_bool(found, key, false);
	return 0;
}

static int
setup_route(struct setup *s, const char *dst, int prefix, struct err *err)
{
	CLEANUP_FREE char *what = xasprintf(ROUTE "%s/%d", dst, prefix);
	CLEANUP_JSON struct json *spec = route_spec(dst, prefix);
	bool there;

	if (has(spec, "unreachable", &there, err))
		return -1;
	if (there)
		return 0;
	tell_line(s->told, "%s: made", what);
	if (s->dry)
		return 0;
	return record(s, what, NULL, "", err) ||
			net_ask("route", spec, NULL, err) ?
		-1 :
		0;
}

static int
undo_route(struct setup *s, const char *what, struct err *err)
{
	CLEANUP_JSON struct json *spec =
		route_parse(what + sizeof(ROUTE) - 1);
	bool there;

	if (has(spec, "unreachable", &there, err))
		return -1;
	if (!there)
		return 0;
	tell_line(s->told, "%s: removed", what);
	return s->dry ? 0 : net_ask("unroute", spec, NULL, err);
}

static struct json *
table_spec(const struct subnet *s)
{
	struct json *o = json_object();
	char text[16], six[INET6_ADDRSTRLEN];
	CLEANUP_FREE char *subnet = NULL, *subnet6 = NULL;

	subnet = xasprintf("%s/%d",
		address_format(s->network, text, sizeof(text)), s->prefix);
	json_put_str(o, "subnet", subnet);
	json_put_str(o, "dns",
		address_format(subnet_dns(s), text, sizeof(text)));
	if (s->prefix6 && inet_ntop(AF_INET6, s->network6, six, sizeof(six)))
		subnet6 = xasprintf("%s/%d", six, s->prefix6);
	json_put_str(o, "subnet6", subnet6);
	return o;
}

static int
setup_table(struct setup *s, struct err *err)
{
	CLEANUP_JSON struct json *spec = table_spec(&s->subnet);
	CLEANUP_FREE char *wanted = json_text(spec), *last = NULL;
	bool there;

	if (has(spec, "table", &there, err) ||
		recorded(s, TABLE, &last, err))
		return -1;
	if (there && !strcmp(wanted, last))
		return 0;
	tell_line(s->told, TABLE ": %s", there ? "renewed" : "made");
	if (s->dry)
		return 0;
	return record(s, TABLE, NULL, "", err) ||
			net_ask("table", spec, NULL, err) ||
			record(s, TABLE, NULL, wanted, err) ?
		-1 :
		0;
}

static int
undo_table(struct setup *s, struct err *err)
{
	CLEANUP_JSON struct json *spec = json_object();
	bool there;

	if (has(spec, "table", &there, err))
		return -1;
	if (!there)
		return 0;
	tell_line(s->told, TABLE ": removed");
	return s->dry ? 0 : net_ask("untable", spec, NULL, err);
}

/* ---- all of it ---- */

static int
begin(struct setup *s, struct err *err)
{
	if (geteuid())
		return err_set(err, ERR_USAGE,
			"setup changes the host's network: it is root's");
	return state_db(s->st, &s->db, err) ||
			subnet_load(s->st, &s->subnet, err) ?
		-1 :
		0;
}

static int
setup_routing(struct setup *s, struct err *err)
{
	char text[INET6_ADDRSTRLEN];

	if (setup_sysctl(s, "net.ipv4.ip_forward", err) ||
		setup_route(s,
			address_format(s->subnet.network, text, sizeof(text)),
			s->subnet.prefix, err))
		return -1;
	if (!s->subnet.prefix6)
		return 0;
	if (!inet_ntop(AF_INET6, s->subnet.network6, text, sizeof(text)))
		BUG("IPv6 address");
	return setup_sysctl(s, "net.ipv6.conf.all.forwarding", err) ||
			setup_route(s, text, s->subnet.prefix6, err) ?
		-1 :
		0;
}

/* The table first: nothing is forwarded without it. */
int
net_setup(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	struct setup s = { .st = st, .dry = dry, .told = told };

	if (begin(&s, err) || setup_table(&s, err))
		return -1;
	return s.subnet.bridge ? 0 : setup_routing(&s, err);
}

static int
undo_one(struct setup *s, char *const *row, struct err *err)
{
	const char *what = row[0];
	int rc;

	if (strcmp(row[3], boot_id()) != 0)
		rc = 0; /* the host has forgotten it */
	else if (!strncmp(what, SYSCTL, sizeof(SYSCTL) - 1))
		rc = undo_sysctl(s, what, row[1], row[2], err);
	else if (!strncmp(what, ROUTE, sizeof(ROUTE) - 1))
		rc = undo_route(s, what, err);
	else
		rc = undo_table(s, err);
	if (rc)
		return -1;
	return s->dry ? 0 : forget(s, what, err);
}

static int
refuse_in_use(struct db *db, struct err *err)
{
	static const char sql[] =
		"SELECT name FROM vm WHERE net = 'tap' AND state IN "
		"('starting', 'running', 'stopping') LIMIT 1";
	CLEANUP_FREE char *name = NULL;

	if (!db_get_text(db, &name, sql, err, DB_LAST))
		return err_set(err, ERR_BUSY,
			"VM '%s' has a tap; stop it first", name);
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 0;
}

int
net_setup_undo(struct state *st, bool dry, tell_fn *told, struct err *err)
{
	static const char sql[] =
		"SELECT what, coalesce(before, ''), after, boot FROM "
		"host_change ORDER BY id DESC";
	struct setup s = { .st = st, .dry = dry, .told = told };
	CLEANUP_ARGV struct argv rows = ARGV_INIT;
	CLEANUP_ROWS struct db_rows *r = NULL;
	size_t i;
	int rc;

	if (begin(&s, err) || refuse_in_use(s.db, err) ||
		db_query(s.db, &r, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(r, err)) == 1)
		for (i = 0; i < 4; i++)
			argv_push(&rows, db_text(r, (int)i));
	if (rc)
		return -1;
	db_done(r);
	r = NULL;
	for (i = 0; i < rows.n; i += 4)
		if (undo_one(&s, rows.v + i, err))
			return -1;
	return 0;
}
