#include "lib/stream/internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/trust/ca.h"
#include "lib/trust/cert.h"
#include "lib/base/banned.h"

#define LABELS 64

void
finish_err(struct grpc_call *call, const char *what, const struct err *err)
{
	static const struct {
		enum err_code code;
		int status;
	} table[] = { { ERR_AUTH, GRPC_UNAUTHENTICATED },
		{ ERR_INVALID, GRPC_INVALID_ARGUMENT },
		{ ERR_NOTFOUND, GRPC_NOT_FOUND },
		{ ERR_EXISTS, GRPC_ALREADY_EXISTS },
		{ ERR_BUSY, GRPC_UNAVAILABLE },
		{ ERR_LIMIT, GRPC_RESOURCE_EXHAUSTED } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].code != err->code)
			continue;
		grpc_finish(call, table[i].status, "%s: %s", what, err->msg);
		return;
	}
	/* What is wrong with us is not for strangers. */
	log_error("stream.call", "what", what, "error", err->msg, NULL);
	grpc_finish(call, GRPC_INTERNAL, "%s: the coordinator failed", what);
}

static void
not_one(struct grpc_call *call, const char *what)
{
	grpc_finish(call, GRPC_INVALID_ARGUMENT, "the message is not a %s",
		what);
}

static struct json *
labels_json(char **labels, size_t n)
{
	struct json *a = json_array();
	size_t i;

	for (i = 0; i < n && i < LABELS; i++)
		json_push_str(a, labels[i]);
	return a;
}

/* ---- answers ---- */

/* cirunner.agent: the key was made here. */
static void
register_answer(struct grpc_call *call, char *id, struct cert *cert,
	const struct buf *cas)
{
	Cirunner__Agent__RegisterResponse r =
		CIRUNNER__AGENT__REGISTER_RESPONSE__INIT;
	char at[32], mode[] = "ca";

	r.agent_id = id;
	r.client_cert_pem = cert->pem;
	r.client_key_pem = cert->key;
	r.expires_at = clock_format(cert->not_after, at, sizeof(at));
	r.server_ca_pem = cas->s;
	r.server_trust_mode = mode;
	(void)pb_send(call, &r.base);
	grpc_finish(call, GRPC_OK, NULL);
}

/* forge.agent.v1: the key stays where it is. */
static void
certificate_answer(struct grpc_call *call, char *id, struct cert *cert,
	const struct buf *cas)
{
	Forge__Agent__V1__Certificate c = FORGE__AGENT__V1__CERTIFICATE__INIT;

	c.agent_id = id;
	c.cert_pem = cert->pem;
	c.ca_pem = cas->s;
	c.not_before = cert->not_before;
	c.not_after = cert->not_after;
	c.serial = cert->serial;
	(void)pb_send(call, &c.base);
	grpc_finish(call, GRPC_OK, NULL);
}

/* ---- those who wait for their registration ---- */

/*
 * A sync of the disk is most of what a registration takes, so that those who
 * come within JOIN_DELAY share one.
 */
#define JOIN_DELAY 5 /* ms */
#define JOIN_MAX 64

struct joiner {
	struct joiner *next;
	struct stream *s;
	struct grpc_call *call;
	struct arena arena; /* of the message that ask borrows from */
	struct json *labels;
	struct enroll ask;
	bool has_csr; /* forge.agent.v1 */
};

static void
joiner_free(struct joiner *j)
{
	arena_release(&j->arena);
	json_free(j->labels);
	free(j);
}

static void
answer(struct joiner *j, struct enrolment *e, const struct buf *cas)
{
	grpc_handle(j->call, NULL, NULL);
	if (!e->id) {
		finish_err(j->call, "Registration failed", &e->err);
		return;
	}
	log_info("agent.registered", "id", e->id, "address",
		grpc_peer(j->call)->address, NULL);
	if (j->has_csr)
		certificate_answer(j->call, e->id, &e->cert, cas);
	else
		register_answer(j->call, e->id, &e->cert, cas);
}

static void
answer_all(struct stream *s, struct joiner *first, struct enrolment *e)
{
	CLEANUP_BUF struct buf cas = BUF_INIT;
	struct err err = ERR_INIT;
	struct joiner *j, *next;
	int rc = ca_trusted(s->st, &cas, &err);

	for (j = first; j; j = next, e++) {
		next = j->next;
		if (rc && e->id) {
			free(steal_ptr(&e->id));
			e->err = err;
		}
		answer(j, e, &cas);
		free(e->id);
		cert_release(&e->cert);
		joiner_free(j);
	}
}

