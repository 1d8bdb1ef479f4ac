/*
 * libjq, loaded when the first JSON is read or made: with the two libraries
 * that it brings it is a third of the start of a program, and much of what is
 * called often, or has others to start first, needs none.
 */
#include <jv.h>

#include <jq.h>
#include <stdio.h>

#define LAZY_SONAME "libjq.so.1"
#include "lib/base/lazy.h"
#include "lib/base/banned.h"

/* Parameters are not called what libjq's headers call them. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

typedef jv_parser *parser;
typedef jq_state *state;
typedef const char *text;

/* ---- values ---- */

LAZY(jv_kind, jv_get_kind, (jv v), (v))
LAZY(jv, jv_copy, (jv v), (v))
LAZY_VOID(jv_free, (jv v), (v))
LAZY(jv, jv_invalid, (void), ())
LAZY(jv, jv_invalid_with_msg, (jv v), (v))
LAZY(jv, jv_invalid_get_msg, (jv v), (v))
LAZY(int, jv_invalid_has_msg, (jv v), (v))
LAZY(jv, jv_null, (void), ())
LAZY(jv, jv_bool, (int v), (v))
LAZY(jv, jv_number, (double v), (v))
LAZY(double, jv_number_value, (jv v), (v))
LAZY(jv, jv_array, (void), ())
LAZY(jv, jv_array_append, (jv a, jv v), (a, v))
LAZY(jv, jv_array_get, (jv a, int i), (a, i))
LAZY(int, jv_array_length, (jv a), (a))
LAZY(jv, jv_string, (text s), (s))
LAZY(jv, jv_string_sized, (text s, int n), (s, n))
LAZY(int, jv_string_length_bytes, (jv s), (s))
LAZY(text, jv_string_value, (jv s), (s))
LAZY(jv, jv_object, (void), ())
LAZY(jv, jv_object_get, (jv o, jv key), (o, key))
LAZY(jv, jv_object_set, (jv o, jv key, jv v), (o, key, v))
LAZY(int, jv_object_length, (jv o), (o))
LAZY(int, jv_object_iter, (jv o), (o))
LAZY(int, jv_object_iter_next, (jv o, int i), (o, i))
LAZY(int, jv_object_iter_valid, (jv o, int i), (o, i))
LAZY(jv, jv_object_iter_key, (jv o, int i), (o, i))
LAZY(jv, jv_object_iter_value, (jv o, int i), (o, i))

/* ---- texts ---- */

LAZY(jv, jv_dump_string, (jv v, int flags), (v, flags))
LAZY(jv, jv_parse_sized, (text s, int n), (s, n))
LAZY(parser, jv_parser_new, (int flags), (flags))
LAZY_VOID(jv_parser_set_buf, (parser p, text s, int n, int more),
	(p, s, n, more))
LAZY(jv, jv_parser_next, (parser p), (p))
LAZY_VOID(jv_parser_free, (parser p), (p))

/* ---- programs ---- */

LAZY(state, jq_init, (void), ())
LAZY_VOID(jq_set_error_cb, (state q, jq_msg_cb f, void *arg), (q, f, arg))
LAZY_VOID(jq_set_debug_cb, (state q, jq_msg_cb f, void *arg), (q, f, arg))
LAZY_VOID(jq_set_input_cb, (state q, jq_input_cb f, void *arg), (q, f, arg))
LAZY_VOID(jq_set_attr, (state q, jv name, jv v), (q, name, v))
LAZY(int, jq_compile, (state q, text s), (q, s))
LAZY_VOID(jq_start, (state q, jv v, int flags), (q, v, flags))
LAZY(jv, jq_next, (state q), (q))
LAZY(int, jq_halted, (state q), (q))
LAZY(jv, jq_get_exit_code, (state q), (q))
LAZY(jv, jq_get_error_message, (state q), (q))
LAZY_VOID(jq_teardown, (state *q), (q))

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
