#include "lib/runner/garm_provider.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config_file.h"
#include "lib/state/state.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

#define STDIN_MAX (4u << 20)
#define NOTE_MAX 65536

/* ---- what garm says by the environment ---- */

void
garm_env_release(struct garm_env *e)
{
	free(e->state);
	free(e->net);
	free(e->runner_command);
	*e = GARM_ENV_INIT;
}

static void
setting(const char *name, const char *value, unsigned depth, void *arg)
{
	struct garm_env *e = arg;
	char **to = !strcmp(name, "garm.state")		   ? &e->state :
		!strcmp(name, "garm.net")		   ? &e->net :
		!strcmp(name, "garm.runner-command") ? &e->runner_command :
							     NULL;

	(void)depth;
	if (!to || !value)
		return;
	free(*to);
	*to = xstrdup(value);
}

int
garm_env_load(struct garm_env *ret, struct err *err)
{
	const char *config = getenv("GARM_PROVIDER_CONFIG_FILE");

	*ret = (struct garm_env){ .command = getenv("GARM_COMMAND"),
		.controller = getenv("GARM_CONTROLLER_ID"),
		.pool = getenv("GARM_POOL_ID"),
		.instance = getenv("GARM_INSTANCE_ID") };
	if (!ret->command || !*ret->command)
		return err_set(err, ERR_USAGE, "$GARM_COMMAND is not set: "
			"garm executes this program, nobody else");
	if (config && *config && config_file_read(config, setting, ret, err))
		return -1;
	/* garm gives a clean environment; the hypervisor has to be found. */
	(void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:"
		"/usr/bin:/sbin:/bin", 0);
	return 0;
}

static int
need(const char *value, const char *name, struct err *err)
{
	return value && *value ? 0 :
		err_set(err, ERR_INVALID, "$%s is not set", name);
}

/* ---- notes ---- */

static int
read_note(struct state *st, const char *name, struct json **ret,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("garm/%s", name);
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (parse_name(name, "instance", err))
		return -1;
	if (!fs_exists(state_dir(st), path))
		return err_set(err, ERR_NOTFOUND, "there is no instance '%s'",
			name);
	return fs_read(state_dir(st), path, NOTE_MAX, &text, err) ||
			json_parse(text.s, text.len, ret, err) ?
		-1 :
		0;
}

/* Each name, in a list, so that what is done with them may remove some. */
static int
list_names(struct state *st, struct argv *ret, struct err *err)
{
	int fd = openat(state_dir(st), "garm",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *d;

	if (fd < 0)
		return 0; /* never was an instance */
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd); /* read only */
		return err_sys(err, "cannot list instances");
	}
	while ((entry = readdir(d))) {
		size_t n = strlen(entry->d_name);

		if (entry->d_name[0] != '.' &&
			(n < 4 || strcmp(entry->d_name + n - 4, ".log") != 0))
			argv_push(ret, entry->d_name);
	}
	(void)closedir(d); /* read only */
	return 0;
}

/* ---- one instance, as garm wants to hear of it ---- */

/* A VM that is gone has done its job: it is stopped. */
static const char *
vm_status(struct state *st, const char *name, char **ret_address)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	CLEANUP_JSON struct json *vm = NULL;
	struct err err = ERR_INIT;
	const char *state;

	*ret_address = NULL;
	if (garm_forge_vm(st, (const char *[]){ "show", "--json", name, NULL },
		    &out, &err) ||
		json_parse(out.s, out.len, &vm, &err))
		return "stopped";
	*ret_address = xstrdup(json_str(vm, "address", ""));
	state = json_str(vm, "state", "");
	return !strcmp(state, "stopped") || !strcmp(state, "crashed") ?
		"stopped" :
		"running";
}

static struct json *
describe(struct state *st, const char *name, const struct json *note)
{
	CLEANUP_FREE char *address = NULL;
	const char *status = vm_status(st, name, &address);
	struct json *o = json_object(), *list = json_array();

	json_put_str(o, "provider_id", name);
	json_put_str(o, "name", name);
	json_put_str(o, "os_type", "linux");
	json_put_str(o, "os_name", json_str(note, "image", ""));
	json_put_str(o, "os_version", "");
	json_put_str(o, "os_arch", json_str(note, "arch", "amd64"));
	json_put_str(o, "status", status);
	if (address && *address) {
		struct json *a = json_object();

		json_put_str(a, "address", address);
		json_put_str(a, "type", "private");
		json_push(list, a);
	}
	json_put(o, "addresses", list);
	return o;
}

