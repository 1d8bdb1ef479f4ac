/*
 * json: parsed and built JSON over libjq's jv, which stays inside json.c and
 * filter.c.
 *
 * A struct json is one owned value.  Getters take a path of object keys
 * joined by dots ("workflow_job.id"; "" is the value itself) and never fail:
 * a missing or differently typed value gives the fallback.  Strings that
 * they return live as long as the struct json they were asked of.
 *
 * Builders take over the `struct json *` given as a value.  Order of keys is
 * the order of putting.  Integers are exact up to 2^53.
 */
#ifndef FORGE_BASE_JSON_H
#define FORGE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

struct json;

#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))
void cleanup_json(struct json **j);
void json_free(struct json *j);

/*
 * Exactly one value from n bytes; ERR_INVALID otherwise, also for nesting
 * deeper than 256 and for invalid UTF-8 in place of which libjq puts U+FFFD.
 * The caller bounds n.
 */
int json_parse(const char *s, size_t n, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

const char *json_str(const struct json *j, const char *path,
	const char *fallback);
int64_t json_int(const struct json *j, const char *path, int64_t fallback);
double json_num(const struct json *j, const char *path, double fallback);
bool json_bool(const struct json *j, const char *path, bool fallback);
bool json_is_object(const struct json *j);
bool json_has(const struct json *j, const char *path); /* and is not null */
/* Elements of an array, or keys of an object; 0 for anything else. */
size_t json_len(const struct json *j, const char *path);
/* A copy (cheap: shared) of a part; NULL when missing.  Caller frees. */
struct json *json_get(const struct json *j, const char *path);
struct json *json_at(const struct json *j, size_t i);
/* The i-th key of an object and a copy of its value; both the caller's.
 * NULL when there are fewer. */
char *json_key(const struct json *o, size_t i, struct json **ret_value);

struct json *json_object(void);
struct json *json_array(void);
struct json *json_string(const char *s); /* NULL: null */
void json_put(struct json *o, const char *key, struct json *value);
void json_put_str(struct json *o, const char *key, const char *s);
void json_put_int(struct json *o, const char *key, int64_t n);
void json_put_num(struct json *o, const char *key, double n);
void json_put_bool(struct json *o, const char *key, bool b);
void json_push(struct json *a, struct json *value);
void json_push_str(struct json *a, const char *s);

/* Compact text, one line, added to out. */
void json_write(const struct json *j, struct buf *out);
/* Likewise in a string of its own; caller frees. */
char *json_text(const struct json *j);

#endif
