#include "lib/session/notify_channel.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/net/http.h"
#include "lib/trust/hmac.h"
#include "lib/base/banned.h"

enum { ANSWER_MAX = 65536 };

struct sending {
	struct channel *c;
	const struct json *event;
	enum sent result;
	int64_t retry_after;
	struct err *why;
};

/* ---- over HTTP ---- */

static int
sign(const struct channel *c, const struct buf *body, struct argv *headers,
	struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT, hex = BUF_INIT;
	unsigned char mac[HMAC_SIZE];
	int64_t now = clock_wall() / 1000;

	argv_pushf(headers, "X-Forge-Timestamp: %" PRId64, now);
	if (!c->secret.len)
		return 0;
	buf_addf(&text, "%" PRId64 ".", now);
	buf_add(&text, body->s, body->len);
	if (hmac_sha256(c->secret.s, c->secret.len, text.s, text.len, mac, err))
		return -1;
	buf_addhex(&hex, mac, sizeof(mac));
	argv_pushf(headers, "X-Forge-Signature: sha256=%s", hex.s);
	return 0;
}

static enum sent
judge(struct sending *s, const struct http_answer *a)
{
	s->retry_after = a->retry_after;
	if (a->status >= 200 && a->status < 300)
		return SENT_OK;
	(void)err_set(s->why, ERR_NET, "'%s' answers %d", s->c->name,
		a->status);
	return a->status >= 400 && a->status < 500 && a->status != 408 &&
			a->status != 429 ?
		SENT_REFUSED : SENT_FAILED;
}

static enum sent
post(struct sending *s, const struct buf *body, struct argv *headers)
{
	CLEANUP_ANSWER struct http_answer a = HTTP_ANSWER_INIT;
	struct http_request q = { .method = "POST", .url = s->c->to,
		.headers = headers, .body = body, .max = ANSWER_MAX,
		.timeout_ms = (long)s->c->timeout_ms, .cancel = s->c->cancel };

	argv_push(headers, "Content-Type: application/json");
	if (s->c->token)
		argv_pushf(headers, "Authorization: Bearer %s", s->c->token);
	/* What answers at too great a length has taken it all the same. */
	if (http_call(s->c->http, &q, &a, s->why)) {
		if (s->why->code == ERR_INVALID && a.status)
			return judge(s, &a);
		(void)err_wrap(s->why, "'%s'", s->c->name);
		return SENT_FAILED;
	}
	return judge(s, &a);
}

static enum sent
webhook(struct sending *s, const struct buf *body)
{
	CLEANUP_ARGV struct argv headers = ARGV_INIT;

	argv_pushf(&headers, "X-Forge-Event: %s",
		json_str(s->event, "kind", ""));
	argv_pushf(&headers, "X-Forge-Delivery: %" PRId64,
		json_int(s->event, "seq", 0));
	if (sign(s->c, body, &headers, s->why))
		return SENT_FAILED;
	return post(s, body, &headers);
}

/* What a filter did not say: a line as forge-watch events has it. */
static enum sent
ntfy(struct sending *s, struct json *message)
{
	CLEANUP_ARGV struct argv headers = ARGV_INIT;
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_JSON struct json *o = json_object();
	const char *text = json_str(message, "", NULL);
	CLEANUP_JSON struct json *data = json_get(s->event, "data");
	const char *reason = json_str(data, "reason", NULL);
	size_t i, n = json_len(message, "");

	json_put_str(o, "topic", s->c->topic);
	json_put_str(o, "title", json_str(s->event, "kind", ""));
	if (text || !s->c->filter) {
		CLEANUP_FREE char *line = xasprintf("%s%s%s",
			json_str(s->event, "subject", ""),
			reason ? ": " : "", reason ? reason : "");

		json_put_str(o, "message", text ? text : line);
		n = 0;
	}
	for (i = 0; i < n; i++) {
		struct json *value = NULL;
		CLEANUP_FREE char *key = json_key(message, i, &value);

		if (key && strcmp(key, "topic") != 0)
			json_put(o, key, value);
		else
			json_free(value);
	}
	json_write(o, &body);
	return post(s, &body, &headers);
}

/* ---- a command ---- */

static enum sent
run(struct sending *s, const struct buf *body)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	size_t i;

	for (i = 0; i < s->c->command.n; i++)
		argv_push(&p.argv, s->c->command.v[i]);
	argv_pushf(&p.env, "FORGE_EVENT=%s", json_str(s->event, "kind", ""));
	argv_pushf(&p.env, "FORGE_SUBJECT=%s",
		json_str(s->event, "subject", ""));
	argv_pushf(&p.env, "FORGE_SEQ=%" PRId64, json_int(s->event, "seq", 0));
	p.parent_death = SIGTERM;
	if (!proc_run(&p, body, NULL, 0, s->c->timeout_ms, s->why))
		return SENT_OK;
	(void)err_wrap(s->why, "'%s'", s->c->name);
	return SENT_FAILED;
}

/* ---- all of them ---- */

static int
send_one(struct json *message, void *arg)
{
	CLEANUP_JSON struct json *owned = message;
	CLEANUP_BUF struct buf body = BUF_INIT;
	struct sending *s = arg;

	/* select() leaves nothing; a condition alone leaves false. */
	if (!json_has(owned, "") || (!json_bool(owned, "", true)))
		return 0;
	if (s->c->kind == CHANNEL_NTFY) {
		s->result = ntfy(s, owned);
		return s->result != SENT_OK;
	}
	json_write(json_bool(owned, "", false) ? s->event : owned, &body);
	if (s->c->kind == CHANNEL_COMMAND)
		buf_addc(&body, '\n');
	s->result = s->c->kind == CHANNEL_COMMAND ? run(s, &body) :
						    webhook(s, &body);
	return s->result != SENT_OK;
}

enum sent
channel_send(struct channel *c, const struct json *event,
	int64_t *retry_after, struct err *why)
{
	struct sending s = { .c = c, .event = event, .why = why };

	*retry_after = 0;
	if (!c->filter) {
		(void)send_one(json_get(event, ""), &s);
	} else if (filter_run(c->filter, event, send_one, &s, why) < 0 &&
		s.result == SENT_OK) {
		/* It fails for this event, now and later. */
		(void)err_wrap(why, "notify.%s.filter", c->name);
		s.result = SENT_REFUSED;
	}
	*retry_after = s.retry_after;
	return s.result;
}
