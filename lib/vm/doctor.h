/*
 * doctor: is this host fit for VMs, and if not, what to do.
 *
 * Each check is given to emit as {"check","status","required","detail",
 * "fix"}: status is ok, missing or failed; fix, when it is not ok, is a
 * command or a short advice.  VMs can run when all that is required is ok;
 * the rest makes them faster, or is for building images or certain networks.
 */
#ifndef FORGE_VM_DOCTOR_H
#define FORGE_VM_DOCTOR_H

#include <stdbool.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

/*
 * Opens the state itself: that it cannot be opened is one of the answers.
 * fresh: boot a guest under KVM even when an answer is known.
 */
int doctor_run(bool fresh, int (*emit)(struct json *row, void *arg),
	void *arg, bool *ret_able, struct err *err)
	__attribute__((warn_unused_result));

#endif
