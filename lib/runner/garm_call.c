#include "lib/runner/garm_call.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/runner/garm.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

extern char **environ;

enum { OUT_MAX = 4 << 20, FIELD_MAX = 1024, FAULT_MAX = 4096,
	INSTANCES_MAX = 10000 };

/* ---- what it gets ---- */

/* "OS_*" fits OS_TOKEN; without * the name must be that one. */
static bool
passes(const struct argv *names, const char *var)
{
	size_t n = strcspn(var, "="), i;

	for (i = 0; i < names->n; i++) {
		const char *want = names->v[i];
		size_t m = strlen(want);

		if (m && want[m - 1] == '*' ? m - 1 <= n &&
					!strncmp(want, var, m - 1) :
				m == n && !strncmp(want, var, n))
			return true;
	}
	return false;
}

static void
push_specs(const struct garm *g, struct argv *env)
{
	CLEANUP_FREE char *text = json_text(g->specs);
	CLEANUP_BUF struct buf coded = BUF_INIT;

	base64_add(&coded, text, strlen(text));
	argv_pushf(env, "GARM_POOL_EXTRASPECS=%s", coded.s);
}

static bool
of_pool(const char *command)
{
	return !strcmp(command, "CreateInstance") ||
		!strcmp(command, "ListInstances");
}

static void
push_env(const struct garm *g, const struct garm_ask *ask, struct argv *env)
{
	char **e;

	for (e = environ; *e; e++)
		if (passes(&g->env, *e))
			argv_push(env, *e);
	argv_pushf(env, "GARM_COMMAND=%s", ask->command);
	argv_pushf(env, "GARM_INTERFACE_VERSION=%s",
		g->extended ? "v0.1.1" : "v0.1.0");
	argv_pushf(env, "GARM_CONTROLLER_ID=%s", g->controller);
	argv_pushf(env, "GARM_PROVIDER_CONFIG_FILE=%s", g->config_file);
	if (ask->pool && (g->extended || of_pool(ask->command)))
		argv_pushf(env, "GARM_POOL_ID=%s", ask->pool);
	if (ask->instance)
		argv_pushf(env, "GARM_INSTANCE_ID=%s", ask->instance);
	if (g->extended)
		push_specs(g, env);
}

/* ---- the call ---- */

/* Some complain on stdout: then that is what a person wants to see. */
static const char *
complaint(const struct buf *out, char *line, size_t n)
{
	const char *from = out->s + strspn(out->s, " \t\r\n");
	size_t len = strcspn(from, "\r\n");

	if (len >= n)
		len = n - 1;
	memcpy(line, from, len);
	line[len] = '\0';
	err_clean(line);
	return line;
}

static int
failed(const struct garm *g, const struct garm_ask *ask, int status,
	const struct buf *out, const struct err *why, struct err *err)
{
	char line[160];

	if (status == GARM_NOT_FOUND)
		return err_set(err, ERR_NOTFOUND,
			"garm '%s': %s: it knows no instance '%.100s'", g->name,
			ask->command, ask->instance ? ask->instance : "");
	if (status == GARM_EXISTS)
		return err_set(err, ERR_EXISTS,
			"garm '%s': %s: there is such an instance already",
			g->name, ask->command);
	*err = *why;
	if (status > 0 && !strstr(why->msg, ": ") &&
		*complaint(out, line, sizeof(line)))
		return err_set(err, why->code, "garm '%s': %s: %s: %s",
			g->name, ask->command, why->msg, line);
	return err_wrap(err, "garm '%s': %s", g->name, ask->command);
}

int
garm_call(const struct garm *g, const struct garm_ask *ask, struct buf *out,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct err why = ERR_INIT;

	argv_push(&p.argv, g->provider);
	push_env(g, ask, &p.env);
	p.clear_env = true;
	p.new_group = true; /* what ends us does not end it half-way */
	p.parent_death = SIGKILL; /* nor does it go on unseen */
	p.cancel = ask->cancel;
	if (proc_run(&p, ask->in, &text, OUT_MAX, g->timeout, &why))
		return failed(g, ask, p.status, &text, &why, err);
	if (out)
		buf_add(out, text.s, text.len);
	return 0;
}

