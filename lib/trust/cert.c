#include "lib/trust/cert.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/trust/ca_internal.h"
#include "lib/trust/cert_internal.h"
#include "lib/base/banned.h"

#define TTL_MIN 1000

void
cert_release(struct cert *c)
{
	free(c->pem);
	if (c->key)
		OPENSSL_cleanse(c->key, strlen(c->key));
	free(c->key);
	*c = CERT_INIT;
}

/* What is not told of a certificate before it is on record. */
static int
insert_row(struct db *db, struct ca *ca, const struct cert_row *row,
	X509 *crt, struct cert *c, struct err *err)
{
	CLEANUP_BUF struct buf pem = BUF_INIT;
	struct json *data = json_object();
	char print[FINGERPRINT_SIZE];

	json_put_str(data, "name", row->name);
	json_put_str(data, "kind", row->agent ? "agent" : "server");
	json_put_int(data, "not_after", c->not_after);
	if (pem_fingerprint(crt, print, err) || pem_add_cert(&pem, crt, err) ||
		db_run(db,
			"INSERT INTO cert (serial, kind, name, agent, ca,"
			" names, fingerprint, pem, not_before, not_after,"
			" issued_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			NULL, err, DB_S(c->serial),
			DB_S(row->agent ? "agent" : "server"), DB_S(row->name),
			DB_S(row->agent), DB_S(ca->serial), DB_S(row->names),
			DB_S(print), DB_S(pem.s), DB_I(c->not_before),
			DB_I(c->not_after), DB_I(clock_wall()))) {
		json_free(data);
		return -1;
	}
	if (event_add(db, "cert.issued", c->serial, data, err) ||
		ca_chain(ca, &pem, err))
		return -1;
	c->pem = buf_detach(&pem);
	return 0;
}

/* Within the life of the CA. */
static int
set_life(const struct ca *ca, int64_t ttl_ms, struct cert_form *f,
	struct err *err)
{
	int64_t now = clock_wall();
	int64_t first = pem_time(X509_get0_notBefore(ca->crt));
	int64_t last = pem_time(X509_get0_notAfter(ca->crt));

	if (ttl_ms < TTL_MIN)
		return err_set(err, ERR_USAGE,
			"a certificate is good for a second at least");
	f->not_before = now - CERT_BACK > first ? now - CERT_BACK : first;
	f->not_after = now + ttl_ms < last ? now + ttl_ms : last;
	if (now < last)
		return 0;
	return err_set(err, ERR_INVALID,
		"the CA has expired: 'forge-register ca rotate' makes a new "
		"one");
}

int
cert_new(struct db *db, struct ca *ca, const struct cert_row *row,
	EVP_PKEY *key, int64_t ttl_ms, struct cert *ret, struct err *err)
{
	struct cert_form f = { .use = row->agent ? USE_CLIENT : USE_SERVER,
		.name = row->name, .org = row->agent ? "CI Runner Agent" :
			"CI Runner Coordinator",
		.san = row->san, .key = key, .issuer = ca->crt,
		.issuer_key = ca->key };
	CLEANUP_X509 X509 *crt = NULL;
	struct cert c = CERT_INIT;

	if (set_life(ca, ttl_ms, &f, err) || cert_build(&f, &crt, err) ||
		pem_serial(crt, c.serial, err))
		return -1;
	/* Whole seconds, as the certificate has them. */
	c.not_before = pem_time(X509_get0_notBefore(crt));
	c.not_after = pem_time(X509_get0_notAfter(crt));
	if (insert_row(db, ca, row, crt, &c, err))
		return -1;
	*ret = c;
	return 0;
}

int
cert_issue(struct db *db, struct ca *ca, const char *agent, EVP_PKEY *key,
	int64_t ttl_ms, struct cert *ret, struct err *err)
{
	CLEANUP_FREE char *san = xasprintf("DNS:%s", agent);
	struct cert_row row = { .name = agent, .agent = agent, .san = san };
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_PKEY EVP_PKEY *made = NULL;
	CLEANUP_CERT struct cert c = CERT_INIT;

	if (!key && (pem_make_key(&made, err) ||
			pem_add_key(&text, made, err)))
		return -1;
	if (cert_new(db, ca, &row, key ? key : made, ttl_ms, &c, err))
		return -1;
	c.key = key ? NULL : xstrdup(text.s);
	*ret = c;
	c = CERT_INIT;
	return 0;
}

/* As pem_serial() writes it: lower case, an even number of digits, no
 * leading zeros beyond that. */
static int
normal_serial(const char *s, char ret[SERIAL_SIZE])
{
	size_t n = strspn(s, "0123456789abcdefABCDEF"), i, odd;

	if (!n || s[n])
		return -1;
	for (; n > 1 && *s == '0'; s++)
		n--;
	odd = n % 2;
	if (n + odd >= SERIAL_SIZE)
		return -1;
	if (odd)
		ret[0] = '0';
	for (i = 0; i <= n; i++)
		ret[odd + i] = (char)tolower((unsigned char)s[i]);
	return 0;
}