static int
put(struct buf *out, struct json *value)
{
	json_write(value, out);
	json_free(value);
	return 0;
}

/* ---- the commands ---- */

static int
remove_file(struct state *st, const char *prefix, const char *name,
	const char *suffix, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("garm/%s%s%s", prefix, name,
		suffix);

	if (!unlinkat(state_dir(st), path, 0) || errno == ENOENT)
		return 0;
	return err_sys(err, "cannot remove '%s'", path);
}

/* The note last: until then garm can ask for it again. */
static int
remove_instance(struct state *st, const char *name, struct err *err)
{
	struct err why = ERR_INIT, gone = ERR_INIT;

	if (garm_forge_vm(st, (const char *[]){ "destroy", name, NULL }, NULL,
		    &why) &&
		!garm_forge_vm(st, (const char *[]){ "show", name, NULL },
			NULL, &gone)) {
		*err = why;
		return -1;
	}
	return remove_file(st, "", name, ".log", err) ||
			remove_file(st, ".", name, ".pem", err) ||
			remove_file(st, "", name, "", err) ?
		-1 :
		0;
}

static int
create(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *b = NULL, *note = NULL;
	struct err why = ERR_INIT;
	const char *name;

	if (need(e->pool, "GARM_POOL_ID", err) ||
		need(e->controller, "GARM_CONTROLLER_ID", err) ||
		json_parse(in->s, in->len, &b, err))
		return -1;
	name = json_str(b, "name", "");
	if (!garm_create(st, e, b, &note, err))
		return put(out, describe(st, name, note));
	/* Nothing half-done: garm may try again. */
	if (err->code != ERR_EXISTS && !parse_name(name, "name", &why) &&
		remove_instance(st, name, &why))
		return err_wrap(err, "and %s", why.msg);
	return -1;
}

static int
delete(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *note = NULL;

	(void)in;
	(void)out;
	if (need(e->instance, "GARM_INSTANCE_ID", err) ||
		read_note(st, e->instance, &note, err))
		return -1;
	return remove_instance(st, e->instance, err);
}

static int
get(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *note = NULL;

	(void)in;
	if (need(e->instance, "GARM_INSTANCE_ID", err) ||
		read_note(st, e->instance, &note, err))
		return -1;
	return put(out, describe(st, e->instance, note));
}

/* Is it of this pool, or, without one, of this controller? */
static bool
belongs(const struct garm_env *e, const struct json *note, bool by_pool)
{
	return by_pool ? !strcmp(json_str(note, "pool", ""), e->pool) :
			 !strcmp(json_str(note, "controller", ""),
				 e->controller);
}

static int
list(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct json *all = json_array();
	size_t i;

	(void)in;
	if (need(e->pool, "GARM_POOL_ID", err) || list_names(st, &names, err)) {
		json_free(all);
		return -1;
	}
	for (i = 0; i < names.n; i++) {
		CLEANUP_JSON struct json *note = NULL;
		struct err gone = ERR_INIT; /* since we listed them */

		if (!read_note(st, names.v[i], &note, &gone) &&
			belongs(e, note, true))
			json_push(all, describe(st, names.v[i], note));
	}
	return put(out, all);
}

static int
remove_all(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	size_t i;

	(void)in;
	(void)out;
	if (need(e->controller, "GARM_CONTROLLER_ID", err) ||
		list_names(st, &names, err))
		return -1;
	for (i = 0; i < names.n; i++) {
		CLEANUP_JSON struct json *note = NULL;
		struct err gone = ERR_INIT;

		if (!read_note(st, names.v[i], &note, &gone) &&
			belongs(e, note, false) &&
			remove_instance(st, names.v[i], err))
			return -1;
	}
	return 0;
}

static int
stop(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *note = NULL;
	CLEANUP_FREE char *address = NULL;

	(void)in;
	(void)out;
	if (need(e->instance, "GARM_INSTANCE_ID", err) ||
		read_note(st, e->instance, &note, err))
		return -1;
	if (!strcmp(vm_status(st, e->instance, &address), "stopped"))
		return 0;
	return garm_forge_vm(st, (const char *[]){ "stop", e->instance, NULL },
		NULL, err);
}

