#include "lib/trust/ca.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/trust/ca_internal.h"
#include "lib/base/banned.h"

enum { LOCK_WAIT = 10000 };
#define DEFAULT_OVERLAP (30 * DAY_MS)

void
cleanup_ca(struct ca **ca)
{
	struct ca *c = *ca;

	if (!c)
		return;
	EVP_PKEY_free(c->key);
	X509_free(c->crt);
	X509_free(c->root);
	X509_free(c->cross);
	free(c);
}

char *
ca_old_name(const char *serial)
{
	return xasprintf("ca-old-%s.key", serial);
}

/* ---- the text of ca.key ---- */

static int
sort_above(struct ca *ca, X509 *crt)
{
	const X509_NAME *subject = X509_get_subject_name(crt);

	if (!X509_NAME_cmp(subject, X509_get_issuer_name(crt)))
		X509_free(ca->root), ca->root = crt;
	else if (!X509_NAME_cmp(subject, X509_get_subject_name(ca->crt)))
		X509_free(ca->cross), ca->cross = crt;
	else
		return -1;
	return 0;
}

static int
parse_above(const char *text, const char *what, struct ca *ca,
	struct err *err)
{
	static const char end[] = "-----END CERTIFICATE-----";
	const char *p = text;

	while ((p = strstr(p, end))) {
		X509 *crt = NULL;
		struct err none = ERR_INIT;

		p += strlen(end);
		if (pem_cert(p, strlen(p), what, &crt, &none))
			return none.code == ERR_NOTFOUND ? 0 : (*err = none, -1);
		if (sort_above(ca, crt)) {
			X509_free(crt);
			return err_set(err, ERR_INVALID,
				"%s has a certificate that is not the CA's",
				what);
		}
	}
	return 0;
}

int
ca_parse(const struct buf *text, const char *what, struct ca **ret,
	struct err *err)
{
	CLEANUP_CA struct ca *ca = xcalloc(1, sizeof(*ca));

	if (pem_key(text->s, text->len, what, &ca->key, err) ||
		pem_cert(text->s, text->len, what, &ca->crt, err) ||
		pem_serial(ca->crt, ca->serial, err) ||
		parse_above(text->s, what, ca, err))
		return -1;
	if (X509_check_private_key(ca->crt, ca->key) != 1) {
		ERR_clear_error();
		return err_set(err, ERR_INVALID,
			"%s: the key is not that of the certificate", what);
	}
	*ret = steal_ptr(&ca);
	return 0;
}

int
ca_text(const struct ca *ca, bool key, struct buf *ret, struct err *err)
{
	if ((key && pem_add_key(ret, ca->key, err)) ||
		pem_add_cert(ret, ca->crt, err) ||
		(ca->cross && pem_add_cert(ret, ca->cross, err)) ||
		(ca->root && pem_add_cert(ret, ca->root, err)))
		return -1;
	return 0;
}

/* ---- files ---- */

int
trust_write(struct state *st, const char *name, const struct buf *text,
	bool secret, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("trust/%s", name);

	if (fs_mkdirs(state_dir(st), "trust", 0700, err))
		return -1;
	return fs_replace(state_dir(st), path, text->s, text->len,
		secret ? 0600 : 0644, err);
}

int
trust_read(struct state *st, const char *name, struct buf *ret,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("trust/%s", name);

	return fs_read(state_dir(st), path, PEM_MAX, ret, err);
}

int
ca_read(struct state *st, const char *name, struct ca **ret, struct err *err)
{
	CLEANUP_FREE char *what = xasprintf("'%s/trust/%s'", state_path(st),
		name);
	CLEANUP_SECRET struct buf text = BUF_INIT;

	if (trust_read(st, name, &text, err))
		return -1;
	return ca_parse(&text, what, ret, err);
}

/* ---- rows ---- */

