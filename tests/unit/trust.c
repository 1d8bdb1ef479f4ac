/* Tokens, requests, agents, certificates: what strangers may send. */
#include "lib/trust/agent.h"

#include <stdlib.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/trust/bundle.h"
#include "lib/trust/ca.h"
#include "lib/trust/csr.h"
#include "lib/trust/token.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static struct state *
need_state(struct db **db)
{
	struct err err = ERR_INIT;
	struct state *st = NULL;

	if (state_open(&st, &err) || state_db(st, db, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return st;
}

/* ---- bundles ---- */

static void
test_bundle_vectors(void)
{
	static const char *const texts[] = {
		"kfr1_eyJtIjoiY2hhaW4iLCJ0IjoicmVnX3Rlc3QiLCJ1IjoiaHR0cHM6Ly9s"
		"b2NhbGhvc3Q6OTQ0MyJ9",
		"kfr1_eyJ0IjoicmVnX3Rlc3QiLCJtIjoiY2hhaW4iLCJ1IjoiaHR0cHM6Ly9s"
		"b2NhbGhvc3Q6OTQ0MyJ9",
	};
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP_BUNDLE struct bundle got = BUNDLE_INIT;
		struct err err = ERR_INIT;

		ok(!bundle_parse(texts[i], strlen(texts[i]), &got, &err),
			"kuiper-forge's bundle is read");
		is_str(got.token, "reg_test", "token");
		is_str(got.url, "https://localhost:9443", "URL");
		ok(!got.ca, "a chain has no CA");
		buf_reset(&b);
		bundle_write(&got, &b);
		is_str(b.s, texts[0], "written as its command line does");
	}
}

static void
bundle_refused(const char *s, const char *what)
{
	CLEANUP_BUNDLE struct bundle b = BUNDLE_INIT;
	struct err err = ERR_INIT;

	ok(bundle_parse(s, strlen(s), &b, &err) == -1 &&
		err.code == ERR_INVALID && !b.token, what);
	printf("# %s\n", err.msg);
}

static void
bundle_json_refused(const char *json, const char *what)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	unsigned char text[512];
	size_t i;

	buf_adds(&b, "kfr1_");
	EVP_EncodeBlock(text, (const unsigned char *)json, (int)strlen(json));
	for (i = 0; text[i] && text[i] != '='; i++)
		buf_addc(&b, text[i] == '+' ? '-' : text[i] == '/' ? '_' :
			(char)text[i]);
	bundle_refused(b.s, what);
}

static void
test_bundle_bad(void)
{
	bundle_refused("", "nothing");
	bundle_refused("reg_abc", "another prefix");
	bundle_refused("kfr1_!!!invalid!!!", "no base64");
	bundle_refused("kfr1_e30=", "padding");
	bundle_refused("kfr1_e3", "cut");
	bundle_refused("kfr1_e31", "bits that no encoder leaves");
	bundle_json_refused("[]", "no object");
	bundle_json_refused("{", "no JSON");
	bundle_json_refused("{\"t\":\"\",\"u\":\"https://h\",\"m\":\"chain\"}",
		"no token");
	bundle_json_refused("{\"t\":\"x\",\"u\":\"https://h\"}",
		"no CA, and ca is the default");
	bundle_json_refused("{\"t\":\"x\",\"m\":\"chain\"}", "no URL");
	bundle_json_refused("{\"t\":\"x\",\"m\":\"other\",\"u\":\"https://h\"}",
		"another trust");
	bundle_json_refused("{\"t\":\"x\",\"m\":\"chain\",\"u\":\"http://h\"}",
		"no TLS");
	bundle_json_refused("{\"t\":\"x\",\"m\":\"chain\",\"u\":"
			    "\"https://h;id\"}", "a strange host");
}

static void
url_is(const char *url, const char *host, int port)
{
	CLEANUP_FREE char *got = NULL;
	struct err err = ERR_INIT;
	int p = 0;

	if (bundle_url(url, &got, &p, &err))
		p = -1;
	ok(p == port && (port < 0 || !strcmp(got, host)), url);
}

