#include "lib/session/provider.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

/* ---- names in braces ---- */

static const char *
meaning(const struct provider_words *w, const char *name, size_t n)
{
	const struct {
		const char *name, *value;
	} all[] = { { "session", w->session }, { "model", w->model },
		{ "prompt", w->prompt }, { "dir", w->dir },
		{ "home", w->home }, { "id", w->id } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i].name) == n && !memcmp(all[i].name, name, n))
			return all[i].value ? all[i].value : "";
	return NULL;
}

/* One word stays one word, whatever its names stand for. */
static void
push(const struct provider_words *w, const char *word, struct argv *ret)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const char *p = word, *open, *close, *value;

	while ((open = strchr(p, '{')) && (close = strchr(open, '}'))) {
		value = meaning(w, open + 1, (size_t)(close - open - 1));
		buf_add(&b, p, (size_t)(open - p));
		if (value)
			buf_adds(&b, value);
		else
			buf_add(&b, open, (size_t)(close + 1 - open));
		p = close + 1;
	}
	buf_adds(&b, p);
	argv_push(ret, b.s);
}

static void
push_all(const struct provider_words *w, const struct argv *words,
	struct argv *ret)
{
	size_t i;

	for (i = 0; i < words->n; i++)
		push(w, words->v[i], ret);
}

int
provider_argv(const struct provider *p, const struct provider_words *w,
	bool resume, struct argv *ret, struct err *err)
{
	const struct argv *line = resume && p->resume.n ? &p->resume :
							  &p->command;
	size_t i;

	for (i = 0; i < line->n; i++) {
		if (!i && p->program)
			argv_push(ret, p->program);
		else if (strcmp(line->v[i], "{command}") != 0)
			push(w, line->v[i], ret);
		else if (w->command)
			argv_pushv(ret, (const char *const *)w->command->v);
	}
	if (!ret->n || !ret->v[0][0])
		return err_set(err, ERR_USAGE,
			"provider '%s' needs a command: put it after --",
			p->name);
	if (w->model && *w->model)
		push_all(w, &p->model, ret);
	if (w->args)
		argv_pushv(ret, (const char *const *)w->args->v);
	if (w->prompt)
		push_all(w, &p->prompt, ret);
	return 0;
}

void
provider_env(const struct provider *p, const struct provider_words *w,
	struct argv *ret)
{
	argv_pushv(ret, (const char *const *)p->unset.v);
	push_all(w, &p->env, ret);
}

/* ---- the list ---- */

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_in(const char *dir, struct argv *ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct err err = ERR_INIT;

	while (d && (e = readdir(d))) {
		CLEANUP_FREE char *file =
			xasprintf("%s/%s/provider", dir, e->d_name);

		if (!parse_name(e->d_name, "provider", &err) &&
			!access(file, R_OK))
			argv_push(ret, e->d_name);
	}
	if (d)
		(void)closedir(d); /* read only */
}

static int
all_names(struct state *st, struct argv *ret, struct err *err)
{
	CLEANUP_FREE char *own = xasprintf("%s/providers", state_path(st));
	CLEANUP_FREE char *shipped = NULL;
	struct err none = ERR_INIT;
	struct config *c;

	if (state_config(st, &c, err))
		return -1;
	config_names(c, "provider", ret);
	names_in(own, ret);
	if (!find_data("providers", &shipped, &none))
		names_in(shipped, ret);
	qsort(ret->v, ret->n, sizeof(*ret->v), compare);
	return 0;
}

static struct json *
describe(const struct provider *p)
{
	struct json *row = json_object();

	json_put_str(row, "name", p->name);
	json_put_str(row, "summary", p->summary);
	json_put_str(row, "process", p->per_turn ? "turn" : "session");
	json_put_str(row, "dir", p->dir);
	return row;
}

int
provider_each(struct state *st, int (*emit)(struct json *row, void *arg),
	void *arg, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	size_t i;

	if (all_names(st, &names, err))
		return -1;
	for (i = 0; i < names.n; i++) {
		CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
		int rc;

		if (i && !strcmp(names.v[i], names.v[i - 1]))
			continue;
		if (provider_load(st, names.v[i], &p, err))
			return -1;
		rc = emit(describe(&p), arg);
		if (rc)
			return rc;
	}
	return 0;
}
