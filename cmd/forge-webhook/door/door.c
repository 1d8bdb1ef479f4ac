/*
 * forge-webhook as it is installed: static, small, and up in a fraction of a
 * millisecond, since a web server starts one for every delivery.
 *
 * It takes what GitHub sends nearly always, a signed JSON body of
 * workflow_job, and writes it to the spool.  Anything else, and everything
 * that is not a CGI request, is for the whole program: libexec/webhook, which
 * it becomes, and which answers the same.  It needs the cache of the
 * configuration that the whole program leaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/net/web.h"
#include "lib/runner/delivery.h"
#include "lib/runner/spool.h"
#include "lib/state/config_cache.h"
#include "lib/trust/hmac.h"
#include "lib/base/banned.h"

/* For messages; with it here, the command line's part is not linked in. */
const char *program_name = "forge-webhook";

/* A longer body is rare enough to be left to the whole program. */
enum { BODY_MAX = 1 << 20, SECRET_MAX = 4096 };

struct door {
	int state; /* the directory */
	struct argv sections, files; /* [github] with a secret, and its file */
	bool direct; /* webhook.direct: not for us */
};

/* Become the whole program, which reads in; never comes back. */
static _Noreturn void
whole(char **argv)
{
	struct err err = ERR_INIT;
	char *path;

	if (find_helper("webhook", &path, &err))
		_exit(err_print(&err));
	(void)execv(path, argv);
	fprintf(stderr, "forge-webhook: cannot run '%s': %s\n", path,
		strerror(errno));
	_exit(EXIT_FAILED);
}

/* The same when the body has been read already. */
static _Noreturn void
whole_with(const struct buf *body, char **argv)
{
	int fd = memfd_create("body", MFD_CLOEXEC); /* its copy is 0 */

	if (fd < 0 || write_all(fd, body->s, body->len) ||
		lseek(fd, 0, SEEK_SET) || dup2(fd, STDIN_FILENO) < 0) {
		fprintf(stderr, "forge-webhook: memfd: %s\n", strerror(errno));
		_exit(EXIT_FAILED);
	}
	whole(argv);
}

/* ---- the state ---- */

/* As state_open(), but it makes nothing: where there is a cache of the
 * configuration, there is a state. */
static bool
open_state(struct door *d)
{
	const char *path = getenv("FORGE_STATE");
	struct stat s;

	if (!path || *path != '/')
		return false;
	d->state = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->state >= 0 && !fstat(d->state, &s) &&
		s.st_uid == geteuid() && !(s.st_mode & (S_IWGRP | S_IWOTH));
}

static void
set_secret(struct door *d, const char *section, const char *file)
{
	size_t i;

	for (i = 0; i < d->sections.n; i++)
		if (!strcmp(d->sections.v[i], section)) {
			free(d->files.v[i]); /* the last one wins */
			d->files.v[i] = xstrdup(file);
			return;
		}
	argv_push(&d->sections, section);
	argv_push(&d->files, file);
}

static void
take_setting(size_t unused, const char *name, const char *value, void *arg)
{
	static const char first[] = "github.", last[] = ".webhook-secret-file";
	size_t n = strlen(name), a = strlen(first), z = strlen(last);
	struct door *d = arg;

	(void)unused;
	if (!strncasecmp(name, "webhook.", 8))
		d->direct = true; /* any setting there is for the other */
	if (n > a + z && !strncasecmp(name, first, a) &&
		!strcasecmp(name + n - z, last)) {
		CLEANUP_FREE char *section = xstrndup(name + a, n - a - z);

		set_secret(d, section, value);
	}
}