static int
no_cert(const char *serial, struct err *err)
{
	return err_set(err, ERR_NOTFOUND,
		"no certificate with serial number '%.64s'", serial);
}

int
cert_check(struct db *db, const char *given, const char *name,
	int64_t *ret_after, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int64_t now = clock_wall();
	char serial[SERIAL_SIZE];
	int rc;

	if (normal_serial(given, serial))
		return err_set(err, ERR_AUTH, "the certificate is not ours");
	if (db_query(db, &r,
		"SELECT c.not_before, c.not_after, c.revoked_at, a.revoked_at"
		" FROM cert c JOIN agent a ON a.id = c.agent"
		" WHERE c.serial = ? AND c.name = ?", err, DB_S(serial),
		DB_S(name)))
		return -1;
	rc = db_next(r, err);
	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(err, ERR_AUTH,
			"Agent not registered or has been revoked");
	if (!db_null(r, 2) || !db_null(r, 3))
		return err_set(err, ERR_AUTH,
			"the agent or its certificate has been revoked");
	if (db_int(r, 1) <= now)
		return err_set(err, ERR_AUTH,
			"the agent's certificate has expired");
	if (db_int(r, 0) > now)
		return err_set(err, ERR_AUTH,
			"the agent's certificate is not valid yet");
	if (ret_after)
		*ret_after = db_int(r, 1);
	return 0;
}

int
cert_revoke_row(struct db *db, const char *serial, const char *reason,
	struct err *err)
{
	struct json *data = json_object();
	int changed;

	json_put_str(data, "reason", reason);
	if (db_run(db,
		"UPDATE cert SET revoked_at = ?, reason = ? WHERE serial = ?"
		" AND revoked_at IS NULL", &changed, err, DB_I(clock_wall()),
		DB_S(reason), DB_S(serial))) {
		json_free(data);
		return -1;
	}
	if (!changed) {
		json_free(data);
		return err_set(err, ERR_BUSY,
			"certificate '%s' is revoked already", serial);
	}
	if (event_add(db, "cert.revoked", serial, data, err))
		return -1;
	return db_run(db, "UPDATE ca SET crl_due = crl_due + 1", NULL, err);
}

int
cert_find(struct db *db, const char *given, char serial[SERIAL_SIZE],
	struct err *err)
{
	int64_t n;

	if (normal_serial(given, serial))
		return no_cert(given, err);
	if (db_get_int(db, &n, "SELECT count(*) FROM cert WHERE serial = ?",
			err, DB_S(serial)))
		return -1;
	return n ? 0 : no_cert(given, err);
}

int
cert_revoke(struct state *st, const char *given, const char *reason,
	struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	char serial[SERIAL_SIZE];
	struct db *db;

	if (state_db(st, &db, err) || cert_find(db, given, serial, err) ||
		db_begin(db, &t, err) ||
		cert_revoke_row(db, serial, reason, err) || db_commit(&t, err))
		return -1;
	return ca_write_crl(st, err);
}

#define CERT_JSON                                                             \
	"json_object('serial', c.serial, 'kind', c.kind, 'name', c.name,"     \
	" 'agent', c.agent, 'state', CASE"                                    \
	"  WHEN c.revoked_at IS NOT NULL THEN 'revoked'"                      \
	"  WHEN c.not_after <= ?1 THEN 'expired' ELSE 'good' END,"            \
	" 'names', json(c.names), 'ca', c.ca, 'fingerprint', c.fingerprint,"  \
	" 'not_before', c.not_before, 'not_after', c.not_after, 'issued_at'," \
	" c.issued_at, 'revoked_at', c.revoked_at, 'reason', c.reason,"       \
	" 'pem', c.pem)"

int
cert_each(struct db *db, int all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	return rows_each(db,
		"SELECT " CERT_JSON " FROM cert c WHERE ?2 OR"
		" (c.revoked_at IS NULL AND c.not_after > ?1)"
		" ORDER BY c.issued_at DESC, c.serial",
		(const struct db_value[]){ DB_I(clock_wall()), DB_I(all),
			DB_LAST },
		emit, arg, err);
}

static int
keep_row(struct json *row, void *arg)
{
	*(struct json **)arg = row;
	return 0;
}

int
cert_show(struct db *db, const char *given, struct json **ret,
	struct err *err)
{
	char serial[SERIAL_SIZE];
	struct json *row = NULL;

	if (cert_find(db, given, serial, err) ||
		rows_each(db,
			"SELECT " CERT_JSON " FROM cert c WHERE serial = ?2",
			(const struct db_value[]){ DB_I(clock_wall()),
				DB_S(serial), DB_LAST },
			keep_row, &row, err))
		return -1;
	*ret = row;
	return row ? 0 : no_cert(given, err);
}
