#include "lib/runner/garm_serve.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/runner/garm.h"
#include "lib/runner/garm_call.h"
#include "lib/runner/instance.h"
#include "lib/runner/runner.h"
#include "lib/state/event.h"
#include "lib/state/secret.h"
#include "lib/state/state.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

enum { BODY_MAX = 65536, CA_MAX = 1 << 20, FILE_MAX = 65536, USER_LEN = 32 };

struct call {
	struct web *w;
	struct state *st;
	struct db *db;
	char *path; /* "metadata/..." */
	const char *query; /* or NULL */
	char *name; /* of the instance */
	struct instance row;
	struct err *log;
};

/* ---- the path ---- */

/* "/api/v1/metadata/x/?q" as "metadata/x"; NULL when it is none of ours. */
static char *
path_of(const struct web *w)
{
	const char *p = w->cgi ? getenv("PATH_INFO") : w->target;
	size_t n;

	if (!p)
		return NULL;
	if (!strncmp(p, "/api/v1/", 8))
		p += 7;
	if (strncmp(p, "/metadata/", 10) && strncmp(p, "/callbacks/", 11))
		return NULL;
	n = strcspn(p, "?");
	while (n && p[n - 1] == '/')
		n--;
	return xstrndup(p + 1, n ? n - 1 : 0);
}

bool
garm_serves(const struct web *w)
{
	CLEANUP_FREE char *path = path_of(w);

	return path != NULL;
}

/* ---- answers ---- */

static int
refuse(struct call *c, int status, const char *header, const char *why,
	struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL;

	json_put_str(o, "error", why);
	text = json_text(o);
	return web_answer(c->w, status, header, text, err);
}

static int
later(struct call *c, const struct err *why, struct err *err)
{
	*c->log = *why;
	return refuse(c, 503, "Retry-After: 5", "try again", err);
}

static int
plain(struct call *c, const char *text, struct err *err)
{
	return web_reply(c->w, 200, "text/plain", NULL, text, strlen(text),
		err);
}

/* ---- credentials ---- */

static bool
may_have_them(const struct call *c)
{
	return c->row.state && strcmp(c->row.state, "busy") &&
		strcmp(c->row.state, "ending") &&
		strcmp(c->row.state, "held") && strcmp(c->row.state, "done") &&
		(!c->row.status || strcmp(c->row.status, "idle"));
}

/* The configuration is minted when the first request has come: wait. */
static int
wait_handed(struct call *c, struct err *err)
{
	int64_t until = clock_mono() + GARM_WAIT;
	CLEANUP_CLOSE int watch = -1;

	if (event_watch_open(c->st, &watch, err))
		return -1;
	for (;;) {
		struct pollfd p = { .fd = watch, .events = POLLIN };

		event_watch_clear(watch);
		instance_release(&c->row);
		if (instance_get(c->db, c->name, &c->row, err))
			return -1;
		if (c->row.handed || !may_have_them(c))
			return 0;
		if (clock_mono() >= until)
			return err_set(err, ERR_TIMEOUT, "runner '%s' has no "
				"configuration yet", c->name);
		if (poll(&p, 1, clock_left(until)) < 0 && errno != EINTR)
			return err_sys(err, "poll");
	}
}

/* One file out of the configuration: base64 of names and files in base64. */
static int
part_of(struct call *c, const char *file, struct buf *ret, struct err *err)
{
	CLEANUP_FREE char *secret = instance_secret(c->name);
	CLEANUP_BUF struct buf coded = BUF_INIT, text = BUF_INIT;
	CLEANUP_JSON struct json *files = NULL;
	size_t i;
	int rc = -1;

	if (secret_get(c->st, secret, &coded, NULL, err))
		return -1;
	/* Keys have dots: not for json_str(). */
	if (!base64_decode(coded.s, coded.len, FILE_MAX * 4, &text) &&
		!json_parse(text.s, text.len, &files, err))
		for (i = 0; rc && i < json_len(files, ""); i++) {
			CLEANUP_JSON struct json *v = NULL;
			CLEANUP_FREE char *key = json_key(files, i, &v);

			const char *value = json_str(v, "", "");

			if (!strcmp(key, file))
				rc = base64_decode(value, strlen(value),
					FILE_MAX, ret);
		}
	explicit_bzero(coded.s, coded.len);
	explicit_bzero(text.s, text.len);
	return rc ? err_set(err, ERR_INVALID,
			"the configuration of runner '%s' has no '%s'",
			c->name, file) : 0;
}