static void
test_urls(void)
{
	url_is("https://ci.example:9443", "ci.example", 9443);
	url_is("https://ci.example/", "ci.example", 443);
	url_is("https://[::1]:9443", "::1", 9443);
	url_is("https://127.0.0.1", "127.0.0.1", 443);
	url_is("https://", NULL, -1);
	url_is("https://h:0", NULL, -1);
	url_is("https://h:65536", NULL, -1);
	url_is("https://-h", NULL, -1);
	url_is("https://a b", NULL, -1);
	url_is("https://[::1", NULL, -1);
}

/* ---- requests ---- */

static X509_REQ *
request(EVP_PKEY *key, const EVP_MD *md)
{
	X509_REQ *req = X509_REQ_new();

	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN",
		MBSTRING_UTF8, (const unsigned char *)"Web,1", -1, -1, 0);
	if (!X509_REQ_set_pubkey(req, key) || !X509_REQ_sign(req, key, md))
		printf("Bail out! no request\n");
	return req;
}

static int
parse_request(X509_REQ *req, char **name, struct err *err)
{
	EVP_PKEY *key = NULL;
	unsigned char *der = NULL;
	int n = i2d_X509_REQ(req, &der), rc;

	rc = csr_parse((char *)der, (size_t)n, &key, name, err);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	X509_REQ_free(req);
	return rc;
}

static void
request_is(EVP_PKEY *key, const EVP_MD *md, int want, const char *what)
{
	CLEANUP_FREE char *name = NULL;
	struct err err = ERR_INIT;

	is_int(parse_request(request(key, md), &name, &err), want, what);
	if (want)
		printf("# %s\n", err.msg);
	else
		is_str(name, "Web,1", "and its name");
	EVP_PKEY_free(key);
}

static EVP_PKEY *
explicit_curve(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit");
	return key;
}

static void
test_requests(void)
{
	CLEANUP_FREE char *name = NULL;
	EVP_PKEY *own = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	X509_REQ *req = request(own, EVP_sha256());
	struct err err = ERR_INIT;
	char *big = xcalloc(1, CSR_MAX + 2);
	EVP_PKEY *key = NULL;

	request_is(EVP_EC_gen("P-256"), EVP_sha256(), 0, "P-256");
	request_is(EVP_EC_gen("P-384"), EVP_sha384(), 0, "P-384");
	request_is(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, 0,
		"Ed25519");
	request_is(EVP_RSA_gen(2048), EVP_sha256(), 0, "RSA 2048");
	request_is(EVP_RSA_gen(1024), EVP_sha256(), -1, "RSA 1024");
	request_is(EVP_EC_gen("P-224"), EVP_sha256(), -1, "P-224");
	request_is(EVP_EC_gen("P-256"), EVP_sha1(), -1, "SHA-1");
	request_is(explicit_curve(), EVP_sha256(), -1, "a curve of its own");
	X509_REQ_set_pubkey(req, other);
	is_int(parse_request(req, &name, &err), -1, "signed by another key");
	printf("# %s\n", err.msg);
	memset(big, 'A', CSR_MAX + 1);
	is_int(csr_parse(big, CSR_MAX + 1, &key, &name, &err), -1, "too large");
	is_int(csr_parse("", 0, &key, &name, &err), -1, "empty");
	is_int(csr_parse("\x30\x80", 2, &key, &name, &err), -1, "cut");
	free(big);
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
}

static void
host_is(const char *from, const char *want)
{
	CLEANUP_FREE char *got = csr_host_name(from);

	is_str(got, want, "host");
}

static void
test_hosts(void)
{
	host_is("Mac-Mini-1", "mac-mini-1");
	host_is("host.example.com", "host-example-com");
	host_is("host_name", "host-name");
	host_is("", "host");
	host_is("../../etc", "etc");
	host_is("a,DNS:evil\n\x01", "a-dns-evil");
	host_is("\xc3\xa9", "host");
	host_is("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwx");
}

/* ---- tokens ---- */

static char *the_token;

static int
consume(struct db *db, const char *token, const char *kind, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(db, &t, err) || token_consume(db, token, kind, "a", err))
		return -1;
	return db_commit(&t, err);
}

/* 1 for him who got it. */
static int
try_one(int i)
{
	struct err err = ERR_INIT;
	struct db *db;
	struct state *st = need_state(&db);
	int rc;

	(void)i;
	db_set_timeout(db, 60000);
	rc = !consume(db, the_token, "vm", &err);
	if (!rc && err.code != ERR_AUTH) {
		printf("# %s\n", err.msg);
		rc = 100;
	}
	state_close(st);
	return rc;
}

