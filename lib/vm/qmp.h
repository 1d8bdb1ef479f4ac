/*
 * qmp: QEMU's monitor over a stream socket that we hold the other end of.
 *
 *	struct qmp q;
 *	qmp_init(&q, fd);	takes fd over
 *	qmp_command(&q, "stop", NULL, deadline, &err)
 *	qmp_release(&q);
 *
 * The greeting is read with the first command, so a boot does not wait for
 * it.  Calls block, at most until the monotonic deadline.  Lines are bounded
 * to QMP_LINE_MAX before they are parsed; events in between are skipped, but
 * for the progress of a migration.
 * Errors: ERR_TIMEOUT; ERR_PLACE when QEMU is gone or talks nonsense; ERR_SYS
 * with its own words when it refuses.  After the first two it is of no use
 * any more.
 */
#ifndef FORGE_VM_QMP_H
#define FORGE_VM_QMP_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

#define QMP_LINE_MAX 65536

enum qmp_migration { QMP_UNDER_WAY, QMP_COMPLETED, QMP_FAILED };

struct qmp {
	int fd; /* -1: there is none */
	bool greeted;
	char version[32]; /* "7.2.22", after the first command */
	enum qmp_migration migration;
	struct buf in;
};

#define QMP_INIT ((struct qmp){ .fd = -1, .in = BUF_INIT })

void qmp_init(struct qmp *q, int fd);
void qmp_release(struct qmp *q);

/* Read the greeting if it was not read; q->version is known then. */
int qmp_greet(struct qmp *q, int64_t deadline, struct err *err)
	__attribute__((warn_unused_result));

/* args: its arguments, an object, or NULL; taken over. */
int qmp_command(struct qmp *q, const char *command, struct json *args,
	int64_t deadline, struct err *err) __attribute__((warn_unused_result));

/* QEMU gets a copy of fd, which it knows by name. */
int qmp_give_fd(struct qmp *q, const char *name, int fd, int64_t deadline,
	struct err *err) __attribute__((warn_unused_result));

/*
 * The state of the machine but for its memory, to fd or from it: command is
 * "migrate" or "migrate-incoming"; returns when that is completed.
 */
int qmp_migrate(struct qmp *q, const char *command, int fd, int64_t deadline,
	struct err *err) __attribute__((warn_unused_result));

/* One line of QEMU: 1 it is an answer (in *ret), 0 not, -1 nonsense. */
int qmp_line(struct qmp *q, const char *line, size_t n, struct json **ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
