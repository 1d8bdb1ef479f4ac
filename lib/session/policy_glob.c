#include "lib/session/policy_internal.h"

#include <string.h>

#include "lib/base/banned.h"

/*
 * Where to go on when the text does not fit: the pattern behind the star,
 * and the text behind what the star has taken so far.
 */
struct back {
	const char *pattern, *text;
	bool whole_parts; /* of "**" + "/": it ends where a part begins */
};

static bool
take_more(struct back *b, bool slashes)
{
	if (!b->pattern || !*b->text)
		return false;
	if (!slashes && *b->text == '/')
		return false;
	if (!b->whole_parts) {
		b->text++;
		return true;
	}
	b->text = strchr(b->text, '/');
	if (!b->text) {
		b->pattern = NULL;
		return false;
	}
	b->text++;
	return true;
}

/* One character of the pattern, which is no star, against one of the text;
 * returns how much of the pattern it was, 0 when they differ. */
static size_t
one(const char *p, char c, bool paths)
{
	if (*p == '\\' && p[1] && strchr(paths ? "*?\\" : "*\\", p[1]))
		return p[1] == c ? 2 : 0;
	if (*p == '\\' && p[1] == 'n')
		return c == '\n' ? 2 : 0;
	if (paths && *p == '?')
		return c != '/';
	return *p == c;
}

/*
 * Two places to go back to are enough: what stands between two stars of one
 * kind fits best as early as it can, and '*' cannot reach past a '/' that
 * '**' could.
 */
bool
glob_match(const char *pattern, const char *text, bool paths)
{
	struct back star = { 0 }, stars = { 0 };
	const char *p = pattern, *t = text;

	while (*t || *p) {
		size_t n;

		if (*p == '*') {
			bool two = paths && p[1] == '*';
			struct back *b = two || !paths ? &stars : &star;

			p += two ? 2 : 1;
			b->whole_parts = two && *p == '/' &&
				(p - 2 == pattern || p[-3] == '/');
			if (b->whole_parts)
				p++;
			b->pattern = p;
			b->text = t;
			if (b == &stars)
				star.pattern = NULL;
			continue;
		}
		n = *t ? one(p, *t, paths) : 0;
		if (n) {
			p += n;
			t++;
		} else if (take_more(&star, false)) {
			p = star.pattern;
			t = star.text;
		} else if (take_more(&stars, true)) {
			star.pattern = NULL;
			p = stars.pattern;
			t = stars.text;
		} else {
			return false;
		}
	}
	return true;
}
