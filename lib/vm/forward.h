/*
 * forward: ports of a guest, reachable on the host, and the other way about.
 *
 * Connections are accepted here and carried through the guest channel to
 * 127.0.0.1:PORT in the guest (::1 when nobody listens there), so it needs no
 * network between host and guest.  Each direction of each connection has its
 * own window of CHANNEL_WINDOW bytes: who does not read holds up nobody else,
 * and memory is bounded.  The end of one direction is carried as such, a
 * reset as a reset.
 *
 * The reverse is a port of 127.0.0.1 in the guest; what connects there is
 * connected, by us, to one address of this host, and to no other.
 *
 *	forward_parse("8080:80", &spec, err)		for each
 *	forward_open(st, "web", specs, n, &f, err)	listens when it returns
 *	... forward_name(f, i) is where ...
 *	forward_loop(f, err)				until a signal
 *	forward_close(f)
 */
#ifndef FORGE_VM_FORWARD_H
#define FORGE_VM_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "lib/base/err.h"

struct state;
struct forward;

#define FORWARD_SPECS 64 /* listeners of one forward */

struct forward_spec {
	struct sockaddr_storage address; /* AF_UNIX: path is used instead */
	socklen_t length;
	char *path; /* of a UNIX socket; or NULL */
	uint16_t port; /* in the guest; of a reverse one 0: any */
	bool reverse; /* the guest listens, and we connect to address */
};

/*
 * "[ADDR:]HOSTPORT:PORT", "PORT" for the same on both sides, or "PATH:PORT"
 * where PATH has a '/'.  ADDR is numeric, IPv6 in brackets, 127.0.0.1 when
 * left out; HOSTPORT 0 or empty lets the system choose.  ERR_USAGE.
 */
int forward_parse(const char *s, struct forward_spec *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * A reverse one: "PORT:[ADDR:]HOSTPORT", "PORT" for the same on both sides, or
 * "PORT:PATH"; ADDR as above, PORT 0 or empty lets the guest choose.
 */
int forward_parse_reverse(const char *s, struct forward_spec *ret,
	struct err *err) __attribute__((warn_unused_result));
void forward_spec_release(struct forward_spec *s);

/*
 * specs are borrowed until forward_close().  A UNIX socket gets mode 0600; one
 * that nobody listens on any more is replaced.  Blocks the signals that end
 * forward_loop().  ERR_NOTFOUND when the VM does not run; ERR_EXISTS for an
 * address, path, or port in the guest that is taken; ERR_CANCELED on a signal
 * before the guest listened.
 */
int forward_open(struct state *st, const char *vm,
	const struct forward_spec *specs, size_t n, struct forward **ret,
	struct err *err) __attribute__((warn_unused_result));
/*
 * "127.0.0.1:41234", "[::1]:80" or the path; "VM:PORT" of a reverse one.
 * Valid until forward_close().
 */
const char *forward_name(const struct forward *f, size_t i);
/* 0 on SIGTERM, SIGINT or SIGHUP; -1 when the VM ended. */
int forward_loop(struct forward *f, struct err *err)
	__attribute__((warn_unused_result));
/* Removes its sockets' paths. */
void forward_close(struct forward *f);

#endif
