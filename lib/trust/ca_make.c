#include "lib/trust/ca.h"

#include <string.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/ca_internal.h"
#include "lib/base/banned.h"

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int
make_root(const char *org, EVP_PKEY *key, X509 **ret, struct err *err)
{
	CLEANUP_FREE char *name = xasprintf("%s Root CA", org);
	struct cert_form f = { .use = USE_CA, .name = name, .org = org,
		.key = key, .issuer_key = key,
		.not_before = clock_wall() - CERT_BACK };

	f.not_after = f.not_before + 2 * CA_YEARS * 365 * DAY_MS;
	return cert_build(&f, ret, err);
}

/*
 * The root's certificate: that in the text, else the one known, else a new
 * one for its key.
 */
static int
take_root(const struct buf *text, const char *org, X509 *known,
	EVP_PKEY **ret_key, X509 **ret, struct err *err)
{
	struct err none = ERR_INIT;

	if (pem_key(text->s, text->len, "the file of the root", ret_key, err))
		return -1;
	if (pem_cert(text->s, text->len, "the file of the root", ret, &none)) {
		if (none.code != ERR_NOTFOUND)
			return (*err = none, -1);
		if (!known)
			return make_root(org, *ret_key, ret, err);
		X509_up_ref(known);
		*ret = known;
	}
	if (X509_check_private_key(*ret, *ret_key) == 1 &&
		X509_check_ca(*ret) == 1)
		return 0;
	ERR_clear_error();
	return err_set(err, ERR_INVALID,
		"the root's certificate is not that of a CA with this key");
}

static int
make(const char *org, const char *name, const struct buf *root_pem,
	X509 *known_root, struct ca *ca, struct err *err)
{
	struct cert_form f = { .use = USE_CA, .name = name, .org = org,
		.not_before = clock_wall() - CERT_BACK };
	CLEANUP_PKEY EVP_PKEY *root_key = NULL;

	f.not_after = f.not_before + CA_YEARS * 365 * DAY_MS;
	if (pem_make_key(&ca->key, err))
		return -1;
	f.key = f.issuer_key = ca->key;
	if (root_pem) {
		if (take_root(root_pem, org, known_root, &root_key,
				&ca->root, err))
			return -1;
		f.use = USE_INTERMEDIATE;
		f.issuer = ca->root;
		f.issuer_key = root_key;
		f.not_after = least(f.not_after,
			pem_time(X509_get0_notAfter(ca->root)));
	}
	if (cert_build(&f, &ca->crt, err))
		return -1;
	return pem_serial(ca->crt, ca->serial, err);
}

static int
write_key(struct state *st, const struct ca *ca, struct err *err)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;

	if (ca_text(ca, true, &text, err))
		return -1;
	return trust_write(st, CA_KEY, &text, true, err);
}

static int
sound_org(const char *org, struct err *err)
{
	const char *p;

	for (p = org; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			break;
	if (*org && !*p && strlen(org) <= 50)
		return 0;
	return err_set(err, ERR_USAGE,
		"an organisation has 1 to 50 characters of ASCII");
}

int
ca_init(struct state *st, const char *org, const struct buf *root_pem,
	struct err *err)
{
	CLEANUP_CA struct ca *ca = xcalloc(1, sizeof(*ca));
	CLEANUP_FREE char *name = xasprintf("%s CA", org);
	CLEANUP_CLOSE int fd = -1;
	int64_t n;
	struct db *db;

	if (sound_org(org, err) || state_db(st, &db, err) ||
		ca_lock(st, &fd, err) ||
		db_get_int(db, &n, "SELECT count(*) FROM ca", err))
		return -1;
	if (n || fs_exists(state_dir(st), "trust/ca.key"))
		return err_set(err, ERR_EXISTS,
			"there is a CA in '%s/trust' already", state_path(st));
	if (make(org, name, root_pem, NULL, ca, err) || write_key(st, ca, err))
		return -1;
	return ca_follow(st, db, ca, err);
}

/* ---- rotation ---- */

static int
may_rotate(struct db *db, const struct ca *old, const struct buf *root_pem,
	struct err *err)
{
	int64_t n;

	if (db_get_int(db, &n,
		"SELECT count(*) FROM ca WHERE trusted_until > ?", err,
		DB_I(clock_wall())))
		return -1;
	if (n)
		return err_set(err, ERR_BUSY,
			"the CA before this one is still trusted: see "
			"'forge-register ca show'");
	if (old->root && !root_pem)
		return err_set(err, ERR_INVALID,
			"this CA is an intermediate: give its root's key with "
			"--key-in");
	if (!old->root && root_pem)
		return err_set(err, ERR_INVALID,
			"this CA has no root above it: leave --key-in out");
	return 0;
}

/* The old one certifies the key of the new one. */
static int
cross_certify(const struct ca *old, const char *org, const char *name,
	int64_t until, struct ca *ca, struct err *err)
{
	int64_t end = pem_time(X509_get0_notAfter(old->crt));
	struct cert_form f = { .use = USE_INTERMEDIATE, .name = name,
		.org = org, .key = ca->key, .issuer = old->crt,
		.issuer_key = old->key, .not_before = clock_wall() - CERT_BACK,
		.not_after = least(until, end) };

	return cert_build(&f, &ca->cross, err);
}

static char *
organisation(X509 *crt)
{
	char text[65] = "";

	(void)X509_NAME_get_text_by_NID(X509_get_subject_name(crt),
		NID_organizationName, text, sizeof(text));
	ERR_clear_error();
	return xstrdup(text);
}

/* A number in the name: two CAs with one name confuse some. */
static int
next_name(struct db *db, const char *org, char **ret, struct err *err)
{
	int64_t n;

	if (db_get_int(db, &n, "SELECT count(*) FROM ca", err))
		return -1;
	*ret = xasprintf("%s CA %d", org, (int)n + 1);
	return 0;
}

/*
 * In this order a crash leaves either the old CA in charge (its row is put
 * right by the next ca_open()) or the new one with the old one's key kept.
 */
static int
hand_over(struct state *st, struct db *db, struct ca *old, struct ca *ca,
	int64_t until, struct err *err)
{
	CLEANUP_FREE char *name = ca_old_name(old->serial);
	CLEANUP_SECRET struct buf text = BUF_INIT;

	if (ca_text(old, true, &text, err) ||
		trust_write(st, name, &text, true, err) ||
		db_run(db, "UPDATE ca SET trusted_until = ? WHERE serial = ?",
			NULL, err, DB_I(until), DB_S(old->serial)) ||
		write_key(st, ca, err))
		return -1;
	return ca_follow(st, db, ca, err);
}

int
ca_rotate(struct state *st, const struct buf *root_pem, int64_t overlap_ms,
	struct err *err)
{
	CLEANUP_CA struct ca *old = NULL, *ca = xcalloc(1, sizeof(*ca));
	CLEANUP_FREE char *org = NULL, *name = NULL;
	int64_t until = clock_wall() + overlap_ms;
	CLEANUP_CLOSE int fd = -1;
	struct db *db;

	if (ca_open(st, &old, err) || state_db(st, &db, err) ||
		ca_lock(st, &fd, err))
		return -1;
	org = organisation(old->crt);
	if (may_rotate(db, old, root_pem, err) ||
		next_name(db, org, &name, err) ||
		make(org, name, root_pem, old->root, ca, err) ||
		(!root_pem && overlap_ms &&
			cross_certify(old, org, name, until, ca, err)))
		return -1;
	return hand_over(st, db, old, ca, until, err);
}
