/*
 * proxy_usage: how many tokens an answer of an API says it cost, read from
 * its bytes as they pass, whatever their form: JSON or events with JSON.
 * Each API tells totals that grow, so the greatest number of a name counts.
 */
#ifndef FORGE_SESSION_PROXY_USAGE_H
#define FORGE_SESSION_PROXY_USAGE_H

#include <stddef.h>
#include <stdint.h>

struct proxy_usage {
	int64_t input, output;
	char tail[64]; /* where a number may be cut */
	size_t kept;
};

void proxy_usage_take(struct proxy_usage *u, const void *p, size_t n);

#endif
