/*
 * driver: a hypervisor, behind an executable libexec/forge/driver-NAME VERB.
 *
 *	caps	stdout: what it can do, JSON
 *	argv	spec on stdin; stdout: the hypervisor's argv, a JSON array
 *	boot	spec on stdin; becomes the hypervisor (same process, so that
 *		whoever started it holds the real pid)
 * Exit status 0, 30 not found, 31 exists, else failed with one line on
 * stderr.
 *
 * The spec:
 *	{"name","kernel","initramfs","root" (or null),"rootfs",
 *	 "cpus","memory_mb","accel":"kvm|tcg","tsc_khz" (0: not known),
 *	 "net":{"mode":"none"} or {"mode":"user","address","prefix",
 *		"network","gateway","dns","mac"},
 *	 "fds":{"channel","console"}}
 * The two fds are inherited stream sockets: what the guest's port
 * CHANNEL_PORT and its serial console carry.
 */
#ifndef FORGE_VM_DRIVER_H
#define FORGE_VM_DRIVER_H

#include <stdint.h>
#include "lib/base/json.h"
#include "lib/base/proc.h"

struct state;
struct image;
struct vm_spec;
struct vm_address;
struct subnet;

/* The spec as above; accel and tsc_khz are found out (cached per boot). */
int driver_spec(struct state *st, const struct vm_spec *vm,
	const struct image *image, const struct vm_address *address,
	const struct subnet *subnet, int channel_fd, int console_fd,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/* driver-NAME VERB with the spec on its stdin; *ret is its answer. */
int driver_ask(const char *driver, const char *verb, const struct json *spec,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Boot: the child is the hypervisor.  Its stderr is child.err, its death by
 * signal follows ours.  The fds named in spec are passed on.
 */
int driver_boot(const char *driver, const struct json *spec,
	struct child *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