static char *
new_token(struct db *db, const char *kind, int64_t ttl)
{
	struct token_new t = { .kind = kind, .url = "https://h",
		.by = "me", .ttl_ms = ttl };
	struct err err = ERR_INIT;
	char *token = NULL;

	if (token_create(db, &t, &token, &err)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return token;
}

static void
not_taken(struct db *db, const char *token, const char *kind,
	const char *why)
{
	struct err err = ERR_INIT;

	ok(consume(db, token, kind, &err) == -1 && err.code == ERR_AUTH &&
		strstr(err.msg, why), why);
	printf("# %s\n", err.msg);
}

static void
test_tokens(struct db *db)
{
	CLEANUP_FREE char *tart = new_token(db, "tart", 60000);
	CLEANUP_FREE char *gone = new_token(db, NULL, 60000);
	CLEANUP_FREE char *old = new_token(db, NULL, 60000);
	struct err err = ERR_INIT;
	int64_t n = -1;

	is_int((int64_t)strlen(tart), 36, "reg_ and 32 characters");
	ok(!db_get_int(db, &n, "SELECT count(*) FROM token WHERE instr(hash,"
		" ?) OR id = ?", &err, DB_S(tart), DB_S(tart)) && !n,
		"which are not stored");
	not_taken(db, "reg_no", "vm", "no such");
	not_taken(db, tart, "vm", "kind tart");
	ok(!consume(db, tart, "tart", &err), "taken by its kind");
	not_taken(db, tart, "tart", "used already");
	ok(!token_revoke(db, gone, &err), "revoked by itself");
	not_taken(db, gone, "vm", "was revoked");
	ok(token_revoke(db, gone, &err) == -1 && err.code == ERR_BUSY,
		"once");
	ok(!db_run(db, "UPDATE token SET expires_at = 1700000000000 WHERE"
		" used_at IS NULL AND revoked_at IS NULL", NULL, &err),
		"time passes");
	not_taken(db, old, "vm", "expired at 2023-11-14T22:13:20.000Z");
	the_token = new_token(db, NULL, 60000);
	is_int(tmp_children(100, try_one), 1, "of 100 at once one gets it");
	free(the_token);
}

/* ---- agents ---- */

static void
check_is(struct db *db, const char *serial, const char *name,
	const char *why, const char *what)
{
	struct err err = ERR_INIT;
	int rc = cert_check(db, serial, name, NULL, &err);

	if (!why)
		ok(!rc, what);
	else
		ok(rc == -1 && err.code == ERR_AUTH && strstr(err.msg, why),
			what);
	printf("# %s\n", err.msg);
}

static char *
upper(const char *s)
{
	char *out = xasprintf("00%s", s);
	char *p;

	for (p = out; *p; p++)
		if (*p >= 'a')
			*p = (char)(*p - 32);
	return out;
}

static void
test_checks(struct state *st, struct db *db, const char *id,
	const struct cert *c)
{
	CLEANUP_FREE char *loud = upper(c->serial);
	struct err err = ERR_INIT;

	check_is(db, c->serial, id, NULL, "it may come in");
	check_is(db, loud, id, NULL, "its serial in capitals, zeros before");
	check_is(db, c->serial, "agent_vm_other_x", "not registered",
		"under another name not");
	check_is(db, "00", id, "not registered", "with another serial not");
	check_is(db, "", id, "not ours", "with none not");
	check_is(db, "12z", id, "not ours", "with no number not");
	ok(!db_run(db, "UPDATE cert SET not_after = 1 WHERE serial = ?", NULL,
		&err, DB_S(c->serial)), "time passes");
	check_is(db, c->serial, id, "expired", "not when it has expired");
	ok(!db_run(db, "UPDATE cert SET not_after = 9e15, not_before = 8e15"
		" WHERE serial = ?", NULL, &err, DB_S(c->serial)),
		"the clock is wrong");
	check_is(db, c->serial, id, "not valid yet", "nor before its time");
	ok(!db_run(db, "UPDATE cert SET not_before = 1 WHERE serial = ?", NULL,
		&err, DB_S(c->serial)), "the clock is right");
	ok(!agent_revoke(st, id, &err), "revoke the agent");
	check_is(db, c->serial, id, "revoked", "and it is out");
	ok(agent_revoke(st, id, &err) == -1 && err.code == ERR_BUSY, "once");
}

static int
enroll(struct state *st, struct ca *ca, const struct enroll *e, char **ret_id,
	struct cert *ret, struct err *err)
{
	struct enrolment one = { .ask = *e };

	agent_enroll(st, ca, &one, 1);
	*err = one.err;
	if (!one.id)
		return -1;
	*ret_id = one.id;
	*ret = one.cert;
	return 0;
}

static void
test_enroll(struct state *st, struct db *db)
{
	CLEANUP_FREE char *token = new_token(db, "vm", 60000), *id = NULL;
	CLEANUP_CERT struct cert c = CERT_INIT, next = CERT_INIT;
	CLEANUP_BUF struct buf csr = BUF_INIT;
	CLEANUP_PKEY EVP_PKEY *key = NULL;
	CLEANUP_CA struct ca *ca = NULL;
	struct err err = ERR_INIT;
	struct enroll e = { .token = token, .host = "Web.1", .kind = "VM",
		.csr = "x", .ncsr = 1, .max_vms = 3 };

	ok(!ca_open(st, &ca, &err), "the CA");
	ok(enroll(st, ca, &e, &id, &c, &err) == -1 &&
		err.code == ERR_INVALID && !id, "a bad request");
	if (!ok(!pem_make_key(&key, &err) &&
		!csr_make(key, "ignored", &csr, &err), "a good one"))
		return;
	e.csr = csr.s;
	e.ncsr = csr.len;
	if (!ok(!enroll(st, ca, &e, &id, &c, &err),
		"takes the token that the bad one left"))
		printf("# %s\n", err.msg);
	ok(id && !strncmp(id, "agent_vm_web-1_", 15) && strlen(id) == 23, id);
	ok(!c.key && strstr(c.pem, "BEGIN CERTIFICATE"), "without a key");
	ok(!agent_renew(st, ca, id, c.serial, csr.s, csr.len, 0, &next,
		&err) && strcmp(c.serial, next.serial) != 0, "renewed");
	ok(agent_renew(st, ca, "agent_vm_web-1_other", c.serial, csr.s,
		csr.len, 0, &next, &err) == -1 && err.code == ERR_AUTH,
		"for itself only");
	test_checks(st, db, id, &c);
	check_is(db, next.serial, id, "revoked", "with all its certificates");
}

static void
test_made_key(struct state *st, struct db *db)
{
	CLEANUP_FREE char *token = new_token(db, NULL, 60000), *id = NULL;
	CLEANUP_CERT struct cert c = CERT_INIT;
	CLEANUP_CA struct ca *ca = NULL;
	struct err err = ERR_INIT;
	struct enroll e = { .token = token, .host = "", .kind = "tart" };

	ok(!ca_open(st, &ca, &err) &&
		!enroll(st, ca, &e, &id, &c, &err),
		"as kuiper-forge's agents want it");
	ok(c.key && !strncmp(c.key, "-----BEGIN PRIVATE KEY-----\n", 28),
		"a key in PKCS#8 form comes with it");
	ok(id && !strncmp(id, "agent_tart_host_", 16), "a host without a name");
	ok(enroll(st, ca, &e, &id, &c, &err) == -1 &&
		err.code == ERR_AUTH, "the token is used up");
}

static struct json *
sets_of(const char *text)
{
	struct json *j = NULL;
	struct err err = ERR_INIT;

	if (json_parse(text, strlen(text), &j, &err))
		printf("Bail out! %s\n", err.msg);
	return j;
}

static void
report_is(struct db *db, const char *id, const char *sets, const char *want,
	int events)
{
	CLEANUP_JSON struct json *j = sets_of(sets);
	struct agent_report r = { .label_sets = j, .max_vms = 2, .active = 1,
		.slots = 1, .version = "9" };
	CLEANUP_FREE char *got = NULL;
	struct err err = ERR_INIT;
	int64_t n = -1;
	int rc = agent_report(db, id, &r, &err);

	if (!want) {
		ok(rc == -1 && err.code == ERR_INVALID, err.msg);
		return;
	}
	ok(!rc && !db_get_text(db, &got, "SELECT label_sets FROM agent WHERE"
		" id = ?", &err, DB_S(id)), "report");
	is_str(got, want, "labels: lower case, sorted, once");
	ok(!db_get_int(db, &n, "SELECT count(*) FROM event WHERE kind ="
		" 'agent.changed' AND subject = ?", &err, DB_S(id)) &&
		n == events, "an event when something changed");
}

static void
test_stream(struct db *db)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	CLEANUP_FREE char *id = NULL;
	struct err err = ERR_INIT;
	int64_t n = -1;

	ok(!db_get_text(db, &id, "SELECT id FROM agent WHERE revoked_at IS"
		" NULL", &err), "an agent");
	ok(!db_begin(db, &t, &err), "a transaction");
	ok(!agent_connected(db, id, "127.0.0.1", &err), "connected");
	report_is(db, id, "[[\"B\",\"a\",\"b\"],[]]", "[[\"a\",\"b\"],[]]", 1);
	report_is(db, id, "[[\"a\",\"b\"],[]]", "[[\"a\",\"b\"],[]]", 1);
	report_is(db, id, "[[\"x\\u001b\"]]", NULL, 0);
	report_is(db, id, "[[\"\"]]", NULL, 0);
	ok(agent_connected(db, "agent_vm_no", "::1", &err) == -1 &&
		err.code == ERR_NOTFOUND, "no such agent");
	ok(!agent_seen(db, id, &err) && !agent_gone(db, NULL, "bye", &err) &&
		!agent_gone(db, id, "bye", &err), "gone");
	ok(!db_get_int(db, &n, "SELECT count(*) FROM event WHERE kind ="
		" 'agent.gone'", &err) && n == 1, "once");
	ok(!db_commit(&t, &err), "committed");
}

