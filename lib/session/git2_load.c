/*
 * libgit2, loaded when it is first used: 7 ms that most commands do not need.
 * As lib/vm/archive_load.c: what is used is defined here under its own name.
 */
#include "lib/session/git2.h"

#include <git2/sys/odb_backend.h>

#define LAZY_SONAME "libgit2.so." LIBGIT2_SOVERSION
#include "lib/base/lazy.h"
#include "lib/base/banned.h"

/* Without the library: a failure, as git2_start() takes it. */
int
git_libgit2_init(void)
{
	static __typeof__(&git_libgit2_init) fn;

	return fn || !lazy_load("git_libgit2_init", &fn, sizeof(fn)) ? fn() :
								       -1;
}

int
git2_search_path(int level, const char *path)
{
	LAZY_FIND(git_libgit2_opts, fn);
	return fn(GIT_OPT_SET_SEARCH_PATH, level, path);
}

typedef git_reference ref;
typedef git_repository repo;
typedef git_object object;
typedef const char *text;
typedef const git_oid *oid_in;
typedef char *char_out;

#define FREE(type) LAZY_VOID(type##_free, (type * p), (p))
FREE(git_repository)
FREE(git_reference)
FREE(git_commit)
FREE(git_tree)
FREE(git_index)
FREE(git_diff)
FREE(git_diff_stats)
FREE(git_signature)
FREE(git_revwalk)
FREE(git_status_list)
FREE(git_reference_iterator)
FREE(git_odb)

typedef const git_error *error;
LAZY(error, git_error_last, (void), ())

/* ---- repositories and references ---- */

LAZY(int, git_repository_open_ext,
	(repo * *out, text path, unsigned flags, text ceiling),
	(out, path, flags, ceiling))
LAZY(int, git_repository_set_workdir, (repo * r, text path, int update),
	(r, path, update))
LAZY(int, git_reference_lookup, (ref * *out, repo *r, text name),
	(out, r, name))
LAZY(int, git_reference_name_to_id, (git_oid * out, repo *r, text name),
	(out, r, name))
LAZY(int, git_reference_symbolic_create,
	(ref * *out, repo *r, text name, text target, int force, text log),
	(out, r, name, target, force, log))
LAZY(text, git_reference_name, (const ref *r), (r))
LAZY(oid_in, git_reference_target, (const ref *r), (r))
LAZY(git_reference_t, git_reference_type, (const ref *r), (r))
LAZY(text, git_reference_symbolic_target, (const ref *r), (r))
LAZY(int, git_reference_iterator_glob_new,
	(git_reference_iterator * *out, repo *r, text glob), (out, r, glob))
LAZY(int, git_reference_next, (ref * *out, git_reference_iterator *it),
	(out, it))
LAZY(int, git_oid_equal, (oid_in a, oid_in b), (a, b))
LAZY(int, git_oid_fromstr, (git_oid * out, text s), (out, s))
LAZY(char_out, git_oid_tostr, (char *out, size_t n, oid_in id), (out, n, id))
LAZY(int, git_reference_name_is_valid, (int *valid, text name), (valid, name))
LAZY(int, git_reference_create,
	(ref * *out, repo *r, text name, oid_in id, int force, text log),
	(out, r, name, id, force, log))
LAZY(int, git_reference_delete, (ref * r), (r))
LAZY(text, git_repository_workdir, (const repo *r), (r))
LAZY(text, git_repository_path, (const repo *r), (r))
LAZY(text, git_repository_commondir, (const repo *r), (r))

/* ---- files ---- */

LAZY(int, git_repository_index, (git_index * *out, repo *r), (out, r))
LAZY(int, git_index_open, (git_index * *out, text path), (out, path))
LAZY(int, git_index_read_tree, (git_index * i, const git_tree *t), (i, t))
LAZY(int, git_index_clear, (git_index * i), (i))
LAZY(int, git_index_write, (git_index * i), (i))
LAZY(int, git_index_write_tree, (git_oid * out, git_index *i), (out, i))
LAZY(size_t, git_index_entrycount, (const git_index *i), (i))
LAZY(int, git_index_add_all,
	(git_index * i, const git_strarray *spec, unsigned flags,
		git_index_matched_path_cb cb, void *arg),
	(i, spec, flags, cb, arg))
LAZY(int, git_checkout_tree,
	(repo * r, const object *o, const git_checkout_options *opts),
	(r, o, opts))

