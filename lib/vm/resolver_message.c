/* What the resolver reads and writes; the loop is in resolver.c. */
#include <ldns/ldns.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/vm/egress.h"
#include "lib/vm/resolver.h"
#include "lib/base/banned.h"

#define CLEANUP_PKT __attribute__((cleanup(cleanup_pkt)))
#define EDNS_SIZE 1232 /* what passes everywhere in one piece */

static void
cleanup_pkt(ldns_pkt **p)
{
	ldns_pkt_free(*p);
}

/* The one question of a message; NULL when it has another number of them. */
static const ldns_rr *
only_question(const ldns_pkt *p)
{
	const ldns_rr_list *l = ldns_pkt_question(p);

	return ldns_rr_list_rr_count(l) == 1 ? ldns_rr_list_rr(l, 0) : NULL;
}

static bool
normal_owner(const ldns_rr *rr, char name[256])
{
	CLEANUP_FREE char *text = ldns_rdf2str(ldns_rr_owner(rr));

	return text && egress_normal_name(text, name);
}

int
resolver_read(const struct egress *e, const uint8_t *wire, size_t n,
	struct question *ret)
{
	CLEANUP_PKT ldns_pkt *p = NULL;
	const ldns_rr *rr;

	*ret = (struct question){ 0 };
	if (ldns_wire2pkt(&p, wire, n) != LDNS_STATUS_OK) {
		p = NULL;
		return -1;
	}
	rr = only_question(p);
	if (ldns_pkt_qr(p) || !rr)
		return -1;
	ret->id = ldns_pkt_id(p);
	ret->type = (uint16_t)ldns_rr_get_type(rr);
	if (!normal_owner(rr, ret->name))
		return -1;
	if (ldns_pkt_get_opcode(p) != LDNS_PACKET_QUERY ||
		ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN ||
		!egress_allows_name(e, ret->name))
		ret->refuse = LDNS_RCODE_REFUSED;
	else if (ret->type != LDNS_RR_TYPE_A && ret->type != LDNS_RR_TYPE_AAAA)
		ret->empty = true;
	return 0;
}

/* Into buf, what ldns made of p; 0 when it could not. */
static size_t
write_pkt(const ldns_pkt *p, uint8_t buf[RESOLVER_MESSAGE])
{
	uint8_t *wire = NULL;
	size_t n = 0;

	if (ldns_pkt2wire(&wire, p, &n) != LDNS_STATUS_OK ||
		n > RESOLVER_MESSAGE)
		n = 0;
	if (n)
		memcpy(buf, wire, n);
	free(wire);
	return n;
}

size_t
resolver_ask(const struct question *q, uint16_t id,
	uint8_t buf[RESOLVER_MESSAGE])
{
	CLEANUP_PKT ldns_pkt *p = NULL;
	ldns_rdf *name = ldns_dname_new_frm_str(q->name);

	if (!name)
		return 0;
	p = ldns_pkt_query_new(name, (ldns_rr_type)q->type, LDNS_RR_CLASS_IN,
		LDNS_RD);
	if (!p) {
		ldns_rdf_deep_free(name);
		return 0;
	}
	ldns_pkt_set_id(p, id);
	ldns_pkt_set_edns_udp_size(p, EDNS_SIZE);
	return write_pkt(p, buf);
}

/* ---- the server's answer ---- */

static void
take_record(const ldns_rr *rr, uint16_t type, struct address_list *ret)
{
	uint32_t ttl = ldns_rr_ttl(rr);
	ldns_rr_type t = ldns_rr_get_type(rr);
	char *text;

	if (t != type && t != LDNS_RR_TYPE_CNAME)
		return;
	if (ttl < ret->ttl)
		ret->ttl = ttl;
	if (t != type || ret->n == RESOLVER_ADDRESSES || !ldns_rr_rdf(rr, 0))
		return;
	text = ldns_rdf2str(ldns_rr_rdf(rr, 0));
	if (text && strlen(text) < sizeof(ret->text[0]))
		memcpy(ret->text[ret->n++], text, strlen(text) + 1);
	free(text);
}

int
resolver_addresses(const struct question *q, uint16_t id,
	const uint8_t *wire, size_t n, struct address_list *ret, int *rcode)
{
	CLEANUP_PKT ldns_pkt *p = NULL;
	const ldns_rr_list *l;
	const ldns_rr *rr;
	char name[256];
	size_t i;

	*ret = (struct address_list){ .ttl = RESOLVER_TTL_MAX };
	if (ldns_wire2pkt(&p, wire, n) != LDNS_STATUS_OK) {
		p = NULL;
		return -1;
	}
	rr = only_question(p);
	if (!ldns_pkt_qr(p) || ldns_pkt_id(p) != id || !rr ||
		ldns_rr_get_type(rr) != q->type || !normal_owner(rr, name) ||
		strcmp(name, q->name) != 0)
		return -1;
	*rcode = ldns_pkt_get_rcode(p);
	l = ldns_pkt_answer(p);
	for (i = 0; i < ldns_rr_list_rr_count(l); i++)
		take_record(ldns_rr_list_rr(l, i), q->type, ret);
	if (ret->ttl < RESOLVER_TTL_MIN)
		ret->ttl = RESOLVER_TTL_MIN;
	return 0;
}

/* ---- ours ---- */

static ldns_rr *
record(const struct question *q, bool answer)
{
	ldns_rr *rr = ldns_rr_new();

	if (!rr)
		BUG("ldns has no memory");
	ldns_rr_set_owner(rr, ldns_dname_new_frm_str(q->name));
	ldns_rr_set_type(rr, (ldns_rr_type)q->type);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_question(rr, !answer);
	return rr;
}

size_t
resolver_tell(const struct question *q, int rcode,
	const struct address_list *list, uint8_t buf[RESOLVER_MESSAGE])
{
	CLEANUP_PKT ldns_pkt *p = ldns_pkt_new();
	size_t i;

	if (!p)
		return 0;
	ldns_pkt_set_id(p, q->id);
	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_rd(p, true);
	ldns_pkt_set_ra(p, true);
	ldns_pkt_set_rcode(p, (uint8_t)rcode);
	(void)ldns_pkt_push_rr(p, LDNS_SECTION_QUESTION, record(q, false));
	for (i = 0; list && i < list->n; i++) {
		ldns_rdf *a = ldns_rdf_new_frm_str(
			q->type == LDNS_RR_TYPE_A ? LDNS_RDF_TYPE_A :
						    LDNS_RDF_TYPE_AAAA,
			list->text[i]);
		ldns_rr *rr = record(q, true);

		if (!a)
			BUG("ldns does not read its own '%s'", list->text[i]);
		ldns_rr_set_ttl(rr, list->ttl);
		(void)ldns_rr_push_rdf(rr, a);
		(void)ldns_pkt_push_rr(p, LDNS_SECTION_ANSWER, rr);
	}
	return write_pkt(p, buf);
}
