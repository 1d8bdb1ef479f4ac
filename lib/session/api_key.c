#include "lib/session/api_key.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/session/provider.h"
#include "lib/state/config.h"
#include "lib/state/secret.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

void
api_key_release(struct api_key *k)
{
	if (k->key)
		explicit_bzero(k->key, strlen(k->key));
	free(k->key);
	free(k->api);
	free(k->ca_file);
	argv_release(&k->paths);
	argv_release(&k->auth);
	argv_release(&k->env);
	argv_release(&k->args);
	*k = API_KEY_INIT;
}

char *
api_key_fill(const char *text, const char *name, const char *value)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	const char *at;

	while ((at = strstr(text, name))) {
		buf_add(&b, text, (size_t)(at - text));
		buf_adds(&b, value);
		text = at + strlen(name);
	}
	buf_adds(&b, text);
	return buf_detach(&b);
}

static void
every(const struct provider *p, const char *key, struct argv *ret)
{
	size_t n = strlen(key), i;

	for (i = 0; i < p->all.n; i++)
		if (!strncmp(p->all.v[i], key, n) && p->all.v[i][n] == '=')
			argv_push(ret, p->all.v[i] + n + 1);
}

/* It becomes a part of a header, so it is one word of visible ASCII. */
static int
check(const char *what, struct buf *b, struct err *err)
{
	size_t i;

	buf_rtrim(b);
	for (i = 0; i < b->len; i++)
		if (b->s[i] <= ' ' || b->s[i] > '~')
			return err_set(err, ERR_INVALID,
				"%s is not one line without spaces", what);
	return 0;
}

static char *
secret_name(const char *provider)
{
	return xasprintf("provider/%s/key", provider);
}

int
api_key_put(struct state *st, const char *provider, const struct buf *key,
	struct err *err)
{
	CLEANUP_FREE char *name = secret_name(provider);
	CLEANUP_BUF struct buf b = BUF_INIT;
	int rc;

	buf_add(&b, key->s, key->len);
	rc = check("the key on stdin", &b, err);
	if (!rc && !b.len) {
		rc = secret_remove(st, name, err);
		if (rc && err->code == ERR_NOTFOUND)
			rc = 0;
	} else if (!rc) {
		rc = secret_put(st, name, b.s, b.len, 0, err);
	}
	explicit_bzero(b.s, b.len);
	return rc;
}

static int
read_key(struct state *st, const char *provider, const char *file,
	struct buf *ret, struct err *err)
{
	CLEANUP_FREE char *name = secret_name(provider);
	CLEANUP_FREE char *what = NULL;

	buf_grow(ret, API_KEY_MAX);
	if (!file) {
		if (secret_get(st, name, ret, NULL, err))
			return err->code == ERR_NOTFOUND ? 0 : -1;
		return 0;
	}
	what = xasprintf("'%s' (provider.%s.key-file)", file, provider);
	if (fs_read(AT_FDCWD, file, API_KEY_MAX, ret, err) ||
		check(what, ret, err))
		return -1;
	return ret->len ? 0 :
			  err_set(err, ERR_INVALID, "%s is empty", what);
}

/* Of the configuration, else of the provider. */
static const char *
one(struct config *c, const struct provider *p, const char *key)
{
	return config_str(c, "provider", p->name, key, provider_key(p, key));
}

static int
check_api(const struct api_key *k, const char *provider, struct err *err)
{
	if (http_check_url(k->api, err))
		return err_wrap(err, "provider '%s': api", provider);
	if (!k->paths.n || !k->auth.n)
		return err_set(err, ERR_INVALID,
			"provider '%s': api needs api-path and api-auth",
			provider);
	return 0;
}

int
api_key_load(struct state *st, const struct provider *p,
	struct api_key *ret, struct err *err)
{
	CLEANUP_BUF struct buf key = BUF_INIT;
	struct config *c;
	const char *api, *ca;
	int rc;

	if (state_config(st, &c, err))
		return -1;
	api = one(c, p, "api");
	if (!api)
		return 0;
	rc = read_key(st, p->name, config_str(c, "provider", p->name,
		"key-file", NULL), &key, err);
	if (!rc && key.len) {
		ret->key = xstrndup(key.s, key.len);
		ret->api = xstrndup(api, strlen(api));
		while (*ret->api && ret->api[strlen(ret->api) - 1] == '/')
			ret->api[strlen(ret->api) - 1] = '\0';
		ca = config_str(c, "provider", p->name, "ca-file", NULL);
		ret->ca_file = xstrdup_null(ca);
		every(p, "api-path", &ret->paths);
		every(p, "api-env", &ret->env);
		every(p, "api-arg", &ret->args);
		config_all(c, "provider", p->name, "api-auth", &ret->auth);
		if (!ret->auth.n)
			every(p, "api-auth", &ret->auth);
		rc = check_api(ret, p->name, err);
	}
	explicit_bzero(key.s, key.len);
	return rc;
}
