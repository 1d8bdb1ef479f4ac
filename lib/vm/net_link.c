#include "lib/vm/net_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/base/mem.h"
#include "lib/vm/net_tap.h"
#include "lib/base/banned.h"

#define REQUEST 2048
#define ANSWER 32768

/* ---- one request, one answer ---- */

static struct mnl_socket *
socket_open(struct err *err)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (s && !mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID))
		return s;
	(void)err_sys(err, "cannot talk to the kernel about its links");
	if (s)
		(void)mnl_socket_close(s);
	return NULL;
}

/*
 * Answers go to cb until the kernel has said all.  -1 with errno: what the
 * kernel says, so that a caller can tell EEXIST.
 */
static int
ask(struct nlmsghdr *h, mnl_cb_t cb, void *arg, struct err *err)
{
	static _Alignas(8) char buf[ANSWER];
	struct mnl_socket *s = socket_open(err);
	ssize_t n;
	int rc, e;

	if (!s)
		return -1;
	h->nlmsg_seq = 1;
	rc = mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -1 : 1;
	while (rc > 0) {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		rc = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 1,
			mnl_socket_get_portid(s), cb, arg);
	}
	e = errno;
	(void)mnl_socket_close(s);
	errno = e;
	return rc;
}

static int
act(struct nlmsghdr *h, struct err *err)
{
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	return ask(h, NULL, NULL, err);
}

static struct nlmsghdr *
link_message(char *buf, unsigned type, const char *name)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *m;

	h->nlmsg_type = (uint16_t)type;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)if_nametoindex(name);
	return h;
}

/* ---- links ---- */

bool
link_exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

static int
set_alias(const char *name, const char *alias, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = link_message(buf, RTM_SETLINK, name);

	mnl_attr_put_str(h, IFLA_IFALIAS, alias);
	return act(h, err) ? err_sys(err, "cannot name tap '%s'", name) : 0;
}

int
link_tap(const char *name, const char *alias, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;

	if (link_exists(name))
		return err_set(err, ERR_EXISTS,
			"a link '%s' exists; 'forge-vm fsck' removes it if "
			"it is ours",
			name);
	if (tap_open(name, &fd, err) || set_alias(name, alias, err))
		return -1;
	return ioctl(fd, TUNSETPERSIST, 1) ?
		err_sys(err, "cannot keep tap '%s'", name) :
		0;
}

int
link_remove(const char *name, struct err *err)
{
	_Alignas(8) char buf[REQUEST];

	if (!link_exists(name))
		return 0;
	if (!act(link_message(buf, RTM_DELLINK, name), err) ||
		errno == ENODEV)
		return 0;
	return err_sys(err, "cannot remove tap '%s'", name);
}

int
link_up(const char *name, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = link_message(buf, RTM_SETLINK, name);
	struct ifinfomsg *m = mnl_nlmsg_get_payload(h);

	m->ifi_flags = m->ifi_change = IFF_UP;
	return act(h, err) ? err_sys(err, "cannot bring up '%s'", name) : 0;
}

static int
isolate(const char *name, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = link_message(buf, RTM_SETLINK, name);
	struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct nlattr *nest;

	m->ifi_family = AF_BRIDGE;
	nest = mnl_attr_nest_start(h, IFLA_PROTINFO);
	mnl_attr_put_u8(h, IFLA_BRPORT_ISOLATED, 1);
	mnl_attr_nest_end(h, nest);
	return act(h, err) ? err_sys(err, "cannot isolate '%s'", name) : 0;
}

int
link_bridge(const char *name, const char *bridge, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = link_message(buf, RTM_SETLINK, name);

	if (!link_exists(bridge))
		return err_set(err, ERR_NOTFOUND,
			"vm.bridge: there is no bridge '%s'", bridge);
	mnl_attr_put_u32(h, IFLA_MASTER, if_nametoindex(bridge));
	if (act(h, err))
		return err_sys(err, "cannot put '%s' on bridge '%s'", name,
			bridge);
	return isolate(name, err);
}

/* ---- addresses and routes ---- */

