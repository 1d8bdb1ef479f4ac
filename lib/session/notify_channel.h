/*
 * notify_channel: one [notify "NAME"] and how to tell it something; for
 * notify.c.
 */
#ifndef FORGE_SESSION_NOTIFY_CHANNEL_H
#define FORGE_SESSION_NOTIFY_CHANNEL_H

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/filter.h"
#include "lib/base/json.h"

struct state;
struct http;

enum channel_kind {
	CHANNEL_WEBHOOK,
	CHANNEL_NTFY,
	CHANNEL_COMMAND,
	CHANNEL_KIND__MAX
};

struct channel {
	char *name;
	enum channel_kind kind;
	char *to; /* URL, or the command line as configured */
	char *topic; /* of ntfy */
	struct buf secret; /* signs; empty: unsigned */
	char *token; /* bearer, or NULL */
	struct argv command;
	struct argv events; /* patterns; none: all */
	struct filter *filter; /* or NULL */
	int64_t timeout_ms;
	struct http *http;
	int cancel; /* 1 + an fd, as http_request has it */
};

#define CHANNEL_INIT \
	((struct channel){ .secret = BUF_INIT, .command = ARGV_INIT, \
		.events = ARGV_INIT })

const char *channel_kind_name(enum channel_kind k);

/* ERR_NOTFOUND: no such section; ERR_INVALID says what is wrong in it. */
int channel_open(struct state *st, const char *name, struct channel *ret,
	struct err *err) __attribute__((warn_unused_result));
void channel_release(struct channel *c);
#define CLEANUP_CHANNEL __attribute__((cleanup(channel_release)))

/* Does it want events of this kind? */
bool channel_wants(const struct channel *c, const char *kind);

enum sent {
	SENT_OK, /* taken, or the filter had nothing to say */
	SENT_REFUSED, /* for good */
	SENT_FAILED, /* try again */
};

/* why says what went wrong.  *retry_after (s) is what the server asked for,
 * 0: nothing. */
enum sent channel_send(struct channel *c, const struct json *event,
	int64_t *retry_after, struct err *why);

#endif
