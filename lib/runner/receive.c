#include "lib/runner/receive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/runner/garm_serve.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/hmac.h"
#include "lib/base/banned.h"

/* GitHub sends no more than 25 MB and waits for 10 s. */
enum { BODY_MAX = 25 * 1024 * 1024, SECRET_MAX = 4096, BUSY_MS = 2000 };

/* ---- secrets ---- */

static int
read_secret(const char *path, struct buf *ret, struct err *err)
{
	if (fs_read(AT_FDCWD, path, SECRET_MAX, ret, err))
		return -1;
	while (ret->len && (ret->s[ret->len - 1] == '\n' ||
			ret->s[ret->len - 1] == '\r'))
		buf_setlen(ret, ret->len - 1);
	if (!ret->len) /* anybody can sign with that */
		return err_set(err, ERR_INVALID,
			"the webhook secret '%s' is empty", path);
	return 0;
}

/* Gives each readable secret to try until that returns non-zero; 0 too when
 * none did.  ERR_NOTFOUND when there is none. */
static int
each_secret(struct state *st,
	int (*try)(const char *hook, const struct buf *key, void *arg),
	void *arg, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct err why = ERR_INIT;
	struct config *c;
	size_t i, n = 0;

	if (state_config(st, &c, err))
		return -1;
	config_names(c, "github", &names);
	for (i = 0; i < names.n; i++) {
		CLEANUP_BUF struct buf key = BUF_INIT;
		const char *path = config_str(c, "github", names.v[i],
			"webhook-secret-file", NULL);

		if (!path || read_secret(path, &key, &why))
			continue;
		n++;
		if (try(names.v[i], &key, arg))
			break;
	}
	if (n)
		return 0;
	if (why.code)
		return err_set(err, ERR_NOTFOUND, "%s", why.msg);
	return err_set(err, ERR_NOTFOUND, "no webhook secret is configured: "
		"set github.NAME.webhook-secret-file");
}

struct attempt {
	const void *body;
	size_t n;
	unsigned char want[HMAC_SIZE];
	char *hook;
	struct err *err;
};

static int
try_secret(const char *hook, const struct buf *key, void *arg)
{
	struct attempt *a = arg;
	unsigned char mac[HMAC_SIZE];

	if (hmac_sha256(key->s, key->len, a->body, a->n, mac, a->err) ||
		!hmac_equal(mac, a->want))
		return 0;
	a->hook = xstrdup(hook);
	return 1;
}

static int
any_secret(const char *hook, const struct buf *key, void *arg)
{
	(void)hook;
	(void)key;
	(void)arg;
	return 1;
}

int
receive_verify(struct state *st, const char *signature, const void *body,
	size_t n, char **ret_hook, struct err *err)
{
	struct attempt a = { .body = body, .n = n, .err = err };

	if (!signature)
		return err_set(err, ERR_AUTH,
			"X-Hub-Signature-256 is missing");
	if (!hmac_parse(signature, a.want))
		return err_set(err, ERR_AUTH, "X-Hub-Signature-256 is not "
			"'sha256=' and 64 hexadecimal digits");
	if (each_secret(st, try_secret, &a, err))
		return -1;
	if (!a.hook)
		return err_set(err, ERR_AUTH,
			"the signature does not match");
	*ret_hook = a.hook;
	return 0;
}

/* ---- storing ---- */

static struct json *
answer(const char *key, const char *value)
{
	struct json *o = json_object();

	json_put_str(o, key, value);
	return o;
}

static int
take(struct state *st, const struct delivery *d, enum delivery_result *ret,
	struct err *err)
{
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	db_set_timeout(db, BUSY_MS);
	return delivery_take(db, d, ret, err);
}

static int
store_in_db(struct state *st, const struct delivery *d, int *ret_status,
	struct json **ret_answer, struct err *err)
{
	enum delivery_result result;

	if (take(st, d, &result, err))
		return -1;
	*ret_status = result == DELIVERY_APPLIED || result == DELIVERY_STALE ?
		202 :
		200;
	*ret_answer = answer(delivery_result_name(result), d->guid);
	return 0;
}

static int
store_in_spool(struct state *st, const struct delivery *d, int *ret_status,
	struct json **ret_answer, struct err *err)
{
	if (delivery_spool(st, d, err))
		return -1;
	*ret_status = 202;
	*ret_answer = answer("spooled", d->guid);
	return 0;
}

int
receive_store(struct state *st, const struct delivery *d, bool spool,
	int *ret_status, struct json **ret_answer, struct err *log,
	struct err *err)
{
	struct err e = ERR_INIT;

	if (delivery_check(d, err))
		return -1;
	if (!(spool ? store_in_spool(st, d, ret_status, ret_answer, &e) :
			store_in_db(st, d, ret_status, ret_answer, &e)))
		return 0;
	if (spool ? store_in_db(st, d, ret_status, ret_answer, err) :
			store_in_spool(st, d, ret_status, ret_answer, err))
		return err_wrap(err, "%s; and the %s", e.msg,
			spool ? "database" : "spool");
	*log = e;
	(void)err_wrap(log, "delivery %s is %s", d->guid,
		spool ? "not spooled" : "spooled");
	return 0;
}

/* ---- the request ---- */

