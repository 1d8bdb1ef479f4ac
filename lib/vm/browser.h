/*
 * browser: the browser in a VM, reachable by CDP from this host.
 *
 *	struct browser *b;
 *	browser_open(st, &spec, &b, err)	it answers when this returns
 *	... browser_answer(b) ...
 *	browser_wait(b, err)			until a signal
 *	browser_close(b)
 *
 * `forge-vm forward` carries it; when nothing answers at the guest's port
 * 9222, what the image runs by itself is started by `forge-vm exec`, and ends
 * with browser_close().  Both are children, and die with us.
 */
#ifndef FORGE_VM_BROWSER_H
#define FORGE_VM_BROWSER_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/json.h"

#define BROWSER_PORT 9222 /* in the guest */

struct state;
struct browser;

struct browser_spec {
	const char *vm;
	const char *listen; /* "[ADDR:]HOSTPORT"; NULL: any port of loopback */
	int64_t timeout; /* ms until it must answer */
};

/*
 * Blocks the signals that end browser_wait().  ERR_NOTFOUND: no such VM;
 * ERR_TIMEOUT; ERR_INVALID: what answers there is no browser; ERR_CANCELED:
 * a signal came.
 */
int browser_open(struct state *st, const struct browser_spec *spec,
	struct browser **ret, struct err *err)
	__attribute__((warn_unused_result));
/* {"url" (WebSocket, by way of this host),"address","browser"}; borrowed. */
const struct json *browser_answer(const struct browser *b);
/* 0 on SIGTERM, SIGINT or SIGHUP; -1 when the VM or the browser ended. */
int browser_wait(struct browser *b, struct err *err)
	__attribute__((warn_unused_result));
void browser_close(struct browser *b);

#endif
