/*
 * driver_program: what all programs drivers/NAME.c have in common: the verb,
 * the spec on stdin, the answer on stdout (lib/vm/driver.h).
 *
 *	int main(int argc, char **argv)
 *	{
 *		static const struct driver_program p = { "driver-x", caps,
 *			make_argv, NULL, NULL, "x-vmm", "the package of x",
 *			NULL, NULL };
 *		return driver_main(&p, argc, argv);
 *	}
 */
#ifndef FORGE_VM_DRIVER_PROGRAM_H
#define FORGE_VM_DRIVER_PROGRAM_H

#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct driver_program {
	const char *name;
	/* Fills in what is special; driver, program, usable are there. */
	void (*caps)(struct json *o);
	int (*make_argv)(const struct json *spec, struct argv *ret,
		struct err *err);
	/* Last preparations of this process before it becomes argv; or NULL */
	int (*prepare)(const struct json *spec, struct argv *argv,
		struct err *err);
	/*
	 * Can it be used, now that its program is there?  -1: no, and what to
	 * do in *ret_fix (static); or NULL: yes.  Asked by caps only.
	 */
	int (*check)(const char **ret_fix, struct err *why);
	const char *program; /* of argv[0], looked up in PATH */
	const char *package; /* what to install when it is not there */
	/*
	 * Verbs beyond caps, argv and boot, or NULL: each gets the spec.  One
	 * that is called boot is for drivers that do not become argv.
	 */
	const struct driver_verb *verbs;
	/* Of boot: what can be done before the spec is known; or NULL */
	int (*begin)(struct err *err);
};

struct driver_verb {
	const char *name; /* NULL ends the list */
	int (*run)(const struct json *spec, struct err *err);
};

/* An answer to stdout. */
int driver_print(const struct json *j, struct err *err)
	__attribute__((warn_unused_result));

int driver_main(const struct driver_program *p, int argc, char **argv);

/*
 * For hypervisors that have the serial line as stdin and stdout, and sockets
 * by name: go to the VM's directory and make fds.console 0 and 1.
 */
int driver_enter(const struct json *spec, struct err *err)
	__attribute__((warn_unused_result));

/*
 * One request to the API socket "api.sock" in spec's "dir": body may be NULL.
 * An answer other than 2xx is ERR_SYS with what it said.
 */
int driver_api(const struct json *spec, const char *method, const char *path,
	const struct json *body, struct err *err)
	__attribute__((warn_unused_result));
#define DRIVER_API "api.sock"

/* A check(): does /dev/kvm open? */
int driver_kvm(const char **ret_fix, struct err *why)
	__attribute__((warn_unused_result));

/* "words" of a NULL-terminated list as a JSON array, under key. */
void driver_put_words(struct json *o, const char *key,
	const char *const *words);

#endif
