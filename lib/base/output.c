#include "lib/base/output.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/cmd.h"
#include "lib/base/filter.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/banned.h"

struct output {
	const struct column *columns;
	size_t n;
	struct libscols_table *table; /* NULL: JSON is asked for */
	struct filter *filter; /* or NULL */
	struct buf line;
};

/* ---- JSON ---- */

static int
write_line(const struct buf *b, struct err *err)
{
	if (fwrite_unlocked(b->s, 1, b->len, stdout) != b->len)
		return err_sys(err, "cannot write to stdout");
	return 0;
}

static int
print_value(struct json *value, void *arg)
{
	struct output *o = arg;
	const char *s = json_str(value, "", NULL);

	if (s)
		buf_adds(&o->line, s);
	else
		json_write(value, &o->line);
	buf_addc(&o->line, '\n');
	json_free(value);
	return 0;
}

static int
print_json(struct output *o, const struct json *row, struct err *err)
{
	buf_reset(&o->line);
	if (o->filter) {
		if (filter_run(o->filter, row, print_value, o, err))
			return -1;
	} else {
		json_write(row, &o->line);
		buf_addc(&o->line, '\n');
	}
	return write_line(&o->line, err);
}

/* ---- the table ---- */

static void
add_time(const struct column *c, int64_t n, struct buf *cell)
{
	char text[32];

	if (c->flags & COLUMN_AGE)
		n = clock_wall() - n;
	if (c->flags & COLUMN_SIZE)
		format_size(n, text, sizeof(text));
	else if (c->flags & COLUMN_TIME)
		clock_format(n, text, sizeof(text));
	else
		format_duration(n, text, sizeof(text));
	buf_adds(cell, text);
}

/* The text of a cell; missing and null are empty. */
static void
add_cell(const struct column *c, const struct json *row, struct buf *cell)
{
	const unsigned shown = COLUMN_AGE | COLUMN_SIZE | COLUMN_DURATION |
		COLUMN_TIME;
	CLEANUP_JSON struct json *v = json_get(row, c->key);
	const char *s = v ? json_str(v, "", NULL) : NULL;

	if (!v || !json_has(v, ""))
		return;
	if (s)
		buf_adds(cell, s);
	else if (c->flags & shown)
		add_time(c, json_int(v, "", 0), cell);
	else
		json_write(v, cell);
	err_clean(cell->s);
}

static int
table_open(struct output *o, struct err *err)
{
	size_t i;

	o->table = scols_new_table();
	if (!o->table)
		return err_set(err, ERR_SYS, "cannot make a table");
	for (i = 0; i < o->n; i++)
		if (!scols_table_new_column(o->table, o->columns[i].title, 0,
			    o->columns[i].flags & COLUMN_RIGHT ? SCOLS_FL_RIGHT :
								 0))
			return err_set(err, ERR_SYS, "cannot make a column");
	return 0;
}

static int
table_row(struct output *o, const struct json *row, struct err *err)
{
	struct libscols_line *line = scols_table_new_line(o->table, NULL);
	size_t i;

	for (i = 0; line && i < o->n; i++) {
		struct buf cell = BUF_INIT;

		add_cell(&o->columns[i], row, &cell);
		if (scols_line_refer_data(line, i, buf_detach(&cell)))
			line = NULL;
	}
	return line ? 0 : err_set(err, ERR_SYS, "cannot add to the table");
}

/* ---- the door ---- */

static void
output_free(struct output *o)
{
	if (!o)
		return;
	scols_unref_table(o->table);
	filter_free(o->filter);
	buf_release(&o->line);
	free(o);
}

int
output_open(struct output **ret, const struct column *cols, size_t n,
	struct err *err)
{
	struct output *o = xcalloc(1, sizeof(*o));
	int rc = 0;

	o->columns = cols;
	o->n = n;
	o->line = BUF_INIT;
	if (common.filter)
		rc = filter_compile(common.filter, &o->filter, err);
	else if (!common.json)
		rc = table_open(o, err);
	if (rc) {
		output_free(o);
		return -1;
	}
	*ret = o;
	return 0;
}

int
output_row(struct output *o, struct json *row, struct err *err)
{
	CLEANUP_JSON struct json *owned = row;

	return o->table ? table_row(o, owned, err) : print_json(o, owned, err);
}

int
output_emit(struct json *row, void *emitter)
{
	struct emitter *e = emitter;

	return output_row(e->out, row, e->err);
}

void
cleanup_output(struct output **o)
{
	output_free(*o);
}

void
cleanup_emitter(struct emitter *e)
{
	output_free(e->out);
}

int
output_close(struct output **o, struct err *err)
{
	struct output *done = steal_ptr(o);
	int rc = 0;

	if (done->table && !scols_table_is_empty(done->table) &&
		scols_print_table(done->table))
		rc = err_set(err, ERR_SYS, "cannot print the table");
	if (!rc && fflush(stdout))
		rc = err_sys(err, "cannot write to stdout");
	output_free(done);
	return rc;
}

/* ---- one object ---- */

static int
print_fields(const struct json *object, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i, n = json_len(object, "");

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *value = NULL;
		CLEANUP_FREE char *key = json_key(object, i, &value);
		struct column c = { NULL, "", 0 };
		struct buf cell = BUF_INIT;

		add_cell(&c, value, &cell);
		buf_addf(&b, "%s: %s\n", key, cell.s);
		buf_release(&cell);
	}
	return write_line(&b, err);
}

int
output_one(struct json *object, struct err *err)
{
	CLEANUP_JSON struct json *owned = object;
	CLEANUP_OUTPUT struct output *o = NULL;

	if (!common.json && !common.filter)
		return print_fields(owned, err);
	return output_open(&o, NULL, 0, err) || print_json(o, owned, err) ?
		-1 :
		output_close(&o, err);
}

int
output_text(const struct buf *text, struct err *err)
{
	if (fwrite(text->s, 1, text->len, stdout) != text->len ||
		fflush(stdout))
		return err_sys(err, "cannot write to stdout");
	return 0;
}