static int
start(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *note = NULL;
	CLEANUP_FREE char *address = NULL;

	(void)in;
	(void)out;
	if (need(e->instance, "GARM_INSTANCE_ID", err) ||
		read_note(st, e->instance, &note, err))
		return -1;
	if (!strcmp(vm_status(st, e->instance, &address), "running"))
		return 0;
	return err_set(err, ERR_INVALID, "instance '%s' has ended and is not "
		"used again: delete it and create another", e->instance);
}

static int
version(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	(void)st;
	(void)e;
	(void)in;
	(void)err;
	buf_adds(out, FORGE_VERSION);
	return 0;
}

static int
interfaces(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	(void)st;
	(void)e;
	(void)in;
	(void)err;
	buf_adds(out, "[\"v0.1.0\",\"v0.1.1\"]");
	return 0;
}

static int
validate(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	const char *coded = getenv("GARM_POOL_EXTRASPECS");
	CLEANUP_JSON struct json *b = NULL, *extra = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;
	const char *image;
	int64_t memory;
	int cpus;

	(void)e;
	(void)out;
	if (coded && *coded &&
		(base64_decode(coded, strlen(coded), STDIN_MAX, &text) ||
			json_parse(text.s, text.len, &extra, err)))
		return err_set(err, ERR_INVALID,
			"$GARM_POOL_EXTRASPECS is not JSON in base64");
	if (!in->len)
		return garm_size("default", extra, &cpus, &memory, err);
	if (json_parse(in->s, in->len, &b, err) ||
		garm_size(json_str(b, "flavor", "default"), extra, &cpus,
			&memory, err))
		return -1;
	image = json_str(b, "image", "");
	return parse_name(image, "image", err) ||
			garm_forge_vm(st, (const char *[]){ "image", "show",
						  image, NULL }, NULL, err) ?
		-1 :
		0;
}

static int
config_schema(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	(void)st;
	(void)e;
	(void)in;
	(void)err;
	buf_adds(out, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\","
		"\"type\":\"object\",\"properties\":{"
		"\"state\":{\"type\":\"string\"},"
		"\"net\":{\"type\":\"string\"},"
		"\"runner-command\":{\"type\":\"string\"}},"
		"\"additionalProperties\":false}");
	return 0;
}

static int
specs_schema(struct state *st, const struct garm_env *e, struct buf *in,
	struct buf *out, struct err *err)
{
	(void)st;
	(void)e;
	(void)in;
	(void)err;
	buf_adds(out, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\","
		"\"type\":\"object\",\"properties\":{"
		"\"cpus\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":255},"
		"\"memory\":{\"type\":\"string\"}},"
		"\"additionalProperties\":false}");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct state *st, const struct garm_env *e, struct buf *in,
		struct buf *out, struct err *err);
	bool reads; /* stdin */
} commands[] = {
	{ "CreateInstance", create, true },
	{ "DeleteInstance", delete, false },
	{ "GetInstance", get, false },
	{ "ListInstances", list, false },
	{ "RemoveAllInstances", remove_all, false },
	{ "StartInstance", start, false },
	{ "Start", start, false },
	{ "StopInstance", stop, false },
	{ "Stop", stop, false },
	{ "GetVersion", version, false },
	{ "GetSupportedInterfaceVersions", interfaces, false },
	{ "ValidatePoolInfo", validate, true },
	{ "GetConfigJSONSchema", config_schema, false },
	{ "GetExtraSpecsJSONSchema", specs_schema, false },
};

int
garm_provide(const struct garm_env *e, int in_fd, struct buf *out,
	struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf in = BUF_INIT;
	size_t i = 0;

	while (i < ARRAY_SIZE(commands) &&
		strcmp(commands[i].name, e->command) != 0)
		i++;
	if (i == ARRAY_SIZE(commands))
		return err_set(err, ERR_INVALID,
			"the command '%.40s' is not known", e->command);
	if (commands[i].reads &&
		buf_read_fd(&in, in_fd, STDIN_MAX, "stdin", err))
		return -1;
	common.state = e->state;
	return state_open(&st, err) ||
			commands[i].run(st, e, &in, out, err) ?
		-1 :
		0;
}
