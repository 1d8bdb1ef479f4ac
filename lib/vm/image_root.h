/*
 * image_root: the root file system of an image, for image_build.c.
 */
#ifndef FORGE_VM_IMAGE_ROOT_H
#define FORGE_VM_IMAGE_ROOT_H

#include "lib/base/err.h"
#include "lib/base/proc.h"
#include "lib/vm/image_build.h"

struct state;

/* Before anything is begun: do base, options and files fit, are tools there */
int image_root_check(const struct image_spec *spec, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Make the erofs file IMAGE_ROOT in the directory dir (an absolute path); work
 * is done below dir/tree, which is gone at the end.
 */
int image_root_build(struct state *st, const struct image_spec *spec,
	const char *dir, struct err *err) __attribute__((warn_unused_result));

/* One file to add: "SRC:DST"; DST absolute, without "..".  Of --tar, DST is
 * a directory and may be "/". */
struct image_file {
	char *src;
	char *dst;
	unsigned mode;
};
void image_file_release(struct image_file *f);
int image_file_parse(const char *s, bool tar, struct image_file *ret,
	struct err *err)
	__attribute__((warn_unused_result));

/* Run a tool of the build; what package has it, for when it is missing. */
int image_tool(const struct image_spec *spec, struct proc *p,
	const char *package, struct err *err)
	__attribute__((warn_unused_result));

/* The two bases: fill the empty directory tree (absolute path). */
int image_root_busybox(const struct image_spec *spec, const char *tree,
	struct err *err) __attribute__((warn_unused_result));
int image_root_debian(struct state *st, const struct image_spec *spec,
	const char *tree, struct err *err)
	__attribute__((warn_unused_result));

#endif
