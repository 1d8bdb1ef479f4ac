#include "lib/session/identity.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/session/sshkey.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/rows.h"
#include "lib/state/secret.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { AUTHOR_MAX = 200, TOKEN_MAX = 4096 };

void
identity_release(struct identity *id)
{
	free(id->name);
	free(id->author_name);
	free(id->author_email);
	free(id->public_key);
	free(id->agent);
	*id = IDENTITY_INIT;
}

/* What may stand in the header of a commit. */
static bool
plain(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s) || *s == '<' || *s == '>')
			return false;
	return true;
}

int
identity_author(const char *text, struct identity *id, struct err *err)
{
	const char *open = strchr(text, '<');
	size_t n = strlen(text);
	CLEANUP_BUF struct buf name = BUF_INIT;
	CLEANUP_FREE char *email = NULL;

	if (open && n <= AUTHOR_MAX && text[n - 1] == '>') {
		buf_add(&name, text, (size_t)(open - text));
		buf_rtrim(&name);
		email = xstrndup(open + 1, (size_t)(text + n - 2 - open));
		if (name.len && *email && plain(name.s) && plain(email) &&
			!strchr(email, ' ')) {
			id->author_name = buf_detach(&name);
			id->author_email = steal_ptr(&email);
			return 0;
		}
	}
	return err_set(err, ERR_USAGE,
		"--author '%.200s' is not of the form 'Name <mail>'", text);
}

static char *
secret_name(const char *name, const char *what)
{
	return xasprintf("identity/%s%s", name, what);
}

static int
put_key(struct state *st, const char *name, const struct buf *key,
	struct err *err)
{
	CLEANUP_FREE char *secret = secret_name(name, "");

	return secret_put(st, secret, key->s, key->len, 0, err);
}

int
identity_create(struct state *st, const struct identity *id,
	const struct sshkey *key, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct json *data;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err))
		return -1;
	if (db_run(db,
		    "INSERT INTO identity (name, author_name, author_email, "
		    "public_key, agent, sign, created_at) "
		    "VALUES (?, ?, ?, ?, ?, ?, ?)", NULL, err, DB_S(id->name),
		    DB_S(id->author_name), DB_S(id->author_email),
		    DB_S(key->public), DB_S(id->agent), DB_I(id->sign),
		    DB_I(clock_wall())))
		return err->code == ERR_EXISTS ?
			err_set(err, ERR_EXISTS, "identity '%s' exists",
				id->name) :
			-1;
	if (!id->agent && put_key(st, id->name, &key->private, err))
		return -1;
	data = json_object();
	json_put_str(data, "public_key", key->public);
	if (event_add(db, "identity.created", id->name, data, err))
		return -1;
	return db_commit(&t, err);
}

static int
unknown(const char *name, struct err *err)
{
	return err_set(err, ERR_NOTFOUND,
		"no identity '%s'; 'forge-session identity list' shows all",
		name);
}

int
identity_get(struct state *st, const char *name, struct identity *ret,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *r = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) ||
		db_query(db, &r,
			"SELECT name, author_name, author_email, public_key, "
			"agent, sign, created_at FROM identity "
			"WHERE name = ?", err, DB_S(name)))
		return -1;
	rc = db_next(r, err);
	if (rc <= 0)
		return rc ? -1 : unknown(name, err);
	*ret = (struct identity){
		.name = xstrdup(db_text(r, 0)),
		.author_name = xstrdup(db_text(r, 1)),
		.author_email = xstrdup(db_text(r, 2)),
		.public_key = xstrdup(db_text(r, 3)),
		.agent = xstrdup_null(db_text(r, 4)),
		.sign = db_int(r, 5) != 0,
		.created_at = db_int(r, 6),
	};
	return 0;
}

int
identity_key(struct state *st, const char *name, struct buf *ret,
	struct err *err)
{
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	CLEANUP_FREE char *secret = secret_name(name, "");

