#include "lib/vm/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <ldns/ldns.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/vm/egress.h"
#include "lib/vm/net_nft.h"
#include "lib/base/banned.h"

#define PENDING 64
#define SERVERS 3
#define PATIENCE 2000 /* ms until the next server is asked */
#define TRIES 3
#define NOBODY 65534

/* A question of the guest that a server is asked. */
struct pending {
	int fd; /* connected to the server; -1: free */
	struct sockaddr_in client;
	struct question q;
	uint16_t id; /* that we gave it */
	uint8_t wire[RESOLVER_MESSAGE]; /* as it is asked */
	size_t n;
	int tries;
	int64_t deadline;
};

struct resolver {
	const char *tap;
	struct egress egress;
	struct sockaddr_storage servers[SERVERS];
	socklen_t lengths[SERVERS];
	int nservers;
	int listener;
	struct pending pending[PENDING];
};

/* ---- answering ---- */

static void
reply(struct resolver *r, const struct sockaddr_in *to, const uint8_t *wire,
	size_t n)
{
	/* One that is lost is asked for again. */
	if (n)
		(void)sendto(r->listener, wire, n, MSG_DONTWAIT,
			(const struct sockaddr *)to, sizeof(*to));
}

static void
tell(struct resolver *r, const struct sockaddr_in *to,
	const struct question *q, int rcode, const struct address_list *list)
{
	uint8_t buf[RESOLVER_MESSAGE];

	reply(r, to, buf, resolver_tell(q, rcode, list, buf));
}

static void
forget(struct pending *p)
{
	(void)close(p->fd); /* a socket */
	p->fd = -1;
}

/* ---- asking ---- */

/* To the next server; a socket of its own gives it a port of its own. */
static void
ask(struct resolver *r, struct pending *p)
{
	int i, family;

	while (p->tries < TRIES) {
		i = p->tries++ % r->nservers;
		family = r->servers[i].ss_family;
		if (p->fd >= 0)
			forget(p);
		p->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC |
				SOCK_NONBLOCK, 0);
		p->deadline = clock_mono() + PATIENCE;
		if (p->fd < 0)
			break;
		if (!connect(p->fd, (void *)&r->servers[i], r->lengths[i]) &&
			send(p->fd, p->wire, p->n, 0) == (ssize_t)p->n)
			return;
	}
	tell(r, &p->client, &p->q, LDNS_RCODE_SERVFAIL, NULL);
	if (p->fd >= 0)
		forget(p);
}

static struct pending *
find_free(struct resolver *r)
{
	int i;

	for (i = 0; i < PENDING; i++)
		if (r->pending[i].fd < 0)
			return &r->pending[i];
	return NULL;
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* 0 ask p, -1 it was answered, or deserves none. */
static int
prepare(struct resolver *r, struct pending *p, const uint8_t *wire, size_t n)
{
	random_bytes(&p->id, sizeof(p->id));
	if (resolver_read(&r->egress, wire, n, &p->q))
		return -1;
	if (r->egress.mode == EGRESS_ALL && !p->q.refuse) {
		memcpy(p->wire, wire, n);
		put16(p->wire, p->id);
		p->n = n;
		return 0;
	}
	if (p->q.refuse || p->q.empty) {
		tell(r, &p->client, &p->q, p->q.refuse, NULL);
		return -1;
	}
	p->n = resolver_ask(&p->q, p->id, p->wire);
	return p->n ? 0 : -1;
}

static void
from_guest(struct resolver *r)
{
	uint8_t wire[RESOLVER_MESSAGE];
	struct pending *p = find_free(r);
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(r->listener, wire, sizeof(wire), MSG_DONTWAIT,
		(struct sockaddr *)&from, &size);

	if (n < 0 || !p)
		return; /* too many at once: it asks again */
	p->client = from;
	p->tries = 0;
	if (!prepare(r, p, wire, (size_t)n))
		ask(r, p);
}

static void
allow(struct resolver *r, const struct address_list *list)
{
	struct err err = ERR_INIT;
	size_t i;

	/* A set that is full keeps the guest in: so be it. */
	for (i = 0; i < list->n; i++)
		if (nft_allow(r->tap, list->text[i], list->ttl, &err))
			err = ERR_INIT;
}

static void
from_server(struct resolver *r, struct pending *p)
{
	uint8_t wire[RESOLVER_MESSAGE];
	ssize_t n = recv(p->fd, wire, sizeof(wire), MSG_DONTWAIT);
	struct address_list list;
	int rcode;

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			ask(r, p); /* refused: the next */
		return;
	}
	if (r->egress.mode == EGRESS_ALL) {
		if (n < 12 || wire[0] != p->id >> 8 || wire[1] != (p->id & 255))
			return;
		put16(wire, p->q.id);
		reply(r, &p->client, wire, (size_t)n);
	} else {
		if (resolver_addresses(&p->q, p->id, wire, (size_t)n, &list,
			    &rcode))
			return;
		allow(r, &list);
		tell(r, &p->client, &p->q, rcode, &list);
	}
	forget(p);
}

/* ---- the loop ---- */