/* One transaction, and each is judged for itself. */
static void
test_together(struct state *st, struct db *db)
{
	CLEANUP_FREE char *one = new_token(db, NULL, 60000);
	CLEANUP_FREE char *two = new_token(db, "tart", 60000);
	struct enroll asks[] = { { .token = one, .host = "a", .kind = "tart" },
		{ .token = one, .host = "b", .kind = "tart" },
		{ .token = two, .host = "c", .kind = "vm" },
		{ .token = "reg_none", .host = "d", .kind = "vm" },
		{ .token = two, .host = "e", .kind = "other" },
		{ .token = two, .host = "f", .kind = "Tart" },
		{ .token = one, .host = "g", .kind = "tart" } };
	static const enum err_code want[] = { ERR_NONE, ERR_AUTH, ERR_AUTH,
		ERR_AUTH, ERR_INVALID, ERR_NONE, ERR_AUTH };
	struct enrolment v[ARRAY_SIZE(asks)];
	CLEANUP_CA struct ca *ca = NULL;
	struct err err = ERR_INIT;
	int64_t before, after;
	size_t i;

	ok(!ca_open(st, &ca, &err) && !db_get_int(db, &before,
		"SELECT count(*) FROM agent", &err), "before");
	for (i = 0; i < ARRAY_SIZE(v); i++)
		v[i].ask = asks[i];
	agent_enroll(st, ca, v, ARRAY_SIZE(v));
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		ok(v[i].err.code == want[i] && !v[i].id == !!want[i],
			asks[i].host);
		free(v[i].id);
		cert_release(&v[i].cert);
	}
	ok(!db_get_int(db, &after, "SELECT count(*) FROM agent", &err) &&
		after == before + 2, "one agent for each token");
}

int
main(void)
{
	struct err err = ERR_INIT;
	struct state *st;
	struct db *db;

	tmp_enter();
	setenv("FORGE_STATE", "state", 1);
	test_bundle_vectors();
	test_bundle_bad();
	test_urls();
	test_requests();
	test_hosts();
	st = need_state(&db);
	test_tokens(db);
	ok(!ca_init(st, "Test", NULL, &err), "a CA");
	test_enroll(st, db);
	test_made_key(st, db);
	test_together(st, db);
	test_stream(db);
	state_close(st);
	tmp_leave();
	return done();
}
