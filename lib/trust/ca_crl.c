#include "lib/trust/ca.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/rows.h"
#include "lib/state/state.h"
#include "lib/trust/ca_internal.h"
#include "lib/base/banned.h"

#define CRL_LIFE (30 * DAY_MS)

static ASN1_TIME *
to_time(int64_t ms)
{
	return ASN1_TIME_set(NULL, (time_t)(ms / 1000));
}

static int
set_times(X509_CRL *crl, int64_t now)
{
	ASN1_TIME *last = to_time(now), *next = to_time(now + CRL_LIFE);
	int good = last && next && X509_CRL_set1_lastUpdate(crl, last) &&
		X509_CRL_set1_nextUpdate(crl, next);

	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
	return good;
}

static int
set_extensions(X509_CRL *crl, X509 *issuer, int64_t number)
{
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	X509_EXTENSION *id;
	X509V3_CTX ctx;
	int good;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
	id = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier,
		"keyid:always");
	good = n && id && X509_CRL_add_ext(crl, id, -1) &&
		ASN1_INTEGER_set_int64(n, number) &&
		X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0);
	X509_EXTENSION_free(id);
	ASN1_INTEGER_free(n);
	return good;
}

static int
add_revoked(X509_CRL *crl, const char *serial, int64_t at)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *t = to_time(at);
	BIGNUM *n = NULL;
	ASN1_INTEGER *i = BN_hex2bn(&n, serial) ? BN_to_ASN1_INTEGER(n, NULL) :
						  NULL;
	int good = r && t && i && X509_REVOKED_set_serialNumber(r, i) &&
		X509_REVOKED_set_revocationDate(r, t) &&
		X509_CRL_add0_revoked(crl, r);

	BN_free(n);
	ASN1_INTEGER_free(i);
	ASN1_TIME_free(t);
	if (!good)
		X509_REVOKED_free(r);
	return good;
}

static int
add_rows(struct db *db, const struct ca *ca, int64_t now, X509_CRL *crl,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	if (db_query(db, &r,
		"SELECT serial, revoked_at FROM cert WHERE ca = ? AND"
		" revoked_at IS NOT NULL AND not_after > ?"
		" ORDER BY revoked_at", err, DB_S(ca->serial),
		DB_I(now - DAY_MS)))
		return -1;
	while ((rc = db_next(r, err)) == 1)
		if (!add_revoked(crl, db_text(r, 0), db_int(r, 1)))
			return pem_failed(err, "cannot make a CRL");
	return rc;
}