static int
credentials(struct call *c, const char *file, struct err *err)
{
	CLEANUP_BUF struct buf content = BUF_INIT;
	struct err why = ERR_INIT;
	int rc;

	if (wait_handed(c, &why))
		return later(c, &why, err);
	if (!may_have_them(c))
		return refuse(c, 401, NULL,
			"credentials are given only while it installs", err);
	if (part_of(c, file, &content, &why))
		return later(c, &why, err);
	rc = web_reply(c->w, 200, "application/octet-stream", NULL, content.s,
		content.len, err);
	explicit_bzero(content.s, content.len);
	return rc;
}

/* ---- the system ---- */

/* actions.runner.OWNER.NAME */
static int
service(struct call *c, char **ret, struct err *err)
{
	CLEANUP_RUNNER struct runner r = RUNNER_INIT;
	char *p;

	if (runner_get(c->db, c->name, &r, err))
		return -1;
	*ret = xasprintf("actions.runner.%s", strchr(r.scope, ':') + 1);
	for (p = *ret; *p; p++)
		if (*p == '/')
			*p = '.';
	return 0;
}

static int
service_name(struct call *c, struct err *err)
{
	CLEANUP_FREE char *name = NULL;
	struct err why = ERR_INIT;

	return service(c, &name, &why) ? later(c, &why, err) :
		plain(c, name, err);
}

