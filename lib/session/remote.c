#include "lib/session/remote.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum { URL_MAX = 1024, NAME_MAX_OURS = 40 };

void
remote_release(struct remote *r)
{
	free(r->url);
	free(r->host);
	free(r->path);
	free(r->name);
	*r = REMOTE_INIT;
}

static int
refuse(const char *text, const char *why, struct err *err)
{
	return err_set(err, ERR_USAGE, "repository '%.300s': %s", text, why);
}

static bool
visible(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return false;
	return true;
}

/* The part of a URL that names the host is what could be more than that. */
static bool
host_sound(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(".-_:[]", s[i]))
			return false;
	return n && s[0] != '-';
}

static bool
user_sound(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(".-_+", s[i]))
			return false;
	return n && s[0] != '-';
}

/* "[user@]host" of n bytes. */
static int
take_host(struct remote *r, const char *text, const char *s, size_t n,
	struct err *err)
{
	const char *at = memrchr(s, '@', n);

	if (at && r->kind == REMOTE_HTTP)
		return refuse(text, "no name or password in it: the token of "
			"an identity is used", err);
	if (at) {
		if (!user_sound(s, (size_t)(at - s)))
			return refuse(text, "that is no user's name", err);
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	if (!host_sound(s, n))
		return refuse(text, "that is no host's name", err);
	r->host = xstrndup(s, n);
	return 0;
}

static void
take_path(struct remote *r, const char *path)
{
	size_t n, i;
	const char *last;

	while (*path == '/')
		path++;
	n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	if (n > 4 && !strncmp(path + n - 4, ".git", 4))
		n -= 4;
	while (n && path[n - 1] == '/')
		n--;
	r->path = xstrndup(path, n);
	last = strrchr(r->path, '/');
	r->name = xstrndup(last ? last + 1 : r->path, NAME_MAX_OURS);
	for (i = 0; r->name[i]; i++)
		if (!isalnum((unsigned char)r->name[i]) &&
			(!i || !strchr("._-", r->name[i])))
			r->name[i] = '_';
	if (!*r->name) {
		free(r->name);
		r->name = xstrdup("repo");
	}
}

static bool
is_loopback(const char *host)
{
	return !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5) ||
		!strcmp(host, "localhost") || !strncmp(host, "localhost:", 10);
}

static int
from_path(const char *path, struct remote *r, struct err *err)
{
	r->kind = REMOTE_FILE;
	r->url = realpath(path, NULL);
	if (!r->url)
		return err_sys(err, "repository '%.300s'", path);
	r->host = xstrdup("");
	take_path(r, r->url);
	return 0;
}

static int
from_url(const char *text, size_t scheme, struct remote *r, struct err *err)
{
	const char *host = text + scheme + strlen("://");
	const char *path = strchrnul(host, '/');

	if (scheme == 4 && !strncmp(text, "file", 4))
		return host[0] == '/' ? from_path(host, r, err) :
			refuse(text, "file:// wants an absolute path", err);
	if (scheme == 3 && !strncmp(text, "ssh", 3))
		r->kind = REMOTE_SSH;
	else if ((scheme == 5 && !strncmp(text, "https", 5)) ||
		(scheme == 4 && !strncmp(text, "http", 4)))
		r->kind = REMOTE_HTTP;
	else
		return refuse(text, "its protocol is none of ssh, https and "
			"file", err);
	if (take_host(r, text, host, (size_t)(path - host), err))
		return -1;
	if (r->kind == REMOTE_HTTP && scheme == 4 && !is_loopback(r->host))
		return refuse(text, "http is for this machine alone: use "
			"https", err);
	take_path(r, path);
	r->url = xstrdup(text);
	return 0;
}

/* "[user@]host:path"; n bytes stand before the colon. */
static int
from_scp(const char *text, size_t n, struct remote *r, struct err *err)
{
	r->kind = REMOTE_SSH;
	if (text[n + 1] == ':')
		return refuse(text, "helpers of git are not used", err);
	if (take_host(r, text, text, n, err))
		return -1;
	take_path(r, text + n + 1);
	r->url = xstrdup(text);
	return 0;
}

static void
take_hash(struct remote *r)
{
	unsigned char md[32];
	size_t i, n = sizeof(md);

	if (!EVP_Q_digest(NULL, "SHA256", NULL, r->url, strlen(r->url), md,
		    &n))
		BUG("libcrypto has no SHA-256");
	for (i = 0; i < 8; i++)
		(void)snprintf(r->hash + 2 * i, 3, "%02x", md[i]);
}

int
remote_parse(const char *text, struct remote *ret, struct err *err)
{
	CLEANUP_REMOTE struct remote r = REMOTE_INIT;
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	int rc;

	if (!*text || *text == '-' || strlen(text) > URL_MAX || !visible(text))
		return refuse(text, "that is no address", err);
	if (colon && !strncmp(colon, "://", 3))
		rc = from_url(text, n, &r, err);
	else if (colon && !memchr(text, '/', n))
		rc = from_scp(text, n, &r, err);
	else
		rc = from_path(text, &r, err);
	if (rc)
		return -1;
	if (!*r.path && r.kind != REMOTE_FILE)
		return refuse(text, "it names no repository on that host",
			err);
	take_hash(&r);
	*ret = r;
	r = REMOTE_INIT;
	return 0;
}