static int
add_crl(struct db *db, const struct ca *ca, struct buf *out, struct err *err)
{
	CLEANUP_CRL X509_CRL *crl = X509_CRL_new();
	int64_t now = clock_wall(), number;
	unsigned char *der = NULL;
	int n;

	if (db_get_int(db, &number,
		"UPDATE ca SET crl_number = crl_number + 1 WHERE serial = ?"
		" RETURNING crl_number", err, DB_S(ca->serial)) ||
		(crl && add_rows(db, ca, now, crl, err)))
		return -1;
	if (!crl || !X509_CRL_set_version(crl, X509_CRL_VERSION_2) ||
		!X509_CRL_set_issuer_name(crl,
			X509_get_subject_name(ca->crt)) ||
		!set_times(crl, now) || !set_extensions(crl, ca->crt, number) ||
		!X509_CRL_sort(crl) ||
		!X509_CRL_sign(crl, ca->key, EVP_sha256()) ||
		(n = i2d_X509_CRL(crl, &der)) <= 0)
		return pem_failed(err, "cannot make a CRL");
	ERR_clear_error();
	pem_add(out, "X509 CRL", der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

struct old {
	char *serial[16];
	bool trusted[16];
	size_t n;
};

static void
old_release(struct old *o)
{
	while (o->n)
		free(o->serial[--o->n]);
}

static int
read_old(struct db *db, const struct ca *ca, struct old *o, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	if (db_query(db, &r,
		"SELECT serial, trusted_until > ? FROM ca WHERE serial <> ?"
		" ORDER BY created_at DESC LIMIT 16", err, DB_I(clock_wall()),
		DB_S(ca->serial)))
		return -1;
	while ((rc = db_next(r, err)) == 1) {
		o->trusted[o->n] = db_int(r, 1);
		o->serial[o->n++] = xstrdup(db_text(r, 0));
	}
	return rc;
}

/* The CRL of one rotated out, or the end of its key. */
static int
old_crl(struct state *st, struct db *db, const char *serial, bool trusted,
	struct buf *out, struct err *err)
{
	CLEANUP_FREE char *name = ca_old_name(serial);
	CLEANUP_FREE char *path = xasprintf("trust/%s", name);
	CLEANUP_CA struct ca *ca = NULL;

	if (!trusted)
		return fs_remove_tree(state_dir(st), path, err);
	if (ca_read(st, name, &ca, err))
		return -1;
	return add_crl(db, ca, out, err);
}

int
ca_write_crl_locked(struct state *st, struct db *db, struct ca *ca,
	struct err *err)
{
	__attribute__((cleanup(old_release))) struct old old = { .n = 0 };
	CLEANUP_BUF struct buf text = BUF_INIT;
	int64_t due;
	size_t i;

	if (db_get_int(db, &due, "SELECT max(crl_due) FROM ca", err) ||
		read_old(db, ca, &old, err) || add_crl(db, ca, &text, err))
		return -1;
	for (i = 0; i < old.n; i++)
		if (old_crl(st, db, old.serial[i], old.trusted[i], &text, err))
			return -1;
	if (trust_write(st, "crl.pem", &text, false, err))
		return -1;
	/* Not what was revoked meanwhile. */
	return db_run(db, "UPDATE ca SET crl_due = 0 WHERE crl_due = ?", NULL,
		err, DB_I(due));
}

int
ca_write_crl(struct state *st, struct err *err)
{
	CLEANUP_CA struct ca *ca = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct db *db;

	if (state_db(st, &db, err) || ca_lock(st, &fd, err) ||
		ca_read(st, CA_KEY, &ca, err))
		return -1;
	return ca_follow(st, db, ca, err);
}

int
ca_trusted(struct state *st, struct buf *ret, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	size_t before = ret->len;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) ||
		db_query(db, &r,
			"SELECT coalesce(root, pem) FROM ca"
			" WHERE trusted_until IS NULL OR trusted_until > ?"
			" GROUP BY 1 ORDER BY min(coalesce(trusted_until, 0)),"
			" max(created_at) DESC", err, DB_I(clock_wall())))
		return -1;
	while ((rc = db_next(r, err)) == 1)
		buf_adds(ret, db_text(r, 0));
	if (!rc && ret->len == before)
		return err_set(err, ERR_NOTFOUND, "there is no CA; make one "
			"with 'forge-register ca init'");
	return rc;
}

int
ca_chain(struct ca *ca, struct buf *ret, struct err *err)
{
	if (ca->root)
		return pem_add_cert(ret, ca->crt, err);
	return ca->cross ? pem_add_cert(ret, ca->cross, err) : 0;
}

int
ca_each(struct db *db, int (*emit)(struct json *row, void *arg), void *arg,
	struct err *err)
{
	return rows_each(db,
		"SELECT json_object('serial', serial, 'name', name,"
		" 'state', CASE WHEN trusted_until IS NULL THEN 'signs'"
		"  WHEN trusted_until > ?1 THEN 'trusted' ELSE 'retired' END,"
		" 'intermediate', json(iif(root IS NULL, 'false', 'true')),"
		" 'fingerprint', fingerprint, 'not_before', not_before,"
		" 'not_after', not_after, 'trusted_until', trusted_until,"
		" 'crl_number', crl_number, 'certs', (SELECT count(*) FROM"
		"  cert WHERE cert.ca = ca.serial), 'pem', pem, 'root', root)"
		" FROM ca ORDER BY coalesce(trusted_until, 9e15) DESC,"
		" created_at DESC",
		(const struct db_value[]){ DB_I(clock_wall()), DB_LAST },
		emit, arg, err);
}