/* ---- commits ---- */

LAZY(int, git_commit_lookup, (git_commit * *out, repo *r, oid_in id),
	(out, r, id))
LAZY(int, git_commit_tree, (git_tree * *out, const git_commit *c), (out, c))
LAZY(oid_in, git_commit_tree_id, (const git_commit *c), (c))
LAZY(int, git_tree_lookup, (git_tree * *out, repo *r, oid_in id), (out, r, id))
LAZY(int, git_signature_now, (git_signature * *out, text name, text mail),
	(out, name, mail))
LAZY(int, git_commit_create,
	(git_oid * out, repo *r, text ref_, const git_signature *author,
		const git_signature *committer, text encoding, text message,
		const git_tree *t, size_t n, const git_commit **parents),
	(out, r, ref_, author, committer, encoding, message, t, n, parents))
LAZY(int, git_checkout_options_init,
	(git_checkout_options * o, unsigned version), (o, version))
LAZY(int, git_commit_create_buffer,
	(git_buf * out, repo *r, const git_signature *author,
		const git_signature *committer, text encoding, text message,
		const git_tree *t, size_t n, const git_commit **parents),
	(out, r, author, committer, encoding, message, t, n, parents))
LAZY(int, git_commit_create_with_signature,
	(git_oid * out, repo *r, text content, text sig, text field),
	(out, r, content, sig, field))
LAZY(oid_in, git_commit_id, (const git_commit *c), (c))
LAZY(unsigned, git_commit_parentcount, (const git_commit *c), (c))
LAZY(oid_in, git_commit_parent_id, (const git_commit *c, unsigned n), (c, n))
LAZY(int, git_commit_parent,
	(git_commit * *out, const git_commit *c, unsigned n), (out, c, n))
LAZY(int, git_reference_create_matching,
	(ref * *out, repo *r, text name, oid_in id, int force, oid_in now,
		text log),
	(out, r, name, id, force, now, log))
LAZY_VOID(git_buf_dispose, (git_buf * b), (b))

/* ---- objects ---- */

LAZY(int, git_odb_new, (git_odb * *out), (out))
LAZY(int, git_odb_backend_one_pack, (git_odb_backend * *out, text idx),
	(out, idx))
LAZY(int, git_odb_add_backend, (git_odb * o, git_odb_backend *b, int priority),
	(o, b, priority))
LAZY(int, git_odb_exists, (git_odb * o, oid_in id), (o, id))

/* ---- what changed ---- */

LAZY(int, git_diff_options_init, (git_diff_options * o, unsigned version),
	(o, version))
LAZY(int, git_diff_find_options_init,
	(git_diff_find_options * o, unsigned version), (o, version))
LAZY(int, git_diff_tree_to_tree,
	(git_diff * *out, repo *r, git_tree *a, git_tree *b,
		const git_diff_options *o),
	(out, r, a, b, o))
LAZY(int, git_diff_find_similar,
	(git_diff * d, const git_diff_find_options *o), (d, o))
LAZY(int, git_diff_print,
	(git_diff * d, git_diff_format_t format, git_diff_line_cb cb,
		void *arg),
	(d, format, cb, arg))
LAZY(int, git_diff_get_stats, (git_diff_stats * *out, git_diff *d), (out, d))
LAZY(int, git_diff_stats_to_buf,
	(git_buf * out, const git_diff_stats *s, git_diff_stats_format_t f,
		size_t width),
	(out, s, f, width))
LAZY(size_t, git_diff_stats_files_changed, (const git_diff_stats *s), (s))
LAZY(int, git_email_create_from_commit,
	(git_buf * out, git_commit *c, const git_email_create_options *o),
	(out, c, o))
LAZY(int, git_revwalk_new, (git_revwalk * *out, repo *r), (out, r))
LAZY(int, git_revwalk_sorting, (git_revwalk * w, unsigned mode), (w, mode))
LAZY(int, git_revwalk_hide, (git_revwalk * w, oid_in id), (w, id))
LAZY(int, git_revwalk_push, (git_revwalk * w, oid_in id), (w, id))
LAZY(int, git_revwalk_next, (git_oid * out, git_revwalk *w), (out, w))
LAZY(int, git_graph_descendant_of, (repo * r, oid_in a, oid_in b), (r, a, b))
LAZY(text, git_commit_summary, (git_commit * c), (c))
