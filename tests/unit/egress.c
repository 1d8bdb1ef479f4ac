#include "lib/vm/egress.h"

#include <string.h>

#include "lib/vm/resolver.h"
#include "tests/unit/tap.h"

static int
parse(const char *text, struct egress *e)
{
	struct err err = ERR_INIT;
	int rc;

	*e = EGRESS_INIT;
	rc = egress_parse(text, e, &err);
	return rc ? (err.code == ERR_USAGE ? -1 : -2) : 0;
}

static void
test_parse(void)
{
	static const char *const bad[] = { "", "ALL", "allow", "allow=",
		"allow=,", "allow=1.2.3.4/33", "allow=1.2.3", "allow=300.1.1.1",
		"allow=fd00::/129", "allow=1.2.3.4/", "allow=1.2.3.4/-1",
		"allow=a..b", "allow=.a", "allow=*.", "allow=a*.b", "allow=*",
		"allow=a/24", "allow=a b", "allow=a;b" };
	struct egress e;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ok(parse(bad[i], &e) == -1, bad[i]);
		egress_release(&e);
	}
	ok(!parse("allow=192.0.2.0/24,1.2.3.4,fd00::/8,::1,Deb.Test.,*.X.test",
		   &e) && e.net4.n == 2 && e.net6.n == 2 && e.hosts.n == 2,
		"a list of all kinds");
	is_str(e.net4.v[1], "1.2.3.4/32", "an address is a network");
	is_str(e.hosts.v[0], "deb.test", "names are lower case, without a dot");
	is_str(e.hosts.v[1], "*.x.test", "a whole domain");
	egress_release(&e);
}

static void
test_names(void)
{
	static const char *const no[] = { "test", "x.good.test", "xgood.test",
		"wild.test", "xwild.test", ".wild.test", "a..wild.test",
		"good.test.evil", "a b.wild.test", "" };
	struct egress e;
	char longest[300];
	size_t i;

	(void)parse("allow=good.test,*.wild.test", &e);
	ok(egress_allows_name(&e, "GOOD.test."), "the name itself");
	ok(egress_allows_name(&e, "a.b.wild.test"), "below a domain");
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ok(!egress_allows_name(&e, no[i]), no[i]);
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 240, ".wild.test");
	ok(!egress_allows_name(&e, longest), "no label of 240 bytes");
	egress_release(&e);
	(void)parse("none", &e);
	ok(!egress_allows_name(&e, "good.test"), "none: no name");
	egress_release(&e);
}

/* good.test A, and the same as an answer with two records and a CNAME */
static const uint8_t question[] =
	"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\4good\4test\0\0\1\0\1";
static const uint8_t answer[] =
	"\0\7\x81\x80\0\1\0\3\0\0\0\0\4good\4test\0\0\1\0\1"
	"\xc0\x0c\0\5\0\1\0\0\0\x14\0\4\1x\xc0\x11"
	"\1x\xc0\x11\0\1\0\1\0\0\1\0\0\4\xc0\0\2\1"
	"\1x\xc0\x11\0\1\0\1\0\0\1\0\0\4\xc0\0\2\2";

static void
test_messages(void)
{
	uint8_t wire[RESOLVER_MESSAGE];
	struct address_list list;
	struct question q;
	struct egress e;
	int rcode = -1;

	(void)parse("allow=good.test", &e);
	ok(!resolver_read(&e, question, sizeof(question) - 1, &q) &&
			!q.refuse && !q.empty && q.id == 0x1234 && q.type == 1,
		"a question for an allowed name");
	is_str(q.name, "good.test", "and its name");
	ok(resolver_read(&e, answer, sizeof(answer) - 1, &q),
		"an answer is no question");
	ok(resolver_read(&e, question, 12, &q), "nor is half of one");
	ok(!resolver_read(&e, question, sizeof(question) - 1, &q), "again");
	ok(!resolver_addresses(&q, 7, answer, sizeof(answer) - 1, &list,
		   &rcode) && list.n == 2 && !rcode, "two addresses");
	is_str(list.text[1], "192.0.2.2", "the second");
	ok(list.ttl == 20, "for the time of the CNAME");
	ok(resolver_addresses(&q, 8, answer, sizeof(answer) - 1, &list,
		   &rcode), "not with another id");
	ok(resolver_addresses(&q, 0x1234, question, sizeof(question) - 1,
		   &list, &rcode), "a question is no answer");
	q.type = 28;
	ok(resolver_addresses(&q, 7, answer, sizeof(answer) - 1, &list,
		   &rcode), "nor one of another type");
	ok(resolver_tell(&q, 5, NULL, wire) > 12 && wire[2] & 0x80 &&
			(wire[3] & 15) == 5, "refused");
	egress_release(&e);
}

int
main(void)
{
	test_parse();
	test_names();
	test_messages();
	return done();
}
