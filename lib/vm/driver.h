/*
 * driver: a hypervisor, behind an executable libexec/forge/driver-NAME VERB.
 *
 *	caps	stdout: what it can do, JSON; "usable" here and now, else "why"
 *		not and a "fix"; "program": its path or null
 *	argv	spec on stdin; stdout: the hypervisor's argv, a JSON array
 *	boot	spec on stdin; becomes the hypervisor (same process, so that
 *		whoever started it holds the real pid)
 *	config	spec on stdin; stdout: what it writes to files beside its
 *		argv, JSON; where there is such
 *	stop, pause, resume
 *		{"dir"} on stdin, of a VM that runs; for those that have an
 *		API socket.  stop takes "mode": "power-button" (asks the
 *		guest), "shutdown" (ends the guest), "vmm" (the hypervisor).
 *		Of "elsewhere" stop gets what destroy gets and "grace_ms": the
 *		guest is asked to shut down, and waited for so long
 *	address	{"dir"} on stdin; stdout: {"address"}.  Of "elsewhere" only
 *	list	{"owner","config"} on stdin; stdout: {"names":[]}, of all VMs
 *		there that are that owner's.  Of "elsewhere" only
 *	destroy	{"name","dir","owner","config"} on stdin: whatever boot began, there or
 *		not, and however far: gone.  Of "elsewhere" only
 * Exit status 0, 30 not found, 31 exists, else failed with one line on
 * stderr.
 *
 * The spec:
 *	{"name","dir","kernel","initramfs","root" (or null),"rootfs",
 *	 "tree":{"path","id_base"} or null,
 *	 "disks":[{"path","format","readonly"}], after the root,
 *	 "cpus","memory_mb","accel":"kvm|tcg","tsc_khz" (0: not known),
 *	 "net":{"mode":"none"} or {"mode":"user"|"user+loopback",
 *		"address","prefix",
 *		"network","gateway","dns","mac"},
 *	 "fds":{"channel","console","net" (-1 with net none),
 *		"monitor" (-1 when not told to have one)},
 *	 "memory":{"path","share","incoming"} or null: which file is the
 *		memory, written or only read; whether the rest of the
 *		machine comes through the monitor}
 * The fds are inherited stream sockets: what the guest's port CHANNEL_PORT
 * and its serial console carry, and Ethernet frames, each behind its length
 * as 4 bytes, big-endian.  With "channel":"vsock" in the caps there is no
 * channel fd (-1).  dir is where the VM's files are.  tree is for drivers
 * whose caps say "root":"tree" (image_tree.h).
 *
 * Drivers whose caps say "elsewhere" have their VMs on another machine.  Then
 * "template" is what that machine knows the image by, kernel, initramfs, root
 * and accel are null, net is {"mode":"driver"} (it gives the address), and
 * boot stays: it makes the VM, connects the channel, which is its stdout
 * (fds.channel 1, the one fd), to a `forge-init --guest` in it, or before it (--through), and ends when that
 * does.  Before it makes anything it writes into dir what destroy needs to
 * find it.  "config" has the keys of [driver "NAME"], "owner" is this
 * host and state directory: VMs there are called after it.
 *
 * What forge-vm must know of a driver before it can write a spec is in its
 * caps: struct driver.
 */
#ifndef FORGE_VM_DRIVER_H
#define FORGE_VM_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/json.h"
#include "lib/base/proc.h"

struct state;
struct image;
struct vm_spec;
struct vm_address;
struct subnet;

struct driver {
	char name[32];
	bool machine; /* "machine": a kernel is booted */
	bool vsock; /* "channel":"vsock": the guest connects, see vsock.h */
	bool api; /* "api": knows the verbs pause and resume */
	bool stop; /* "verbs" has stop */
	bool qmp; /* "monitor":"qmp": is given a socket for that */
	bool restart; /* "halt":"reboot": guests end by that */
	bool disks; /* "disks": takes those of the spec */
	bool tree; /* "root":"tree": wants a directory, not a disk */
	bool elsewhere; /* on another machine, see above */
	char nets[64]; /* "net": modes by spaces, the default first */
};

/* The names of those that come with forge; NULL after the last. */
const char *driver_known(size_t i);
/* A table for those that come with forge; others are asked for their caps. */
int driver_find(const char *name, struct driver *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Can a VM of it be called so?  Those elsewhere are by a part of a DNS name. */
int driver_check_name(const char *driver, const char *vm, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The network when --net does not say: wanted (of the configuration, or
 * NULL) where the driver has it, else the driver's own; a static string.
 */
int driver_net(const char *name, const char *wanted, const char **ret,
	struct err *err) __attribute__((warn_unused_result));

/*
 * After the end of the VM's boot, or of its supervisor; nothing for a driver
 * that is not "elsewhere".  Until it succeeds there may be a machine left.
 */
int driver_destroy(struct state *st, const char *driver, const char *vm,
	struct err *err) __attribute__((warn_unused_result));
/*
 * The guest is to shut down: a button pressed, or, elsewhere, up to grace ms
 * waited for.  ERR_LIMIT for a driver that has no verb stop.
 */
int driver_stop(struct state *st, const struct driver *d, const char *vm,
	int64_t grace, struct err *err) __attribute__((warn_unused_result));
/*
 * The VMs elsewhere that are of this state directory, by all drivers that the
 * configuration has a section for: name and driver in turn.
 */
int driver_list(struct state *st, struct argv *ret, struct err *err)
	__attribute__((warn_unused_result));
/* That of a VM elsewhere that is ready; "" where it has none. */
int driver_address(struct state *st, const char *driver, const char *vm,
	char **ret, struct err *err) __attribute__((warn_unused_result));

/* What is to be made before a boot, once per image; else it is there. */
int driver_prepare(struct state *st, const char *name,
	const struct image *image, struct err *err)
	__attribute__((warn_unused_result));

/* Passed on to the hypervisor; -1: none. */
struct vm_fds {
	int channel, console, net, monitor;
	int memory; /* a file that is to be the guest's memory */
	const char *snapshot; /* path of the memory to continue from, or NULL */
	bool headlong; /* the driver is surely there: do not wait for it */
};

/* The spec as above; accel and tsc_khz are found out (cached per boot). */
int driver_spec(struct state *st, const struct vm_spec *vm,
	const struct image *image, const struct vm_address *address,
	const struct subnet *subnet, const struct vm_fds *fds,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/* driver-NAME VERB with the spec on its stdin; *ret is its answer. */
int driver_ask(const char *driver, const char *verb, const struct json *spec,
	struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Boot, in two steps: the child becomes the hypervisor when it is told what
 * to boot.  Its stderr is child.err, its death by signal follows ours.  The
 * fds are passed on; of a driver "elsewhere" the channel, as its stdout, and
 * no other.  It begins in cgroup (or NULL).
 */
int driver_start(const char *driver, const struct vm_fds *fds,
	const struct proc_cgroup *cgroup, struct child *ret, struct err *err)
	__attribute__((warn_unused_result));
int driver_tell(struct child *c, const struct json *spec, struct err *err)
	__attribute__((warn_unused_result));

/* pause or resume, of the VM whose files are in dir (absolute). */
int driver_verb(const char *driver, const char *verb, const char *dir,
	struct err *err) __attribute__((warn_unused_result));

#endif