static void
joins_flush(struct stream *s)
{
	struct joiner *first = s->joiners, *j;
	CLEANUP_FREE struct enrolment *v = NULL;
	size_t n = 0;

	loop_timer_clear(s->loop, &s->join);
	s->joiners = NULL;
	s->njoiners = 0;
	for (j = first; j; j = j->next)
		n++;
	v = xcalloc(n + 1, sizeof(*v));
	for (j = first, n = 0; j; j = j->next)
		v[n++].ask = j->ask;
	agent_enroll(s->st, s->ca, v, n);
	answer_all(s, first, v);
}

static void
on_join(struct loop_timer *t)
{
	joins_flush(
		(struct stream *)(void *)((char *)t -
			offsetof(struct stream, join)));
}

/* It waits no more: it does not use its token, either. */
static void
joiner_ended(struct grpc_call *call, int status, const char *why)
{
	struct joiner *j = grpc_arg(call), **at = &j->s->joiners;

	(void)status;
	(void)why;
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	j->s->njoiners--;
	joiner_free(j);
}

static void
joiner_add(struct stream *s, struct grpc_call *call, struct joiner *j)
{
	static const struct grpc_handler waits = { .ended = joiner_ended };

	j->s = s;
	j->call = call;
	j->ask.labels = j->labels;
	j->next = s->joiners;
	s->joiners = j;
	grpc_handle(call, &waits, j);
	s->join.fire = on_join;
	if (!s->njoiners++)
		loop_timer_set(s->loop, &s->join, stream_now(s) + JOIN_DELAY);
	if (s->njoiners >= JOIN_MAX)
		joins_flush(s);
}

/* ---- requests ---- */

static void
register_message(struct grpc_call *call, const void *p, size_t n)
{
	struct joiner *j = xcalloc(1, sizeof(*j));
	Cirunner__Agent__RegisterRequest *m = pb_unpack(
		&cirunner__agent__register_request__descriptor, p, n,
		&j->arena);

	if (!m) {
		joiner_free(j);
		not_one(call, "RegisterRequest");
		return;
	}
	j->labels = labels_json(m->labels, m->n_labels);
	j->ask = (struct enroll){ .token = m->registration_token,
		.host = m->hostname, .kind = m->agent_type,
		.max_vms = m->max_vms };
	joiner_add(grpc_arg(call), call, j);
}

void
register_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.message = register_message };

	grpc_handle(call, &handler, arg);
}

static void
join_message(struct grpc_call *call, const void *p, size_t n)
{
	struct joiner *j = xcalloc(1, sizeof(*j));
	Forge__Agent__V1__JoinRequest *m = pb_unpack(
		&forge__agent__v1__join_request__descriptor, p, n, &j->arena);

	if (!m || !m->csr.len) {
		joiner_free(j);
		not_one(call, "JoinRequest");
		return;
	}
	j->labels = labels_json(m->labels, m->n_labels);
	j->has_csr = true;
	j->ask = (struct enroll){ .token = m->token, .host = m->host,
		.kind = m->kind, .csr = (const char *)m->csr.data,
		.ncsr = m->csr.len, .max_vms = m->max_vms };
	joiner_add(grpc_arg(call), call, j);
}

void
join_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = { .message = join_message };

	grpc_handle(call, &handler, arg);
}

static void
renew_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	CLEANUP_CERT struct cert cert = CERT_INIT;
	CLEANUP_BUF struct buf cas = BUF_INIT;
	const struct tls_peer *peer = &grpc_peer(call)->tls;
	struct err err = ERR_INIT;
	struct stream *s = grpc_arg(call);
	Forge__Agent__V1__RenewRequest *m = pb_unpack(
		&forge__agent__v1__renew_request__descriptor, p, n, &arena);
	char id[sizeof(peer->name)];

	if (!m || !m->csr.len) {
		not_one(call, "RenewRequest");
		return;
	}
	if (agent_renew(s->st, s->ca, peer->name, peer->serial,
		    (const char *)m->csr.data, m->csr.len, 0, &cert, &err) ||
		ca_trusted(s->st, &cas, &err)) {
		finish_err(call, "Renewal failed", &err);
		return;
	}
	snprintf(id, sizeof(id), "%s", peer->name);
	certificate_answer(call, id, &cert, &cas);
}

void
renew_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.message = renew_message };

	if (agent_allowed(arg, call))
		grpc_handle(call, &handler, arg);
}
