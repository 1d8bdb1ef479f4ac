#include "lib/vm/net_nft.h"

#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/vm/net.h"
#include "lib/base/banned.h"

#define TAPS "\"" TAP_PREFIX "*\""

/* "add WORDS inet forge REST\n" */
static void __attribute__((format(printf, 3, 4)))
add(struct buf *out, const char *what, const char *fmt, ...)
{
	CLEANUP_FREE char *rest = NULL;
	va_list ap;

	va_start(ap, fmt);
	rest = xvasprintf(fmt, ap);
	va_end(ap);
	buf_addf(out, "add %s inet forge %s\n", what, rest);
}

/* ---- the table ---- */

/* At once and always: the kernel sends only so many ICMP messages a second. */
static void
refuse_rules(struct buf *out)
{
	add(out, "rule", "refuse meta l4proto tcp reject with tcp reset");
	add(out, "rule", "refuse reject with icmpx admin-prohibited");
}

static void
forward_rules(const struct json *spec, struct buf *out)
{
	const char *subnet6 = json_str(spec, "subnet6", NULL);

	add(out, "rule", "forward iifname " TAPS " goto guests");
	add(out, "rule", "forward oifname " TAPS
			 " ct state established,related accept");
	add(out, "rule", "forward oifname " TAPS " drop");
	add(out, "rule", "guests ct state established,related accept");
	add(out, "rule",
		"guests ip daddr { %s, 127.0.0.0/8, 169.254.0.0/16, "
		"224.0.0.0/3 } goto refuse",
		json_str(spec, "subnet", ""));
	add(out, "rule",
		"guests ip6 daddr { %s%s::/127, fe80::/10, ff00::/8 } "
		"goto refuse",
		subnet6 ? subnet6 : "", subnet6 ? ", " : "");
	add(out, "rule", "guests iifname vmap @egress");
	add(out, "rule", "guests goto refuse");
}

static void
host_rules(const struct json *spec, struct buf *out)
{
	const char *dns = json_str(spec, "dns", "");

	add(out, "rule", "input iifname " TAPS " goto host");
	add(out, "rule", "host ct state established,related accept");
	add(out, "rule", "host ip daddr %s udp dport 53 accept", dns);
	add(out, "rule", "host ip daddr %s tcp dport 53 accept", dns);
	add(out, "rule", "host icmpv6 type { nd-neighbor-solicit, "
			 "nd-neighbor-advert } accept");
	add(out, "rule", "host goto refuse");
}

void
nft_table_script(const struct json *spec, struct buf *out)
{
	static const char *const chains[] = { "refuse", "guests", "host",
		"forward", "input", "postrouting" };
	static const char *const hooks[] = { "", "", "",
		"{ type filter hook forward priority filter; }",
		"{ type filter hook input priority filter; }",
		"{ type nat hook postrouting priority srcnat; }" };
	size_t i;

	buf_adds(out, "add table inet forge\n");
	add(out, "map", "egress { type ifname : verdict; }");
	for (i = 0; i < ARRAY_SIZE(chains); i++) {
		add(out, "chain", "%s %s", chains[i], hooks[i]);
		buf_addf(out, "flush chain inet forge %s\n", chains[i]);
	}
	refuse_rules(out);
	forward_rules(spec, out);
	host_rules(spec, out);
	add(out, "rule",
		"postrouting ip saddr %s oifname != " TAPS " masquerade",
		json_str(spec, "subnet", ""));
}

/* ---- one guest ---- */

static void
source_rules(const struct json *spec, const char *tap, struct buf *out)
{
	const char *address = json_str(spec, "address", "");
	const char *address6 = json_str(spec, "address6", NULL);

	add(out, "chain",
		"%s { type filter hook ingress device \"%s\" priority 0; "
		"policy drop; }",
		tap, tap);
	add(out, "rule", "%s ether saddr != %s drop", tap,
		json_str(spec, "mac", ""));
	add(out, "rule", "%s ip saddr %s accept", tap, address);
	/* the sender's address in an ARP message */
	add(out, "rule", "%s meta protocol arp @nh,112,32 0x%s accept", tap,
		tap + strlen(TAP_PREFIX));
	if (!address6)
		return;
	add(out, "rule", "%s ip6 saddr %s accept", tap, address6);
	add(out, "rule",
		"%s ip6 saddr { ::, fe80::/64 } icmpv6 type { "
		"nd-neighbor-solicit, nd-neighbor-advert } accept",
		tap);
}

static void
list_rule(const struct json *spec, const char *tap, const char *key,
	const char *match, struct buf *out)
{
	CLEANUP_JSON struct json *list = json_get(spec, key);
	CLEANUP_BUF struct buf words = BUF_INIT;
	size_t i, n = list ? json_len(list, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *word = json_at(list, i);

		buf_addf(&words, "%s%s", i ? ", " : "",
			json_str(word, "", ""));
	}
	if (n)
		add(out, "rule", "%s_out %s daddr { %s } accept", tap, match,
			words.s);
}

static void
allow_rules(const struct json *spec, const char *tap, struct buf *out)
{
	add(out, "set", "%s_4 { type ipv4_addr; flags timeout; size 4096; }",
		tap);
	add(out, "set", "%s_6 { type ipv6_addr; flags timeout; size 4096; }",
		tap);
	add(out, "chain", "%s_out", tap);
	list_rule(spec, tap, "egress.net4", "ip", out);
	list_rule(spec, tap, "egress.net6", "ip6", out);
	add(out, "rule", "%s_out ip daddr @%s_4 accept", tap, tap);
	add(out, "rule", "%s_out ip6 daddr @%s_6 accept", tap, tap);
	add(out, "rule", "%s_out goto refuse", tap);
}

