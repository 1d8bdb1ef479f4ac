#include "lib/runner/garm_provider.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/proc.h"
#include "lib/base/tell.h"
#include "lib/net/http.h"
#include "lib/runner/garm.h"
#include "lib/state/state.h"
#include "lib/trust/base64.h"
#include "lib/base/banned.h"

#define FILE_MAX 65536 /* of a credential file */
#define BUNDLE_MAX (1u << 20)
#define VM_TIMEOUT 120000 /* ms for forge-vm to answer */

/* In the guest: take the secret, become the listener. */
static const char script[] =
	"IFS= read -r ACTIONS_RUNNER_INPUT_JITCONFIG || exit 125; "
	"export ACTIONS_RUNNER_INPUT_JITCONFIG; exec \"$@\" </dev/null";

int
garm_forge_vm(struct state *st, const char *const *args, struct buf *out,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_FREE char *path = NULL;

	if (find_program("forge-vm", &path, err))
		return -1;
	argv_push(&p.argv, path);
	argv_pushv(&p.argv, args);
	argv_pushf(&p.env, "FORGE_STATE=%s", state_path(st));
	return proc_run(&p, NULL, out, 1 << 20, VM_TIMEOUT, err);
}

int
garm_size(const char *flavor, const struct json *extra, int *ret_cpus,
	int64_t *ret_memory, struct err *err)
{
	const char *x = strchr(flavor, 'x'), *memory = NULL;
	int64_t cpus = 2;

	*ret_memory = (int64_t)2 << 30;
	if (strcmp(flavor, "default") != 0 && *flavor) {
		CLEANUP_FREE char *n = NULL;

		if (!x)
			return err_set(err, ERR_INVALID, "flavor '%.40s' is "
				"not CPUSxMEMORY, for example 2x4G", flavor);
		n = xstrndup(flavor, (size_t)(x - flavor));
		if (parse_i64(n, 1, 255, "flavor: CPUs", &cpus, err))
			return -1;
		memory = x + 1;
	}
	if (extra) {
		cpus = json_int(extra, "cpus", cpus);
		memory = json_str(extra, "memory", memory);
	}
	if (cpus < 1 || cpus > 255)
		return err_set(err, ERR_INVALID,
			"extra_specs: cpus is not 1 to 255");
	*ret_cpus = (int)cpus;
	return memory ? parse_size(memory, 64 << 20, (int64_t)1 << 42,
				"flavor: memory", ret_memory, err) :
			0;
}

/* ---- garm's HTTP ---- */

struct garm_api {
	struct http *http;
	struct argv headers;
	char *ca_file; /* temporary, or NULL */
};

static void
api_close(struct garm_api *a)
{
	if (a->ca_file)
		(void)unlink(a->ca_file); /* ours, in a private directory */
	free(a->ca_file);
	argv_release(&a->headers);
	http_close(a->http);
}

/* A garm with a CA of its own sends the certificates along. */
static int
write_bundle(struct state *st, const char *name, const char *base64,
	char **ret, struct err *err)
{
	CLEANUP_BUF struct buf pem = BUF_INIT;
	CLEANUP_FREE char *path = xasprintf("garm/.%s.pem", name);

	if (base64_decode(base64, strlen(base64), BUNDLE_MAX, &pem))
		return err_set(err, ERR_INVALID,
			"ca-cert-bundle is not base64");
	if (fs_replace(state_dir(st), path, pem.s, pem.len, 0600, err))
		return -1;
	*ret = xasprintf("%s/%s", state_path(st), path);
	return 0;
}

static int
api_open(struct state *st, const struct json *b, struct garm_api *ret,
	struct err *err)
{
	const char *bundle = json_str(b, "ca-cert-bundle", "");
	const char *token = json_str(b, "instance-token", "");

	*ret = (struct garm_api){ .headers = ARGV_INIT };
	if (strpbrk(token, "\r\n"))
		return err_set(err, ERR_INVALID,
			"instance-token is no header's value");
	argv_pushf(&ret->headers, "Authorization: Bearer %s", token);
	argv_push(&ret->headers, "Accept: application/json");
	if (*bundle && write_bundle(st, json_str(b, "name", ""), bundle,
			       &ret->ca_file, err))
		return -1;
	return http_open(ret->ca_file, &ret->http, err);
}

