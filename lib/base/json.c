#include "lib/base/json.h"
#include "lib/base/json_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

struct json *
json_wrap(jv v)
{
	struct json *j;

	if (!jv_is_valid(v)) {
		jv_free(v);
		return NULL;
	}
	j = xmalloc(sizeof(*j));
	j->v = v;
	return j;
}

void
json_free(struct json *j)
{
	if (!j)
		return;
	jv_free(j->v);
	free(j);
}

void
cleanup_json(struct json **j)
{
	json_free(*j);
}

/* ---- reading ---- */

/*
 * The one value of the text, else invalid with libjq's reason.  By hand,
 * because jv_parse_sized() puts the text, tokens and all, in its reason.
 */
static jv
parse_one(const char *s, int n)
{
	struct jv_parser *parser = jv_parser_new(0);
	jv v, next;

	jv_parser_set_buf(parser, s, n, 0);
	v = jv_parser_next(parser);
	if (jv_is_valid(v)) {
		next = jv_parser_next(parser);
		if (jv_is_valid(next) || jv_invalid_has_msg(jv_copy(next))) {
			jv_free(v);
			v = jv_invalid_with_msg(
				jv_string("more than one value"));
		}
		jv_free(next);
	}
	jv_parser_free(parser);
	return v;
}

int
json_parse(const char *s, size_t n, struct json **ret, struct err *err)
{
	jv v;

	if (n > INT32_MAX)
		return err_set(err, ERR_INVALID, "JSON of %zu bytes", n);
	v = parse_one(s, (int)n);
	if (!jv_is_valid(v)) {
		jv msg = jv_invalid_get_msg(v);

		(void)err_set(err, ERR_INVALID, "not JSON: %.200s",
			jv_get_kind(msg) == JV_KIND_STRING ?
				jv_string_value(msg) :
				"there is no value");
		jv_free(msg);
		return -1;
	}
	*ret = json_wrap(v);
	return 0;
}

/*
 * The value at path, a new reference; invalid when there is none.  A key may
 * be up to 127 bytes: longer ones are not asked for in this program.
 */
static jv
find(const struct json *j, const char *path)
{
	jv v = jv_copy(j->v);

	while (*path && jv_is_valid(v)) {
		size_t n = strcspn(path, ".");

		if (jv_get_kind(v) != JV_KIND_OBJECT) {
			jv_free(v);
			return jv_invalid();
		}
		v = jv_object_get(v, jv_string_sized(path, (int)n));
		path += n;
		path += *path == '.';
	}
	return v;
}

/* The parent keeps the string alive, so it may be lent after the free. */
const char *
json_str(const struct json *j, const char *path, const char *fallback)
{
	jv v = find(j, path);
	const char *s = jv_get_kind(v) == JV_KIND_STRING ? jv_string_value(v) :
							   fallback;

	jv_free(v);
	return s;
}

double
json_num(const struct json *j, const char *path, double fallback)
{
	jv v = find(j, path);
	double n = jv_get_kind(v) == JV_KIND_NUMBER ? jv_number_value(v) :
						      fallback;

	jv_free(v);
	return n;
}

int64_t
json_int(const struct json *j, const char *path, int64_t fallback)
{
	double n = json_num(j, path, NAN);

	/* beyond 2^53 a double no longer holds what was written */
	if (!(fabs(n) <= 9007199254740992.0))
		return fallback;
	return (int64_t)n;
}

bool
json_bool(const struct json *j, const char *path, bool fallback)
{
	jv v = find(j, path);
	jv_kind k = jv_get_kind(v);

	jv_free(v);
	return k == JV_KIND_TRUE || (k != JV_KIND_FALSE && fallback);
}

bool
json_has(const struct json *j, const char *path)
{
	jv v = find(j, path);
	jv_kind k = jv_get_kind(v);

	jv_free(v);
	return k != JV_KIND_INVALID && k != JV_KIND_NULL;
}

size_t
json_len(const struct json *j, const char *path)
{
	jv v = find(j, path);
	int n = 0;

	if (jv_get_kind(v) == JV_KIND_ARRAY)
		n = jv_array_length(jv_copy(v));
	else if (jv_get_kind(v) == JV_KIND_OBJECT)
		n = jv_object_length(jv_copy(v));
	jv_free(v);
	return (size_t)n;
}

struct json *
json_get(const struct json *j, const char *path)
{
	return json_wrap(find(j, path));
}

struct json *
json_at(const struct json *j, size_t i)
{
	if (jv_get_kind(j->v) != JV_KIND_ARRAY || i > INT32_MAX)
		return NULL;
	return json_wrap(jv_array_get(jv_copy(j->v), (int)i));
}

/* ---- building ---- */

struct json *
json_object(void)
{
	return json_wrap(jv_object());
}

struct json *
json_array(void)
{
	return json_wrap(jv_array());
}

static jv
string_or_null(const char *s)
{
	return s ? jv_string(s) : jv_null();
}

struct json *
json_string(const char *s)
{
	return json_wrap(string_or_null(s));
}

static void
put(struct json *o, const char *key, jv v)
{
	o->v = jv_object_set(o->v, jv_string(key), v);
}

bool
json_is_object(const struct json *j)
{
	return jv_get_kind(j->v) == JV_KIND_OBJECT;
}

void
json_put(struct json *o, const char *key, struct json *value)
{
	put(o, key, value ? jv_copy(value->v) : jv_null());
	json_free(value);
}

void
json_put_str(struct json *o, const char *key, const char *s)
{
	put(o, key, string_or_null(s));
}

void
json_put_int(struct json *o, const char *key, int64_t n)
{
	put(o, key, jv_number((double)n));
}

void
json_put_num(struct json *o, const char *key, double n)
{
	put(o, key, jv_number(n));
}

void
json_put_bool(struct json *o, const char *key, bool b)
{
	put(o, key, jv_bool(b));
}

void
json_push(struct json *a, struct json *value)
{
	a->v = jv_array_append(a->v, value ? jv_copy(value->v) : jv_null());
	json_free(value);
}

void
json_push_str(struct json *a, const char *s)
{
	a->v = jv_array_append(a->v, string_or_null(s));
}

void
json_write(const struct json *j, struct buf *out)
{
	jv text = jv_dump_string(jv_copy(j->v), 0);

	buf_add(out, jv_string_value(text),
		(size_t)jv_string_length_bytes(jv_copy(text)));
	jv_free(text);
}

char *
json_text(const struct json *j)
{
	struct buf b = BUF_INIT;

	json_write(j, &b);
	return buf_detach(&b);
}

char *
json_key(const struct json *o, size_t i, struct json **ret_value)
{
	int it = jv_object_iter(o->v);
	char *key;
	jv k;

	while (i-- && jv_object_iter_valid(o->v, it))
		it = jv_object_iter_next(o->v, it);
	if (!jv_object_iter_valid(o->v, it))
		return NULL;
	k = jv_object_iter_key(o->v, it);
	key = xstrdup(jv_string_value(k));
	jv_free(k);
	*ret_value = json_wrap(jv_object_iter_value(o->v, it));
	return key;
}
