/*
 * Without arguments: what the client refuses before it calls anybody.
 * As "github_client NAME CALL [ARG...]" (NAME "-": the only one): one call
 * for tests/cli/github-client.bats, its result on stdout.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/cmd.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/runner/github.h"
#include "lib/state/state.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static int
show_runner(const struct github_runner *r)
{
	printf("%" PRId64 " %s %s %s\n", r->id, r->name,
		r->online ? "online" : "offline", r->busy ? "busy" : "idle");
	return 0;
}

static int
show_json(struct json *j)
{
	CLEANUP_FREE char *text = json_text(j);

	puts(text);
	json_free(j);
	return 0;
}

static int
call_jit(struct github *gh, char **arg, struct err *err)
{
	CLEANUP_JSON struct json *labels = json_array();
	CLEANUP_ARGV struct argv list = ARGV_INIT;
	CLEANUP_FREE char *jit = NULL;
	int64_t id;
	size_t i;

	argv_splitc(&list, arg[3], ',');
	for (i = 0; i < list.n; i++)
		json_push_str(labels, list.v[i]);
	if (github_jit(gh, arg[0], arg[1], strtoll(arg[2], NULL, 10), labels,
		&id, &jit, err))
		return -1;
	printf("%" PRId64 " %s\n", id, jit);
	return 0;
}

static int
call_find(struct github *gh, char **arg, struct err *err)
{
	struct github_runner r;

	return github_runner_find(gh, arg[0], arg[1], &r, err) ? -1 :
		show_runner(&r);
}

static int
call_get(struct github *gh, char **arg, struct err *err)
{
	struct github_runner r;

	return github_runner_get(gh, arg[0], strtoll(arg[1], NULL, 10), &r,
		err) ? -1 : show_runner(&r);
}

static int
call_remove(struct github *gh, char **arg, struct err *err)
{
	return github_runner_remove(gh, arg[0], strtoll(arg[1], NULL, 10),
		err);
}

static int
call_group(struct github *gh, char **arg, struct err *err)
{
	int64_t id;

	if (github_group(gh, arg[0], arg[1], &id, err))
		return -1;
	printf("%" PRId64 "\n", id);
	return 0;
}

static int
call_job(struct github *gh, char **arg, struct err *err)
{
	struct json *j;

	return github_job(gh, arg[0], strtoll(arg[1], NULL, 10), &j, err) ?
		-1 : show_json(j);
}

static int
call_rate(struct github *gh, char **arg, struct err *err)
{
	struct json *j;

	(void)arg;
	return github_rate(gh, &j, err) ? -1 : show_json(j);
}

/* Two accounts with one client: "both SCOPE NAME SCOPE NAME" */
static int
call_both(struct github *gh, char **arg, struct err *err)
{
	return call_find(gh, arg, err) || call_find(gh, arg + 2, err) ||
		call_find(gh, arg, err) ? -1 : 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(struct github *gh, char **arg, struct err *err);
} calls[] = {
	{ "jit", 4, call_jit }, { "find", 2, call_find },
	{ "get", 2, call_get }, { "remove", 2, call_remove },
	{ "group", 2, call_group }, { "job", 2, call_job },
	{ "rate", 0, call_rate }, { "both", 4, call_both },
};

static int
drive(int argc, char **argv)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_GITHUB struct github *gh = NULL;
	struct err err = ERR_INIT;
	size_t i;
	const char *patience = getenv("PATIENCE");

	main_init("github_client");
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (argc > 2 && !strcmp(calls[i].name, argv[2]) &&
			argc == 3 + calls[i].args)
			break;
	if (i == ARRAY_SIZE(calls))
		return EXIT_USAGE;
	if (state_open(&st, &err) ||
		github_open(st, strcmp(argv[1], "-") ? argv[1] : NULL, &gh,
			&err))
		return err_print(&err);
	github_set_patience(gh, patience ? strtoll(patience, NULL, 10) : 3000);
	if (calls[i].run(gh, argv + 3, &err))
		return err_print(&err);
	return 0;
}

