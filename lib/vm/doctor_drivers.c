#include "lib/vm/doctor_internal.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/vm/driver.h"
#include "lib/base/banned.h"

static void
check_driver(struct doctor *d, const char *name)
{
	CLEANUP_FREE char *check = xasprintf("driver-%s", name);
	CLEANUP_JSON struct json *caps = NULL;
	enum need need = !strcmp(name, d->driver) ? REQUIRED : OPTIONAL;
	struct err err = ERR_INIT;
	struct driver known;
	const char *why;

	if (driver_ask(name, "caps", NULL, &caps, &err) ||
		driver_find(name, &known, &err)) {
		doctor_tell(d, check, need,
			err.code == ERR_NOTFOUND ? "missing" : "failed",
			err.msg, "install forge again, or set $FORGE_LIBEXEC");
		return;
	}
	why = json_str(caps, "why", NULL);
	if (!json_bool(caps, "usable", false))
		doctor_tell(d, check, need,
			json_has(caps, "program") ? "failed" : "missing", why,
			json_str(caps, "fix", "see its manual"));
	else if (known.vsock && d->no_kvm)
		doctor_tell(d, check, need, "failed", d->no_kvm,
			"it needs KVM: use a host where that works");
	else
		doctor_tell(d, check, need, "ok",
			json_str(caps, "program", NULL), NULL);
}

void
doctor_drivers(struct doctor *d)
{
	const char *name;
	bool told = false;
	size_t i;

	for (i = 0; (name = driver_known(i)); i++) {
		told = told || !strcmp(name, d->driver);
		check_driver(d, name);
	}
	if (!told)
		check_driver(d, d->driver);
}
