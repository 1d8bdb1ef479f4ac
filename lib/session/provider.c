#include "lib/session/provider.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/config_cache.h"
#include "lib/state/config_file.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define PROGRAM_MAX (1u << 20) /* bytes of out.jq, in.jq, models.json */

void
provider_release(struct provider *p)
{
	free(p->name);
	free(p->dir);
	free(p->summary);
	free(p->program);
	argv_release(&p->command);
	argv_release(&p->resume);
	argv_release(&p->model);
	argv_release(&p->prompt);
	argv_release(&p->env);
	argv_release(&p->unset);
	argv_release(&p->all);
	free(p->out);
	free(p->in);
	json_free(p->models);
	*p = PROVIDER_INIT;
}

/* ---- where ---- */

static bool
is_provider(const char *dir)
{
	CLEANUP_FREE char *file = xasprintf("%s/provider", dir);

	return !access(file, R_OK);
}

/* Caller frees; NULL when there is none of that name. */
static char *
find_dir(struct state *st, const char *name, const char *configured)
{
	CLEANUP_FREE char *shipped = xasprintf("providers/%s", name);
	struct err err = ERR_INIT;
	char *dir;

	if (configured)
		return xstrdup(configured);
	dir = xasprintf("%s/providers/%s", state_path(st), name);
	if (is_provider(dir))
		return dir;
	free(dir);
	return find_data(shipped, &dir, &err) ? NULL : dir;
}

/* ---- the file ---- */

/* The entries as they come, and once more as text for the cache. */
struct reading {
	struct provider *p;
	struct buf cache;
	bool nested; /* it includes others: not to be cached */
};

static void
keep_entry(struct provider *p, const char *name, const char *value)
{
	static const char section[] = "provider.";

	if (!strncmp(name, section, strlen(section)))
		argv_pushf(&p->all, "%s=%s", name + strlen(section),
			value ? value : "true");
}

static void
entry(const char *name, const char *value, unsigned depth, void *arg)
{
	struct reading *r = arg;

	r->nested |= depth || !strncmp(name, "include", strlen("include"));
	config_cache_add(&r->cache, 0, name, value ? value : "true");
	keep_entry(r->p, name, value);
}

static void
cached(size_t file, const char *name, const char *value, void *arg)
{
	(void)file;
	keep_entry(arg, name, value);
}

/* libgit2 is started only for a file that has changed. */
static int
read_file(struct state *st, struct provider *p, struct err *err)
{
	CLEANUP_FREE char *file = xasprintf("%s/provider", p->dir);
	CLEANUP_FREE char *cache = xasprintf("cache/provider-%s", p->name);
	CLEANUP_BUF struct buf stamp = BUF_INIT;
	bool settled = config_stamp(&file, 1, &stamp);
	struct reading r = { .p = p, .cache = BUF_INIT };
	int rc;

	if (settled &&
		config_cache_load(state_dir(st), cache, &stamp, cached, p))
		return 0;
	if (access(file, R_OK))
		return err_sys(err, "provider '%s': cannot read '%s'", p->name,
			file);
	argv_release(&p->all);
	rc = config_file_read(file, entry, &r, err);
	if (!rc && settled && !r.nested)
		config_cache_save(state_dir(st), cache, &stamp, &r.cache);
	buf_release(&r.cache);
	return rc;
}

const char *
provider_key(const struct provider *p, const char *key)
{
	size_t n = strlen(key), i;

	for (i = p->all.n; i-- > 0;)
		if (!strncmp(p->all.v[i], key, n) && p->all.v[i][n] == '=')
			return p->all.v[i] + n + 1;
	return NULL;
}

static void
every(const struct provider *p, const char *key, struct argv *ret)
{
	size_t n = strlen(key), i;

	for (i = 0; i < p->all.n; i++)
		if (!strncmp(p->all.v[i], key, n) && p->all.v[i][n] == '=')
			argv_push(ret, p->all.v[i] + n + 1);
}

static void
words(const struct provider *p, const char *key, struct argv *ret)
{
	const char *value = provider_key(p, key);

	if (value)
		argv_split(ret, value);
}

static int
wrong(const struct provider *p, const char *key, const char *must,
	struct err *err)
{
	return err_set(err, ERR_INVALID, "%s/provider: %s must be %s", p->dir,
		key, must);
}

static int
understand(struct provider *p, struct err *err)
{
	const char *process = provider_key(p, "process");
	const char *interrupt = provider_key(p, "interrupt");
	const char *timeout = provider_key(p, "start-timeout");

	words(p, "command", &p->command);
	words(p, "resume", &p->resume);
	words(p, "model", &p->model);
	words(p, "prompt", &p->prompt);
	every(p, "env", &p->env);
	every(p, "unset", &p->unset);
	p->summary = xstrdup_null(provider_key(p, "summary"));
	if (!p->command.n)
		return wrong(p, "command", "a command line", err);
	if (!process || !strcmp(process, "session"))
		p->per_turn = false;
	else if (!strcmp(process, "turn"))
		p->per_turn = true;
	else
		return wrong(p, "process", "session or turn", err);
	if (!interrupt || !strcmp(interrupt, "INT"))
		p->signal = SIGINT;
	else if (!strcmp(interrupt, "TERM"))
		p->signal = SIGTERM;
	else if (strcmp(interrupt, "message") != 0)
		return wrong(p, "interrupt", "message, INT or TERM", err);
	if (timeout &&
		parse_duration(timeout, "start-timeout", &p->start_timeout,
			err))
		return wrong(p, "start-timeout", "a duration", err);
	return 0;
}

/* A file beside it that may be missing. */
static int
read_text(const struct provider *p, const char *file, char **ret,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", p->dir, file);
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (access(path, F_OK))
		return 0;
	if (fs_read(AT_FDCWD, path, PROGRAM_MAX, &b, err))
		return -1;
	if (strlen(b.s) != b.len)
		return err_set(err, ERR_INVALID, "'%s' is no text", path);
	*ret = buf_detach(&b);
	return 0;
}

static int
read_models(struct provider *p, struct err *err)
{
	CLEANUP_FREE char *text = NULL;

	if (read_text(p, "models.json", &text, err))
		return -1;
	if (!text) {
		p->models = json_array();
		return 0;
	}
	if (json_parse(text, strlen(text), &p->models, err))
		return err_wrap(err, "%s/models.json", p->dir);
	return 0;
}

int
provider_load(struct state *st, const char *name, struct provider *ret,
	struct err *err)
{
	CLEANUP_PROVIDER struct provider p = PROVIDER_INIT;
	struct config *c;

	if (parse_name(name, "provider", err) || state_config(st, &c, err))
		return -1;
	p.name = xstrdup(name);
	p.dir = find_dir(st, name,
		config_str(c, "provider", name, "dir", NULL));
	if (!p.dir)
		return err_set(err, ERR_NOTFOUND,
			"no provider '%s'; 'forge-session providers' lists "
			"those there are", name);
	p.program = xstrdup_null(
		config_str(c, "provider", name, "program", NULL));
	if (read_file(st, &p, err) || understand(&p, err) ||
		read_text(&p, "out.jq", &p.out, err) ||
		read_text(&p, "in.jq", &p.in, err) || read_models(&p, err))
		return -1;
	*ret = p;
	p = PROVIDER_INIT;
	return 0;
}
