#include "lib/trust/cert.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>

#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/ca.h"
#include "lib/trust/cert_internal.h"
#include "lib/base/banned.h"

/* Whose it is, and the key in it. */
static int
read_row(struct db *db, const char *serial, char **ret_agent,
	EVP_PKEY **ret_key, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	CLEANUP_X509 X509 *crt = NULL;
	const char *pem;

	if (db_query(db, &r, "SELECT agent, pem FROM cert WHERE serial = ?",
			err, DB_S(serial)))
		return -1;
	if (db_next(r, err) < 0)
		return -1;
	if (db_null(r, 0))
		return err_set(err, ERR_INVALID,
			"certificate '%s' is the listener's: renew it with "
			"'forge-register cert renew server'", serial);
	pem = db_text(r, 1);
	if (pem_cert(pem, strlen(pem), "the stored row", &crt, err))
		return -1;
	*ret_key = X509_get_pubkey(crt);
	if (!*ret_key)
		return pem_failed(err, "certificate '%s'", serial);
	*ret_agent = xstrdup(db_text(r, 0));
	return 0;
}

/* An expired one may be renewed by hand; a revoked one never. */
static int
not_revoked(struct db *db, const char *serial, struct err *err)
{
	int64_t n;

	if (db_get_int(db, &n,
		"SELECT count(*) FROM cert c JOIN agent a ON a.id = c.agent"
		" WHERE c.serial = ? AND (c.revoked_at IS NOT NULL OR"
		" a.revoked_at IS NOT NULL)", err, DB_S(serial)))
		return -1;
	return n ? err_set(err, ERR_BUSY,
		"certificate '%s' or its agent is revoked", serial) : 0;
}

int
cert_renew(struct state *st, const char *given, int64_t ttl_ms,
	struct cert *ret, struct err *err)
{
	CLEANUP_CERT struct cert c = CERT_INIT;
	CLEANUP_PKEY EVP_PKEY *key = NULL;
	CLEANUP_FREE char *agent = NULL;
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_CA struct ca *ca = NULL;
	char serial[SERIAL_SIZE];
	struct db *db;

	if (state_db(st, &db, err) || cert_find(db, given, serial, err) ||
		read_row(db, serial, &agent, &key, err) ||
		ca_open(st, &ca, err) || db_begin(db, &t, err) ||
		not_revoked(db, serial, err) ||
		cert_issue(db, ca, agent, key, ttl_ms, &c, err) ||
		db_commit(&t, err))
		return -1;
	*ret = c;
	c = CERT_INIT;
	return 0;
}