/* ---- what it says ---- */

void
garm_instance_release(struct garm_instance *i)
{
	free(i->id);
	free(i->name);
	free(i->status);
	free(i->address);
	free(i->fault);
	*i = GARM_INSTANCE_INIT;
}

static int
field(const struct json *j, const char *key, char **ret, struct err *err)
{
	const char *s = json_str(j, key, "");

	if (!*s || strlen(s) > FIELD_MAX)
		return err_set(err, ERR_INVALID,
			"an instance's '%s' is missing or too long", key);
	*ret = xstrdup(s);
	err_clean(*ret);
	return strcmp(*ret, s) ? err_set(err, ERR_INVALID,
			"an instance's '%s' has control characters", key) : 0;
}

static void
address(const struct json *j, struct garm_instance *i)
{
	CLEANUP_JSON struct json *list = json_get(j, "addresses");
	CLEANUP_JSON struct json *first = list ? json_at(list, 0) : NULL;
	const char *s = first ? json_str(first, "address", "") : "";

	if (!*s || strlen(s) > 64)
		return;
	i->address = xstrdup(s);
	err_clean(i->address);
}

static void
fault(const struct json *j, struct garm_instance *i)
{
	const char *s = json_str(j, "provider_fault", "");
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (!*s || base64_decode(s, strlen(s), FAULT_MAX, &text))
		return;
	i->fault = xstrndup(text.s, strcspn(text.s, "\r\n"));
	err_clean(i->fault);
}

int
garm_instance_of(const struct json *j, struct garm_instance *ret,
	struct err *err)
{
	struct garm_instance i = GARM_INSTANCE_INIT;

	if (field(j, "provider_id", &i.id, err) ||
		field(j, "name", &i.name, err) ||
		field(j, "status", &i.status, err)) {
		garm_instance_release(&i);
		return -1;
	}
	address(j, &i);
	fault(j, &i);
	*ret = i;
	return 0;
}

int
garm_instance(const struct buf *out, struct garm_instance *ret,
	struct err *err)
{
	CLEANUP_JSON struct json *j = NULL;

	if (json_parse(out->s, out->len, &j, err))
		return -1;
	return garm_instance_of(j, ret, err);
}

int
garm_get(const struct garm *g, const char *pool, const char *id,
	struct garm_instance *ret, struct err *err)
{
	struct garm_ask ask = { .command = "GetInstance", .pool = pool,
		.instance = id };
	CLEANUP_BUF struct buf out = BUF_INIT;

	if (garm_call(g, &ask, &out, err))
		return -1;
	return garm_instance(&out, ret, err) ?
		err_wrap(err, "garm '%s': GetInstance", g->name) :
		0;
}

int
garm_list(const struct garm *g, const char *pool,
	int (*each)(const struct garm_instance *i, void *arg), void *arg,
	struct err *err)
{
	struct garm_ask ask = { .command = "ListInstances", .pool = pool };
	CLEANUP_BUF struct buf out = BUF_INIT;
	CLEANUP_JSON struct json *list = NULL;
	size_t i, n;
	int rc = 0;

	if (garm_call(g, &ask, &out, err))
		return -1;
	if (json_parse(out.s, out.len, &list, err))
		return err_wrap(err, "garm '%s': ListInstances", g->name);
	n = json_is_object(list) ? 0 : json_len(list, "");
	for (i = 0; i < n && i < INSTANCES_MAX && !rc; i++) {
		CLEANUP_JSON struct json *j = json_at(list, i);
		CLEANUP_INSTANCE struct garm_instance one =
			GARM_INSTANCE_INIT;

		if (garm_instance_of(j, &one, err))
			return err_wrap(err, "garm '%s': ListInstances",
				g->name);
		rc = each(&one, arg);
	}
	return rc;
}

int
garm_delete(const struct garm *g, const char *pool, const char *id,
	struct err *err)
{
	struct garm_ask ask = { .command = "DeleteInstance", .pool = pool,
		.instance = id };

	if (!garm_call(g, &ask, NULL, err))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 0;
}
