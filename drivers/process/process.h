/*
 * driver-process: a place without a hypervisor, made by bubblewrap.
 *
 *	boot	1. own user and mount namespace: root there is id_base here
 *		   (or ourselves), userns.c
 *		2. in it an overlay of the image's tree and a tmpfs, stage.c,
 *		   and what no image has, fill.c
 *		3. becomes bwrap: namespaces for processes, network, IPC and
 *		   host name, few capabilities, no new privileges
 *		4. which becomes forge-init --place CHANNEL as PID 1 under the
 *		   system call filter of filter.c, and it adds Landlock
 */
#ifndef FORGE_DRIVER_PROCESS_H
#define FORGE_DRIVER_PROCESS_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

/* Where, in our own mount namespace only, stage_mount() puts things. */
#define STAGE "/tmp"

/*
 * From here on we are root of a user namespace: ids 0 to 65535 there are
 * base to base + 65535 here; with base 0, id 0 there is who we were, and
 * there are no others.  The working directory stays.  We die with our
 * parent.
 */
int userns_enter(uint32_t base, struct err *err)
	__attribute__((warn_unused_result));

/*
 * STAGE/root: the working directory with a tmpfs of size bytes above it;
 * STAGE/tmp, STAGE/run and STAGE/shm: directories of that same tmpfs.
 */
int stage_mount(int64_t size, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Then in STAGE/root: /dev with the devices that everybody may use, /tmp and
 * /run of that tmpfs, and in /run the program that is open as init, which
 * nobody can write.
 */
int stage_fill(int init, struct err *err) __attribute__((warn_unused_result));
#define STAGE_INIT "forge-init"

/*
 * A network namespace whose eth0 has net's "address", "prefix", "gateway" and
 * "mac"; its frames go to and come from the stream socket, each behind its
 * length (lib/vm/driver.h), by a process that ends with us.  /dev/net/tun
 * must open: as root before userns_enter(), as anybody else after it.
 */
int net_enter(const struct json *net, int frames, struct err *err)
	__attribute__((warn_unused_result));
/* That process. */
int relay_start(int tap, int frames, struct err *err)
	__attribute__((warn_unused_result));

/*
 * A file (memory) with the filter for bwrap --seccomp; -1 with err.  It
 * refuses what reaches around namespaces or into seldom used parts of the
 * kernel: modules, mounts, new namespaces, BPF, keyrings, io_uring, other
 * address families than local, IP, netlink and packet, and terminals' input
 * of others.
 */
int filter_fd(struct err *err) __attribute__((warn_unused_result));

#endif
