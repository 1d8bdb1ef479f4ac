/*
 * accel: can QEMU use KVM here, or must it emulate (TCG)?
 *
 * That /dev/kvm opens is no answer: in some virtual machines it is there and
 * stock kernels hang under it.  So a real kernel is booted once per boot of
 * the host, within ACCEL_DEADLINE_MS, and must say hello through forge-init.
 * The answer is kept in STATE/cache/kvm; asking again costs microseconds.
 *
 * vm.accel of the configuration ("kvm" or "tcg") is taken as the answer.
 */
#ifndef FORGE_VM_ACCEL_H
#define FORGE_VM_ACCEL_H

#include "lib/base/err.h"

struct state;

#define ACCEL_DEADLINE_MS ((int64_t)5000)

struct accel {
	const char *name; /* "kvm" or "tcg"; static */
	char reason[200]; /* one line: how that is known */
};

/*
 * kernel and initramfs are those of an image (paths).  Without them (NULL)
 * only what is known already is told: ERR_NOTFOUND when nothing is.  An
 * answer that a look at /dev/kvm gives is not kept: it may be mended.
 */
int accel_find(struct state *st, const char *kernel, const char *initramfs,
	struct accel *ret, struct err *err)
	__attribute__((warn_unused_result));

/* The name alone. */
int accel_probe(struct state *st, const char *kernel, const char *initramfs,
	const char **ret, struct err *err) __attribute__((warn_unused_result));

/* Forget what is kept, so that the next question boots again. */
int accel_forget(struct state *st, struct err *err)
	__attribute__((warn_unused_result));

#endif
