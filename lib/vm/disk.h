/*
 * disk: the files of a VM that its guest sees as disks beside its root: the
 * writable layer, in place of one in memory, and a cloud-init seed.
 *
 *	disks_check(&spec, err)			before anything is begun
 *	disks_make(&spec, dir, name, err)	in the directory of the VM
 *	disks_json(&spec, dir)			for its driver
 *
 * The writable layer is ext4 in DISK_FILE: empty and sparse, made by mkfs; or
 * a copy-on-write clone of a file that the caller has, which is not changed:
 * by FICLONE where the file system can, else as qcow2 (DISK_QCOW2) with that
 * file behind it, which then must stay, else a copy without its holes.
 */
#ifndef FORGE_VM_DISK_H
#define FORGE_VM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

#define DISK_FILE "disk"
#define DISK_QCOW2 "disk.qcow2"
#define DISK_SEED "seed.img"
#define DISK_MIN ((int64_t)4 << 20)
#define DISK_MAX ((int64_t)1 << 44)

struct disk_spec {
	int64_t size; /* bytes of a new layer; 0: none */
	const char *base; /* clone this file instead; or NULL */
	const char *user_data; /* of a NoCloud seed: a file; or NULL */
};

/* Does the guest's writable layer lie on a disk? */
bool disks_overlay(const struct disk_spec *s);
/* Is there any disk? */
bool disks_any(const struct disk_spec *s);

/* ERR_NOTFOUND, ERR_USAGE: the files and tools that it needs. */
int disks_check(const struct disk_spec *s, struct err *err)
	__attribute__((warn_unused_result));
/* dir: an absolute path; name: the VM's. */
int disks_make(const struct disk_spec *s, const char *dir, const char *name,
	struct err *err) __attribute__((warn_unused_result));
/* [{"path","format":"raw|qcow2","readonly"}], in the order of the guest. */
struct json *disks_json(const struct disk_spec *s, const char *dir);

enum disk_way { DISK_REFLINK, DISK_BACKING, DISK_COPY };
/*
 * One clone of base: dir/DISK_FILE, or with DISK_BACKING dir/DISK_QCOW2;
 * neither may be there.
 */
int disk_clone(const char *base, const char *dir, enum disk_way *ret,
	struct err *err) __attribute__((warn_unused_result));

#endif