void
nft_guest_script(const struct json *spec, struct buf *out)
{
	const char *tap = json_str(spec, "tap", "");
	const char *mode = json_str(spec, "egress.mode", "none");

	source_rules(spec, tap, out);
	if (!strcmp(mode, "all"))
		add(out, "element", "egress { \"%s\" : accept }", tap);
	if (strcmp(mode, "allow") != 0)
		return;
	allow_rules(spec, tap, out);
	add(out, "element", "egress { \"%s\" : goto %s_out }", tap, tap);
}

/* ---- to the kernel ---- */

static int
run(struct nft_ctx *nft, const char *script, struct buf *out,
	struct err *err)
{
	if (nft_ctx_buffer_error(nft) || nft_ctx_buffer_output(nft))
		return err_set(err, ERR_SYS, "libnftables has no memory");
	if (out)
		nft_ctx_output_set_flags(nft,
			NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_TERSE);
	if (nft_run_cmd_from_buffer(nft, script)) {
		const char *said = nft_ctx_get_error_buffer(nft);

		/* the rest of it draws where */
		return err_set(err,
			strstr(said, "No such file") ? ERR_NOTFOUND : ERR_SYS,
			"nftables: %.*s", (int)strcspn(said, "\n"), said);
	}
	if (out)
		buf_adds(out, nft_ctx_get_output_buffer(nft));
	return 0;
}

int
nft_run(const char *script, struct buf *out, struct err *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	int rc;

	if (!nft)
		return err_set(err, ERR_SYS, "libnftables does not start");
	rc = run(nft, script, out, err);
	nft_ctx_free(nft);
	return rc;
}

int
nft_table_exists(struct err *err)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	if (nft_run("list tables inet", &out, err))
		return -1;
	return strstr(out.s, "\"name\": \"forge\"") != NULL;
}

/* What a guest has, in the order in which it can go. */
static const char *const parts[][2] = {
	{ "element inet forge egress { \"", "\" }" },
	{ "chain inet forge ", "" }, /* the rest with egress allow only */
	{ "chain inet forge ", "_out" },
	{ "set inet forge ", "_4" },
	{ "set inet forge ", "_6" },
};

/* 0 gone, 1 one of them is not there, -1. */
static int
remove_parts(const char *tap, size_t from, size_t to, struct err *err)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = from; i < to; i++)
		buf_addf(&b, "delete %s%s%s\n", parts[i][0], tap,
			parts[i][1]);
	if (!nft_run(b.s, NULL, err))
		return 0;
	if (err->code != ERR_NOTFOUND)
		return -1;
	*err = ERR_INIT;
	return 1;
}

/*
 * At once where it is whole, for each transaction waits for all processors;
 * else one by one, what there is.
 */
int
nft_guest_remove(const char *tap, struct err *err)
{
	int rc = remove_parts(tap, 0, ARRAY_SIZE(parts), err);
	size_t i;

	if (rc <= 0)
		return rc;
	rc = remove_parts(tap, 0, 2, err);
	for (i = 0; rc >= 0 && i < ARRAY_SIZE(parts); i++)
		rc = remove_parts(tap, i, i + 1, err);
	return rc < 0 ? -1 : 0;
}

/* The tap of a chain or set: its name without "_out", "_4", "_6". */
static void
add_guest(const struct json *object, struct argv *ret)
{
	CLEANUP_FREE char *tap = xstrdup(json_str(object, "name", ""));
	size_t i;

	if (strcmp(json_str(object, "table", ""), "forge") != 0 ||
		strncmp(tap, TAP_PREFIX, strlen(TAP_PREFIX)) != 0)
		return;
	tap[strcspn(tap, "_")] = '\0';
	for (i = 0; i < ret->n; i++)
		if (!strcmp(ret->v[i], tap))
			return;
	argv_push(ret, tap);
}

int
nft_guests(struct argv *ret, struct err *err)
{
	static const char *const lists[] = { "list chains inet",
		"list sets inet" };
	static const char *const kinds[] = { "chain", "set" };
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		CLEANUP_JSON struct json *said = NULL, *all = NULL;
		CLEANUP_BUF struct buf out = BUF_INIT;

		if (nft_run(lists[i], &out, err) ||
			json_parse(out.s, out.len, &said, err))
			return -1;
		all = json_get(said, "nftables");
		for (k = 0; all && k < json_len(all, ""); k++) {
			CLEANUP_JSON struct json *one = json_at(all, k);
			CLEANUP_JSON struct json *object =
				json_get(one, kinds[i]);

			if (object)
				add_guest(object, ret);
		}
	}
	return 0;
}

/*
 * An element that is there keeps its time when it is added again; so it goes
 * and comes back, in one transaction.
 */
int
nft_allow(const char *tap, const char *address, uint32_t ttl,
	struct err *err)
{
	CLEANUP_FREE char *set = xasprintf("element inet forge %s_%c", tap,
		strchr(address, ':') ? '6' : '4');
	CLEANUP_FREE char *script = xasprintf(
		"add %s { %s }\ndelete %s { %s }\n"
		"add %s { %s timeout %us }\n",
		set, address, set, address, set, address, ttl);

	return nft_run(script, NULL, err);
}
