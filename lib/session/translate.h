/*
 * translate: an agent's lines to our events, and what we tell it to lines,
 * by the jq programs of its provider; forge-provider(5) describes them.
 *
 * Both programs are compiled into one, so libjq is started once.  They are
 * given one object and yield any number of these, in any mix:
 *	{"kind": K, "data": {...}}	an event of ours
 *	{"send": V}		a line for the agent: V as JSON, or a string
 *	{"state": V}		kept, and given as .state from now on
 * out.jq is given {line, state}: line is the parsed line, or a string where
 * the line is no JSON.  in.jq is given {kind, data, state}, kind being start,
 * message, answer or interrupt.
 *
 * Without out.jq each line is an output event; without in.jq a message is
 * sent as its text, and the rest is not sent.
 */
#ifndef FORGE_SESSION_TRANSLATE_H
#define FORGE_SESSION_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct translator;

struct translated {
	/* data is an object, taken over; kind is one of the known ones */
	int (*event)(const char *kind, struct json *data, void *arg,
		struct err *err);
	/* a line with its newline, for the agent's stdin */
	int (*send)(const char *line, size_t n, void *arg, struct err *err);
	void *arg;
};

/* out and in are the programs or NULL; ERR_INVALID when they do not compile. */
int translator_new(const char *provider, const char *out, const char *in,
	struct translator **ret, struct err *err)
	__attribute__((warn_unused_result));
void translator_free(struct translator *t);

/*
 * One line of the agent, without its newline.  What out.jq cannot digest (it
 * fails, or yields something else) becomes a raw event.
 * *ret_garbage: the line was no JSON although out.jq is there.
 */
int translate_out(struct translator *t, const char *line, size_t n,
	const struct translated *to, bool *ret_garbage, struct err *err)
	__attribute__((warn_unused_result));

/* data is taken over.  *ret_sent (or NULL): in.jq had a line for it. */
int translate_in(struct translator *t, const char *kind, struct json *data,
	const struct translated *to, bool *ret_sent, struct err *err)
	__attribute__((warn_unused_result));

/* Another process of the agent: what was kept is forgotten. */
void translator_reset(struct translator *t);

/* Is it a kind that a transcript has? */
bool event_kind_known(const char *kind);

#endif