	if (identity_get(st, name, &id, err))
		return -1;
	if (id.agent)
		return err_set(err, ERR_NOTFOUND,
			"the key of identity '%s' is with the agent at '%s'",
			name, id.agent);
	buf_grow(ret, SSHKEY_MAX);
	return secret_get(st, secret, ret, NULL, err);
}

int
identity_token(struct state *st, const char *name, struct buf *ret,
	struct err *err)
{
	CLEANUP_FREE char *secret = secret_name(name, "/token");

	buf_grow(ret, TOKEN_MAX);
	return secret_get(st, secret, ret, NULL, err);
}

/* Visible ASCII: it is to stand in a header. */
static bool
token_sound(const struct buf *token)
{
	size_t i;

	for (i = 0; i < token->len; i++)
		if (!isgraph((unsigned char)token->s[i]))
			return false;
	return token->len <= TOKEN_MAX;
}

static int
forget(struct state *st, const char *name, const char *what, struct err *err)
{
	CLEANUP_FREE char *secret = secret_name(name, what);
	struct err why = ERR_INIT;

	if (!secret_remove(st, secret, &why) || why.code == ERR_NOTFOUND)
		return 0;
	*err = why;
	return -1;
}

int
identity_set_token(struct state *st, const char *name,
	const struct buf *token, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	CLEANUP_FREE char *secret = secret_name(name, "/token");
	struct json *data;
	struct db *db;

	if (!token_sound(token))
		return err_set(err, ERR_USAGE,
			"that is no token: at most %d visible characters",
			TOKEN_MAX);
	if (state_db(st, &db, err) || db_begin(db, &t, err) ||
		identity_get(st, name, &id, err))
		return -1;
	if (token->len ? secret_put(st, secret, token->s, token->len, 0, err) :
			 forget(st, name, "/token", err))
		return -1;
	data = json_object();
	json_put_bool(data, "token", token->len != 0);
	if (event_add(db, "identity.changed", name, data, err))
		return -1;
	return db_commit(&t, err);
}

int
identity_remove(struct state *st, const char *name, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct db *db;
	int64_t used;
	int changes;

	if (state_db(st, &db, err) || db_begin(db, &t, err) ||
		db_get_int(db, &used,
			"SELECT count(*) FROM session WHERE identity = ? AND "
			"state IN ('pending', 'running', 'waiting', 'idle', "
			"'limited')", err, DB_S(name)))
		return -1;
	if (used)
		return err_set(err, ERR_BUSY,
			"identity '%s' is used by a session that is not over",
			name);
	if (db_run(db, "DELETE FROM identity WHERE name = ?", &changes, err,
		    DB_S(name)))
		return -1;
	if (!changes)
		return unknown(name, err);
	if (forget(st, name, "", err) || forget(st, name, "/token", err) ||
		event_add(db, "identity.removed", name, NULL, err))
		return -1;
	return db_commit(&t, err);
}

/* ---- for people ---- */

static const char sql_each[] =
	"SELECT json_object('name', name, 'author_name', author_name, "
	"'author_email', author_email, 'public_key', public_key, "
	"'sign', json(iif(sign, 'true', 'false')), 'agent', agent, "
	"'token', json(iif(EXISTS (SELECT 1 FROM secret "
	"WHERE secret.name = 'identity/' || identity.name || '/token'), "
	"'true', 'false')), 'created_at', created_at) "
	"FROM identity WHERE ?1 IS NULL OR name = ?1 ORDER BY name";

int
identity_each(struct state *st, const char *name,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	CLEANUP_IDENTITY struct identity id = IDENTITY_INIT;
	struct db *db;

	if (state_db(st, &db, err) || (name && identity_get(st, name, &id, err)))
		return -1;
	return rows_each(db, sql_each,
		(const struct db_value[]){ DB_S(name), DB_LAST }, emit, arg,
		err);
}
