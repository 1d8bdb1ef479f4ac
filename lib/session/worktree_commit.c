#include "lib/session/worktree_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/session/sshkey.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { SUBJECT_MAX = 72 };

/* One commit that is to be made. */
struct making {
	struct state *st;
	const struct tree *t;
	const struct identity *who;
	const char *message;
	git_repository *repo;
};

static int
signature(const struct making *m, const git_buf *text, struct buf *ret,
	struct err *err)
{
	CLEANUP_SECRET struct buf key = BUF_INIT;

	if (!m->who->sign)
		return 0;
	if (!m->who->agent && identity_key(m->st, m->who->name, &key, err))
		return -1;
	if (sshkey_sign(m->who->agent ? NULL : &key, m->who->agent,
		    m->who->public_key, text->ptr, text->size, ret, err))
		return -1;
	buf_rtrim(ret);
	return 0;
}

static int
write_commit(const struct making *m, const git_tree *tree,
	const git_commit *parent, git_oid *ret, struct err *err)
{
	GIT2(git_signature) *author = NULL;
	CLEANUP_BUF struct buf sig = BUF_INIT;
	const git_commit *parents[1] = { parent };
	git_buf text = { 0 };
	int rc;

	if (git_signature_now(&author, m->who->author_name,
		    m->who->author_email) ||
		git_commit_create_buffer(&text, m->repo, author, author, NULL,
			m->message, tree, parent ? 1 : 0, parents))
		return git2_failed(err, "'%s'", m->t->dir);
	rc = signature(m, &text, &sig, err);
	if (!rc && git_commit_create_with_signature(ret, m->repo, text.ptr,
			   sig.len ? sig.s : NULL, sig.len ? "gpgsig" : NULL))
		rc = git2_failed(err, "'%s'", m->t->dir);
	git_buf_dispose(&text);
	return rc;
}

/* A branch moves only from where we saw it. */
static int
move_branch(const struct making *m, const char *ref, const git_commit *parent,
	const git_oid *to, struct err *err)
{
	GIT2(git_reference) *made = NULL;

	if (!ref || strncmp(ref, "refs/heads/", 11) != 0)
		return err_set(err, ERR_BUSY,
			"'%s' is on no branch: 'git checkout' one there",
			m->t->dir);
	if (git_reference_create_matching(&made, m->repo, ref, to, 1,
		    parent ? git_commit_id(parent) : NULL, NULL))
		return git2_failed(err, "'%s'", ref);
	return 0;
}

static int
note(struct state *st, const struct tree *t, const git_oid *id,
	struct err *err)
{
	struct json *data = json_object();
	char hex[GIT_OID_HEXSZ + 1];

	json_put_str(data, "repo", t->repo);
	json_put_str(data, "commit", git_oid_tostr(hex, sizeof(hex), id));
	return session_note(st, "session.committed", t->session, data,
		"UPDATE worktree SET state = state WHERE session = ? "
		"AND name = ?", (const struct db_value[]){ DB_S(t->session),
			DB_S(t->name), DB_LAST }, err);
}

/* 1 a commit was made, 0 there was nothing to commit, -1. */
static int
commit_one(struct making *m, struct err *err)
{
	CLEANUP_FREE char *ref = NULL;
	GIT2(git_repository) *repo = NULL;
	GIT2(git_commit) *parent = NULL;
	GIT2(git_tree) *tree = NULL;
	git_oid id, made;
	int dirty;

	if (tree_open(m->t, &repo, err))
		return -1;
	m->repo = repo;
	dirty = tree_dirty(repo, err);
	if (dirty <= 0)
		return dirty;
	if (tree_write(repo, &id, err) || tree_head(repo, &ref, &parent, err))
		return -1;
	if (git_tree_lookup(&tree, repo, &id))
		return git2_failed(err, "'%s'", m->t->dir);
	if (write_commit(m, tree, parent, &made, err) ||
		move_branch(m, ref, parent, &made, err) ||
		tree_write_index(m->t, repo, tree, err) ||
		note(m->st, m->t, &made, err))
		return -1;
	return 1;
}

/* The first line of what the session was told first. */
static int
made_up(struct state *st, const struct session *s, char **ret,
	struct err *err)
{
	CLEANUP_FREE char *told = NULL;
	struct err why = ERR_INIT;
	struct db *db;
	size_t n;

	if (state_db(st, &db, err))
		return -1;
	if (db_get_text(db, &told,
		    "SELECT text FROM message WHERE session = ? AND "
		    "kind = 'message' ORDER BY id LIMIT 1", &why, DB_S(s->id)))
		told = xasprintf("Work of session %s", s->id);
	n = strcspn(told, "\r\n");
	if (n > SUBJECT_MAX) {
		for (n = SUBJECT_MAX - 3; n && (told[n] & 0xc0) == 0x80; n--)
			;
		*ret = xasprintf("%.*s...\n\nSession: %s\n", (int)n, told,
			s->id);
	} else {
		*ret = xasprintf("%.*s\n\nSession: %s\n", (int)n, told, s->id);
	}
	return 0;
}

int
worktree_subject(struct state *st, const struct session *s, char **ret,
	struct err *err)
{
	char *nl;

	if (made_up(st, s, ret, err))
		return -1;
	nl = strchr(*ret, '\n');
	if (nl)
		*nl = '\0';
	return 0;
}

int
worktree_commit(struct state *st, const struct session *s,
	const char *message, int *ret_count, struct err *err)
{
	CLEANUP_IDENTITY struct identity who = IDENTITY_INIT;
	CLEANUP_TREES struct trees t = TREES_INIT;
	CLEANUP_FREE char *own = NULL;
	struct making m = { .st = st, .who = &who };
	size_t i;
	int rc, n = 0;

	if (session_quiet(s, err) || trees_need(st, s, &t, err) ||
		session_identity(st, s, &who, err) ||
		(!message && made_up(st, s, &own, err)))
		return -1;
	m.message = message ? message : own;
	for (i = 0; i < t.n; i++) {
		m.t = &t.v[i];
		rc = commit_one(&m, err);
		if (rc < 0)
			return -1;
		n += rc;
	}
	*ret_count = n;
	return 0;
}
