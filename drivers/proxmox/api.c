#include "drivers/proxmox/api.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/base/banned.h"

#define ANSWER_MAX ((size_t)16 << 20) /* all VMs of a cluster */
#define TOKEN_MAX 1024
#define POLL 500 /* ms between looks at a task */

struct pve {
	struct http *http;
	struct argv headers;
	char *base; /* URL .../api2/json */
	char *node;
};

/* ---- the token ---- */

/* USER@REALM!ID=SECRET, one line. */
static int
read_token(const char *path, struct argv *headers, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	char *bang, *equal;

	if (fs_read(AT_FDCWD, path, TOKEN_MAX, &b, err))
		return err_wrap(err, "driver.proxmox.token-file");
	buf_rtrim(&b);
	bang = strchr(b.s, '!');
	equal = bang ? strchr(bang, '=') : NULL;
	if (!equal || !equal[1] || strpbrk(b.s, " \t\r\n") ||
		!memchr(b.s, '@', (size_t)(bang - b.s)))
		return err_set(err, ERR_INVALID,
			"'%s' is no line USER@REALM!ID=SECRET", path);
	argv_pushf(headers, "Authorization: PVEAPIToken=%s", b.s);
	return 0;
}

static const char *
needed(const struct json *config, const char *key, struct err *err)
{
	const char *s = json_str(config, key, "");

	if (!*s)
		(void)err_set(err, ERR_USAGE,
			"driver.proxmox.%s is not set: see forge-config(5)",
			key);
	return s;
}

int
pve_open(const struct json *config, struct pve **ret, struct err *err)
{
	const char *url = needed(config, "url", err);
	const char *file = needed(config, "token-file", err);
	const char *node = needed(config, "node", err);
	struct pve *p;

	if (err->code)
		return -1;
	if (http_check_url(url, err))
		return err_wrap(err, "driver.proxmox.url");
	p = xcalloc(1, sizeof(*p));
	p->base = xasprintf("%.*s/api2/json",
		(int)(strlen(url) - (url[strlen(url) - 1] == '/')), url);
	p->node = xstrdup(node);
	if (read_token(file, &p->headers, err) ||
		http_open(json_str(config, "ca-file", NULL), &p->http, err)) {
		pve_close(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
pve_close(struct pve *p)
{
	if (!p)
		return;
	http_close(p->http);
	argv_release(&p->headers);
	free(p->base);
	free(p->node);
	free(p);
}

/* ---- calls ---- */

static void
encode(const struct argv *form, struct buf *out)
{
	size_t i;

	for (i = 0; form && i + 1 < form->n; i += 2) {
		buf_adds(out, i ? "&" : "");
		http_escape(out, form->v[i]);
		buf_addc(out, '=');
		http_escape(out, form->v[i + 1]);
	}
}

/* What a refusal means; its words are the only sign of some. */
static int
refuse(const char *path, int status, const struct json *body, struct err *err)
{
	char why[201];
	enum err_code code = ERR_NET;

	(void)snprintf(why, sizeof(why), "%s", json_str(body, "message", ""));
	err_clean(why);
	if (status == 401 || status == 403)
		code = ERR_AUTH;
	else if (status == 404 || strstr(why, "does not exist"))
		code = ERR_NOTFOUND;
	else if (strstr(why, "already exists"))
		code = ERR_EXISTS;
	else if (strstr(why, "is locked"))
		code = ERR_BUSY;
	return err_set(err, code, "Proxmox refuses '%s' with status %d%s%s",
		path, status, *why ? ": " : "", why);
}

int
pve_call(struct pve *p, const char *method, const char *path,
	const struct argv *form, struct json **ret, struct err *err)
{
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	CLEANUP_ARGV struct argv headers = ARGV_INIT;
	CLEANUP_JSON struct json *body = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_FREE char *url = xasprintf("%s%s", p->base, path);
	struct http_request q = { .method = method, .url = url,
		.headers = &headers, .max = ANSWER_MAX,
		.once = strcmp(method, "GET") != 0 };
	struct err unread = ERR_INIT;

	argv_pushv(&headers, (const char *const *)p->headers.v);
	if (form) {
		encode(form, &text);
		argv_push(&headers,
			"Content-Type: application/x-www-form-urlencoded");
		q.body = &text;
	}
	if (http_call(p->http, &q, &a, err))
		return err_wrap(err, "Proxmox '%s'", path);
	/* A refusal may come without JSON. */
	if (json_parse(a.body.s, a.body.len, &body, &unread))
		body = json_object();
	if (a.status < 200 || a.status > 299)
		return refuse(path, a.status, body, err);
	if (unread.code)
		return err_set(err, ERR_NET, "Proxmox '%s': no JSON", path);
	if (ret)
		*ret = json_get(body, "data");
	return 0;
}

/* ---- tasks ---- */

/* "UPID:NODE:..." names the node that runs it. */
static int
task_path(const char *upid, char **ret, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const char *node = upid + 5;
	size_t n = strncmp(upid, "UPID:", 5) ? 0 : strcspn(node, ":");
	CLEANUP_FREE char *name = NULL;

	if (!n || node[n] != ':')
		return err_set(err, ERR_NET, "Proxmox began no task");
	name = xstrndup(node, n);
	buf_adds(&b, "/nodes/");
	http_escape(&b, name);
	buf_adds(&b, "/tasks/");
	http_escape(&b, upid);
	buf_adds(&b, "/status");
	*ret = xstrdup(b.s);
	return 0;
}

/* However long it takes: who called us has a deadline. */
static int
wait_task(struct pve *p, const char *upid, struct err *err)
{
	const struct timespec pause = { .tv_nsec = POLL * 1000000L };
	CLEANUP_FREE char *path = NULL;

	if (task_path(upid, &path, err))
		return -1;
	for (;;) {
		CLEANUP_JSON struct json *t = NULL;
		const char *end;

		if (pve_call(p, "GET", path, NULL, &t, err))
			return -1;
		if (!strcmp(json_str(t, "status", ""), "stopped")) {
			char why[201];

			end = json_str(t, "exitstatus", "");
			if (!strcmp(end, "OK") || !strncmp(end, "WARNINGS", 8))
				return 0;
			(void)snprintf(why, sizeof(why), "%s", end);
			err_clean(why);
			return err_set(err,
				strstr(why, "is locked") ? ERR_BUSY : ERR_NET,
				"Proxmox: task %s failed: %s",
				json_str(t, "type", "?"), why);
		}
		(void)nanosleep(&pause, NULL); /* shorter is no harm */
	}
}

int
pve_task(struct pve *p, const char *method, const char *path,
	const struct argv *form, struct err *err)
{
	CLEANUP_JSON struct json *upid = NULL;

	return pve_call(p, method, path, form, &upid, err) ||
			wait_task(p, upid ? json_str(upid, "", "") : "", err) ?
		-1 :
		0;
}
