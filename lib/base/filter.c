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

int
filter_compile(const char *program, struct filter **ret, struct err *err)
{
	struct filter *f = xcalloc(1, sizeof(*f));

	f->said = BUF_INIT;
	f->jq = jq_init();
	if (!f->jq) {
		filter_free(f);
		return err_set(err, ERR_SYS, "cannot start libjq");
	}
	jq_set_error_cb(f->jq, complaint, &f->said);
	if (!jq_compile(f->jq, program)) {
		f->said.s[strcspn(f->said.s, "\n")] = '\0';
		(void)err_set(err, ERR_USAGE, "filter '%.100s': %.300s",
			program, f->said.s);
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
	return 0;
}
