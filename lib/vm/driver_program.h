/*
 * driver_program: what all programs drivers/NAME.c have in common: the verb,
 * the spec on stdin, the answer on stdout (lib/vm/driver.h).
 *
 *	int main(int argc, char **argv)
 *	{
 *		static const struct driver_program p = { "driver-x", caps,
 *			make_argv, NULL, "x-vmm", "the package of x" };
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
	const char *program; /* of argv[0], looked up in PATH */
	const char *package; /* what to install when it is not there */
	/* Verbs beyond caps, argv and boot, or NULL: each gets the spec. */
	const struct driver_verb *verbs;
};

struct driver_verb {
	const char *name; /* NULL ends the list */
	int (*run)(const struct json *spec, struct err *err);
};

int driver_main(const struct driver_program *p, int argc, char **argv);

/* "words" of a NULL-terminated list as a JSON array, under key. */
void driver_put_words(struct json *o, const char *key,
	const char *const *words);

#endif
