#include "lib/runner/garm_call.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/net/http.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/hmac.h"
#include "lib/base/banned.h"

enum { SPECS_MAX = 1 << 20, TIMEOUT = 600000, POLL = 60000, UUID_LEN = 36 };

void
garm_release(struct garm *g)
{
	char *owned[] = { g->name, g->provider, g->config_file, g->image,
		g->flavor, g->os_type, g->os_arch, g->metadata_url,
		g->callback_url, g->ca_file, g->controller };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(owned); i++)
		free(owned[i]);
	json_free(g->specs);
	argv_release(&g->env);
	*g = GARM_INIT;
}

/* ---- ids ---- */

/* 16 bytes as a UUID of version 8: made up by rules of one's own. */
static char *
uuid(const unsigned char b[16])
{
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
		b[5], (b[6] & 0x0f) | 0x80, b[7], (b[8] & 0x3f) | 0x80, b[9],
		b[10], b[11], b[12], b[13], b[14], b[15]);
}

char *
garm_pool_id(const struct garm *g, const char *pool)
{
	unsigned char mac[HMAC_SIZE] = { 0 };
	struct err err = ERR_INIT;

	if (!pool)
		pool = "";
	if (hmac_sha256(g->controller, UUID_LEN, pool, strlen(pool), mac,
		    &err))
		BUG("%s", err.msg);
	return uuid(mac);
}

/* Of two first users the second gets the id of the first. */
static int
controller(struct state *st, char **ret, struct err *err)
{
	static const char sql_get[] =
		"SELECT uuid FROM controller WHERE id = 1";
	CLEANUP_FREE char *made = NULL;
	unsigned char random[16];
	struct db *db;

	if (state_db(st, &db, err))
		return -1;
	if (!db_get_text(db, ret, sql_get, err, DB_LAST))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	random_bytes(random, sizeof(random));
	made = uuid(random);
	return db_run(db, "INSERT INTO controller (id, uuid) VALUES (1, ?1) "
			"ON CONFLICT DO NOTHING", NULL, err, DB_S(made)) ||
			db_get_text(db, ret, sql_get, err, DB_LAST) ?
		-1 :
		0;
}

/* ---- the section ---- */

static char *
string(struct config *c, const char *name, const char *key,
	const char *fallback)
{
	return xstrdup_null(config_str(c, "garm", name, key, fallback));
}

static int
load_specs(struct garm *g, const char *path, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (!path) {
		g->specs = json_object();
		return 0;
	}
	if (fs_read(AT_FDCWD, path, SPECS_MAX, &text, err) ||
		json_parse(text.s, text.len, &g->specs, err))
		return err_wrap(err, "garm '%s': extra-specs-file", g->name);
	return json_is_object(g->specs) ? 0 :
		err_set(err, ERR_INVALID,
			"garm '%s': '%s' is not a JSON object", g->name, path);
}

static int
load_interface(struct config *c, struct garm *g, struct err *err)
{
	const char *s = config_str(c, "garm", g->name, "interface", "v0.1.1");

	g->extended = !strcmp(s, "v0.1.1");
	return g->extended || !strcmp(s, "v0.1.0") ? 0 :
		err_set(err, ERR_INVALID,
			"garm '%s': interface '%.20s' is not v0.1.0 or v0.1.1",
			g->name, s);
}

static int
check_url(const struct garm *g, const char *key, const char *url,
	struct err *err)
{
	if (!url)
		return err_set(err, ERR_INVALID,
			"garm '%s' has no %s: where instances reach "
			"forge-webhook", g->name, key);
	return (strncmp(url, "http://", 7) && strncmp(url, "https://", 8)) ||
			strpbrk(url, " \"'\\\r\n") ?
		err_set(err, ERR_INVALID, "garm '%s': %s is not a URL",
			g->name, key) :
		0;
}

static int
check(const struct garm *g, struct err *err)
{
	if (!g->provider)
		return err_set(err, ERR_NOTFOUND,
			"no [garm \"%s\"] with a provider is configured",
			g->name);
	if (g->provider[0] != '/' || !fs_executable(g->provider))
		return err_set(err, ERR_INVALID,
			"garm '%s': provider '%s' is not the full path of a "
			"program", g->name, g->provider);
	if (!fs_exists(AT_FDCWD, g->config_file))
		return err_set(err, ERR_INVALID,
			"garm '%s': there is no config-file '%s'", g->name,
			g->config_file);
	if (!g->image || !g->flavor)
		return err_set(err, ERR_INVALID, "garm '%s' has no %s",
			g->name, g->image ? "flavor" : "image");
	return check_url(g, "metadata-url", g->metadata_url, err) ||
			check_url(g, "callback-url", g->callback_url, err) ?
		-1 :
		0;
}

static int
load(struct state *st, struct config *c, struct garm *g, struct err *err)
{
	const char *name = g->name;

	g->provider = string(c, name, "provider", NULL);
	g->config_file = string(c, name, "config-file", "/dev/null");
	g->image = string(c, name, "image", NULL);
	g->flavor = string(c, name, "flavor", NULL);
	g->os_type = string(c, name, "os-type", "linux");
	g->os_arch = string(c, name, "os-arch", "amd64");
	g->metadata_url = string(c, name, "metadata-url", NULL);
	g->callback_url = string(c, name, "callback-url", NULL);
	g->ca_file = string(c, name, "ca-file", NULL);
	argv_split(&g->env, config_str(c, "garm", name, "environment", ""));
	return check(g, err) || load_interface(c, g, err) ||
			load_specs(g, config_str(c, "garm", name,
				"extra-specs-file", NULL), err) ||
			config_duration(c, "garm", name, "timeout", TIMEOUT,
				&g->timeout, err) ||
			config_duration(c, "garm", name, "poll", POLL,
				&g->poll, err) ||
			controller(st, &g->controller, err) ?
		-1 :
		0;
}

int
garm_load(struct state *st, const char *name, struct garm *ret,
	struct err *err)
{
	struct config *c;

	*ret = GARM_INIT;
	if (state_config(st, &c, err) || parse_name(name, "garm", err))
		return -1;
	ret->name = xstrdup(name);
	if (!load(st, c, ret, err))
		return 0;
	garm_release(ret);
	return -1;
}