static int
fetch(struct garm_api *a, const struct json *b, const char *what,
	struct buf *ret, struct err *err)
{
	CLEANUP_ANSWER struct http_answer answer = HTTP_ANSWER_INIT;
	const char *base = json_str(b, "metadata-url", "");
	CLEANUP_FREE char *url = xasprintf("%s%s%s", base,
		*base && base[strlen(base) - 1] == '/' ? "" : "/", what);
	struct http_request q = { .method = "GET", .url = url,
		.headers = &a->headers, .max = FILE_MAX };

	if (http_call(a->http, &q, &answer, err))
		return err_wrap(err, "garm's metadata");
	if (answer.status != 200)
		return err_set(err, ERR_NET, "garm answers %d for '%s'",
			answer.status, what);
	buf_add(ret, answer.body.s, answer.body.len);
	return 0;
}

/* Best effort: garm also learns of the runner from GitHub. */
static void
tell(struct garm_api *a, const struct json *b, const char *status,
	const char *message)
{
	CLEANUP_ANSWER struct http_answer answer = HTTP_ANSWER_INIT;
	const char *base = json_str(b, "callback-url", "");
	size_t n = strlen(base) - (*base && base[strlen(base) - 1] == '/');
	bool whole = n > 7 && !strncmp(base + n - 7, "/status", 7);
	CLEANUP_FREE char *url = xasprintf("%.*s%s", (int)n, base,
		whole ? "" : "/status");
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_BUF struct buf body = BUF_INIT;
	struct http_request q = { .method = "POST", .url = url,
		.headers = &a->headers, .body = &body, .max = FILE_MAX };
	struct err err = ERR_INIT;

	if (!*base)
		return;
	json_put_str(o, "status", status);
	json_put_str(o, "message", message);
	json_put(o, "agent_id", NULL);
	json_write(o, &body);
	if (http_call(a->http, &q, &answer, &err))
		return;
}

/* ---- the runner ---- */

/*
 * The listener takes its files as one value: base64 of an object from names
 * to contents, those in base64 too.
 */
static int
fetch_jit(struct garm_api *a, const struct json *b, struct buf *ret,
	struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL;
	size_t i;

	for (i = 0; i < GARM_FILES; i++) {
		CLEANUP_BUF struct buf content = BUF_INIT, coded = BUF_INIT;

		if (fetch(a, b, garm_files[i].what, &content, err))
			return -1;
		base64_add(&coded, content.s, content.len);
		json_put_str(o, garm_files[i].file, coded.s);
	}
	text = json_text(o);
	base64_add(ret, text, strlen(text));
	buf_addc(ret, '\n');
	return 0;
}

/* What the guest gets as stdin: nobody has to stay to write it. */
static int
secret_fd(const struct buf *line, int *ret, struct err *err)
{
	CLEANUP_CLOSE int fd = memfd_create("jit", MFD_CLOEXEC);

	if (fd < 0 || write_all(fd, line->s, line->len) ||
		lseek(fd, 0, SEEK_SET))
		return err_sys(err, "cannot keep the credentials");
	*ret = steal_fd(&fd);
	return 0;
}

static int
push_vm(struct proc *p, const struct garm_env *e, const struct json *b,
	int notify, struct err *err)
{
	CLEANUP_JSON struct json *extra = json_get(b, "extra_specs");
	CLEANUP_FREE char *path = NULL;
	int64_t memory;
	int cpus;

	if (garm_size(json_str(b, "flavor", "default"), extra, &cpus, &memory,
		    err) ||
		find_program("forge-vm", &path, err))
		return -1;
	argv_push(&p->argv, path);
	argv_push(&p->argv, "run");
	argv_pushf(&p->argv, "--name=%s", json_str(b, "name", ""));
	argv_pushf(&p->argv, "--image=%s", json_str(b, "image", ""));
	argv_pushf(&p->argv, "--cpus=%d", cpus);
	argv_pushf(&p->argv, "--memory=%" PRId64, memory);
	argv_pushf(&p->argv, "--notify-fd=%d", notify);
	if (e->net)
		argv_pushf(&p->argv, "--net=%s", e->net);
	argv_pushv(&p->argv, (const char *[]){ "--", "sh", "-c", script, "sh",
				     NULL });
	argv_split(&p->argv, e->runner_command ? e->runner_command :
		"/opt/actions-runner/bin/Runner.Listener run");
	return 0;
}