/* "runAsUser=runner": what may be in a unit file. */
static char *
user_of(const char *query)
{
	static const char key[] = "runAsUser=";
	static const char set[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const char *at = query ? strstr(query, key) : NULL;
	size_t n;

	if (!at)
		return xstrdup("runner");
	at += strlen(key);
	n = strspn(at, set);
	return n && n <= USER_LEN && (!at[n] || at[n] == '&') && *at != '-' ?
		xstrndup(at, n) : NULL;
}

static int
unit_file(struct call *c, struct err *err)
{
	CLEANUP_FREE char *user = user_of(c->query), *name = NULL;
	CLEANUP_FREE char *text = NULL;
	struct err why = ERR_INIT;

	if (!user)
		return refuse(c, 400, NULL, "runAsUser is no user's name",
			err);
	if (service(c, &name, &why))
		return later(c, &why, err);
	text = xasprintf("[Unit]\n"
		"Description=CI runner %s\n"
		"Wants=network-online.target\n"
		"After=network-online.target\n\n"
		"[Service]\n"
		"User=%s\n"
		"WorkingDirectory=/home/%s/actions-runner\n"
		"ExecStart=/home/%s/actions-runner/runsvc.sh\n"
		"KillMode=process\n"
		"TimeoutStopSec=300\n\n"
		"[Install]\n"
		"WantedBy=multi-user.target\n", name, user, user, user);
	return plain(c, text, err);
}

static int
cert_bundle(struct call *c, struct err *err)
{
	CLEANUP_GARM struct garm g = GARM_INIT;
	CLEANUP_BUF struct buf pem = BUF_INIT, coded = BUF_INIT;
	CLEANUP_JSON struct json *o = json_object();
	struct json *bundle = json_object();
	CLEANUP_FREE char *text = NULL;
	struct err why = ERR_INIT;
	int rc = garm_load(c->st, c->row.place, &g, &why) ||
		(g.ca_file && fs_read(AT_FDCWD, g.ca_file, CA_MAX, &pem,
			&why));

	base64_add(&coded, pem.s, pem.len);
	if (pem.len)
		json_put_str(bundle, "forge", coded.s);
	json_put(o, "root_certificates", bundle);
	text = json_text(o);
	return rc ? later(c, &why, err) : web_answer(c->w, 200, NULL, text,
		err);
}

/* ---- callbacks ---- */

static int
read_body(struct call *c, struct json **ret, struct err *err)
{
	struct web *w = c->w;

	if (web_length(w, BODY_MAX, err) || web_body(w, err))
		return -1;
	w->status = 400;
	if (json_parse(w->body.s, w->body.len, ret, err))
		return -1;
	return json_is_object(*ret) ? 0 :
		err_set(err, ERR_INVALID, "send a JSON object");
}

static int
callback(struct call *c, bool status, struct err *err)
{
	CLEANUP_JSON struct json *body = NULL;
	struct err why = ERR_INIT;

	if (read_body(c, &body, &why))
		return refuse(c, c->w->status, NULL, why.msg, err);
	if (status && instance_told(c->db, c->name,
			json_str(body, "status", "unknown"),
			json_str(body, "message", ""), &why))
		return later(c, &why, err);
	if (!status && instance_system(c->db, c->name,
			json_str(body, "os_name", ""),
			json_str(body, "os_version", ""), &why))
		return later(c, &why, err);
	return web_answer(c->w, 200, NULL, "{}", err);
}

/* ---- the request ---- */

static int
get(struct call *c, const char *what, struct err *err)
{
	size_t i;

	for (i = 0; i < GARM_FILES; i++)
		if (!strcmp(what, garm_files[i].what))
			return credentials(c, garm_files[i].file, err);
	if (!strcmp(what, "system/service-name"))
		return service_name(c, err);
	if (!strcmp(what, "systemd/unit-file"))
		return unit_file(c, err);
	if (!strcmp(what, "system/cert-bundle"))
		return cert_bundle(c, err);
	return refuse(c, 404, NULL, "there is no such thing here", err);
}

static int
route(struct call *c, struct err *err)
{
	bool status = !strcmp(c->path, "callbacks/status");

	if (!strncmp(c->path, "metadata/", 9))
		return strcmp(c->w->method, "GET") ?
			refuse(c, 405, "Allow: GET", "only GET", err) :
			get(c, c->path + 9, err);
	if (!status && strcmp(c->path, "callbacks/system-info") != 0)
		return refuse(c, 404, NULL, "there is no such thing here",
			err);
	return strcmp(c->w->method, "POST") ?
		refuse(c, 405, "Allow: POST", "only POST", err) :
		callback(c, status, err);
}

static int
who(struct call *c, struct err *err)
{
	static const char scheme[] = "Bearer ";
	const char *given = web_header(c->w, "Authorization");

	if (!given || strncasecmp(given, scheme, strlen(scheme)) != 0)
		return err_set(err, ERR_AUTH, "a bearer token is needed");
	if (state_open(&c->st, err) || state_db(c->st, &c->db, err) ||
		instance_by_token(c->db, given + strlen(scheme), &c->name,
			err) ||
		instance_called(c->db, c->name, err))
		return -1;
	return instance_get(c->db, c->name, &c->row, err);
}

int
garm_serve(struct web *w, struct err *log, struct err *err)
{
	struct call c = { .w = w, .log = log, .path = path_of(w),
		.row = INSTANCE_INIT };
	struct err why = ERR_INIT;
	int rc;

	c.query = w->cgi ? getenv("QUERY_STRING") : strchr(w->target, '?');
	if (!who(&c, &why))
		rc = route(&c, err);
	else if (why.code == ERR_AUTH)
		rc = refuse(&c, 401, NULL, why.msg, err);
	else
		rc = later(&c, &why, err);
	instance_release(&c.row);
	state_close(c.st);
	free(c.name);
	free(c.path);
	return rc;
}
