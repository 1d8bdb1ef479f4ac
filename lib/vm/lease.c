#include "lib/vm/lease.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

#define FIRST 16 /* what is below is ours: gateway, name server, reserve */

/* ---- the subnet ---- */

static int
subnet6_load(struct config *c, struct subnet *ret, struct err *err)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	const char *s = config_str(c, "vm", NULL, "subnet6", NULL);
	int i;

	ret->prefix6 = 0;
	if (!s)
		return 0;
	argv_splitc(&parts, s, '/');
	if (parts.n != 2 || inet_pton(AF_INET6, parts.v[0], ret->network6) != 1 ||
		parse_int(parts.v[1], 16, 96, "vm.subnet6", &ret->prefix6, err))
		return err_set(err, ERR_INVALID,
			"vm.subnet6: '%s' is not like fd12:3456:789a::/64, "
			"/16 to /96",
			s);
	for (i = ret->prefix6; i < 128; i++)
		ret->network6[i / 8] &= (unsigned char)~(0x80 >> i % 8);
	return 0;
}

int
subnet_load(struct state *st, struct subnet *ret, struct err *err)
{
	CLEANUP_ARGV struct argv parts = ARGV_INIT;
	struct in_addr in;
	struct config *c;
	const char *s;
	int prefix;

	if (state_config(st, &c, err))
		return -1;
	s = config_str(c, "vm", NULL, "subnet", "10.127.0.0/16");
	argv_splitc(&parts, s, '/');
	if (parts.n != 2 || inet_pton(AF_INET, parts.v[0], &in) != 1 ||
		parse_int(parts.v[1], 8, 28, "vm.subnet", &prefix, err))
		return err_set(err, ERR_INVALID,
			"vm.subnet: '%s' is not like 10.127.0.0/16, /8 to /28",
			s);
	ret->prefix = prefix;
	ret->network = ntohl(in.s_addr) & ~0u << (32 - prefix);
	ret->bridge = config_str(c, "vm", NULL, "bridge", NULL);
	ret->nameserver = config_str(c, "vm", NULL, "nameserver", "");
	return subnet6_load(c, ret, err);
}

uint32_t
subnet_gateway(const struct subnet *s)
{
	return s->network + 1;
}

uint32_t
subnet_dns(const struct subnet *s)
{
	return s->network + 2;
}

/* The last host address: the one after it is for broadcasts. */
static uint32_t
subnet_last(const struct subnet *s)
{
	return (s->network | (~0u >> s->prefix)) - 1;
}

char *
address_format(uint32_t address, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%u.%u.%u.%u", address >> 24,
		address >> 16 & 255, address >> 8 & 255, address & 255);
	return buf;
}

char *
address6_format(const struct subnet *s, uint32_t address,
	char buf[ADDRESS6_SIZE])
{
	unsigned char bytes[16];
	uint32_t low = htonl(address);

	memcpy(bytes, s->network6, sizeof(bytes));
	memcpy(bytes + 12, &low, sizeof(low));
	(void)inet_ntop(AF_INET6, bytes, buf, ADDRESS6_SIZE);
	return buf;
}

/* ---- one lease ---- */

/*
 * The lowest free address from ?1 to ?2: ?1 itself, or one behind a lease.
 * Nearly always ?1 is free, for it is behind the one given last.
 */
static const char sql_free[] =
	"SELECT c FROM (SELECT ?1 AS c UNION ALL SELECT address + 1 FROM "
	"lease WHERE address >= ?1 AND address < ?2) WHERE NOT EXISTS "
	"(SELECT 1 FROM lease WHERE address = c) AND c <= ?2 "
	"ORDER BY c LIMIT 1";

static int
find_free(struct db *db, const struct subnet *s, int64_t *ret,
	struct err *err)
{
	static const char sql_cursor[] = "SELECT address FROM lease_cursor";
	int64_t first = (int64_t)s->network + FIRST, last = subnet_last(s);
	int64_t from = first;

	if (!db_get_int(db, &from, sql_cursor, err, DB_LAST))
		from++;
	else if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	if (from < first || from > last)
		from = first;
	if (!db_get_int(db, ret, sql_free, err, DB_I(from), DB_I(last)))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	if (!db_get_int(db, ret, sql_free, err, DB_I(first), DB_I(last)))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	return err_set(err, ERR_LIMIT,
		"no address is free in vm.subnet; stop a VM, or release a "
		"lease (forge-vm lease list)");
}

