#include "lib/vm/recipe.h"

#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

void
recipe_release(struct recipe *r)
{
	argv_release(&r->set);
	argv_release(&r->args);
}

static int
find(const char *name, char **ret, struct err *err)
{
	CLEANUP_FREE char *helper = NULL;

	if (strchr(name, '/')) {
		if (!fs_executable(name))
			return err_set(err, ERR_NOTFOUND,
				"no recipe '%s', or it cannot be executed",
				name);
		*ret = xstrdup(name);
		return 0;
	}
	if (parse_name(name, "--recipe", err))
		return -1;
	helper = xasprintf("recipes/%s", name);
	return find_helper(helper, ret, err);
}

bool
recipe_exists(const char *name)
{
	CLEANUP_FREE char *path = NULL;
	struct err none = ERR_INIT;

	return !strchr(name, '/') && !find(name, &path, &none);
}

/* What a shell takes for the name of a variable. */
static int
check_set(const char *s, struct err *err)
{
	size_t n = strcspn(s, "=");
	size_t i;

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			break;
	return i && i == n && s[n] == '=' ?
		0 :
		err_set(err, ERR_USAGE, "--set: '%.80s' is not NAME=VALUE", s);
}

int
recipe_run(struct state *st, const struct recipe *r, int *ret_status,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_FREE char *path = NULL, *self = NULL;
	struct child child = CHILD_INIT;
	struct proc_status status;
	size_t i;

	for (i = 0; i < r->set.n; i++) {
		if (check_set(r->set.v[i], err))
			return -1;
		argv_pushf(&p.env, "set_%s", r->set.v[i]);
	}
	if (find(r->name, &path, err) || find_program("forge-vm", &self, err))
		return -1;
	argv_push(&p.argv, path);
	argv_pushv(&p.argv, (const char *const *)r->args.v);
	argv_pushf(&p.env, "FORGE_VM=%s", self);
	argv_pushf(&p.env, "FORGE_STATE=%s", state_path(st));
	if (r->base)
		argv_pushf(&p.env, "FORGE_BASE=%s", r->base);
	p.parent_death = SIGTERM;
	if (proc_spawn(&p, &child, err) || proc_wait(&child, -1, &status, err))
		return -1;
	*ret_status = proc_exit_status(&status);
	return 0;
}
