/*
 * net_link: taps, addresses and routes of the kernel, over rtnetlink.
 *
 * For libexec/forge-net only, which is linked with libmnl.  Everything here
 * is root's.  Addresses are texts ("10.127.0.16", "fd00::16").
 */
#ifndef FORGE_VM_NET_LINK_H
#define FORGE_VM_NET_LINK_H

#include <stdbool.h>
#include "lib/base/err.h"

/*
 * Make the persistent tap name with that alias, down.  It is there whole, with
 * its alias, or not at all: it persists only from its last step on.
 * ERR_EXISTS.
 */
int link_tap(const char *name, const char *alias, struct err *err)
	__attribute__((warn_unused_result));
/* Success when there is none. */
int link_remove(const char *name, struct err *err)
	__attribute__((warn_unused_result));
int link_up(const char *name, struct err *err)
	__attribute__((warn_unused_result));
/* As a port of that bridge, which hears no other isolated port. */
int link_bridge(const char *name, const char *bridge, struct err *err)
	__attribute__((warn_unused_result));
bool link_exists(const char *name);

/*
 * An address of ours on the link: local/32 with the guest's as peer, which is
 * a route to it too; or, peer NULL, local with that prefix length.
 */
int link_address(const char *name, const char *local, const char *peer,
	int prefix, struct err *err) __attribute__((warn_unused_result));
/* dst/prefix through the link; name NULL: unreachable. */
int link_route(const char *name, const char *dst, int prefix, bool add,
	struct err *err) __attribute__((warn_unused_result));
/* 1 when dst/prefix is unreachable by a route of its own, 0 not, or -1. */
int link_unreachable(const char *dst, int prefix, struct err *err)
	__attribute__((warn_unused_result));

/* Each link whose alias begins so. */
int link_each(const char *alias,
	void (*emit)(const char *name, const char *alias, void *arg),
	void *arg, struct err *err) __attribute__((warn_unused_result));

#endif
