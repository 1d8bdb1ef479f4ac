#include "lib/runner/openmetrics.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/net/web.h"
#include "lib/runner/fleet.h"
#include "lib/runner/openmetrics_rate.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/metrics.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define VMS_MAX (1 << 20)
#define VMS_TIMEOUT 10000 /* ms */

static const struct metric table[] = {
	METRIC_GAUGE("forge_jobs", "Jobs that are not completed, by state.",
		"SELECT '', json_object('state', state), count(*) FROM job "
		"WHERE state <> 'completed' GROUP BY state"),
	METRIC_COUNTER("forge_runners_ended",
		"Runners that ended, by pool and result.", "pool", "result"),
	METRIC_COUNTER("forge_webhook_deliveries",
		"Webhook deliveries, by what became of them.", "outcome", NULL),
	METRIC_HISTOGRAM("forge_runner_boot_seconds",
		"From the decision to start a runner until its place runs.",
		"pool", NULL),
	METRIC_HISTOGRAM("forge_job_startup_seconds",
		"From a job's being queued until a runner has begun it.",
		"pool", NULL),
	METRIC_HISTOGRAM("forge_job_run_seconds",
		"From a job's beginning to its end.", "pool", "conclusion"),
};

/* ---- pools: from the decision, which knows what they lack ---- */

static void
sample(struct buf *out, const char *name, const struct json *row,
	const char *label, const char *value, const char *path)
{
	CLEANUP_JSON struct json *labels = json_object();
	char text[24];

	json_put_str(labels, "pool", json_str(row, "name", ""));
	if (label)
		json_put_str(labels, label, value);
	(void)snprintf(text, sizeof(text), "%lld",
		(long long)json_int(row, path, 0));
	metrics_sample(out, name, "", labels, text);
}

/* The gauges of all pools: families must not be mixed. */
struct gauges {
	struct buf queued, runners, max, verdict;
};

#define GAUGES_INIT \
	((struct gauges){ BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT })

static void
gauges_release(struct gauges *g)
{
	buf_release(&g->queued);
	buf_release(&g->runners);
	buf_release(&g->max);
	buf_release(&g->verdict);
}

static int
add_pool(struct json *row, void *arg)
{
	static const char *const states[] = { "starting", "idle", "busy",
		"ending" };
	CLEANUP_JSON struct json *owned = row;
	struct gauges *g = arg;
	size_t i;

	sample(&g->queued, "forge_pool_jobs_queued", owned, NULL, NULL,
		"queued");
	for (i = 0; i < ARRAY_SIZE(states); i++)
		sample(&g->runners, "forge_pool_runners", owned, "state",
			states[i], states[i]);
	sample(&g->max, "forge_pool_runners_max", owned, NULL, NULL, "max");
	json_put_int(owned, "one", 1);
	sample(&g->verdict, "forge_pool_verdict", owned, "verdict",
		json_str(owned, "verdict", ""), "one");
	return 0;
}

static void
add_family(struct buf *out, const char *name, const char *help,
	const struct buf *samples)
{
	metrics_family(out, name, "gauge", help);
	buf_add(out, samples->s, samples->len);
}

static int
write_pools(struct state *st, struct buf *out, struct err *err)
{
	__attribute__((cleanup(gauges_release))) struct gauges g = GAUGES_INIT;
	CLEANUP_FLEET struct fleet f = FLEET_INIT;
	char text[16];

	if (fleet_load(st, &f, err))
		return -1;
	(void)fleet_each(&f, add_pool, &g); /* it never stops */
	add_family(out, "forge_pool_jobs_queued",
		"Queued jobs that count for the pool.", &g.queued);
	add_family(out, "forge_pool_runners",
		"Living runners of the pool, by state.", &g.runners);
	add_family(out, "forge_pool_runners_max",
		"How many runners the pool may have.", &g.max);
	add_family(out, "forge_pool_verdict",
		"1 for what would be decided now: enough, start, or what is "
		"in the way.",
		&g.verdict);
	metrics_family(out, "forge_jobs_unserved", "gauge",
		"Queued jobs that no pool serves.");
	(void)snprintf(text, sizeof(text), "%d", f.unserved);
	metrics_sample(out, "forge_jobs_unserved", "", NULL, text);
	return 0;
}

/* ---- the supervisor ---- */

static int
write_watch(struct state *st, struct db *db, struct buf *out, struct err *err)
{
	CLEANUP_JSON struct json *labels = json_object();
	int held = state_locked(st, "watch", NULL, err);
	char text[24];
	int64_t last;

	if (held < 0 || event_last(db, &last, err))
		return -1;
	metrics_family(out, "forge_watch_up", "gauge",
		"1 while forge-watch runs on this state.");
	metrics_sample(out, "forge_watch_up", "", NULL, held ? "1" : "0");
	(void)snprintf(text, sizeof(text), "%lld", (long long)last);
	metrics_family(out, "forge_events", "counter", "Events so far.");
	metrics_sample(out, "forge_events", "_total", NULL, text);
	json_put_str(labels, "version", FORGE_VERSION);
	metrics_family(out, "forge_build", "gauge", "1, with the version.");
	metrics_sample(out, "forge_build", "", labels, "1");
	return 0;
}

/* ---- VMs: another domain, so by its program ---- */

static int
write_vms(struct state *st, struct buf *out, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf said = BUF_INIT;
	CLEANUP_FREE char *path = NULL;

	if (find_program("forge-vm", &path, err))
		return -1;
	argv_push(&p.argv, path);
	argv_push(&p.argv, "metrics");
	argv_pushf(&p.argv, "--state=%s", state_path(st));
	if (proc_run(&p, NULL, &said, VMS_MAX, VMS_TIMEOUT, err))
		return -1;
	buf_add(out, said.s, said.len);
	return 0;
}

int
openmetrics(struct state *st, struct buf *out, struct err *err)
{
	struct db *db;

	if (state_db(st, &db, err) ||
		metrics_write(db, table, ARRAY_SIZE(table), out, err) ||
		write_pools(st, out, err) || write_watch(st, db, out, err) ||
		openmetrics_rate(st, out, err) || write_vms(st, out, err))
		return -1;
	buf_adds(out, "# EOF\n");
	return 0;
}

/* ---- HTTP ---- */

static int
refuse(struct web *w, int status, const char *why, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL;

	json_put_str(o, "error", why);
	text = json_text(o);
	return web_answer(w, status, status == 405 ? "Allow: GET, HEAD" : NULL,
		text, err);
}

static int
serve(struct web *w, struct err *err)
{
	static const char type[] = "application/openmetrics-text; "
				   "version=1.0.0; charset=utf-8";
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct err why = ERR_INIT;

	if (web_head(w, &why))
		return refuse(w, w->status, why.msg, err);
	if (strcmp(w->method, "GET") != 0 && strcmp(w->method, "HEAD") != 0)
		return refuse(w, 405, "only GET and HEAD", err);
	if (state_open(&st, err) || openmetrics(st, &text, err)) {
		/* Why is for the operator, who reads our stderr. */
		(void)refuse(w, 503, "the metrics cannot be read now", &why);
		return -1;
	}
	return web_reply(w, 200, type, NULL, text.s, text.len, err);
}

int
openmetrics_serve(int in, int out, struct err *err)
{
	struct web w;
	int rc;

	web_open(&w, false, in, out);
	rc = serve(&w, err);
	web_close(&w);
	return rc;
}
