/* What forward.c and forward_listen.c share. */
#ifndef FORGE_VM_FORWARD_INTERNAL_H
#define FORGE_VM_FORWARD_INTERNAL_H

#include "lib/vm/forward.h"

struct listener {
	int fd;
	uint16_t port; /* in the guest */
	const char *path; /* to be removed at the end, or NULL */
	char *name;
};

int forward_listen(const struct forward_spec *s, struct listener *ret,
	struct err *err) __attribute__((warn_unused_result));
void forward_unlisten(struct listener *l);

#endif
