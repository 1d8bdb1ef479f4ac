/*
 * libsmartcols, loaded when the first table is printed: most calls print
 * none.  Without the library scols_new_table() returns NULL, which its caller
 * takes as the failure it is.
 */
#include <libsmartcols.h>
#include <stdio.h>

#define LAZY_SONAME "libsmartcols.so.1"
#include "lib/base/lazy.h"
#include "lib/base/banned.h"

/* Parameters are not called what libsmartcols' header calls them. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

typedef struct libscols_table *table;
typedef struct libscols_line *line;
typedef struct libscols_column *column;

LAZY_NEW(table, scols_new_table)
LAZY_VOID(scols_unref_table, (table t), (t))
LAZY(int, scols_table_is_empty, (const struct libscols_table *t), (t))
LAZY(column, scols_table_new_column,
	(table t, const char *name, double width, int flags),
	(t, name, width, flags))
LAZY(line, scols_table_new_line, (table t, line parent), (t, parent))
LAZY(int, scols_line_refer_data, (line l, size_t i, char *data), (l, i, data))
LAZY(int, scols_print_table, (table t), (t))

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