static size_t
put_address(struct nlmsghdr *h, uint16_t type, const char *text)
{
	unsigned char bytes[16];
	bool six = strchr(text, ':') != NULL;

	if (inet_pton(six ? AF_INET6 : AF_INET, text, bytes) != 1)
		BUG("address '%s'", text);
	mnl_attr_put(h, type, six ? 16 : 4, bytes);
	return six ? AF_INET6 : AF_INET;
}

int
link_address(const char *name, const char *local, const char *peer,
	int prefix, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *m;

	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_index = if_nametoindex(name);
	m->ifa_prefixlen = (uint8_t)(peer ? 32 : prefix);
	/* no search for duplicates: there are but two on this link */
	m->ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD;
	m->ifa_family = (uint8_t)put_address(h, IFA_LOCAL, local);
	(void)put_address(h, IFA_ADDRESS, peer ? peer : local);
	return act(h, err) ? err_sys(err, "cannot give '%s' address %s", name,
				     local) :
			     0;
}

int
link_route(const char *name, const char *dst, int prefix, bool add,
	struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *m;

	h->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	h->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_dst_len = (uint8_t)prefix;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_type = name ? RTN_UNICAST : RTN_UNREACHABLE;
	m->rtm_scope = name ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	m->rtm_family = (uint8_t)put_address(h, RTA_DST, dst);
	if (name)
		mnl_attr_put_u32(h, RTA_OIF, if_nametoindex(name));
	if (!act(h, err) || (!add && errno == ESRCH))
		return 0;
	return err_sys(err, "cannot %s the route to %s/%d",
		add ? "make" : "remove", dst, prefix);
}

/* Attributes by their type; libmnl's own loop casts const away. */
struct attributes {
	const struct nlattr *of[IFLA_MAX + 1];
};

static int
see_attribute(const struct nlattr *a, void *arg)
{
	struct attributes *t = arg;

	if (mnl_attr_get_type(a) <= IFLA_MAX)
		t->of[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

struct sought {
	const char *dst;
	int prefix;
	int found;
};

static int
see_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct attributes t = { { NULL } };
	struct sought *s = arg;
	char text[INET6_ADDRSTRLEN];

	if (m->rtm_type != RTN_UNREACHABLE || m->rtm_dst_len != s->prefix ||
		m->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	(void)mnl_attr_parse(h, sizeof(*m), see_attribute, &t);
	if (t.of[RTA_DST] && inet_ntop(m->rtm_family,
		    mnl_attr_get_payload(t.of[RTA_DST]), text, sizeof(text)) &&
		!strcmp(text, s->dst))
		s->found = 1;
	return MNL_CB_OK;
}

int
link_unreachable(const char *dst, int prefix, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct sought s = { .dst = dst, .prefix = prefix };
	struct rtmsg *m;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	if (ask(h, see_route, &s, err))
		return err_sys(err, "cannot list the routes");
	return s.found;
}

/* ---- all links ---- */

struct walk {
	const char *alias;
	void (*emit)(const char *name, const char *alias, void *arg);
	void *arg;
};

static int
see_link(const struct nlmsghdr *h, void *arg)
{
	struct attributes t = { { NULL } };
	const struct walk *w = arg;
	const char *alias;

	(void)mnl_attr_parse(h, sizeof(struct ifinfomsg), see_attribute, &t);
	if (!t.of[IFLA_IFNAME] || !t.of[IFLA_IFALIAS])
		return MNL_CB_OK;
	alias = mnl_attr_get_str(t.of[IFLA_IFALIAS]);
	if (!strncmp(alias, w->alias, strlen(w->alias)))
		w->emit(mnl_attr_get_str(t.of[IFLA_IFNAME]), alias, w->arg);
	return MNL_CB_OK;
}

int
link_each(const char *alias,
	void (*emit)(const char *name, const char *alias, void *arg),
	void *arg, struct err *err)
{
	_Alignas(8) char buf[REQUEST];
	struct nlmsghdr *h = link_message(buf, RTM_GETLINK, "");
	struct walk w = { alias, emit, arg };

	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	return ask(h, see_link, &w, err) ?
		err_sys(err, "cannot list the links") :
		0;
}
