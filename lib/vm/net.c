#include "lib/vm/net.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/state/config.h"
#include "lib/state/db.h"
#include "lib/state/state.h"
#include "lib/vm/digest.h"
#include "lib/vm/egress.h"
#include "lib/vm/lease.h"
#include "lib/vm/net_tap.h"
#include "lib/vm/vm.h"
#include "lib/base/banned.h"

#define PROGRAM "forge-net"
#define ANSWER_MAX (8u << 20)
#define ANSWER_TIMEOUT 20000 /* ms */

bool
net_is_tap(const struct vm_spec *vm)
{
	return !strcmp(vm->net, "tap");
}

int
net_check_egress(const char *text, struct err *err)
{
	CLEANUP_EGRESS struct egress e = EGRESS_INIT;

	return egress_parse(text, &e, err);
}

void
net_tap_name(uint32_t address, char ret[TAP_SIZE])
{
	(void)snprintf(ret, TAP_SIZE, TAP_PREFIX "%08x", address);
}

char *
net_alias(struct state *st)
{
	struct digest d;

	digest_bytes(state_path(st), strlen(state_path(st)), &d);
	return xasprintf("forge:%.12s:", d.hex);
}

static int
ask(const char *verb, const struct json *spec, int lock, struct json **ret,
	struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT, out = BUF_INIT;
	CLEANUP_FREE char *path = NULL;

	if (find_helper(PROGRAM, &path, err))
		return -1;
	argv_push(&p.argv, path);
	argv_push(&p.argv, verb);
	if (lock >= 0) {
		p.pass[p.npass++] = lock;
		p.parent_death = SIGKILL;
	}
	json_write(spec, &in);
	if (proc_run(&p, &in, &out, ANSWER_MAX, ANSWER_TIMEOUT, err))
		return -1;
	return ret ? json_parse(out.s, out.len, ret, err) : 0;
}

int
net_ask(const char *verb, const struct json *spec, struct json **ret,
	struct err *err)
{
	return ask(verb, spec, -1, ret, err);
}

/* ---- what is asked for ---- */

static struct json *
words(const struct argv *a)
{
	struct json *list = json_array();
	size_t i;

	for (i = 0; i < a->n; i++)
		json_push_str(list, a->v[i]);
	return list;
}

static struct json *
egress_json(const struct egress *e)
{
	static const char *const modes[] = { [EGRESS_NONE] = "none",
		[EGRESS_ALL] = "all", [EGRESS_ALLOW] = "allow" };
	struct json *o = json_object();

	json_put_str(o, "mode", modes[e->mode]);
	json_put(o, "net4", words(&e->net4));
	json_put(o, "net6", words(&e->net6));
	json_put(o, "hosts", words(&e->hosts));
	return o;
}

static void
put_addresses(struct json *o, const struct vm_address *a,
	const struct subnet *s)
{
	char text[16], six[ADDRESS6_SIZE];

	json_put_str(o, "address",
		address_format(a->address, text, sizeof(text)));
	json_put_str(o, "gateway",
		address_format(subnet_gateway(s), text, sizeof(text)));
	json_put_str(o, "dns",
		address_format(subnet_dns(s), text, sizeof(text)));
	json_put_str(o, "address6",
		s->prefix6 ? address6_format(s, a->address, six) : NULL);
	json_put_str(o, "gateway6", s->prefix6 ? NET_GATEWAY6 : NULL);
}

int
net_spec_json(struct state *st, const struct vm_spec *vm,
	const struct vm_address *a, const struct subnet *s,
	struct json **ret, struct err *err)
{
	CLEANUP_EGRESS struct egress e = EGRESS_INIT;
	CLEANUP_FREE char *prefix = net_alias(st);
	CLEANUP_FREE char *alias = xasprintf("%s%s", prefix, vm->name);
	CLEANUP_ARGV struct argv upstream = ARGV_INIT;
	char tap[TAP_SIZE];
	struct json *o;

	if (egress_parse(vm->egress, &e, err))
		return -1;
	if (s->bridge && e.mode != EGRESS_ALL)
		return err_set(err, ERR_USAGE,
			"--egress: on vm.bridge '%s' only all; its owner "
			"filters there",
			s->bridge);
	net_tap_name(a->address, tap);
	o = json_object();
	json_put_str(o, "tap", tap);
	json_put_str(o, "alias", alias);
	json_put_str(o, "mac", a->mac);
	put_addresses(o, a, s);
	json_put_str(o, "bridge", s->bridge);
	json_put(o, "egress", egress_json(&e));
	argv_split(&upstream, s->nameserver);
	json_put(o, "upstream", words(&upstream));
	*ret = o;
	return 0;
}

