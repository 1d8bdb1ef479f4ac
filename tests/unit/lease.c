#include "lib/vm/lease.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/mac.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

#define MAC_WEB "02:39:96:a8:d4:14"

enum { TAKERS = 32 };

static struct state *
need_state(void)
{
	struct err err = ERR_INIT;
	struct state *st = NULL;
	struct db *db;

	if (state_open(&st, &err) || state_db(st, &db, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return st;
}

/* The last number of the address, 0 with err told when there was none. */
static int
take(struct state *st, const char *holder, struct err *err)
{
	uint32_t address;

	*err = ERR_INIT;
	return lease_take(st, holder, &address, err) ? 0 :
						       (int)(address & 255);
}

static int64_t
count(struct state *st, const char *sql)
{
	struct err err = ERR_INIT;
	struct db *db;
	int64_t n = -1;

	if (state_db(st, &db, &err) || db_get_int(db, &n, sql, &err, DB_LAST))
		printf("# %s\n", err.msg);
	return n;
}

static void
test_subnet(void)
{
	struct state *st = need_state();
	struct err err = ERR_INIT;
	struct subnet s;
	char text[16];

	is_int(subnet_load(st, &s, &err), 0, "the subnet");
	is_str(address_format(s.network, text, sizeof(text)), "10.9.0.0",
		"its network");
	is_int(s.prefix, 27, "its prefix");
	is_str(address_format(subnet_gateway(&s), text, sizeof(text)),
		"10.9.0.1", "its gateway");
	is_str(address_format(subnet_dns(&s), text, sizeof(text)), "10.9.0.2",
		"its name server");
	state_close(st);
}

static void
test_bad_subnets(void)
{
	static const char *const bad[] = { "10.9.0.0", "10.9.0.0/29",
		"10.9.0.0/7", "10.9.0/27", "10.9.0.0/27/1", "x/27" };
	struct subnet s;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = ERR_INIT;
		struct state *st;
		char line[100];

		(void)snprintf(line, sizeof(line), "[vm]\n\tsubnet = %s\n",
			bad[i]);
		tmp_write("state/config", line);
		st = need_state();
		is_int(subnet_load(st, &s, &err), -1, bad[i]);
		is_int(err.code, ERR_INVALID, "is not a subnet");
		state_close(st);
	}
	tmp_write("state/config", "[vm]\n\tsubnet = 10.9.0.0/27\n");
}

/* 10.9.0.0/27: leases are .16 to .30. */
static void
test_rotation(void)
{
	struct state *st = need_state();
	struct err err = ERR_INIT;
	struct subnet s;
	uint32_t next = 0;
	char name[8];
	int i;

	is_int(take(st, "a", &err), 16, "the first");
	is_int(take(st, "a", &err), 0, "one each");
	is_int(err.code, ERR_EXISTS, "is told");
	is_int(take(st, "b", &err), 17, "the second");
	is_int(lease_release(st, "a", &err), 0, "given back");
	is_int(take(st, "c", &err), 18, "a freed one rests");
	for (i = 19; i <= 30; i++) {
		(void)snprintf(name, sizeof(name), "h%d", i);
		if (take(st, name, &err) != i)
			break;
	}
	is_int(i, 31, "up to the last");
	is_int(subnet_load(st, &s, &err) || lease_next(st, &s, &next, &err),
		0, "the next is told");
	is_int(next & 255, 16, "and is the freed one");
	is_int(take(st, "d", &err), 16, "now it is given again");
	is_int(take(st, "e", &err), 0, "full");
	is_int(err.code, ERR_LIMIT, "is a limit");
	is_int(lease_next(st, &s, &next, &err), -1, "and there is no next");
	err = ERR_INIT;
	is_int(lease_release(st, "h20", &err), 0, "room again");
	is_int(take(st, "e", &err), 20, "is found");
	err = ERR_INIT;
	is_int(lease_release(st, "nobody", &err), -1, "nobody's lease");
	is_int(err.code, ERR_NOTFOUND, "is not found");
	is_int(count(st, "SELECT count(*) FROM event WHERE kind = "
			 "'lease.taken'") -
			count(st, "SELECT count(*) FROM event WHERE kind = "
				  "'lease.released'"),
		count(st, "SELECT count(*) FROM lease"), "events tell of all");
	state_close(st);
}

static int
taker(int i)
{
	struct state *st = need_state();
	struct err err = ERR_INIT;
	char name[16];
	int k, failed = 0;

	for (k = 0; k < 4; k++) {
		(void)snprintf(name, sizeof(name), "p%d-%d", i, k);
		failed += !take(st, name, &err);
	}
	state_close(st);
	return failed;
}

static void
test_at_once(void)
{
	struct state *st;

	tmp_write("state/config", "[vm]\n\tsubnet = 10.10.0.0/16\n");
	is_int(tmp_children(TAKERS, taker), 0, "32 takers at once");
	st = need_state();
	is_int(count(st, "SELECT count(DISTINCT address) FROM lease WHERE "
			 "holder GLOB 'p*'"),
		TAKERS * 4, "have what nobody else has");
	state_close(st);
}

/* As `printf 'web|10.127.0.16' | sha1sum` has it. */
static void
test_mac(void)
{
	char mac[18], other[18];

	mac_of("web", 10u << 24 | 127 << 16 | 16, mac);
	is_str(mac, MAC_WEB, "the MAC of a VM");
	mac_of("wec", 10u << 24 | 127 << 16 | 16, other);
	ok(strcmp(mac, other) != 0, "is its own");
}

int
main(void)
{
	tmp_enter();
	(void)setenv("FORGE_STATE", "state", 1);
	(void)setenv("FORGE_CONFIG", "/dev/null", 1);
	state_close(need_state());
	tmp_write("state/config", "[vm]\n\tsubnet = 10.9.0.0/27\n");
	test_subnet();
	test_bad_subnets();
	test_rotation();
	test_at_once();
	test_mac();
	tmp_leave();
	return done();
}
