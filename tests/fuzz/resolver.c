/*
 * DNS messages from a hostile guest, and from a hostile server: what is let
 * through is an allowed name, and what is made of it is a sound message.
 */
#include <ldns/ldns.h>

#include <stdlib.h>
#include <string.h>

#include "lib/vm/egress.h"
#include "lib/vm/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need_sound(const uint8_t *wire, size_t n, uint16_t id)
{
	ldns_pkt *p = NULL;

	if (!n || n > RESOLVER_MESSAGE ||
		ldns_wire2pkt(&p, wire, n) != LDNS_STATUS_OK ||
		ldns_pkt_id(p) != id)
		abort();
	ldns_pkt_free(p);
}

static void
from_guest(const struct egress *e, const uint8_t *data, size_t size)
{
	uint8_t wire[RESOLVER_MESSAGE];
	struct question q;

	if (resolver_read(e, data, size, &q))
		return;
	if (!q.refuse && !egress_allows_name(e, q.name))
		abort();
	need_sound(wire, resolver_tell(&q, q.refuse, NULL, wire), q.id);
	if (!q.refuse && !q.empty)
		need_sound(wire, resolver_ask(&q, 7, wire), 7);
}

static void
from_server(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { 1, 28 };
	struct question q = { .id = 9, .name = "good.test" };
	uint8_t wire[RESOLVER_MESSAGE];
	struct address_list list;
	int rcode;
	size_t i;

	for (i = 0; i < 2; i++) {
		q.type = types[i];
		if (resolver_addresses(&q,
			    size > 1 ? (uint16_t)(data[0] << 8 | data[1]) : 0,
			    data, size, &list, &rcode))
			continue;
		if (list.n > RESOLVER_ADDRESSES || list.ttl < RESOLVER_TTL_MIN ||
			list.ttl > RESOLVER_TTL_MAX || rcode < 0)
			abort();
		i = resolver_tell(&q, rcode, &list, wire);
		need_sound(wire, i, 9);
		if (i > 512)
			abort();
		return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct egress e = EGRESS_INIT;
	struct err err = ERR_INIT;

	if (egress_parse("allow=good.test,*.wild.test", &e, &err))
		abort();
	from_guest(&e, data, size);
	from_server(data, size);
	egress_release(&e);
	return 0;
}