static int
insert_row(struct db *db, const struct ca *ca, struct err *err)
{
	CLEANUP_BUF struct buf pem = BUF_INIT, root = BUF_INIT;
	CLEANUP_FREE char *name = pem_name(ca->crt);
	char print[FINGERPRINT_SIZE];

	if (pem_add_cert(&pem, ca->crt, err) ||
		(ca->root && pem_add_cert(&root, ca->root, err)) ||
		pem_fingerprint(ca->crt, print, err))
		return -1;
	return db_run(db,
		"INSERT INTO ca (serial, name, fingerprint, pem, root,"
		" not_before, not_after, created_at)"
		" VALUES (?, ?, ?, ?, nullif(?, ''), ?, ?, ?)",
		NULL, err, DB_S(ca->serial), DB_S(name), DB_S(print),
		DB_S(pem.s), DB_S(root.s),
		DB_I(pem_time(X509_get0_notBefore(ca->crt))),
		DB_I(pem_time(X509_get0_notAfter(ca->crt))),
		DB_I(clock_wall()));
}

/* The rows say what ca.key says: this one signs and no other. */
static int
rows_follow(struct db *db, const struct ca *ca, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *name = pem_name(ca->crt);
	int64_t known;
	struct json *data;
	int changed;

	if (db_begin(db, &t, err) ||
		db_get_int(db, &known,
			"SELECT count(*) FROM ca WHERE serial = ?", err,
			DB_S(ca->serial)) ||
		(!known && insert_row(db, ca, err)) ||
		db_run(db,
			"UPDATE ca SET trusted_until = CASE"
			" WHEN serial = ?1 THEN NULL"
			" ELSE coalesce(trusted_until, ?2) END",
			&changed, err, DB_S(ca->serial),
			DB_I(clock_wall() + DEFAULT_OVERLAP)))
		return -1;
	if (!known) {
		data = json_object();
		json_put_str(data, "name", name);
		if (event_add(db, "ca.created", ca->serial, data, err))
			return -1;
	}
	return db_commit(&t, err);
}

int
ca_follow(struct state *st, struct db *db, struct ca *ca, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (rows_follow(db, ca, err) || ca_text(ca, false, &text, err) ||
		trust_write(st, CA_CRT, &text, false, err))
		return -1;
	return ca_write_crl_locked(st, db, ca, err);
}

int
ca_lock(struct state *st, int *ret, struct err *err)
{
	return state_lock(st, "trust", NULL, 0, LOCK_WAIT, ret, err);
}

/* ---- who signs ---- */

static int
no_ca(struct state *st, struct db *db, struct err *err)
{
	int64_t n = 0;

	*err = ERR_INIT;
	if (db_get_int(db, &n, "SELECT count(*) FROM ca", err))
		return -1;
	if (n)
		return err_set(err, ERR_NOTFOUND,
			"'%s/trust/ca.key' is missing: restore it from a "
			"backup", state_path(st));
	return err_set(err, ERR_NOTFOUND,
		"there is no CA; make one with 'forge-register ca init'");
}

/* 1: rows and files follow from this ca.key, 0: not all, -1: error. */
static int
is_settled(struct db *db, const struct ca *ca, struct err *err)
{
	int64_t n;

	if (db_get_int(db, &n,
		"SELECT count(*) FROM ca WHERE serial = ? AND"
		" trusted_until IS NULL AND crl_due = 0", err,
		DB_S(ca->serial)))
		return -1;
	return n != 0;
}

int
ca_open(struct state *st, struct ca **ret, struct err *err)
{
	CLEANUP_CA struct ca *ca = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct db *db;
	int settled;

	if (state_db(st, &db, err))
		return -1;
	if (ca_read(st, CA_KEY, &ca, err))
		return err->code == ERR_NOTFOUND ? no_ca(st, db, err) : -1;
	settled = is_settled(db, ca, err);
	if (settled < 0)
		return -1;
	if (!settled) {
		cleanup_ca(&ca);
		ca = NULL;
		if (ca_lock(st, &fd, err) || ca_read(st, CA_KEY, &ca, err) ||
			ca_follow(st, db, ca, err))
			return -1;
	}
	*ret = steal_ptr(&ca);
	return 0;
}