/* Wait for the line that says that the VM is up, or for the end of it. */
static int
await_ready(int notify, struct child *vm, int log, struct err *err)
{
	CLEANUP_BUF struct buf said = BUF_INIT;
	struct proc_status status;
	const char *last;
	char c;

	if (read(notify, &c, 1) == 1)
		return 0;
	if (proc_wait(vm, -1, &status, err))
		return -1;
	if (lseek(log, 0, SEEK_SET) < 0 ||
		buf_read_some(&said, log, 4096) < 0)
		return err_sys(err, "cannot read what forge-vm said");
	buf_rtrim(&said);
	last = strrchr(said.s, '\n');
	return err_set(err, ERR_PLACE, "%s", last ? last + 1 : said.s);
}

static int
boot(struct state *st, const struct garm_env *e, const struct json *b,
	const struct buf *jit, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("garm/%s.log",
		json_str(b, "name", ""));
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_CLOSE int in = -1, log = -1, ready = -1, notify = -1;
	struct child vm = CHILD_INIT;
	int fds[2], rc;

	log = openat(state_dir(st), path,
		O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || pipe2(fds, O_CLOEXEC))
		return err_sys(err, "cannot open '%s'", path);
	ready = fds[0];
	notify = fds[1];
	if (secret_fd(jit, &in, err) || push_vm(&p, e, b, notify, err))
		return -1;
	argv_pushf(&p.env, "FORGE_STATE=%s", state_path(st));
	p.in = in;
	p.out = p.err = log;
	p.new_session = true;
	p.pass[p.npass++] = notify;
	if (proc_spawn(&p, &vm, err))
		return -1;
	(void)close(steal_fd(&notify)); /* a pipe */
	rc = await_ready(ready, &vm, log, err);
	child_close(&vm);
	return rc;
}

static int
write_note(struct state *st, const char *name, const struct json *note,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("garm/%s", name);
	CLEANUP_FREE char *text = json_text(note);

	if (fs_mkdirs(state_dir(st), "garm", 0700, err))
		return -1;
	if (fs_exists(state_dir(st), path))
		return err_set(err, ERR_EXISTS,
			"there is an instance '%s' already", name);
	return fs_replace(state_dir(st), path, text, strlen(text), 0600, err);
}

static int
check(const struct json *b, struct err *err)
{
	if (parse_name(json_str(b, "name", ""), "name", err) ||
		parse_name(json_str(b, "image", ""), "image", err))
		return -1;
	if (strcmp(json_str(b, "os_type", "linux"), "linux") != 0)
		return err_set(err, ERR_INVALID, "os_type is not linux");
	if (!json_bool(b, "jit_config_enabled", false))
		return err_set(err, ERR_INVALID, "the pool has no JIT "
			"configuration: garm's disable_jit_config must be off");
	return 0;
}

int
garm_create(struct state *st, const struct garm_env *e, const struct json *b,
	struct json **ret, struct err *err)
{
	CLEANUP_BUF struct buf jit = BUF_INIT;
	struct garm_api api = { .headers = ARGV_INIT };
	struct json *note;
	int rc;

	if (check(b, err))
		return -1;
	note = json_object();
	json_put_str(note, "pool", e->pool);
	json_put_str(note, "controller", e->controller);
	json_put_str(note, "image", json_str(b, "image", ""));
	json_put_str(note, "arch", json_str(b, "arch", "amd64"));
	if (write_note(st, json_str(b, "name", ""), note, err)) {
		json_free(note);
		return -1;
	}
	rc = api_open(st, b, &api, err) || fetch_jit(&api, b, &jit, err) ||
			boot(st, e, b, &jit, err) ?
		-1 :
		0;
	if (api.http)
		tell(&api, b, rc ? "failed" : "idle",
			rc ? err->msg : "the runner's VM is up");
	api_close(&api);
	explicit_bzero(jit.s, jit.len);
	*ret = note;
	if (rc) {
		json_free(note);
		*ret = NULL;
	}
	return rc;
}
