/*
 * metrics: what the database can tell, as OpenMetrics text (the successor of
 * the text format of Prometheus, whose readers take it too):
 * https://github.com/OpenObservability/OpenMetrics, 1.0.
 *
 * A program has a table of families; each is one query:
 *
 *	static const struct metric table[] = {
 *		METRIC_GAUGE("forge_jobs", "Jobs that are not completed.",
 *			"SELECT '', json_object('state', state), count(*) "
 *			"FROM job WHERE ... GROUP BY state"),
 *		METRIC_COUNTER("forge_vms_ended", "VMs that ended.", "state",
 *			NULL),
 *	};
 *	metrics_write(db, table, ARRAY_SIZE(table), &text, err)
 *
 * The text has no "# EOF": texts of several programs make one exposition.
 */
#ifndef FORGE_STATE_METRICS_H
#define FORGE_STATE_METRICS_H

#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct db;

struct metric {
	const char *name;
	const char *type; /* gauge, counter, histogram */
	const char *help;
	/* Rows: suffix of the name, labels as a JSON object or NULL, value. */
	const char *sql;
	const char *a, *b; /* names of labels, for the two below */
};

#define METRIC_GAUGE(name, help, sql) { name, "gauge", help, sql, NULL, NULL }
/* Of the tables tally and histogram; ?1 is the name, ?2 and ?3 are a and b. */
extern const char metrics_sql_counter[], metrics_sql_histogram[];
#define METRIC_COUNTER(name, help, a, b) \
	{ name, "counter", help, metrics_sql_counter, a, b }
#define METRIC_HISTOGRAM(name, help, a, b) \
	{ name, "histogram", help, metrics_sql_histogram, a, b }

/* Adds to out. */
int metrics_write(struct db *db, const struct metric *table, size_t n,
	struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* "# TYPE" and "# HELP" alone, and one sample without a query; labels may be
 * NULL. */
void metrics_family(struct buf *out, const char *name, const char *type,
	const char *help);
struct json;
void metrics_sample(struct buf *out, const char *name, const char *suffix,
	const struct json *labels, const char *value);

#endif
