#include "cmd/forge-runner/forge-runner.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/runner/garm_call.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

static char *arg_of_pool;

const struct poptOption garm_options[] = {
	{ "pool", 'p', POPT_ARG_STRING, &arg_of_pool, 0,
		"the pool that is asked for", "POOL" },
	POPT_TABLEEND
};

/* A list is an object a line; what is no JSON is a text. */
static int
print(const struct buf *out, struct err *err)
{
	struct err unused = ERR_INIT;
	struct json *j, *o;
	size_t i, n;

	if (!out->len)
		return 0;
	if (json_parse(out->s, out->len, &j, &unused)) {
		CLEANUP_FREE char *text = xstrdup(out->s);

		err_clean(text);
		o = json_object();
		json_put_str(o, "text", text);
		return output_one(o, err);
	}
	if (json_is_object(j))
		return output_one(j, err);
	n = json_len(j, "");
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *one = json_at(j, i);

		o = json_is_object(one) ? json_get(one, "") : json_object();
		if (!json_is_object(one))
			json_put_str(o, "text", json_str(one, "", ""));
		if (output_one(o, err)) {
			json_free(j);
			return -1;
		}
	}
	json_free(j);
	return 0;
}

int
cmd_garm(int argc, const char **argv, struct err *err)
{
	CLEANUP_STATE struct state *st = NULL;
	CLEANUP_GARM struct garm g = GARM_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;

	if (state_open(&st, err) || garm_load(st, argv[0], &g, err) ||
		garm_command(&g, argv[1], arg_of_pool,
			argc > 2 ? argv[2] : NULL, &out, err))
		return err_status(err->code);
	buf_rtrim(&out);
	return print(&out, err) ? err_status(err->code) : EXIT_OK;
}
