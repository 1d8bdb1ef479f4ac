#include "lib/runner/member.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cirunner.pb-c.h"
#include "forge.pb-c.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/net/grpc.h"
#include "lib/net/pb.h"
#include "lib/state/state.h"
#include "lib/trust/bundle.h"
#include "lib/trust/keypair.h"
#include "lib/base/banned.h"

#define FILE_NAME "agent/identity.json"
#define TIMEOUT 30000 /* ms of a call */
enum { FILE_MAX = 256 * 1024, ANSWER_MAX = 128 * 1024 };

void
member_release(struct member *m)
{
	free(m->id);
	free(m->url);
	free(m->host);
	free(m->ca);
	free(m->cert);
	keypair_free(m->key);
	*m = MEMBER_INIT;
}

static void
wipe(struct buf *b)
{
	explicit_bzero(b->s, b->len);
	buf_release(b);
}

int
member_tls(const struct member *m, struct ssl_ctx_st **ret, struct err *err)
{
	const struct tls_pem pem = { .ca = m->ca, .cert = m->cert,
		.key = m->key };

	return tls_client(&pem, ret, err);
}

int64_t
member_renew_at(const struct member *m)
{
	return m->not_before + (m->not_after - m->not_before) / 3 * 2;
}

/* ---- the file ---- */

static int
save(struct state *st, const struct member *m, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP(wipe) struct buf text = BUF_INIT;

	json_put_str(o, "id", m->id);
	json_put_str(o, "url", m->url);
	json_put(o, "ca", json_string(m->ca));
	json_put_str(o, "cert", m->cert);
	json_put_str(o, "key", m->key);
	json_put_bool(o, "made_there", m->made_there);
	json_write(o, &text);
	buf_addc(&text, '\n');
	if (fs_mkdirs(state_dir(st), "agent", 0700, err))
		return -1;
	return fs_replace(state_dir(st), FILE_NAME, text.s, text.len, 0600,
		err);
}

static int
from_json(const struct json *o, struct member *m, struct err *err)
{
	CLEANUP_FREE char *name = NULL;

	m->id = xstrdup(json_str(o, "id", ""));
	m->url = xstrdup(json_str(o, "url", ""));
	m->ca = xstrdup_null(json_str(o, "ca", NULL));
	m->cert = xstrdup(json_str(o, "cert", ""));
	m->key = xstrdup(json_str(o, "key", ""));
	m->made_there = json_bool(o, "made_there", false);
	if (bundle_url(m->url, &m->host, &m->port, err))
		return -1;
	return keypair_check(m->cert, m->key, &name, &m->not_before,
		&m->not_after, err);
}

int
member_load(struct state *st, struct member *ret, struct err *err)
{
	CLEANUP_JSON struct json *o = NULL;
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	CLEANUP(wipe) struct buf text = BUF_INIT;

	if (fs_read(state_dir(st), FILE_NAME, FILE_MAX, &text, err)) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		return err_set(err, ERR_NOTFOUND,
			"this host has not joined a coordinator; do it with "
			"'forge-register join BUNDLE'");
	}
	if (json_parse(text.s, text.len, &o, err) || from_json(o, &m, err))
		return err_wrap(err, "'%s/" FILE_NAME "'", state_path(st));
	*ret = m;
	m = MEMBER_INIT;
	return 0;
}

/* ---- calls ---- */

static int
call(const struct member *m, const char *path, ProtobufCMessage *request,
	struct buf *ret, struct err *err)
{
	struct grpc_client_options o = { .host = m->host, .port = m->port,
		.max = ANSWER_MAX };
	CLEANUP(wipe) struct buf out = BUF_INIT;
	int rc;

	if (member_tls(m, &o.tls, err))
		return -1;
	pb_pack(request, &out);
	rc = grpc_unary(&o, path, out.s, out.len, TIMEOUT, ret, err);
	tls_free(o.tls);
	return rc ? err_wrap(err, "'%s'", m->url) : 0;
}

static int
no_answer(const struct member *m, struct err *err)
{
	return err_set(err, ERR_NET, "'%s' answers nonsense", m->url);
}

/* What came belongs to the key: then it is ours. */
static int
take(struct member *m, const char *id, const char *cert, const char *ca,
	char *key, struct err *err)
{
	CLEANUP_FREE char *name = NULL;

	if (keypair_check(cert, key, &name, &m->not_before, &m->not_after,
			err)) {
		keypair_free(key);
		return err_wrap(err, "'%s'", m->url);
	}
	free(m->id);
	free(m->cert);
	keypair_free(m->key);
	m->id = xstrdup(*id ? id : name);
	m->cert = xstrdup(cert);
	m->key = key;
	if (m->ca && *ca) {
		free(m->ca);
		m->ca = xstrdup(ca);
	}
	return 0;
}