enum content { CONTENT_JSON, CONTENT_FORM, CONTENT_OTHER };

static enum content
content_type(const struct web *w)
{
	const char *type = web_header(w, "Content-Type");
	size_t n = type ? strcspn(type, "; \t") : 0;

	if (n == strlen("application/json") &&
		!strncasecmp(type, "application/json", n))
		return CONTENT_JSON;
	if (n == strlen("application/x-www-form-urlencoded") &&
		!strncasecmp(type, "application/x-www-form-urlencoded", n))
		return CONTENT_FORM;
	return CONTENT_OTHER;
}

static int
hex(char c)
{
	const char *digits = "0123456789abcdef", *at;

	at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* "payload=%7B..." as the only field, in place. */
static int
decode_form(struct buf *b, struct err *err)
{
	static const char field[] = "payload=";
	char *in = b->s + strlen(field), *out = b->s;
	char *end = b->s + b->len;

	if (b->len < strlen(field) || memcmp(b->s, field, strlen(field)) != 0 ||
		memchr(in, '&', (size_t)(end - in)))
		return err_set(err, ERR_INVALID,
			"the form is not one field 'payload'");
	while (in < end) {
		int high, low;

		if (*in != '%') {
			*out++ = *in == '+' ? ' ' : *in;
			in++;
			continue;
		}
		high = end - in < 3 ? -1 : hex(in[1]);
		low = end - in < 3 ? -1 : hex(in[2]);
		if (high < 0 || low < 0)
			return err_set(err, ERR_INVALID,
				"the form has a bad %% sequence");
		*out++ = (char)(high * 16 + low);
		in += 3;
	}
	buf_setlen(b, (size_t)(out - b->s));
	return 0;
}

static int
refuse(struct web *w, int status, const char *header, const char *why,
	struct err *err)
{
	CLEANUP_JSON struct json *o = answer("error", why);
	CLEANUP_FREE char *text = json_text(o);

	return web_answer(w, status, header, text, err);
}

static int
unavailable(struct web *w, const char *why, struct err *err)
{
	return refuse(w, 503, "Retry-After: 30", why, err);
}

struct rules { /* of the configuration */
	int64_t max; /* bytes of a body */
	bool direct;
};

/* The signature is good: what it covers may be read. */
static int
receive_body(struct web *w, struct state *st, const char *hook,
	const struct rules *rules, enum content type, struct err *log,
	struct err *err)
{
	struct delivery d = { .guid = web_header(w, "X-GitHub-Delivery"),
		.event = web_header(w, "X-GitHub-Event"), .hook = hook,
		.received_at = clock_wall() };
	CLEANUP_JSON struct json *o = NULL;
	CLEANUP_FREE char *text = NULL;
	struct err why = ERR_INIT;
	int status;

	if (type == CONTENT_FORM && decode_form(&w->body, &why))
		return refuse(w, 400, NULL, why.msg, err);
	d.body = w->body.s;
	d.n = w->body.len;
	if (receive_store(st, &d, !rules->direct && d.event &&
			!strcmp(d.event, "workflow_job"), &status, &o, log,
			&why)) {
		if (why.code == ERR_INVALID)
			return refuse(w, 400, NULL, why.msg, err);
		*log = why;
		return unavailable(w, "the delivery cannot be kept now", err);
	}
	text = json_text(o);
	return web_answer(w, status, NULL, text, err);
}

static int
open_state(struct state **ret, struct rules *ret_rules, struct err *err)
{
	struct state *st;
	struct config *c;

	if (state_open(&st, err))
		return -1;
	if (state_config(st, &c, err) ||
		config_size(c, "webhook", NULL, "max-body", BODY_MAX,
			&ret_rules->max, err) ||
		config_bool(c, "webhook", NULL, "direct", false,
			&ret_rules->direct, err) ||
		each_secret(st, any_secret, NULL, err)) {
		state_close(st);
		return -1;
	}
	*ret = st;
	return 0;
}

int
receive(struct web *w, struct err *log, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_FREE char *hook = NULL;
	struct err why = ERR_INIT;
	struct rules rules;
	enum content type;

	if (web_head(w, &why))
		return refuse(w, w->status, NULL, why.msg, err);
	if (garm_serves(w))
		return garm_serve(w, log, err);
	if (strcmp(w->method, "POST") != 0)
		return refuse(w, 405, "Allow: POST",
			"only POST is answered here", err);
	if (open_state(&st, &rules, log))
		return unavailable(w, "this server is not set up", err);
	if (web_length(w, (size_t)rules.max, &why))
		return refuse(w, w->status, NULL, why.msg, err);
	type = content_type(w);
	if (type == CONTENT_OTHER)
		return refuse(w, 415, NULL, "send application/json or "
			"application/x-www-form-urlencoded", err);
	if (web_body(w, &why))
		return refuse(w, w->status, NULL, why.msg, err);
	if (receive_verify(st, web_header(w, "X-Hub-Signature-256"),
		    w->body.s, w->body.len, &hook, &why)) {
		if (why.code == ERR_AUTH)
			return refuse(w, 401, NULL, why.msg, err);
		*log = why;
		return unavailable(w, "this server is not set up", err);
	}
	return receive_body(w, st, hook, &rules, type, log, err);
}