static int
told(struct db *db, const char *kind, const char *holder, uint32_t address,
	struct err *err)
{
	struct json *data = json_object();
	char text[16];

	json_put_str(data, "address",
		address_format(address, text, sizeof(text)));
	return event_add(db, kind, holder, data, err);
}

int
lease_add(struct db *db, const struct subnet *s, const char *holder,
	const char *vm, uint32_t *ret, struct err *err)
{
	static const char sql_insert[] =
		"INSERT INTO lease (address, holder, vm, taken_at) "
		"VALUES (?1, ?2, ?3, ?4)";
	static const char sql_cursor[] =
		"INSERT INTO lease_cursor (id, address) VALUES (1, ?1) "
		"ON CONFLICT (id) DO UPDATE SET address = ?1";
	int64_t address;

	if (find_free(db, s, &address, err))
		return -1;
	if (db_run(db, sql_insert, NULL, err, DB_I(address), DB_S(holder),
		    DB_S(vm), DB_I(clock_wall()))) {
		if (err->code == ERR_EXISTS)
			return err_set(err, ERR_EXISTS,
				"'%s' has a lease already", holder);
		return -1;
	}
	if (db_run(db, sql_cursor, NULL, err, DB_I(address)))
		return -1;
	*ret = (uint32_t)address;
	return told(db, "lease.taken", holder, *ret, err);
}

int
lease_drop(struct db *db, const char *holder, struct err *err)
{
	int64_t address;

	if (db_get_int(db, &address,
		    "SELECT address FROM lease WHERE holder = ?1", err,
		    DB_S(holder))) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT;
		return 0;
	}
	if (db_run(db, "DELETE FROM lease WHERE holder = ?1", NULL, err,
		    DB_S(holder)))
		return -1;
	return told(db, "lease.released", holder, (uint32_t)address, err);
}

/* ---- for the command ---- */

int
lease_next(struct state *st, const struct subnet *s, uint32_t *ret,
	struct err *err)
{
	int64_t address;
	struct db *db;

	if (state_db(st, &db, err) || find_free(db, s, &address, err))
		return -1;
	*ret = (uint32_t)address;
	return 0;
}

int
lease_take(struct state *st, const char *holder, uint32_t *ret,
	struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	struct subnet s;
	struct db *db;

	if (subnet_load(st, &s, err) || state_db(st, &db, err) ||
		db_begin(db, &t, err) ||
		lease_add(db, &s, holder, NULL, ret, err))
		return -1;
	return db_commit(&t, err);
}

int
lease_release(struct state *st, const char *holder, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	int64_t of_vm;
	struct db *db;

	if (state_db(st, &db, err) || db_begin(db, &t, err))
		return -1;
	if (db_get_int(db, &of_vm,
		    "SELECT vm IS NOT NULL FROM lease WHERE holder = ?1", err,
		    DB_S(holder)))
		return err->code != ERR_NOTFOUND ? -1 :
			err_set(err, ERR_NOTFOUND, "'%s' has no lease",
				holder);
	if (of_vm)
		return err_set(err, ERR_BUSY,
			"the lease of '%s' belongs to the VM of that name and "
			"ends with it", holder);
	if (lease_drop(db, holder, err))
		return -1;
	return db_commit(&t, err);
}

int
lease_each(struct state *st,
	int (*emit)(struct json *row, void *arg), void *arg, struct err *err)
{
	static const char sql[] =
		"SELECT holder, address, vm, taken_at FROM lease "
		"ORDER BY address";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct db *db;
	int rc;

	if (state_db(st, &db, err) || db_query(db, &rows, sql, err, DB_LAST))
		return -1;
	while ((rc = db_next(rows, err)) == 1) {
		struct json *o = json_object();
		char text[16];

		json_put_str(o, "holder", db_text(rows, 0));
		json_put_str(o, "address",
			address_format((uint32_t)db_int(rows, 1), text,
				sizeof(text)));
		json_put_str(o, "vm", db_text(rows, 2));
		json_put_int(o, "taken_at", db_int(rows, 3));
		rc = emit(o, arg);
		if (rc)
			return rc;
	}
	return rc;
}
