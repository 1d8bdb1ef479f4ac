#include "lib/state/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/argv.h"
#include "lib/base/mem.h"
#include "lib/state/config_keys.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static struct config *
need_config(void)
{
	struct err err = ERR_INIT;
	struct config *c = NULL;

	if (config_open(AT_FDCWD, ".", &c, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return c;
}

static void
test_none(void)
{
	struct config *c = need_config();
	CLEANUP_ARGV struct argv v = ARGV_INIT;
	struct err err = ERR_INIT;
	int64_t n = 0;

	is_str(config_str(c, "vm", NULL, "net", "fallback"), "fallback",
		"without files there are fallbacks");
	ok(!config_size(c, "pool", "x", "memory", 77, &n, &err) && n == 77,
		"of every type");
	ok(!config_check(c, &v, &err) && !v.n, "and no mistakes");
	config_close(c);
}

static void
test_order(void)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT, labels = ARGV_INIT;
	struct err err = ERR_INIT;
	struct config *c;
	int64_t n = 0;
	bool b = false;

	tmp_write("system", "[vm]\n\tnet = first\n\tdriver = qemu\n"
		"[pool \"Z\"]\n\tmemory = 1.5G\n\tlabels = a,b\n"
		"[forge]\n\tmax-vms = 3\n");
	tmp_write("config", "[VM]\n\tNET = \"second # kept\" ; not kept\n"
		"[pool \"a.b\"]\n\tlabels = c\n\tlabels = d,\\\ne\n"
		"\tjob-timeout = 1h30m\n[pool \"Z\"]\n\tlabels = f\n"
		"[x]\n\tflag\n");
	c = need_config();
	is_str(config_str(c, "vm", NULL, "net", NULL), "second # kept",
		"the state's file wins, names ignore case, quotes hold");
	is_str(config_str(c, "vm", NULL, "driver", NULL), "qemu",
		"the other file still counts");
	is_str(config_str(c, "pool", "z", "labels", NULL), NULL,
		"NAME does not ignore case");
	is_str(config_str(c, "pool", NULL, "labels", NULL), NULL,
		"nor is it left out");
	config_names(c, "pool", &names);
	is_int((int64_t)names.n, 2, "two pools");
	is_str(names.v[0], "Z", "in file order");
	is_str(names.n > 1 ? names.v[1] : "", "a.b", "dots and all");
	config_all(c, "pool", "a.b", "labels", &labels);
	is_int((int64_t)labels.n, 2, "repeated keys give all values");
	is_str(labels.n > 1 ? labels.v[1] : "", "d,e", "lines continue");
	ok(!config_size(c, "pool", "Z", "memory", 0, &n, &err) &&
		n == 1610612736, "size");
	ok(!config_duration(c, "pool", "a.b", "job-timeout", 0, &n, &err) &&
		n == 5400000, "duration");
	ok(!config_int(c, "forge", NULL, "max-vms", 0, &n, &err) && n == 3,
		"integer");
	ok(!config_bool(c, "x", NULL, "flag", false, &b, &err) && b,
		"a key alone is true");
	config_close(c);
}

static void
test_check(void)
{
	static const char *const want[] = {
		"system:2: unknown key 'vm.nett'",
		"./config:3: unknown key 'pool.a.b.maximum'",
		"./config:6: forge.max-vms: 'many' is not a number",
		"./config:10: unknown key 'pool.max'",
		"./inc:4: pool.p.memory: 'big' is not a size like 512M or 4G",
		"./config:14: pool.p.memory: 'x' is not a size like 512M or "
		"4G",
		"./config:15: pool.p.memory: 'y' is not a size like 512M or "
		"4G",
	};
	CLEANUP_ARGV struct argv v = ARGV_INIT;
	struct err err = ERR_INIT;
	struct config *c;
	int64_t n = 42;
	size_t i;

	tmp_write("system", "# [vm]\n[vm] nett = x # nett = y\n");
	tmp_write("config", "; comment\n[pool \"a.b\"]\n\tMaximum = 3\n"
		"[forge]\n\tmax-memory = 64G\n\tmax-vms = many\n"
		"[vm]\n\tnet = \"a\\\nmax = 3\"\n[pool] max = 1\n"
		"[include]\n\tpath = inc\n[pool \"p\"]\n"
		"\tmemory = x\n\tmemory = y\n");
	tmp_write("inc", "\n[pool \"p\"]\n# memory\nmemory = big\n");
	c = need_config();
	ok(!config_check(c, &v, &err), "config_check");
	is_int((int64_t)v.n, ARRAY_SIZE(want), "all mistakes are found");
	for (i = 0; i < ARRAY_SIZE(want); i++)
		is_str(i < v.n ? v.v[i] : NULL, want[i], "FILE:LINE");
	ok(config_int(c, "forge", NULL, "max-vms", 1, &n, &err) == -1 &&
		err.code == ERR_INVALID && n == 42,
		"a wrong value fails its reader");
	is_str(err.msg, want[2], "with FILE:LINE");
	ok(config_str(c, "vm", NULL, "nett", NULL) != NULL,
		"an unknown key fails nobody");
	config_close(c);
	unlink("system");
}

static void
test_broken(void)
{
	struct err err = ERR_INIT;
	struct config *c = NULL;

	tmp_write("config", "[vm]\n[pool\n");
	ok(config_open(AT_FDCWD, ".", &c, &err) == -1 &&
		err.code == ERR_INVALID, "broken syntax fails");
	is_str(err.msg, "configuration './config': failed to parse config "
		"file: missing ']' in section header (in ./config:2)",
		"with file and line");
	tmp_write("config", "[include]\n\tpath = config\n");
	ok(config_open(AT_FDCWD, ".", &c, &err) == -1 &&
		err.code == ERR_INVALID, "a file that includes itself fails");
}

static void
test_table(void)
{
	size_t i, j, twice = 0, upper = 0;

	for (i = 0; i < config_keys_count; i++) {
		const struct config_key *a = &config_keys[i];

		upper += a->key[strspn(a->key,
			"abcdefghijklmnopqrstuvwxyz0123456789-")] != 0;
		for (j = 0; j < i; j++)
			twice += !strcmp(a->section, config_keys[j].section) &&
				!strcmp(a->key, config_keys[j].key) &&
				a->named == config_keys[j].named;
	}
	is_int((int64_t)twice, 0, "no key is in the table twice");
	is_int((int64_t)upper, 0, "keys are lower case");
}

int
main(void)
{
	tmp_enter();
	setenv("FORGE_CONFIG", "system", 1);
	test_none();
	test_order();
	test_check();
	test_broken();
	test_table();
	tmp_leave();
	return done();
}
