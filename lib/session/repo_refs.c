#include "lib/session/repo_internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/session/git2.h"
#include "lib/base/banned.h"

static const char origin_head[] = "refs/remotes/origin/HEAD";

bool
repo_has_default(const char *door)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_reference) *ref = NULL;
	struct err err = ERR_INIT;

	return !git2_open(door, NULL, &repo, &err) &&
		!git_reference_lookup(&ref, repo, origin_head);
}

int
repo_set_default(const char *door, const char *branch, struct err *err)
{
	GIT2(git_repository) *repo = NULL;
	GIT2(git_reference) *ref = NULL;
	CLEANUP_FREE char *target = xasprintf("refs/remotes/origin/%s",
		branch);

	if (git2_open(door, NULL, &repo, err))
		return -1;
	if (git_reference_symbolic_create(&ref, repo, origin_head, target, 1,
		    NULL))
		return git2_failed(err, "'%s': default branch", door);
	return 0;
}

/* Is origin/NAME in ours what the branch ref is in theirs? */
static bool
same_branch(git_repository *ours, const git_reference *ref)
{
	static const char heads[] = "refs/heads/";
	const char *name = git_reference_name(ref);
	const git_oid *theirs = git_reference_target(ref);
	CLEANUP_FREE char *mine = xasprintf("refs/remotes/origin/%s",
		name + sizeof(heads) - 1);
	git_oid id;

	return theirs && !git_reference_name_to_id(&id, ours, mine) &&
		git_oid_equal(&id, theirs);
}

/* How many refs fit pattern, or -1 when one of them differs. */
static long
count(git_repository *repo, const char *pattern, git_repository *ours)
{
	GIT2(git_reference_iterator) *it = NULL;
	long n = 0;
	int rc;

	if (git_reference_iterator_glob_new(&it, repo, pattern))
		return -1;
	for (;;) {
		GIT2(git_reference) *ref = NULL;

		rc = git_reference_next(&ref, it);
		if (rc)
			break;
		if (ours && !same_branch(ours, ref))
			return -1;
		if (!ours && !strcmp(git_reference_name(ref), origin_head))
			continue;
		n++;
	}
	return rc == GIT_ITEROVER ? n : -1;
}

/* Theirs may have got another default branch. */
static bool
same_head(git_repository *theirs, git_repository *ours, const char *door)
{
	GIT2(git_reference) *head = NULL;
	GIT2(git_reference) *mine = NULL;
	const char *branch, *have;
	struct err err = ERR_INIT;

	if (git_reference_lookup(&head, theirs, "HEAD") ||
		git_reference_type(head) != GIT_REFERENCE_SYMBOLIC)
		return true;
	branch = git_reference_symbolic_target(head);
	if (strncmp(branch, "refs/heads/", 11) != 0)
		return true;
	branch += 11;
	if (!git_reference_lookup(&mine, ours, origin_head) &&
		git_reference_type(mine) == GIT_REFERENCE_SYMBOLIC) {
		have = git_reference_symbolic_target(mine);
		if (!strncmp(have, "refs/remotes/origin/", 20) &&
			!strcmp(have + 20, branch))
			return true;
	}
	return !repo_set_default(door, branch, &err);
}

bool
repo_is_current(const struct repo_git *g)
{
	GIT2(git_repository) *theirs = NULL;
	GIT2(git_repository) *ours = NULL;
	struct err err = ERR_INIT;
	long n;

	if (git2_open(g->door, NULL, &ours, &err) ||
		git_repository_open_ext(&theirs, g->remote->url,
			GIT_REPOSITORY_OPEN_NO_SEARCH, NULL))
		return false;
	n = count(theirs, "refs/heads/*", ours);
	return n >= 0 && n == count(ours, "refs/remotes/origin/*", NULL) &&
		same_head(theirs, ours, g->door);
}
