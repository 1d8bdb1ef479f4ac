#include "lib/runner/instance.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/runner/garm_call.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/secret.h"
#include "lib/state/state.h"
#include "lib/trust/base64.h"
#include "lib/trust/hmac.h"
#include "lib/base/banned.h"

enum { TOKEN_BYTES = 32, STATUS_MAX = 40, MESSAGE_MAX = 500 };

#define VALUES(...) ((const struct db_value[]){ __VA_ARGS__, DB_LAST })

void
instance_release(struct instance *i)
{
	free(i->name);
	free(i->place);
	free(i->pool);
	free(i->provider_id);
	free(i->status);
	free(i->message);
	free(i->state);
	*i = INSTANCE_INIT;
}

char *
instance_secret(const char *name)
{
	return xasprintf("instance/%s", name);
}

/* ---- tokens ---- */

/* As random as a key is: a hash without salt or rounds hides it. */
static int
hash(const char *token, unsigned char ret[HMAC_SIZE], struct err *err)
{
	static const char what[] = "forge instance token";

	return hmac_sha256(what, strlen(what), token, strlen(token), ret, err);
}

int
instance_by_token(struct db *db, const char *token, char **ret_name,
	struct err *err)
{
	static const char sql[] =
		"SELECT name FROM instance WHERE token_hash = ?1 AND "
		"token_until > ?2";
	unsigned char want[HMAC_SIZE] = { 0 };

	/* Found by its hash, so the time it takes tells nothing of it. */
	if (hash(token, want, err))
		return -1;
	if (!db_get_text(db, ret_name, sql, err, DB_B(want, sizeof(want)),
		    DB_I(clock_wall())))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	return err_set(err, ERR_AUTH, "the token is of no instance");
}

/* ---- life ---- */

int
instance_intend(struct db *db, const char *name, const char *place,
	const char *pool, int64_t token_ms, char **ret_token, struct err *err)
{
	static const char sql[] =
		"INSERT INTO instance (name, place, pool, token_hash, "
		"token_until, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
	unsigned char random[TOKEN_BYTES], want[HMAC_SIZE] = { 0 };
	CLEANUP_BUF struct buf token = BUF_INIT;
	int64_t now = clock_wall();

	random_bytes(random, sizeof(random));
	base64url_add(&token, random, sizeof(random));
	if (hash(token.s, want, err) ||
		db_run(db, sql, NULL, err, DB_S(name), DB_S(place),
			DB_S(pool), DB_B(want, sizeof(want)),
			DB_I(now + token_ms), DB_I(now)))
		return -1;
	*ret_token = buf_detach(&token);
	return 0;
}

int
instance_created(struct db *db, const char *name,
	const struct garm_instance *i, struct err *err)
{
	static const char sql[] =
		"UPDATE instance SET provider_id = ?2, address = ?3 "
		"WHERE name = ?1";
	struct json *data = json_object();

	json_put_str(data, "provider_id", i->id);
	json_put_str(data, "address", i->address);
	return event_change(db, "runner.placed", name, data, sql,
		VALUES(DB_S(name), DB_S(i->id), DB_S(i->address)), err);
}

int
instance_called(struct db *db, const char *name, struct err *err)
{
	static const char sql[] =
		"UPDATE instance SET called_at = ?2 "
		"WHERE name = ?1 AND called_at IS NULL";

	return db_run(db, sql, NULL, err, DB_S(name), DB_I(clock_wall()));
}

int
instance_told(struct db *db, const char *name, const char *status,
	const char *message, struct err *err)
{
	static const char sql[] =
		"UPDATE instance SET status = ?2, message = ?3, "
		"calls = calls + 1 WHERE name = ?1 AND calls < 100";
	CLEANUP_FREE char *word = xstrndup(status, strnlen(status,
		STATUS_MAX));
	CLEANUP_FREE char *text = xstrndup(message, strnlen(message,
		MESSAGE_MAX));
	struct json *data = json_object();

	_Static_assert(INSTANCE_CALLS == 100, "the number in sql");
	err_clean(word);
	err_clean(text);
	json_put_str(data, "status", word);
	json_put_str(data, "message", text);
	if (!event_change(db, "runner.told", name, data, sql,
		    VALUES(DB_S(name), DB_S(word), DB_S(text)), err))
		return 0;
	if (err->code != ERR_BUSY)
		return -1;
	*err = ERR_INIT; /* it talks too much */
	return 0;
}

int
instance_system(struct db *db, const char *name, const char *os_name,
	const char *os_version, struct err *err)
{
	CLEANUP_FREE char *text = xasprintf("%.100s %.100s", os_name,
		os_version);

	err_clean(text);
	return db_run(db, "UPDATE instance SET os = ?2 WHERE name = ?1", NULL,
		err, DB_S(name), DB_S(text));
}

int
instance_hand(struct state *st, const char *name, const char *jit,
	struct err *err)
{
	CLEANUP_FREE char *secret = instance_secret(name);
	struct db *db;

	return state_db(st, &db, err) ||
			secret_put(st, secret, jit, strlen(jit), 0, err) ||
			db_run(db, "UPDATE instance SET handed = 1 "
				"WHERE name = ?1", NULL, err, DB_S(name)) ?
		-1 :
		0;
}

int
instance_removed(struct state *st, const char *name, struct err *err)
{
	CLEANUP_FREE char *secret = instance_secret(name);
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	/* The secret first: without the row nobody would look for it. */
	if (secret_remove(st, secret, err)) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT;
	}
	if (!event_change(db, "runner.unplaced", name, NULL,
		    "DELETE FROM instance WHERE name = ?1",
		    VALUES(DB_S(name)), err))
		return 0;
	if (err->code != ERR_BUSY)
		return -1;
	*err = ERR_INIT; /* another was first */
	return 0;
}

/* ---- looking ---- */

int
instance_get(struct db *db, const char *name, struct instance *ret,
	struct err *err)
{
	static const char sql[] =
		"SELECT i.place, i.pool, i.provider_id, i.status, i.message, "
		"i.called_at, i.handed, r.state, r.github_id, "
		"EXISTS (SELECT 1 FROM job j WHERE j.runner = i.name AND "
		"j.state = 'completed') FROM instance i "
		"LEFT JOIN runner r ON r.name = i.name WHERE i.name = ?1";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(db, &rows, sql, err, DB_S(name)))
		return -1;
	rc = db_next(rows, err);
	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(err, ERR_NOTFOUND,
			"runner '%s' has no instance", name);
	*ret = INSTANCE_INIT;
	ret->name = xstrdup(name);
	ret->place = xstrdup(db_text(rows, 0));
	ret->pool = xstrdup(db_text(rows, 1));
	ret->provider_id = xstrdup_null(db_text(rows, 2));
	ret->status = xstrdup_null(db_text(rows, 3));
	ret->message = xstrdup_null(db_text(rows, 4));
	ret->called = !db_null(rows, 5);
	ret->handed = db_int(rows, 6) != 0;
	ret->state = xstrdup_null(db_text(rows, 7));
	ret->github_id = db_int(rows, 8);
	ret->over = db_int(rows, 9) != 0;
	return 0;
}
