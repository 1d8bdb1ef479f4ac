#include "lib/state/metrics.h"

#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/base/banned.h"

/* Triggers may not use JSON functions, so the labels are put together here. */
#define LABELS \
	"iif(?3 IS NULL, json_object(?2, a), json_object(?2, a, ?3, b))"

const char metrics_sql_counter[] =
	"SELECT '_total', " LABELS ", value FROM tally WHERE metric = ?1 "
	"ORDER BY a, b";

/*
 * Every bucket of every label set, also those that nothing fell into: who
 * computes quantiles expects the same ones at all times.
 */
const char metrics_sql_histogram[] =
	"WITH h AS (SELECT a, b, " LABELS " AS labels, sum(n) AS n, "
	"sum(sum) AS sum FROM histogram WHERE metric = ?1 GROUP BY a, b) "
	"SELECT suffix, labels, value FROM ("
	"SELECT a, b, 0 AS part, le, '_bucket' AS suffix, json_set(labels, "
	"'$.le', iif(le = 9e999, '+Inf', CAST(le AS TEXT))) AS labels, "
	"(SELECT coalesce(sum(x.n), 0) FROM histogram x WHERE "
	"x.metric = ?1 AND x.a = h.a AND x.b = h.b AND x.le <= bucket.le) "
	"AS value FROM h, bucket "
	"UNION ALL SELECT a, b, 1, 0, '_sum', labels, sum FROM h "
	"UNION ALL SELECT a, b, 2, 0, '_count', labels, n FROM h) "
	"ORDER BY a, b, part, le";

/* The three that must not stand as they are; a label may be anybody's text. */
static void
add_escaped(struct buf *out, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '\\':
			buf_adds(out, "\\\\");
			break;
		case '"':
			buf_adds(out, "\\\"");
			break;
		case '\n':
			buf_adds(out, "\\n");
			break;
		default:
			buf_addc(out, *s);
		}
}

static void
add_labels(struct buf *out, const struct json *labels)
{
	size_t i, n = json_len(labels, "");

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *value = NULL;
		CLEANUP_FREE char *key = json_key(labels, i, &value);

		buf_addf(out, "%s%s=\"", i ? "," : "{", key);
		add_escaped(out, json_str(value, "", ""));
		buf_addc(out, '"');
	}
	if (n)
		buf_addc(out, '}');
}

void
metrics_family(struct buf *out, const char *name, const char *type,
	const char *help)
{
	buf_addf(out, "# TYPE %s %s\n# HELP %s ", name, type, name);
	add_escaped(out, help);
	buf_addc(out, '\n');
}

void
metrics_sample(struct buf *out, const char *name, const char *suffix,
	const struct json *labels, const char *value)
{
	buf_addf(out, "%s%s", name, suffix);
	if (labels)
		add_labels(out, labels);
	buf_addf(out, " %s\n", value);
}

static int
write_one(struct db *db, const struct metric *m, struct buf *out,
	struct err *err)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	metrics_family(out, m->name, m->type, m->help);
	if (db_query(db, &rows, m->sql, err,
		    m->a ? DB_S(m->name) : DB_LAST, DB_S(m->a), DB_S(m->b)))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		CLEANUP_JSON struct json *labels = NULL;
		const char *text = db_text(rows, 1);

		if (text && json_parse(text, strlen(text), &labels, err))
			return -1;
		metrics_sample(out, m->name, db_text(rows, 0), labels,
			db_text(rows, 2));
	}
	return rc;
}

int
metrics_write(struct db *db, const struct metric *table, size_t n,
	struct buf *out, struct err *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (write_one(db, &table[i], out, err))
			return -1;
	return 0;
}
