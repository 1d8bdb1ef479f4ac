/*
 * The table of drivers in lib/vm/driver.c, held to what each says of itself.
 * The drivers are in FORGE_LIBEXEC.
 */
#include "lib/vm/driver.h"

#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "tests/unit/tap.h"

static void
check_nets(const struct driver *d, const struct json *caps)
{
	CLEANUP_JSON struct json *list = json_get(caps, "net");
	CLEANUP_BUF struct buf said = BUF_INIT;
	size_t i;

	for (i = 0; i < json_len(list, ""); i++) {
		CLEANUP_JSON struct json *mode = json_at(list, i);

		buf_addf(&said, "%s%s", i ? " " : "", json_str(mode, "", ""));
	}
	is_str(said.s, d->nets, "its networks");
}

static void
check(const char *name)
{
	CLEANUP_JSON struct json *caps = NULL, *verbs = NULL;
	CLEANUP_FREE char *said = NULL;
	struct err err = ERR_INIT;
	struct driver d;

	printf("# %s\n", name);
	if (!ok(!driver_find(name, &d, &err) &&
			!driver_ask(name, "caps", NULL, &caps, &err),
		    "it says what it can")) {
		printf("# %s\n", err.msg);
		return;
	}
	is_str(d.name, name, "found by its name");
	is_str(json_str(caps, "driver", ""), name, "and it has that name");
	ok(json_bool(caps, "machine", false) == d.machine, "a machine or not");
	ok(!strcmp(json_str(caps, "root", ""), "tree") == d.tree,
		"a tree or a disk");
	ok(!strcmp(json_str(caps, "channel", ""), "vsock") == d.vsock,
		"the channel");
	ok(json_bool(caps, "api", false) == d.api, "pause and resume, or not");
	ok(!strcmp(json_str(caps, "halt", ""), "reboot") == d.restart,
		"how its guests end");
	verbs = json_get(caps, "verbs");
	said = verbs ? json_text(verbs) : xstrdup("");
	ok((strstr(said, "\"stop\"") != NULL) == d.stop, "stop, or not");
	check_nets(&d, caps);
}

int
main(void)
{
	struct err err = ERR_INIT;
	const char *name, *net;
	struct driver d;
	size_t i;

	for (i = 0; (name = driver_known(i)); i++)
		check(name);
	is_int((int64_t)i, 6, "all of them");
	ok(driver_find("nosuch", &d, &err) == -1, "there is no other");
	is_int(err.code, ERR_NOTFOUND, "and that is said");
	err = ERR_INIT;
	ok(!driver_net("process", NULL, &net, &err) && !strcmp(net, "none"),
		"a place has no network by itself");
	ok(!driver_net("process", "user", &net, &err) && !strcmp(net, "user"),
		"but may be given one");
	ok(!driver_net("firecracker", "user", &net, &err) &&
			!strcmp(net, "none"),
		"what a driver has not got is not its default");
	return done();
}