static int
take_answer(struct member *m, const struct buf *answer, char *key,
	struct err *err)
{
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	Forge__Agent__V1__Certificate *c = pb_unpack(
		&forge__agent__v1__certificate__descriptor, answer->s,
		answer->len, &arena);

	if (!c) {
		keypair_free(key);
		return no_answer(m, err);
	}
	return take(m, c->agent_id, c->cert_pem, c->ca_pem, key, err);
}

static int
join(struct member *m, const struct bundle *b, const char *host, int max_vms,
	struct err *err)
{
	Forge__Agent__V1__JoinRequest r = FORGE__AGENT__V1__JOIN_REQUEST__INIT;
	CLEANUP(wipe) struct buf answer = BUF_INIT;
	CLEANUP_FREE char *csr = NULL;
	char kind[] = "vm", *key = NULL;

	if (keypair_make(host, &key, &csr, err))
		return -1;
	r.token = b->token;
	r.host = (char *)(uintptr_t)host;
	r.kind = kind;
	r.csr.data = (uint8_t *)csr;
	r.csr.len = strlen(csr);
	r.max_vms = (uint32_t)max_vms;
	if (call(m, "/forge.agent.v1.Agent/Join", &r.base, &answer, err)) {
		keypair_free(key);
		return -1;
	}
	return take_answer(m, &answer, key, err);
}

/* As kuiper-forge has it: the coordinator makes the key, and knows two
 * kinds of agents. */
static int
register_as(struct member *m, const struct bundle *b, const char *host,
	int max_vms, struct err *err)
{
	Cirunner__Agent__RegisterRequest r =
		CIRUNNER__AGENT__REGISTER_REQUEST__INIT;
	CLEANUP_ARENA struct arena arena = ARENA_INIT;
	CLEANUP(wipe) struct buf answer = BUF_INIT;
	Cirunner__Agent__RegisterResponse *a;
	char kind[] = "proxmox";

	r.registration_token = b->token;
	r.hostname = (char *)(uintptr_t)host;
	r.agent_type = kind;
	r.max_vms = (uint32_t)max_vms;
	if (call(m, "/cirunner.agent.RegistrationService/Register", &r.base,
			&answer, err))
		return -1;
	a = pb_unpack(&cirunner__agent__register_response__descriptor,
		answer.s, answer.len, &arena);
	if (!a)
		return no_answer(m, err);
	m->made_there = true;
	return take(m, a->agent_id, a->client_cert_pem, a->server_ca_pem,
		xstrdup(a->client_key_pem), err);
}

/* ---- joining ---- */

static int
may_join(struct state *st, const struct member_options *o, struct err *err)
{
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	struct err none = ERR_INIT;

	if (o->force || !fs_exists(state_dir(st), FILE_NAME))
		return 0;
	if (member_load(st, &m, &none))
		return 0; /* nothing that could be lost */
	return err_set(err, ERR_EXISTS,
		"this host has joined '%s' as '%s'; --force to join anew",
		m.url, m.id);
}

int
member_join(struct state *st, const char *bundle, size_t n,
	const struct member_options *o, struct member *ret, struct err *err)
{
	CLEANUP_BUNDLE struct bundle b = BUNDLE_INIT;
	CLEANUP_MEMBER struct member m = MEMBER_INIT;
	struct err first = ERR_INIT;
	char host[256] = "host";
	struct db *db;

	/* A directory becomes a state by its database. */
	if (state_db(st, &db, err))
		return -1;
	if (!o->host && gethostname(host, sizeof(host) - 1))
		return err_sys(err, "cannot read the name of this host");
	if (bundle_parse(bundle, n, &b, err) || may_join(st, o, err) ||
		bundle_url(b.url, &m.host, &m.port, err))
		return -1;
	m.url = xstrdup(b.url);
	m.ca = xstrdup_null(b.ca);
	if (join(&m, &b, o->host ? o->host : host, o->max_vms, &first)) {
		if (first.code != ERR_NET ||
			register_as(&m, &b, o->host ? o->host : host,
				o->max_vms, err))
			return (first.code != ERR_NET ? *err = first : *err,
				-1);
	}
	if (save(st, &m, err))
		return -1;
	*ret = m;
	m = MEMBER_INIT;
	return 0;
}

int
member_renew(struct state *st, struct member *m, struct err *err)
{
	Forge__Agent__V1__RenewRequest r =
		FORGE__AGENT__V1__RENEW_REQUEST__INIT;
	CLEANUP(wipe) struct buf answer = BUF_INIT;
	CLEANUP_FREE char *csr = NULL;
	char *key = NULL;

	if (keypair_make(m->id, &key, &csr, err))
		return -1;
	r.csr.data = (uint8_t *)csr;
	r.csr.len = strlen(csr);
	if (call(m, "/forge.agent.v1.Agent/Renew", &r.base, &answer, err)) {
		keypair_free(key);
		return -1;
	}
	if (take_answer(m, &answer, key, err))
		return -1;
	return save(st, m, err);
}
