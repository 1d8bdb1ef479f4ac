#include "lib/base/filter.h"
#include "lib/base/json_internal.h"

#include <jq.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

struct filter {
	jq_state *jq;
	struct buf said; /* what jq complains of while compiling */
};

static void
complaint(void *arg, jv msg)
{
	struct buf *said = arg;

	if (jv_get_kind(msg) == JV_KIND_STRING && said->len < 4096)
		buf_adds(said, jv_string_value(msg));
	jv_free(msg);
}

void
filter_free(struct filter *f)
{
	if (!f)
		return;
	if (f->jq)
		jq_teardown(&f->jq);
	buf_release(&f->said);
	free(f);
}

/*
 * libjq 1.6 leaves these as malloc gave them, and asserts on the attributes:
 * input, debug and import would crash.  Modules are looked for nowhere.
 */
static void
set_defaults(struct filter *f)
{
	jq_set_error_cb(f->jq, complaint, &f->said);
	jq_set_input_cb(f->jq, NULL, NULL);
	jq_set_debug_cb(f->jq, NULL, NULL);
	jq_set_attr(f->jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	jq_set_attr(f->jq, jv_string("JQ_ORIGIN"), jv_string("/"));
	jq_set_attr(f->jq, jv_string("PROGRAM_ORIGIN"), jv_string("/"));
}

int
filter_compile(const char *program, struct filter **ret, struct err *err)
{
	CLEANUP_FREE char *what = xasprintf("filter '%.100s'", program);

	return filter_compile_as(what, program, ret, err);
}

int
filter_compile_as(const char *what, const char *program, struct filter **ret,
	struct err *err)
{
	struct filter *f = xcalloc(1, sizeof(*f));

	f->said = BUF_INIT;
	f->jq = jq_init();
	if (!f->jq) {
		filter_free(f);
		return err_set(err, ERR_SYS, "cannot start libjq");
	}
	set_defaults(f);
	if (!jq_compile(f->jq, program)) {
		f->said.s[strcspn(f->said.s, "\n")] = '\0';
		(void)err_set(err, ERR_USAGE, "%.150s: %.300s", what,
			f->said.s);
		filter_free(f);
		return -1;
	}
	*ret = f;
	return 0;
}

static int
raised(jv v, struct err *err)
{
	jv msg = jv_invalid_get_msg(v);

	if (jv_get_kind(msg) != JV_KIND_STRING)
		msg = jv_dump_string(msg, 0);
	(void)err_set(err, ERR_INVALID, "filter: %.300s", jv_string_value(msg));
	jv_free(msg);
	return -1;
}

/* For libjq halt_error is no error; here it is the one it tells. */
static int
check_halt(jq_state *jq, struct err *err)
{
	jv code;
	bool failed;

	if (!jq_halted(jq))
		return 0;
	code = jq_get_exit_code(jq);
	failed = jv_get_kind(code) == JV_KIND_NUMBER &&
		jv_number_value(code) != 0;
	jv_free(code);
	if (!failed)
		return 0;
	return raised(jv_invalid_with_msg(jq_get_error_message(jq)), err);
}

int
filter_run(struct filter *f, const struct json *in,
	int (*emit)(struct json *result, void *arg), void *arg,
	struct err *err)
{
	jv v;
	int rc;

	jq_start(f->jq, jv_copy(in->v), 0);
	for (;;) {
		v = jq_next(f->jq);
		if (!jv_is_valid(v))
			break;
		rc = emit(json_wrap(v), arg);
		if (rc)
			return rc;
	}
	if (jv_invalid_has_msg(jv_copy(v)))
		return raised(v, err);
	jv_free(v);
	return check_halt(f->jq, err);
}
