#include "lib/trust/agent_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

enum { SETS_MAX = 64, LABELS_MAX = 64, LABEL_MAX = 256 };

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
take_label(const char *s, struct argv *out, struct err *err)
{
	CLEANUP_FREE char *low = xstrdup(s);
	char *p;

	for (p = low; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			return err_set(err, ERR_INVALID,
				"a label has control characters");
		*p = (char)(isascii(c) ? tolower(c) : c);
	}
	if (p == low || p - low > LABEL_MAX)
		return err_set(err, ERR_INVALID,
			"a label has 1 to %d bytes", LABEL_MAX);
	argv_push(out, low);
	return 0;
}

static int
take_set(const struct json *set, struct json *out, struct err *err)
{
	CLEANUP_ARGV struct argv labels = ARGV_INIT;
	struct json *sorted;
	size_t i;

	for (i = 0; i < json_len(set, ""); i++) {
		CLEANUP_JSON struct json *l = json_at(set, i);

		if (take_label(json_str(l, "", ""), &labels, err))
			return -1;
	}
	qsort(labels.v, labels.n, sizeof(*labels.v), by_name);
	sorted = json_array();
	for (i = 0; i < labels.n; i++)
		if (!i || strcmp(labels.v[i], labels.v[i - 1]) != 0)
			json_push_str(sorted, labels.v[i]);
	json_push(out, sorted);
	return 0;
}

int
agent_label_sets(const struct json *sets, char **ret, struct err *err)
{
	CLEANUP_JSON struct json *out = json_array();
	size_t i, n = json_len(sets, "");

	if (n > SETS_MAX)
		return err_set(err, ERR_INVALID, "more than %d sets of labels",
			SETS_MAX);
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *set = json_at(sets, i);

		if (json_len(set, "") > LABELS_MAX)
			return err_set(err, ERR_INVALID,
				"more than %d labels in a set", LABELS_MAX);
		if (take_set(set, out, err))
			return -1;
	}
	*ret = json_text(out);
	return 0;
}
