#include "lib/trust/cert.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/bundle.h"
#include "lib/trust/ca_internal.h"
#include "lib/trust/cert_internal.h"
#include "lib/base/banned.h"

enum { NAMES_MAX = 64 };

static bool
is_address(const char *s)
{
	unsigned char a[16];

	return inet_pton(AF_INET, s, a) == 1 || inet_pton(AF_INET6, s, a) == 1;
}

/* Only what can stand in OpenSSL's notation as itself. */
static bool
is_name(const char *s)
{
	return *s && strlen(s) <= 253 && *s != '-' && *s != '.' &&
		!s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")];
}

static void
add(struct argv *names, const char *s)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (!strcasecmp(names->v[i], s))
			return;
	if (names->n < NAMES_MAX && (is_address(s) || is_name(s)))
		argv_push(names, s);
}

/* Agents that have a token dial these. */
static int
add_of_tokens(struct db *db, struct argv *names, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	struct err none = ERR_INIT;
	int rc, port;

	if (db_query(db, &r,
		"SELECT DISTINCT url FROM token WHERE expires_at > ? AND"
		" revoked_at IS NULL ORDER BY url LIMIT 64", err,
		DB_I(clock_wall())))
		return -1;
	while ((rc = db_next(r, err)) == 1) {
		CLEANUP_FREE char *host = NULL;

		if (!bundle_url(db_text(r, 0), &host, &port, &none))
			add(names, host);
	}
	return rc;
}

/* Where agents dialled that registered: tokens are forgotten in time. */
static int
add_of_last(struct db *db, struct argv *names, struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	int rc;

	if (db_query(db, &r,
		"SELECT j.value FROM (SELECT names FROM cert WHERE"
		" kind = 'server' ORDER BY issued_at DESC, serial LIMIT 1) c,"
		" json_each(c.names) j", err))
		return -1;
	while ((rc = db_next(r, err)) == 1)
		add(names, db_text(r, 0));
	return rc;
}

static int
all_names(struct db *db, const struct argv *given, struct argv *ret,
	struct err *err)
{
	char host[256] = "";
	size_t i;

	for (i = 0; given && i < given->n; i++) {
		if (!is_address(given->v[i]) && !is_name(given->v[i]))
			return err_set(err, ERR_USAGE,
				"'%.256s' is no name or address of a host",
				given->v[i]);
		add(ret, given->v[i]);
	}
	if (!gethostname(host, sizeof(host) - 1))
		add(ret, host);
	add(ret, "localhost");
	add(ret, "127.0.0.1");
	add(ret, "::1");
	if (add_of_tokens(db, ret, err))
		return -1;
	return add_of_last(db, ret, err);
}

static char *
names_json(const struct argv *names)
{
	CLEANUP_JSON struct json *a = json_array();
	size_t i;

	for (i = 0; i < names->n; i++)
		json_push_str(a, names->v[i]);
	return json_text(a);
}

/* 1: what is in server.key will do, 0: not, -1: error. */
static int
will_do(struct state *st, struct db *db, const struct ca *ca,
	const char *names, struct err *err)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_X509 X509 *crt = NULL;
	CLEANUP_PKEY EVP_PKEY *key = NULL;
	struct err none = ERR_INIT;
	char serial[SERIAL_SIZE];
	int64_t good;

	if (trust_read(st, "server.key", &text, err)) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT;
		return 0;
	}
	if (pem_cert(text.s, text.len, "server.key", &crt, &none) ||
		pem_key(text.s, text.len, "server.key", &key, &none) ||
		pem_serial(crt, serial, &none))
		return 0;
	if (db_get_int(db, &good,
		"SELECT count(*) FROM cert WHERE serial = ?1 AND kind ="
		" 'server' AND ca = ?2 AND names = ?3 AND revoked_at IS NULL"
		" AND ?4 < not_before + (not_after - not_before) * 2 / 3", err,
		DB_S(serial), DB_S(ca->serial), DB_S(names),
		DB_I(clock_wall())))
		return -1;
	return good != 0;
}

static void
names_san(const struct argv *names, struct buf *san)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		buf_addf(san, "%s%s:%s", i ? "," : "",
			is_address(names->v[i]) ? "IP" : "DNS", names->v[i]);
}

static int
make(struct db *db, struct ca *ca, const struct argv *names,
	const char *json, EVP_PKEY *key, struct cert *ret, struct err *err)
{
	CLEANUP_FREE char *name = xstrndup(names->v[0], 64);
	CLEANUP_BUF struct buf san = BUF_INIT;
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct cert_row row = { .name = name, .names = json };

	names_san(names, &san);
	row.san = san.s;
	if (db_begin(db, &t, err) ||
		cert_new(db, ca, &row, key, CERT_TTL, ret, err))
		return -1;
	return db_commit(&t, err);
}

/* Key and certificate in one file, so that one rename replaces both. */
static int
write_files(struct state *st, const struct cert *c, EVP_PKEY *key,
	struct err *err)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf pem = BUF_INIT;

	buf_adds(&pem, c->pem);
	if (pem_add_key(&text, key, err))
		return -1;
	buf_adds(&text, c->pem);
	if (trust_write(st, "server.key", &text, true, err))
		return -1;
	return trust_write(st, "server.crt", &pem, false, err);
}

int
cert_server(struct state *st, const struct argv *given, bool force,
	bool *ret_new, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	CLEANUP_CERT struct cert c = CERT_INIT;
	CLEANUP_PKEY EVP_PKEY *key = NULL;
	CLEANUP_CA struct ca *ca = NULL;
	CLEANUP_FREE char *json = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct db *db;
	int good = 0;

	if (state_db(st, &db, err) || ca_open(st, &ca, err) ||
		ca_lock(st, &fd, err) || all_names(db, given, &names, err))
		return -1;
	json = names_json(&names);
	if (!force)
		good = will_do(st, db, ca, json, err);
	if (good < 0)
		return -1;
	if (ret_new)
		*ret_new = !good;
	if (good)
		return 0;
	if (pem_make_key(&key, err) || make(db, ca, &names, json, key, &c, err))
		return -1;
	return write_files(st, &c, key, err);
}
