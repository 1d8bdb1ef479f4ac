/*
 * json_internal: what json.c and filter.c share: the jv inside a struct json.
 */
#ifndef FORGE_BASE_JSON_INTERNAL_H
#define FORGE_BASE_JSON_INTERNAL_H

#include <jv.h>

struct json {
	jv v;
};

/* Takes v over; NULL when it is invalid. */
struct json *json_wrap(jv v);

#endif
