/* The verbs of forge-session; each group is in a file of its own. */
#ifndef FORGE_SESSION_CMD_H
#define FORGE_SESSION_CMD_H

#include <popt.h>
#include <stdbool.h>
#include <stddef.h>
#include "lib/base/err.h"

struct state;
struct db;
struct session;
struct output;

/* run.c */
extern const struct poptOption run_options[];
extern const struct poptOption start_options[];
extern const struct poptOption resume_options[];
extern const struct poptOption supervise_options[];
int cmd_run(int argc, const char **argv, struct err *err);
int cmd_start(int argc, const char **argv, struct err *err);
int cmd_resume(int argc, const char **argv, struct err *err);
int cmd_supervise(int argc, const char **argv, struct err *err);

/* keep.c */
extern const struct poptOption keep_options[];
int cmd_keep(int argc, const char **argv, struct err *err);

/* wait.c */
extern const struct poptOption wait_options[];
extern const struct poptOption attach_options[];
int cmd_wait(int argc, const char **argv, struct err *err);
int cmd_attach(int argc, const char **argv, struct err *err);

/* list.c */
extern const struct poptOption list_options[];
int cmd_list(int argc, const char **argv, struct err *err);
int cmd_show(int argc, const char **argv, struct err *err);
int cmd_rm(int argc, const char **argv, struct err *err);

/* providers.c */
int cmd_providers(int argc, const char **argv, struct err *err);
int cmd_models(int argc, const char **argv, struct err *err);

/* key.c */
extern const struct poptOption proxy_options[];
int cmd_key(int argc, const char **argv, struct err *err);
int cmd_proxy(int argc, const char **argv, struct err *err);

/* log.c */
extern const struct poptOption log_options[];
int cmd_log(int argc, const char **argv, struct err *err);

/* send.c */
extern const struct poptOption send_options[];
extern const struct poptOption stop_options[];
int cmd_send(int argc, const char **argv, struct err *err);
int cmd_interrupt(int argc, const char **argv, struct err *err);
int cmd_stop(int argc, const char **argv, struct err *err);

/* asks.c */
extern const struct poptOption asks_options[];
extern const struct poptOption answer_options[];
int cmd_asks(int argc, const char **argv, struct err *err);
int cmd_answer(int argc, const char **argv, struct err *err);

/* git.c */
extern const struct poptOption diff_options[];
extern const struct poptOption commit_options[];
extern const struct poptOption push_options[];
extern const struct poptOption revert_options[];
int cmd_diff(int argc, const char **argv, struct err *err);
int cmd_patch(int argc, const char **argv, struct err *err);
int cmd_commit(int argc, const char **argv, struct err *err);
int cmd_push(int argc, const char **argv, struct err *err);
extern const struct poptOption gc_options[];
int cmd_gc(int argc, const char **argv, struct err *err);
extern const struct poptOption pr_options[];
int cmd_pr(int argc, const char **argv, struct err *err);
int cmd_revert(int argc, const char **argv, struct err *err);

/* identity.c */
extern const struct poptOption identity_create_options[];
extern const struct poptOption identity_import_options[];
extern const struct poptOption identity_export_options[];
int cmd_identity_create(int argc, const char **argv, struct err *err);
int cmd_identity_import(int argc, const char **argv, struct err *err);
int cmd_identity_list(int argc, const char **argv, struct err *err);
int cmd_identity_show(int argc, const char **argv, struct err *err);
int cmd_identity_export(int argc, const char **argv, struct err *err);
int cmd_identity_token(int argc, const char **argv, struct err *err);
int cmd_identity_rm(int argc, const char **argv, struct err *err);

/*
 * print.c: lines of a transcript to stdout, through -q or --format where they
 * were given.  Verbs with --format have FORMAT_OPTION and call
 * printer_format() between the two: st and s are borrowed until the close.
 */
struct printer {
	struct output *out; /* NULL: as they are */
	struct format *format; /* likewise */
	struct state *st;
	const struct session *s;
	bool mask; /* stdout is a terminal */
};
extern char *arg_format;
#define FORMAT_OPTION                                                         \
	{                                                                     \
		"format", 0, POPT_ARG_STRING, &arg_format, 0,                 \
			"ndjson, text, ag-ui, builder, claude, or your own",  \
			"FORMAT"                                              \
	}
#define PRINTER_INIT ((struct printer){ 0 })
int printer_open(struct printer *p, struct err *err)
	__attribute__((warn_unused_result));
int printer_format(struct printer *p, const char *fallback, struct state *st,
	const struct session *s, struct err *err)
	__attribute__((warn_unused_result));
int print_lines(const char *lines, size_t n, void *printer, struct err *err)
	__attribute__((warn_unused_result));
int printer_close(struct printer *p, struct err *err)
	__attribute__((warn_unused_result));

/*
 * What the commands on one session begin with: the state, its database, the
 * row of the session after it was repaired.  s may be NULL.
 */
int open_session(const char *id, struct state **st, struct db **db,
	struct session *s, struct err *err)
	__attribute__((warn_unused_result));

#endif
