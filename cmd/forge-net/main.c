/*
 * forge-net: what --net tap asks of the kernel; lib/vm/net.h has its verbs.
 * Run by forge-vm, not by people.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cmd.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/vm/net.h"
#include "lib/vm/net_link.h"
#include "lib/vm/net_nft.h"
#include "lib/vm/resolver.h"
#include "lib/base/banned.h"

#define SPEC_MAX (1u << 20)

/* ---- up and down ---- */

static int
write_setting(const char *tap, const char *name, const char *value,
	struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("/proc/sys/net/ipv6/conf/%s/%s",
		tap, name);
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && !fs_exists(AT_FDCWD, "/proc/sys/net/ipv6"))
		return 0; /* a kernel without IPv6 */
	if (fd < 0 || write_all(fd, value, strlen(value)))
		return err_sys(err, "cannot set '%s'", path);
	return 0;
}

/* The host's side: its addresses, and the ways to the guest's. */
static int
address_up(const struct json *spec, const char *tap, struct err *err)
{
	const char *six = json_str(spec, "address6", NULL);

	if (write_setting(tap, six ? "addr_gen_mode" : "disable_ipv6", "1",
		    err) ||
		link_up(tap, err) ||
		link_address(tap, json_str(spec, "gateway", ""),
			json_str(spec, "address", ""), 32, err) ||
		link_address(tap, json_str(spec, "dns", ""), NULL, 32, err))
		return -1;
	if (!six)
		return 0;
	return link_address(tap, json_str(spec, "gateway6", ""), NULL, 64,
		       err) ||
			link_route(tap, six, 128, true, err) ?
		-1 :
		0;
}

static int
rules_up(const struct json *spec, struct err *err)
{
	CLEANUP_BUF struct buf script = BUF_INIT;

	nft_guest_script(spec, &script);
	if (!nft_run(script.s, NULL, err))
		return 0;
	return err->code != ERR_NOTFOUND ? -1 :
		err_set(err, ERR_USAGE,
			"the host is not set up for --net tap; run "
			"'forge-vm setup'");
}

/* The rules come before the link is up: no packet goes without them. */
static int
verb_up(const struct json *spec, struct err *err)
{
	const char *tap = json_str(spec, "tap", "");
	const char *bridge = json_str(spec, "bridge", NULL);

	if (link_tap(tap, json_str(spec, "alias", ""), err) ||
		rules_up(spec, err))
		return -1;
	if (!bridge)
		return address_up(spec, tap, err);
	return write_setting(tap, "disable_ipv6", "1", err) ||
			link_bridge(tap, bridge, err) || link_up(tap, err) ?
		-1 :
		0;
}

/* The rules first: what has no link any more is known to be left over. */
static int
verb_down(const struct json *spec, struct err *err)
{
	const char *tap = json_str(spec, "tap", "");

	return nft_guest_remove(tap, err) || link_remove(tap, err) ? -1 : 0;
}

/* ---- the host ---- */

static int
verb_table(const struct json *spec, struct err *err)
{
	CLEANUP_BUF struct buf script = BUF_INIT;

	nft_table_script(spec, &script);
	return nft_run(script.s, NULL, err);
}

static int
verb_untable(const struct json *spec, struct err *err)
{
	(void)spec;
	if (!nft_run("delete table inet forge\n", NULL, err))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 0;
}

static int
route(const struct json *spec, bool on, struct err *err)
{
	return link_route(NULL, json_str(spec, "dst", ""),
		(int)json_int(spec, "prefix", 32), on, err);
}

static int
verb_route(const struct json *spec, struct err *err)
{
	return route(spec, true, err);
}

static int
verb_unroute(const struct json *spec, struct err *err)
{
	return route(spec, false, err);
}

/* ---- scan ---- */

static void
see_tap(const char *name, const char *alias, void *arg)
{
	struct json *o = json_object();

	json_put_str(o, "tap", name);
	json_put_str(o, "alias", alias);
	json_push(arg, o);
}

static int
put_left(struct json *o, struct err *err)
{
	CLEANUP_ARGV struct argv guests = ARGV_INIT;
	struct json *left = json_array();
	int rc = nft_guests(&guests, err);
	size_t i;

	for (i = 0; !rc && i < guests.n; i++)
		if (!link_exists(guests.v[i]))
			json_push_str(left, guests.v[i]);
	json_put(o, "guests", left);
	return rc;
}

static int
verb_scan(const struct json *spec, struct err *err)
{
	const char *dst = json_str(spec, "dst", NULL);
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL;
	struct json *taps = json_array();
	int table, route_there = 0, rc;

	rc = link_each(json_str(spec, "alias", "forge:"), see_tap, taps, err);
	json_put(o, "taps", taps);
	table = rc ? -1 : nft_table_exists(err);
	if (table < 0 || put_left(o, err))
		return -1;
	if (dst)
		route_there = link_unreachable(dst,
			(int)json_int(spec, "prefix", 32), err);
	if (route_there < 0)
		return -1;
	json_put_bool(o, "table", table > 0);
	json_put_bool(o, "unreachable", route_there > 0);
	text = json_text(o);
	puts(text);
	return 0;
}

/* ---- which ---- */

static const struct {
	const char *name;
	int (*run)(const struct json *spec, struct err *err);
} verbs[] = {
	{ "up", verb_up },
	{ "down", verb_down },
	{ "scan", verb_scan },
	{ "table", verb_table },
	{ "untable", verb_untable },
	{ "route", verb_route },
	{ "unroute", verb_unroute },
	{ "resolve", resolver_run },
};

int
main(int argc, char **argv)
{
	CLEANUP_JSON struct json *spec = NULL;
	CLEANUP_BUF struct buf in = BUF_INIT;
	struct err err = ERR_INIT;
	size_t i;

	main_init("forge-net");
	for (i = 0; argc == 2 && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, argv[1]) != 0)
			continue;
		if (buf_read_fd(&in, STDIN_FILENO, SPEC_MAX, "stdin", &err) ||
			json_parse(in.s, in.len, &spec, &err) ||
			verbs[i].run(spec, &err))
			return err_print(&err);
		return EXIT_OK;
	}
	(void)err_set(&err, ERR_USAGE,
		"what forge-vm runs for --net tap; not for people");
	return err_print(&err);
}
