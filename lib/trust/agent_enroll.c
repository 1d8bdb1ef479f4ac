#include "lib/trust/agent.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/trust/agent_internal.h"
#include "lib/trust/ca.h"
#include "lib/trust/csr.h"
#include "lib/trust/token.h"
#include "lib/base/banned.h"

enum { KIND_SIZE = 16, HOST_MAX = 253, ID_CHARS = 8 };
#define VMS_MAX 100000

/* The facts of a new agent, checked. */
struct entry {
	const char *token; /* NULL: signed by hand */
	char kind[KIND_SIZE];
	char *host, *id, *labels;
	EVP_PKEY *key; /* NULL: make one */
	int64_t max_vms, ttl_ms;
};

static void
entry_release(struct entry *e)
{
	free(e->host);
	free(e->id);
	free(e->labels);
	EVP_PKEY_free(e->key);
}
#define CLEANUP_ENTRY __attribute__((cleanup(entry_release)))

static int
take_kind(const char *kind, struct entry *e, struct err *err)
{
	size_t i;

	for (i = 0; i < KIND_SIZE - 1 && kind[i]; i++)
		e->kind[i] = (char)tolower((unsigned char)kind[i]);
	e->kind[i] = '\0';
	if (!token_kind(e->kind, "kind of agent", err))
		return 0;
	err->code = ERR_INVALID; /* not a mistake of our command line */
	return -1;
}

/* The host as it is shown: what it says, without what could harm. */
static void
take_host(const char *host, struct entry *e)
{
	CLEANUP_FREE char *part = csr_host_name(host);
	CLEANUP_FREE char *suffix = random_name(ID_CHARS);
	char *p;

	e->host = xstrndup(*host ? host : part, HOST_MAX);
	for (p = e->host; *p; p++)
		if ((unsigned char)*p < 0x21 || (unsigned char)*p > 0x7e)
			*p = '?';
	e->id = xasprintf("agent_%s_%s_%s", e->kind, part, suffix);
}

static int
take_csr(const char *csr, size_t n, const char *host, struct entry *e,
	struct err *err)
{
	CLEANUP_FREE char *name = NULL;

	if (csr_parse(csr, n, &e->key, &name, err))
		return -1;
	take_host(host && *host ? host : name, e);
	return 0;
}

static int
insert_agent(struct db *db, const struct entry *e, struct err *err)
{
	struct json *data = json_object();

	json_put_str(data, "kind", e->kind);
	json_put_str(data, "host", e->host);
	if (db_run(db,
		"INSERT INTO agent (id, kind, host, label_sets, max_vms,"
		" created_at) VALUES (?, ?, ?, coalesce(?, '[]'), ?, ?)",
		NULL, err, DB_S(e->id), DB_S(e->kind), DB_S(e->host),
		DB_S(e->labels), DB_I(e->max_vms), DB_I(clock_wall()))) {
		json_free(data);
		return -1;
	}
	return event_add(db, "agent.registered", e->id, data, err);
}

/* In a transaction: ERR_AUTH has changed nothing. */
static int
enter(struct db *db, struct ca *ca, struct entry *e, char **ret_id,
	struct cert *ret, struct err *err)
{
	if ((e->token && token_consume(db, e->token, e->kind, e->id, err)) ||
		insert_agent(db, e, err) ||
		cert_issue(db, ca, e->id, e->key,
			e->ttl_ms ? e->ttl_ms : CERT_TTL, ret, err))
		return -1;
	*ret_id = steal_ptr(&e->id);
	return 0;
}

static int
take_labels(struct json *labels, struct entry *e, struct err *err)
{
	CLEANUP_JSON struct json *sets = NULL;

	if (!labels || !json_len(labels, ""))
		return 0;
	sets = json_array();
	json_push(sets, json_get(labels, ""));
	return agent_label_sets(sets, &e->labels, err);
}

static int
take(const struct enroll *e, struct entry *ret, struct err *err)
{
	*ret = (struct entry){ .token = e->token, .max_vms = e->max_vms,
		.ttl_ms = e->ttl_ms };
	if (e->max_vms < 0 || e->max_vms > VMS_MAX)
		return err_set(err, ERR_INVALID, "max_vms is 0 to %d", VMS_MAX);
	if (take_kind(e->kind, ret, err) || take_labels(e->labels, ret, err) ||
		(e->csr && take_csr(e->csr, e->ncsr, e->host, ret, err)))
		return -1;
	if (!e->csr)
		take_host(e->host, ret);
	return 0;
}

static void
forget(struct enrolment *v, const struct err *why)
{
	cert_release(&v->cert);
	free(v->id);
	v->id = NULL;
	v->err = *why;
}

/* All in one transaction; -1: none of them, and why. */
static int
enroll_together(struct state *st, struct ca *ca, struct enrolment *v,
	size_t n, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct db *db;
	size_t i;

	if (state_db(st, &db, err) || db_begin(db, &t, err))
		return -1;
	for (i = 0; i < n; i++) {
		CLEANUP_ENTRY struct entry e = { .token = NULL };

		if (take(&v[i].ask, &e, &v[i].err))
			continue;
		if (!enter(db, ca, &e, &v[i].id, &v[i].cert, &v[i].err) ||
			v[i].err.code == ERR_AUTH)
			continue;
		*err = v[i].err;
		return -1;
	}
	return db_commit(&t, err);
}

void
agent_enroll(struct state *st, struct ca *ca, struct enrolment *v, size_t n)
{
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < n; i++) {
		v[i].id = NULL;
		v[i].cert = CERT_INIT;
		v[i].err = ERR_INIT;
	}
	if (!enroll_together(st, ca, v, n, &err))
		return;
	for (i = 0; i < n; i++)
		forget(&v[i], n > 1 ? &ERR_INIT : &err);
	/* What is wrong with one is not the others' fault. */
	for (i = 0; n > 1 && i < n; i++)
		agent_enroll(st, ca, &v[i], 1);
}

int
agent_sign(struct state *st, struct ca *ca, const char *kind,
	const char *host, const char *csr, size_t ncsr, int64_t ttl_ms,
	char **ret_id, struct cert *ret, struct err *err)
{
	CLEANUP_ENTRY struct entry e = { .ttl_ms = ttl_ms };
	CLEANUP_FREE char *id = NULL;
	CLEANUP_CERT struct cert c = CERT_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct db *db;

	if (take_kind(kind, &e, err) || take_csr(csr, ncsr, host, &e, err) ||
		state_db(st, &db, err) || db_begin(db, &t, err) ||
		enter(db, ca, &e, &id, &c, err) || db_commit(&t, err))
		return -1;
	*ret = c;
	c = CERT_INIT;
	*ret_id = steal_ptr(&id);
	return 0;
}

int
agent_renew(struct state *st, struct ca *ca, const char *id,
	const char *serial, const char *csr, size_t ncsr, int64_t ttl_ms,
	struct cert *ret, struct err *err)
{
	CLEANUP_FREE char *name = NULL;
	CLEANUP_PKEY EVP_PKEY *key = NULL;
	CLEANUP_CERT struct cert c = CERT_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct db *db;

	if (csr_parse(csr, ncsr, &key, &name, err) ||
		state_db(st, &db, err) || db_begin(db, &t, err) ||
		cert_check(db, serial, id, NULL, err) ||
		cert_issue(db, ca, id, key, ttl_ms ? ttl_ms : CERT_TTL, &c,
			err) ||
		db_commit(&t, err))
		return -1;
	*ret = c;
	c = CERT_INIT;
	return 0;
}
