#include "lib/session/policy_internal.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* ---- paths ---- */

/* "/a/./b/../c" becomes "/a/c"; path is absolute.  Caller frees. */
static char *
clean(const char *path)
{
	struct argv parts = ARGV_INIT;
	struct buf b = BUF_INIT;
	size_t i, n = 0;

	argv_splitc(&parts, path, '/');
	for (i = 0; i < parts.n; i++) {
		if (!strcmp(parts.v[i], "."))
			continue;
		if (!strcmp(parts.v[i], "..")) {
			n -= n > 0;
			continue;
		}
		if (n != i) {
			char *swap = parts.v[n];

			parts.v[n] = parts.v[i];
			parts.v[i] = swap;
		}
		n++;
	}
	for (i = 0; i < n; i++)
		buf_addf(&b, "/%s", parts.v[i]);
	if (!n)
		buf_addc(&b, '/');
	argv_release(&parts);
	return buf_detach(&b);
}

/*
 * What the kernel would open or make: links of the part that exists are
 * followed, and nothing below it can be a link.
 */
static char *
resolve(const char *path)
{
	CLEANUP_FREE char *head = xstrdup(path);
	size_t n = strlen(head);

	while (n) {
		CLEANUP_FREE char *real = NULL;
		CLEANUP_FREE char *whole = NULL;

		head[n] = '\0';
		real = realpath(head, NULL);
		if (real) {
			whole = xasprintf("%s/%s", real, path + n);
			return clean(whole);
		}
		while (n && head[n - 1] != '/')
			n--;
		while (n && head[n - 1] == '/')
			n--;
	}
	return clean(path);
}

static void
add_path(const struct policy_use *use, const char *s, struct argv *ret)
{
	CLEANUP_FREE char *path = NULL;
	CLEANUP_FREE char *lexical = NULL;
	CLEANUP_FREE char *real = NULL;

	if (!*s || strlen(s) >= PATH_MAX)
		return;
	if (!strncmp(s, "file://", 7))
		s += 7;
	if (s[0] == '~' && s[1] == '/' && use->home)
		path = xasprintf("%s%s", use->home, s + 1);
	else
		path = *s == '/' ? xstrdup(s) :
				   xasprintf("%s/%s", use->cwd, s);
	lexical = clean(path);
	argv_push(ret, lexical);
	if (!use->resolve)
		return;
	real = resolve(path);
	if (strcmp(real, lexical) != 0)
		argv_push(ret, real);
}

/* [{"path": ...}, ...], as ACP names what a tool call touches. */
static void
add_locations(const struct policy_use *use, struct argv *ret)
{
	CLEANUP_JSON struct json *list = json_get(use->input, "locations");
	size_t i, n = list ? json_len(list, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *at = json_at(list, i);

		add_path(use, json_str(at, "path", ""), ret);
	}
}

void
paths_of(const struct policy_use *use, struct argv *ret)
{
	static const char *const keys[] = { "file_path", "path",
		"notebook_path", "filePath", "absolute_path", "filename",
		"file", "dir_path", "source", "destination", "old_path",
		"new_path" };
	CLEANUP_FREE char *text = NULL;
	size_t i;

	if (!use->input)
		return;
	text = json_text(use->input);
	if (strstr(text, "\\u0000")) /* what stands behind we would not see */
		return;
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		add_path(use, json_str(use->input, keys[i], ""), ret);
	add_locations(use, ret);
}

/* base and pattern as one pattern, with what is special in base escaped. */
static char *
below(const char *base, const char *pattern)
{
	struct buf b = BUF_INIT;

	for (; *base; base++) {
		if (strchr("*?\\", *base))
			buf_addc(&b, '\\');
		buf_addc(&b, *base);
	}
	while (b.len && b.s[b.len - 1] == '/')
		buf_setlen(&b, b.len - 1);
	buf_addf(&b, "/%s", pattern);
	return buf_detach(&b);
}

/* "DIR/" is all below it. */
static bool
match_tree(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);
	CLEANUP_FREE char *all = NULL;

	if (n < 2 || pattern[n - 1] != '/')
		return glob_match(pattern, path, true);
	all = xasprintf("%s**", pattern);
	return glob_match(all, path, true);
}

bool
path_match(const char *pattern, const char *path,
	const struct policy_use *use)
{
	CLEANUP_FREE char *whole = NULL;
	CLEANUP_FREE char *real = NULL;
	CLEANUP_FREE char *again = NULL;

	if (*pattern == '/')
		return match_tree(pattern, path);
	if (pattern[0] == '~' && pattern[1] == '/') {
		if (!use->home)
			return false;
		whole = below(use->home, pattern + 2);
		return match_tree(whole, path);
	}
	if (pattern[0] == '.' && pattern[1] == '/')
		pattern += 2;
	whole = below(use->cwd, pattern);
	if (match_tree(whole, path))
		return true;
	real = use->resolve ? realpath(use->cwd, NULL) : NULL;
	if (!real)
		return false;
	again = below(real, pattern);
	return match_tree(again, path);
}

/* ---- hosts ---- */

char *
host_of(const struct json *input)
{
	CLEANUP_FREE char *text = json_text(input);
	const char *url = json_str(input, "url", ""), *end;
	CLEANUP_FREE char *host = NULL;
	size_t i, n;

	if (strstr(text, "\\u0000"))
		return NULL;
	if (!strncmp(url, "https://", 8))
		url += 8;
	else if (!strncmp(url, "http://", 7))
		url += 7;
	else
		return NULL;
	n = strspn(url, "abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	end = url + n;
	if (*end == ':')
		end += 1 + strspn(end + 1, "0123456789");
	/* Anything else (user@, a backslash) is read differently elsewhere. */
	if (!n || (*end && !strchr("/?#", *end)))
		return NULL;
	if (url[n - 1] == '.')
		n--;
	host = xstrndup(url, n);
	for (i = 0; i < n; i++)
		host[i] = (char)tolower((unsigned char)host[i]);
	return steal_ptr(&host);
}