static int64_t
collect(struct resolver *r, struct pollfd *fds)
{
	int64_t first = -1;
	int i;

	fds[PENDING] = (struct pollfd){ .fd = r->listener, .events = POLLIN };
	for (i = 0; i < PENDING; i++) {
		struct pending *p = &r->pending[i];

		fds[i] = (struct pollfd){ .fd = p->fd, .events = POLLIN };
		if (p->fd >= 0 && (first < 0 || p->deadline < first))
			first = p->deadline;
	}
	return first;
}

static int
loop(struct resolver *r, struct err *err)
{
	struct pollfd fds[PENDING + 1];
	int i;

	for (;;) {
		int64_t first = collect(r, fds);

		if (poll(fds, PENDING + 1, clock_left(first)) < 0 &&
			errno != EINTR)
			return err_sys(err, "poll");
		for (i = 0; i < PENDING; i++) {
			struct pending *p = &r->pending[i];

			if (p->fd >= 0 && fds[i].revents)
				from_server(r, p);
			else if (p->fd >= 0 && !clock_left(p->deadline))
				ask(r, p);
		}
		if (fds[PENDING].revents)
			from_guest(r);
	}
}

/* ---- beginning ---- */

static int
listen_on(struct resolver *r, const char *address, struct err *err)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(53) };

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		BUG("address '%s'", address);
	r->listener = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (r->listener < 0 ||
		setsockopt(r->listener, SOL_SOCKET, SO_BINDTODEVICE, r->tap,
			(socklen_t)strlen(r->tap)) ||
		bind(r->listener, (struct sockaddr *)&in, sizeof(in)))
		return err_sys(err, "cannot listen on %s port 53", address);
	return 0;
}

static void
add_server(struct resolver *r, const ldns_rdf *address)
{
	size_t size = 0;
	struct sockaddr_storage *s = r->nservers == SERVERS ? NULL :
		ldns_rdf2native_sockaddr_storage(address, 53, &size);

	if (!s)
		return;
	r->servers[r->nservers] = *s;
	r->lengths[r->nservers++] = (socklen_t)size;
	free(s);
}

/* Those of the spec, else this host's own. */
static int
find_servers(struct resolver *r, const struct json *spec, struct err *err)
{
	CLEANUP_JSON struct json *list = json_get(spec, "upstream");
	size_t i, n = list ? json_len(list, "") : 0;
	ldns_resolver *host = NULL;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *word = json_at(list, i);
		const char *text = json_str(word, "", "");
		ldns_rdf *a = ldns_rdf_new_frm_str(strchr(text, ':') ?
				LDNS_RDF_TYPE_AAAA :
				LDNS_RDF_TYPE_A, text);

		if (!a)
			return err_set(err, ERR_INVALID,
				"vm.nameserver: '%.60s' is no address", text);
		add_server(r, a);
		ldns_rdf_deep_free(a);
	}
	if (!n && ldns_resolver_new_frm_file(&host, NULL) == LDNS_STATUS_OK) {
		for (i = 0; i < ldns_resolver_nameserver_count(host); i++)
			add_server(r, ldns_resolver_nameservers(host)[i]);
		ldns_resolver_deep_free(host);
	}
	return r->nservers ? 0 :
		err_set(err, ERR_INVALID,
			"no name server in /etc/resolv.conf, and "
			"none by vm.nameserver");
}

/*
 * It reads what guests and servers send: of root's rights it keeps only that
 * to change the tables.  A change of user forgets whose death is ours.
 */
static int
drop_rights(struct err *err)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };
	pid_t parent = getppid();

	data[0].effective = data[0].permitted = 1u << CAP_NET_ADMIN;
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) ||
		setresgid(NOBODY, NOBODY, NOBODY) ||
		setresuid(NOBODY, NOBODY, NOBODY) ||
		syscall(SYS_capset, &head, data) ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_sys(err, "cannot drop root's rights");
	return getppid() == parent ? 0 :
		err_set(err, ERR_CANCELED, "the VM is gone");
}

static void
take_hosts(struct resolver *r, const struct json *spec)
{
	CLEANUP_JSON struct json *list = json_get(spec, "egress.hosts");
	size_t i, n = list ? json_len(list, "") : 0;

	r->egress = EGRESS_INIT;
	r->egress.mode = strcmp(json_str(spec, "egress.mode", ""), "all") ?
		EGRESS_ALLOW :
		EGRESS_ALL;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *word = json_at(list, i);

		argv_push(&r->egress.hosts, json_str(word, "", ""));
	}
}

int
resolver_run(const struct json *spec, struct err *err)
{
	struct resolver *r = xcalloc(1, sizeof(*r));
	int i, rc = -1;

	for (i = 0; i < PENDING; i++)
		r->pending[i].fd = -1;
	r->tap = json_str(spec, "tap", "");
	r->listener = -1;
	take_hosts(r, spec);
	if (!find_servers(r, spec, err) &&
		!listen_on(r, json_str(spec, "dns", ""), err) &&
		!drop_rights(err)) {
		puts("ready");
		rc = fflush(stdout) ? err_sys(err, "stdout") : loop(r, err);
	}
	cleanup_close(&r->listener);
	egress_release(&r->egress);
	free(r);
	return rc;
}
