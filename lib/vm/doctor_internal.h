/*
 * doctor_internal: what doctor.c and doctor_drivers.c share.
 */
#ifndef FORGE_VM_DOCTOR_INTERNAL_H
#define FORGE_VM_DOCTOR_INTERNAL_H

#include "lib/vm/doctor.h"

struct state;

struct doctor {
	int (*emit)(struct json *row, void *arg);
	void *arg;
	bool able;
	int stop; /* what emit returned, when not 0 */
	struct state *st; /* NULL: it cannot be opened */
	char *driver; /* that VMs get when nobody says; ours */
	char *no_kvm; /* why it does not work, or NULL; ours */
};

enum need { OPTIONAL, REQUIRED };

/* detail may be NULL; fix NULL: the check is ok. */
void doctor_tell(struct doctor *d, const char *check, enum need need,
	const char *status, const char *detail, const char *fix);

/* The default driver is required, the others are a choice. */
void doctor_drivers(struct doctor *d);

#endif
