#include "lib/trust/token.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* See hmac.c: the new interface costs a start-up of its own. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/base/banned.h"

static const char prefix[] = "reg_";
enum { TOKEN_CHARS = 32, ID_CHARS = 8, TOKEN_MAX = 128 };
#define KEEP_MS (7 * 86400000LL) /* what cannot be used any more, for a look */
#define TTL_MAX (365 * 86400000LL)

int
token_kind(const char *kind, const char *what, struct err *err)
{
	static const char *const kinds[] = { "vm", "tart", "proxmox" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return 0;
	return err_set(err, ERR_USAGE, "%s: '%s' is not vm, tart or proxmox",
		what, kind);
}

static int
digest(const char *token, unsigned char ret[SHA256_DIGEST_LENGTH],
	struct err *err)
{
	SHA256_CTX c;

	if (SHA256_Init(&c) && SHA256_Update(&c, token, strlen(token)) &&
		SHA256_Final(ret, &c))
		return 0;
	return err_set(err, ERR_SYS, "cannot compute a SHA-256");
}

/* 62 characters of which all are equally likely: bytes beyond are thrown. */
static void
random_token(char out[sizeof(prefix) + TOKEN_CHARS], size_t n)
{
	static const char set[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz";
	const unsigned limit = 256 / (sizeof(set) - 1) * (sizeof(set) - 1);
	size_t at = sizeof(prefix) - 1;
	unsigned char c;

	memcpy(out, prefix, sizeof(prefix));
	while (n) {
		random_bytes(&c, 1);
		if (c < limit) {
			out[at++] = set[c % (sizeof(set) - 1)];
			n--;
		}
	}
	out[at] = '\0';
}

static int
forget_old(struct db *db, int64_t now, struct err *err)
{
	return db_run(db,
		"DELETE FROM token WHERE min(coalesce(used_at, expires_at),"
		" coalesce(revoked_at, expires_at), expires_at) < ?", NULL,
		err, DB_I(now - KEEP_MS));
}

static struct json *
event_data(const char *kind, int64_t expires_at)
{
	struct json *o = json_object();

	json_put(o, "kind", json_string(kind));
	json_put_int(o, "expires_at", expires_at);
	return o;
}

int
token_create(struct db *db, const struct token_new *t, char **ret,
	struct err *err)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char text[sizeof(prefix) + TOKEN_CHARS] = { 0 };
	CLEANUP_FREE char *id = random_name(ID_CHARS);
	CLEANUP_TXN struct txn txn = TXN_INIT;
	int64_t now = clock_wall();

	if (t->ttl_ms < 1000 || t->ttl_ms > TTL_MAX)
		return err_set(err, ERR_USAGE,
			"a token is good for 1s to 365d");
	random_token(text, TOKEN_CHARS);
	if (digest(text, hash, err) || db_begin(db, &txn, err) ||
		forget_old(db, now, err) ||
		db_run(db,
			"INSERT INTO token (id, hash, kind, url, created_by,"
			" created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			NULL, err, DB_S(id), DB_B(hash, sizeof(hash)),
			DB_S(t->kind), DB_S(t->url), DB_S(t->by), DB_I(now),
			DB_I(now + t->ttl_ms)) ||
		event_add(db, "token.created", id,
			event_data(t->kind, now + t->ttl_ms), err) ||
		db_commit(&txn, err))
		return -1;
	*ret = xstrdup(text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

/* Why a token that was not taken was not. */
static int
why_not(struct db *db, const unsigned char *hash, const char *kind,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	char at[32];
	int rc;

	if (db_query(db, &r,
		"SELECT used_at, revoked_at, expires_at, kind FROM token"
		" WHERE hash = ?", err, DB_B(hash, SHA256_DIGEST_LENGTH)))
		return -1;
	rc = db_next(r, err);
	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(err, ERR_AUTH, "no such registration token");
	if (!db_null(r, 0))
		return err_set(err, ERR_AUTH,
			"the registration token was used already");
	if (!db_null(r, 1))
		return err_set(err, ERR_AUTH,
			"the registration token was revoked");
	if (db_int(r, 2) <= clock_wall())
		return err_set(err, ERR_AUTH,
			"the registration token expired at %s",
			clock_format(db_int(r, 2), at, sizeof(at)));
	return err_set(err, ERR_AUTH,
		"the registration token is for agents of kind %s, not %s",
		db_text(r, 3), kind);
}

int
token_consume(struct db *db, const char *token, const char *kind,
	const char *who, struct err *err)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	int64_t now = clock_wall();
	int changed;

	if (strnlen(token, TOKEN_MAX) == TOKEN_MAX)
		return err_set(err, ERR_AUTH, "no such registration token");
	/* Found by its digest, so the time it takes tells nothing of it. */
	if (digest(token, hash, err) ||
		db_run(db,
			"UPDATE token SET used_at = ?1, used_by = ?2"
			" WHERE hash = ?3 AND used_at IS NULL AND"
			" revoked_at IS NULL AND expires_at > ?1 AND"
			" coalesce(kind, ?4) = ?4",
			&changed, err, DB_I(now), DB_S(who),
			DB_B(hash, sizeof(hash)), DB_S(kind)))
		return -1;
	return changed == 1 ? 0 : why_not(db, hash, kind, err);
}

static int
find_id(struct db *db, const char *given, char **ret, struct err *err)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	if (digest(given, hash, err))
		return -1;
	if (!db_get_text(db, ret,
		"SELECT id FROM token WHERE id = ? OR hash = ?", err,
		DB_S(given), DB_B(hash, sizeof(hash))))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	return err_set(err, ERR_NOTFOUND, "no such token; see "
		"'forge-register token list'");
}

int
token_revoke(struct db *db, const char *given, struct err *err)
{
	CLEANUP_FREE char *id = NULL;

	if (find_id(db, given, &id, err))
		return -1;
	if (!event_change(db, "token.revoked", id, NULL,
		"UPDATE token SET revoked_at = ? WHERE id = ? AND used_at IS"
		" NULL AND revoked_at IS NULL",
		(const struct db_value[]){ DB_I(clock_wall()), DB_S(id),
			DB_LAST }, err))
		return 0;
	if (err->code != ERR_BUSY)
		return -1;
	return err_set(err, ERR_BUSY,
		"token '%s' was used or revoked already", id);
}

int
token_each(struct db *db, int all,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	return rows_each(db,
		"SELECT json_object('id', id, 'kind', kind, 'state', state,"
		" 'url', url, 'created_by', created_by, 'created_at',"
		" created_at, 'expires_at', expires_at, 'used_at', used_at,"
		" 'used_by', used_by, 'revoked_at', revoked_at) FROM (SELECT"
		" *, CASE WHEN used_at IS NOT NULL THEN 'used'"
		"  WHEN revoked_at IS NOT NULL THEN 'revoked'"
		"  WHEN expires_at <= ?1 THEN 'expired' ELSE 'good' END"
		"  AS state FROM token) WHERE ?2 OR state = 'good'"
		" ORDER BY created_at, id",
		(const struct db_value[]){ DB_I(clock_wall()), DB_I(all),
			DB_LAST },
		emit, arg, err);
}
