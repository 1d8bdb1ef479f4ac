/* Apart from github.c, so that what only checks names needs no network. */
#include <string.h>

#include "lib/runner/github.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define NAME_MAX_LEN 100

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz"
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

/* Sound as one part of a path in a URL; ".github" is a repository. */
static bool
sound(const char *s, size_t n)
{
	if (!n || n > NAME_MAX_LEN || strspn(s, name_bytes) < n)
		return false;
	return !(n == 1 && s[0] == '.') &&
		!(n == 2 && s[0] == '.' && s[1] == '.');
}

static bool
sound_repo(const char *s)
{
	const char *slash = strchr(s, '/');

	return slash && sound(s, (size_t)(slash - s)) &&
		sound(slash + 1, strlen(slash + 1));
}

int
scope_check(const char *s, struct err *err)
{
	static const char *const kinds[] = { "org:", "enterprise:" };
	size_t i, n;

	if (!strncmp(s, "repo:", 5) && sound_repo(s + 5))
		return 0;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		n = strlen(kinds[i]);
		if (!strncmp(s, kinds[i], n) && sound(s + n, strlen(s + n)))
			return 0;
	}
	return err_set(err, ERR_USAGE,
		"scope '%s' must be repo:OWNER/NAME, org:NAME or "
		"enterprise:NAME", s);
}
