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

/* ---- cirunner.agent: the key is made here ---- */

static int
enroll(struct stream *s, struct enroll *e, char **labels, size_t n,
	char **ret_id, struct cert *cert, struct buf *cas, struct err *err)
{
	CLEANUP_JSON struct json *list = labels_json(labels, n);

	e->labels = list;
	if (agent_enroll(s->st, s->ca, e, ret_id, cert, err))
		return -1;
	return ca_trusted(s->st, cas, err);
}

static void
register_answer(struct grpc_call *call, char *id, struct cert *cert,
	struct buf *cas)
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

static void
register_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	CLEANUP_CERT struct cert cert = CERT_INIT;
	CLEANUP_BUF struct buf cas = BUF_INIT;
	CLEANUP_FREE char *id = NULL;
	struct err err = ERR_INIT;
	struct stream *s = grpc_arg(call);
	struct enroll e = { 0 };
	Cirunner__Agent__RegisterRequest *m = pb_unpack(
		&cirunner__agent__register_request__descriptor, p, n, &arena);

	if (!m) {
		not_one(call, "RegisterRequest");
		return;
	}
	e.token = m->registration_token;
	e.host = m->hostname;
	e.kind = m->agent_type;
	e.max_vms = m->max_vms;
	if (enroll(s, &e, m->labels, m->n_labels, &id, &cert, &cas, &err)) {
		finish_err(call, "Registration failed", &err);
		return;
	}
	log_info("agent.registered", "id", id, "address",
		grpc_peer(call)->address, NULL);
	register_answer(call, id, &cert, &cas);
}

void
register_open(struct grpc_call *call, void *arg)
{
	static const struct grpc_handler handler = {
		.message = register_message };

	grpc_handle(call, &handler, arg);
}

/* ---- forge.agent.v1: the key stays where it is ---- */

static void
certificate_answer(struct grpc_call *call, char *id, struct cert *cert,
	struct buf *cas)
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

static void
join_message(struct grpc_call *call, const void *p, size_t n)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	CLEANUP_CERT struct cert cert = CERT_INIT;
	CLEANUP_BUF struct buf cas = BUF_INIT;
	CLEANUP_FREE char *id = NULL;
	struct err err = ERR_INIT;
	struct stream *s = grpc_arg(call);
	struct enroll e = { 0 };
	Forge__Agent__V1__JoinRequest *m = pb_unpack(
		&forge__agent__v1__join_request__descriptor, p, n, &arena);

	if (!m || !m->csr.len) {
		not_one(call, "JoinRequest");
		return;
	}
	e.token = m->token;
	e.host = m->host;
	e.kind = m->kind;
	e.csr = (const char *)m->csr.data;
	e.ncsr = m->csr.len;
	e.max_vms = m->max_vms;
	if (enroll(s, &e, m->labels, m->n_labels, &id, &cert, &cas, &err)) {
		finish_err(call, "Registration failed", &err);
		return;
	}
	log_info("agent.registered", "id", id, "address",
		grpc_peer(call)->address, NULL);
	certificate_answer(call, id, &cert, &cas);
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