static void
test_scopes(void)
{
	static const char *const good[] = {
		"repo:a/b", "repo:acme/.github", "repo:a-b/c.d_e", "org:acme",
		"enterprise:big-corp",
	};
	static const char *const bad[] = {
		"", "acme", "repo:", "repo:a", "repo:a/", "repo:/b",
		"repo:a/b/c", "repo:a/..", "repo:../b", "repo:a b/c", "org:",
		"org:a/b", "org:a?b", "org:.", "team:a", "Org:a",
		"enterprise:a%2fb", "repo:a/b\n",
	};
	char text[200] = "org:";
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		ok(!scope_check(good[i], &err), good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		err = ERR_INIT;
		ok(scope_check(bad[i], &err) == -1 && err.code == ERR_USAGE,
			"not a scope");
		printf("# %s\n", err.msg);
	}
	memset(text + 4, 'a', 101);
	ok(scope_check(text, &err) == -1, "101 bytes are too many");
	text[104] = '\0';
	ok(!scope_check(text, &err), "100 are not");
}

static void
test_urls(void)
{
	static const char *const good[] = {
		"https://api.github.com", "https://ghe.example:8443/api/v3",
		"http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:1",
	};
	static const char *const bad[] = {
		"", "api.github.com", "http://api.github.com",
		"http://127.0.0.1.example.com", "http://127.0.0.1@example.com",
		"http://localhost.example.com", "https://user@example.com",
		"https://user:pass@example.com", "file:///etc/passwd",
		"ftp://127.0.0.1", "http://10.0.2.2", "http://",
	};
	struct err err = ERR_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		ok(!http_check_url(good[i], &err), good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		err = ERR_INIT;
		ok(http_check_url(bad[i], &err) == -1 &&
			err.code == ERR_INVALID && !strstr(err.msg, "pass@"),
			"not a URL to call");
		printf("# %s: %s\n", bad[i], err.msg);
	}
	http_escape(&b, "a-b._~Z9 /?&=%\n\xc3\xa9");
	is_str(b.s, "a-b._~Z9%20%2F%3F%26%3D%25%0A%C3%A9", "escaped");
}

/* Open name with this text as the configuration. */
static void
opened(const char *config, const char *name, enum err_code code,
	const char *message)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_GITHUB struct github *gh = NULL;
	struct err err = ERR_INIT;

	tmp_write("config", config);
	if (state_open(&st, &err) || github_open(st, name, &gh, &err))
		is_str(err.msg, message, "is told");
	is_int(err.code, code, "a configuration is judged");
}

static void
test_configs(void)
{
	setenv("FORGE_STATE", "state", 1);
	setenv("FORGE_CONFIG", "config", 1);
	opened("", NULL, ERR_NOTFOUND,
		"no [github \"NAME\"] is configured");
	opened("[github \"a\"]\ntoken-file = t\n", NULL, ERR_NONE, "");
	opened("[github \"a\"]\napp-id = 1\nkey-file = k\n", "a", ERR_NONE,
		"");
	opened("[github \"a\"]\n\ttoken-file = t\n", "b", ERR_NOTFOUND,
		"no [github \"b\"] is configured, only: a");
	opened("[github \"a\"]\n\tapi = x\n[github \"b\"]\n\tapi = y\n", NULL,
		ERR_USAGE, "several [github \"NAME\"] are configured, say "
		"which: a, b");
	opened("[github \"a\"]\n\tapp-id = 1\n", "a", ERR_INVALID,
		"github 'a' has only one of app-id and key-file");
	opened("[github \"a\"]\n\tinstallation-id = 5\n", "a", ERR_INVALID,
		"github 'a' needs either app-id and key-file, or token-file");
	opened("[github \"a\"]\n\tinstallation-id = -5\n", "a", ERR_INVALID,
		"github 'a': installation-id must be above 0");
	opened("[github \"a\"]\n\tapp-id = 1\n\tkey-file = k\n"
		"\ttoken-file = t\n", "a", ERR_INVALID,
		"github 'a' needs either app-id and key-file, or token-file");
	opened("[github \"a\"]\n\ttoken-file = t\n"
		"\tapi = http://ghe.example/api/v3\n", "a",
		ERR_INVALID, "api of github 'a': 'http://ghe.example' would "
		"send secrets in the clear: use https");
	opened("[github \"a\"]\n\ttoken-file = t\n"
		"\tapi = https://me:word@ghe.example\n", "a",
		ERR_INVALID, "api of github 'a': a URL with a user or "
		"password in it");
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return drive(argc, argv);
	tmp_enter();
	test_scopes();
	test_urls();
	test_configs();
	tmp_leave();
	return done();
}
