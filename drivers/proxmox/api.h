/*
 * api: the REST API of Proxmox VE, as far as a driver needs it.
 * https://pve.proxmox.com/pve-docs/api-viewer/
 *
 *	struct pve *p;
 *	if (pve_open(config, &p, err)) return -1;
 *	if (pve_task(p, "POST", path, &args, &upid, err) ...
 *
 * The keys of config are those of [driver "proxmox"] in forge-config(5).
 * The token goes only into a header of requests to url.
 */
#ifndef FORGE_DRIVERS_PROXMOX_API_H
#define FORGE_DRIVERS_PROXMOX_API_H

#include "lib/base/argv.h"
#include "lib/base/err.h"
#include "lib/base/json.h"

struct pve;

int pve_open(const struct json *config, struct pve **ret, struct err *err)
	__attribute__((warn_unused_result));
void pve_close(struct pve *p);

/*
 * One call: path below /api2/json; form is "name", "value", ... or NULL.
 * *ret is its "data" (NULL: not wanted).  A status other than 2xx is
 * ERR_NOTFOUND (404, and what Proxmox says 500 to when there is no such VM),
 * ERR_EXISTS (the VM id is taken), ERR_BUSY (the VM is locked), ERR_AUTH, ERR_NET
 * with what it said.
 */
int pve_call(struct pve *p, const char *method, const char *path,
	const struct argv *form, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* The same for a call that begins a task; returns when that has ended. */
int pve_task(struct pve *p, const char *method, const char *path,
	const struct argv *form, struct err *err)
	__attribute__((warn_unused_result));

#endif
