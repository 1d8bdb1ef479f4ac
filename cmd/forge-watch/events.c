#include "cmd/forge-watch/forge-watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/filter.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_since, *arg_until;
static int arg_follow;

const struct poptOption events_options[] = {
	{ "follow", 'f', POPT_ARG_NONE, &arg_follow, 0,
		"go on with what happens from now on", NULL },
	{ "since", 0, POPT_ARG_STRING, &arg_since, 0,
		"only events after number SEQ", "SEQ" },
	{ "until", 0, POPT_ARG_STRING, &arg_until, 0,
		"with -f: end after the first event of this kind", "KIND" },
	POPT_TABLEEND
};

struct reader {
	struct filter *filter;
	struct err *err;
	int done;
};

/* The person's form; the subject and data may be a stranger's text. */
static void
print_line(const struct json *event)
{
	CLEANUP_JSON struct json *data = json_get(event, "data");
	CLEANUP_FREE char *text = json_text(data);
	CLEANUP_FREE char *subject = xstrdup(json_str(event, "subject", ""));
	char at[32];

	err_clean(subject);
	err_clean(text);
	printf("%6lld %s %-18s %s%s%s\n", (long long)json_int(event, "seq", 0),
		clock_format(json_int(event, "at", 0), at, sizeof(at)),
		json_str(event, "kind", ""), subject,
		strcmp(text, "{}") != 0 ? " " : "",
		strcmp(text, "{}") != 0 ? text : "");
}

static int
print_result(struct json *value, void *arg)
{
	CLEANUP_JSON struct json *owned = value;
	const char *s = json_str(owned, "", NULL);
	CLEANUP_FREE char *text = s ? NULL : json_text(owned);

	(void)arg;
	puts(s ? s : text);
	return 0;
}

static int
print_event(struct json *event, void *arg)
{
	CLEANUP_JSON struct json *owned = event;
	struct reader *r = arg;

	if (r->filter) {
		if (filter_run(r->filter, owned, print_result, NULL, r->err))
			return -1;
	} else if (common.json) {
		(void)print_result(json_get(owned, ""), NULL);
	} else {
		print_line(owned);
	}
	if (arg_until && !strcmp(json_str(owned, "kind", ""), arg_until))
		r->done = 1;
	return r->done;
}

static int
wait_more(int fd, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return err_sys(err, "poll");
	event_watch_clear(fd);
	return 0;
}

static int
read_events(struct state *st, int64_t since, struct reader *r)
{
	CLEANUP_CLOSE int fd = -1;
	struct db *db;

	if (state_db(st, &db, r->err) ||
		(arg_follow && event_watch_open(st, &fd, r->err)))
		return -1;
	for (;;) {
		int rc = event_each(db, &since, print_event, r, r->err);

		if (rc < 0)
			return -1;
		if (fflush(stdout))
			return err_sys(r->err, "cannot write to stdout");
		if (r->done || !arg_follow)
			return 0;
		if (wait_more(fd, r->err))
			return -1;
	}
}

int
cmd_events(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	struct reader r = { .err = err };
	int64_t since = 0;
	int rc;

	(void)argc;
	(void)argv;
	if (arg_until && !arg_follow)
		return cmd_usage(err, "--until goes with --follow");
	if (arg_since &&
		parse_i64(arg_since, 0, INT64_MAX, "--since", &since, err))
		return err_status(err->code);
	if (common.filter && filter_compile(common.filter, &r.filter, err))
		return err_status(err->code);
	rc = state_open(&st, err) || read_events(st, since, &r);
	filter_free(r.filter);
	return rc ? err_status(err->code) : EXIT_OK;
}