/* ---- up ---- */

/* It says a byte when it listens, and nothing when it cannot. */
static int
resolver_start(const struct json *spec, struct child *ret, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT, said = BUF_INIT;
	CLEANUP_FREE char *path = NULL;
	char ready;

	if (find_helper(PROGRAM, &path, err))
		return -1;
	argv_pushv(&p.argv, (const char *[]){ path, "resolve", NULL });
	p.in = p.out = p.err = PROC_PIPE;
	p.parent_death = SIGKILL;
	p.new_group = true;
	if (proc_spawn(&p, ret, err))
		return -1;
	json_write(spec, &in);
	if (write_all(ret->in, in.s, in.len))
		return err_sys(err, "cannot tell the resolver what to do");
	(void)close(steal_fd(&ret->in)); /* a pipe */
	if (read(ret->out, &ready, 1) == 1)
		return 0;
	if (buf_read_fd(&said, ret->err, 4096, "the resolver", err))
		return -1;
	buf_rtrim(&said);
	return err_set(err, ERR_PLACE, "no resolver for the guest: %.300s",
		said.s);
}

int
net_up(struct state *st, const struct vm_spec *vm,
	const struct vm_address *a, const struct subnet *s, int lock,
	struct net *ret, struct err *err)
{
	CLEANUP_JSON struct json *spec = NULL;

	if (!net_is_tap(vm))
		return 0;
	if (geteuid())
		return err_set(err, ERR_USAGE,
			"--net tap is root's; --net user needs no rights");
	if (net_spec_json(st, vm, a, s, &spec, err))
		return -1;
	net_tap_name(a->address, ret->tap);
	if (ask("up", spec, lock, NULL, err) ||
		tap_open(ret->tap, &ret->fd, err))
		return -1;
	if (s->bridge || !strcmp(json_str(spec, "egress.mode", ""), "none"))
		return 0;
	return resolver_start(spec, &ret->resolver, err);
}

static void
add_config(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "%s=%s", key, value);
	buf_addc(out, '\0');
}

void
net_config(const struct net *n, const struct vm_address *a,
	const struct subnet *s, struct buf *out)
{
	bool routed = n->tap[0] && !s->bridge;
	char text[16], six[ADDRESS6_SIZE];
	CLEANUP_FREE char *address = NULL;

	if (!a->address)
		return;
	address = xasprintf("%s/%d",
		address_format(a->address, text, sizeof(text)),
		routed ? 32 : s->prefix);
	add_config(out, "address", address);
	add_config(out, "gateway",
		address_format(subnet_gateway(s), text, sizeof(text)));
	add_config(out, "dns",
		address_format(subnet_dns(s), text, sizeof(text)));
	if (!routed || !s->prefix6)
		return;
	add_config(out, "address6", address6_format(s, a->address, six));
	add_config(out, "gateway6", NET_GATEWAY6);
}

/* ---- down ---- */

static int
down(const char *tap, struct err *err)
{
	CLEANUP_JSON struct json *o = json_object();

	json_put_str(o, "tap", tap);
	return net_ask("down", o, NULL, err);
}

int
net_down(struct net *n, struct err *err)
{
	struct proc_status status;

	if (n->resolver.pid) {
		proc_kill(&n->resolver, SIGKILL);
		if (proc_wait(&n->resolver, -1, &status, err))
			return -1;
	}
	cleanup_close(&n->fd);
	n->fd = -1;
	if (!n->tap[0] || down(n->tap, err))
		return n->tap[0] ? -1 : 0;
	n->tap[0] = '\0';
	return 0;
}

void
net_release(struct net *n)
{
	child_close(&n->resolver);
	cleanup_close(&n->fd);
	n->fd = -1;
}

int
net_bury(struct db *db, const char *name, struct err *err)
{
	static const char sql[] =
		"SELECT l.address FROM vm v JOIN lease l ON l.vm = v.name "
		"WHERE v.name = ?1 AND v.net = 'tap'";
	char tap[TAP_SIZE];
	int64_t address;

	if (db_get_int(db, &address, sql, err, DB_S(name))) {
		if (err->code != ERR_NOTFOUND)
			return -1;
		*err = ERR_INIT;
		return 0;
	}
	net_tap_name((uint32_t)address, tap);
	return down(tap, err);
}
