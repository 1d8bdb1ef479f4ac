/*
 * modules: the kernel modules that a guest needs to reach its disk, console
 * and network, with what they depend on, in the order of loading.
 *
 * Dependencies are read from the modules themselves (section .modinfo), so
 * no depmod and no modules.dep is needed.  Compressed modules (.ko.xz, .zst,
 * .gz) are unpacked, since forge-init only loads plain ones.
 */
#ifndef FORGE_VM_MODULES_H
#define FORGE_VM_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Bounds of one module, unpacked, and of all that are read together. */
#define MODULE_MAX ((size_t)64 << 20)
#define MODULES_MAX ((size_t)1 << 30)

struct module {
	char *name; /* '-' written as '_' */
	char *path; /* where it is read from, or NULL: data is here */
	struct buf data;
	bool builtin;
	int mark; /* of modules_order() */
};

struct modules {
	struct module *v;
	size_t n, alloc;
	bool known; /* false: nothing given, all is taken as built in */
	bool trim; /* give out what module_trim() leaves */
};

#define MODULES_INIT ((struct modules){ .v = NULL })
void modules_release(struct modules *m);

/* Is this path one of a module, compressed or not? */
bool module_path(const char *path);
/* Add one whose content is at hand; takes the bytes out of data. */
void modules_add(struct modules *m, const char *path, struct buf *data);
/* The lines of a modules.builtin. */
void modules_add_builtin(struct modules *m, const struct buf *text);
/* All below dir, and dir/modules.builtin, read when they are needed. */
int modules_scan(struct modules *m, const char *dir, struct err *err)
	__attribute__((warn_unused_result));

/*
 * What a guest of ours needs, dependencies first: each is given to emit with
 * its plain content.  ERR_NOTFOUND when one without which no guest of ours
 * works is neither there nor built in.
 */
int modules_order(struct modules *m,
	int (*emit)(const struct module *mod, void *arg), void *arg,
	struct err *err) __attribute__((warn_unused_result));

/*
 * The value of the first "key=value" in the .modinfo of n bytes of ELF;
 * borrowed from them; NULL without one, or when the ELF is broken.
 */
const char *module_info(const void *data, size_t n, const char *key);

/*
 * Take off what only costs time in a guest, above all an emulated one: the
 * signature (every module's would be verified) and the type information
 * (section .BTF, hidden by its name).  For kernels that do not insist on
 * signatures; they note the module as unsigned.
 */
void module_trim(struct buf *b);

#endif
