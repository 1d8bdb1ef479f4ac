/*
 * image_build: makes an image: kernel, initramfs and root, built aside and
 * published by one rename.
 *
 *	struct image_spec spec = IMAGE_SPEC_INIT;
 *	spec.name = "web"; spec.base = "busybox";
 *	if (image_build(st, &spec, &row, err)) ...
 *
 * Bases: "busybox" (the host's static busybox; a few MB, made in seconds)
 * and "debian" or "debian:SUITE" (minbase, by mmdebstrap).
 *
 * Or an import of what others made: spec.source, spec.initramfs.
 *
 * With $SOURCE_DATE_EPOCH set, all times in the image are that, and the same
 * inputs give the same bytes; busybox does so without it (times 0).
 */
#ifndef FORGE_VM_IMAGE_BUILD_H
#define FORGE_VM_IMAGE_BUILD_H

#include <stdbool.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/vm/image_config.h"
#include "lib/vm/progress.h"

struct state;

struct image_spec {
	const char *name;
	const char *base;
	struct argv packages; /* debian: installed as well */
	struct argv files; /* "SRC:DST", mode kept, parents made */
	struct argv tars; /* debian: "SRC:DIR", unpacked there */
	struct argv run; /* debian: sh -c, inside, at the end */
	const char *kernel; /* a file instead of Debian's kernel, or NULL */
	const char *modules; /* directory of its modules, or NULL */
	struct image_config config; /* how to run what is in it */
	/*
	 * An import instead of a base: source is an OCI layout, an archive
	 * or "-"; or initramfs is the root, a file for kernel.
	 */
	const char *source, *initramfs;
	const char *template; /* neither: only its name on another machine */
	const char *ref; /* which image of source, or NULL */
	int64_t max_size; /* of all files of source */
	const struct progress *bar; /* or NULL */
	bool replace;
	bool progress; /* let the tools talk on our stderr */
};

#define IMAGE_SPEC_INIT \
	((struct image_spec){ .packages = ARGV_INIT, .files = ARGV_INIT, \
		.tars = ARGV_INIT, .run = ARGV_INIT, .config = IMAGE_CONFIG_INIT })
#define CLEANUP_IMAGE_SPEC __attribute__((cleanup(image_spec_release)))
void image_spec_release(struct image_spec *s);

/* Is this a base? */
bool image_base(const char *s);

/*
 * *ret_row as image_show() has it.  ERR_USAGE for a spec that makes no
 * sense, ERR_EXISTS without replace, ERR_BUSY while a VM boots or runs from
 * the one to replace, ERR_NOTFOUND for a tool, file or package that is
 * missing.
 */
int image_build(struct state *st, const struct image_spec *spec,
	struct json **ret_row, struct err *err)
	__attribute__((warn_unused_result));

#endif