static bool
read_config(struct door *d)
{
	const char *first = getenv("FORGE_CONFIG");
	CLEANUP_FREE char *second = xasprintf("%s/config",
		getenv("FORGE_STATE"));
	CLEANUP_FREE char *global = xstrdup(first && *first ? first :
		"/etc/forge/config");
	char *files[] = { global, second };
	CLEANUP_BUF struct buf stamp = BUF_INIT;

	return config_stamp(files, ARRAY_SIZE(files), &stamp) &&
		config_cache_load(d->state, CONFIG_CACHE, &stamp, take_setting, d) &&
		!d->direct && d->files.n;
}

/* ---- the request ---- */

static bool
is_usual(void)
{
	const char *method = getenv("REQUEST_METHOD");
	const char *type = getenv("CONTENT_TYPE");
	const char *length = getenv("CONTENT_LENGTH");
	const char *event = getenv("HTTP_X_GITHUB_EVENT");
	const char *guid = getenv("HTTP_X_GITHUB_DELIVERY");
	struct err unused = ERR_INIT;
	int64_t n;

	return method && !strcmp(method, "POST") && type &&
		!strcasecmp(type, "application/json") && length &&
		!parse_i64(length, 1, BODY_MAX, "length", &n, &unused) &&
		event && !strcmp(event, "workflow_job") && guid &&
		spool_word(guid);
}

/* 1 it fits one, and *ret_hook is whose; 0 none; -1 a secret cannot be
 * read. */
static int
verify(const struct door *d, const unsigned char want[HMAC_SIZE],
	const struct buf *body, const char **ret_hook)
{
	struct err unused = ERR_INIT;
	size_t i;

	for (i = 0; i < d->files.n; i++) {
		CLEANUP_BUF struct buf key = BUF_INIT;
		unsigned char mac[HMAC_SIZE];

		if (fs_read(AT_FDCWD, d->files.v[i], SECRET_MAX, &key,
			    &unused))
			return -1;
		while (key.len && strchr("\r\n", key.s[key.len - 1]))
			buf_setlen(&key, key.len - 1);
		if (!key.len || hmac_sha256(key.s, key.len, body->s,
				body->len, mac, &unused))
			return -1;
		if (hmac_equal(mac, want)) {
			*ret_hook = d->sections.v[i];
			return 1;
		}
	}
	return 0;
}

static int
answer(struct web *w, int status, const char *text)
{
	struct err err = ERR_INIT;

	return web_answer(w, status, NULL, text, &err) ? err_print(&err) : 0;
}

static int
receive(const struct door *door, const unsigned char want[HMAC_SIZE],
	char **argv)
{
	struct delivery d = { .guid = getenv("HTTP_X_GITHUB_DELIVERY"),
		.event = "workflow_job", .received_at = clock_wall() };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	CLEANUP_FREE char *text = xasprintf("{\"spooled\":\"%s\"}", d.guid);
	struct err err = ERR_INIT;
	struct web w;
	int fits;

	/* A client that went away must not end us before it is kept. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	web_open(&w, true, STDIN_FILENO, STDOUT_FILENO);
	if (web_head(&w, &err) || web_length(&w, BODY_MAX, &err) ||
		web_body(&w, &err))
		whole_with(&w.body, argv);
	fits = verify(door, want, &w.body, &d.hook);
	if (!fits)
		return answer(&w, 401,
			"{\"error\":\"the signature does not match\"}");
	d.body = w.body.s;
	d.n = w.body.len;
	if (fits < 0 || spool_write(door->state, &d, &err))
		whole_with(&w.body, argv);
	return answer(&w, 202, text);
}

int
main(int argc, char **argv)
{
	struct door d = { .state = -1, .sections = ARGV_INIT,
		.files = ARGV_INIT };
	const char *signature = getenv("HTTP_X_HUB_SIGNATURE_256");
	unsigned char want[HMAC_SIZE];

	(void)argc;
	if (!getenv("GATEWAY_INTERFACE") || !is_usual() || !signature ||
		!hmac_parse(signature, want) || !open_state(&d) ||
		!read_config(&d))
		whole(argv);
	return receive(&d, want, argv);
}
