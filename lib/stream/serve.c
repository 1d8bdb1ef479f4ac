#include "lib/stream/stream.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/signals.h"
#include "lib/net/listen.h"
#include "lib/state/config.h"
#include "lib/state/event.h"
#include "lib/state/state.h"
#include "lib/stream/internal.h"
#include "lib/trust/ca.h"
#include "lib/trust/cert.h"
#include "lib/base/banned.h"

#define REGISTER_MAX 65536 /* bytes of a message */
#define AGENT_MAX (1 << 20)
#define DAY 86400000
#define DRAIN 3000 /* ms, at the end */

#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

static const struct grpc_method remote_methods[] = {
	{ "/cirunner.agent.RegistrationService/Register", true, REGISTER_MAX,
		30000, register_open },
	{ "/cirunner.agent.AgentService/AgentStream", false, AGENT_MAX, 0,
		agent_open },
	{ "/forge.agent.v1.Agent/Join", true, REGISTER_MAX, 30000,
		join_open },
	{ "/forge.agent.v1.Agent/Renew", true, REGISTER_MAX, 30000,
		renew_open },
	{ "/forge.agent.v1.Agent/Serve", false, REGISTER_MAX, 0,
		serve_open },
	{ "/forge.agent.v1.Agent/Run", false, AGENT_MAX, 0, run_open },
	{ "/grpc.health.v1.Health/Check", true, 4096, 30000,
		health_check_open },
	{ "/grpc.health.v1.Health/Watch", false, 4096, 0, health_watch_open },
	{ "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", false,
		4096, 30000, reflection_open },
	{ "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
		false, 4096, 30000, reflection_open },
};

static const struct grpc_method local_methods[] = {
	{ "/forge.agent.v1.Place/Run", false, AGENT_MAX, 0, place_open },
};

int64_t
stream_now(const struct stream *s)
{
	return loop_now(s->loop);
}

/* ---- TLS ---- */

static int
read_trust(struct stream *s, struct buf *cas, struct buf *cert,
	struct buf *key, struct buf *crl, struct err *err)
{
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	int dir = state_dir(s->st);
	struct config *c;

	if (state_config(s->st, &c, err))
		return -1;
	config_all(c, "agents", NULL, "name", &names);
	if (cert_server(s->st, &names, false, NULL, err) ||
		ca_trusted(s->st, cas, err) ||
		fs_read(dir, "trust/server.crt", PEM_MAX, cert, err) ||
		fs_read(dir, "trust/server.key", PEM_MAX, key, err))
		return -1;
	return fs_exists(dir, "trust/crl.pem") ?
		fs_read(dir, "trust/crl.pem", 16 << 20, crl, err) :
		0;
}

static int
load_tls(struct stream *s, struct ssl_ctx_st **ret, struct err *err)
{
	CLEANUP_BUF struct buf cas = BUF_INIT, cert = BUF_INIT, crl = BUF_INIT;
	CLEANUP_SECRET struct buf key = BUF_INIT;
	CLEANUP_CA struct ca *ca = NULL;
	struct tls_pem pem;

	if (ca_open(s->st, &ca, err) ||
		read_trust(s, &cas, &cert, &key, &crl, err))
		return -1;
	pem = (struct tls_pem){ .ca = cas.s, .cert = cert.s, .key = key.s,
		.crl = crl.len ? crl.s : NULL };
	if (tls_server(&pem, ret, err))
		return -1;
	cleanup_ca(&s->ca);
	s->ca = steal_ptr(&ca);
	return 0;
}

/* What does not load must not end what runs. */
static void
reload_tls(struct stream *s)
{
	struct ssl_ctx_st *tls;
	struct err err = ERR_INIT;

	if (load_tls(s, &tls, &err)) {
		log_error("stream.tls", "error", err.msg, NULL);
		return;
	}
	grpc_server_tls(s->remote, tls);
	tls_free(tls);
}

static void
on_renew(struct loop_timer *t)
{
	struct stream *s = CONTAINER(t, struct stream, renew);

	reload_tls(s);
	(void)malloc_trim(0); /* what a storm has left behind */
	loop_timer_set(s->loop, t, stream_now(s) + DAY);
}

/* ---- events ---- */

/* The newest number, and whether trust has changed since the last look. */
static int
look(struct stream *s, bool *ret_revoked, bool *ret_ca, struct err *err)
{
	static const char sql[] =
		"SELECT max(seq), coalesce(sum(kind IN ('cert.revoked', "
		"'agent.revoked')), 0), coalesce(sum(kind LIKE 'ca.%'), 0) "
		"FROM event WHERE seq > ?";
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (db_query(s->db, &rows, sql, err, DB_I(s->seen)))
		return -1;
	rc = db_next(rows, err);
	if (rc < 0)
		return -1;
	if (rc && !db_null(rows, 0)) {
		s->seen = db_int(rows, 0);
		*ret_revoked = db_int(rows, 1);
		*ret_ca = db_int(rows, 2);
	}
	return 0;
}

static void
on_events(struct loop_fd *l, uint32_t events)
{
	struct stream *s = CONTAINER(l, struct stream, events);
	bool revoked = false, ca = false;
	struct err err = ERR_INIT;

	(void)events;
	event_watch_clear(l->fd);
	if (look(s, &revoked, &ca, &err)) {
		log_error("stream.events", "error", err.msg, NULL);
		return;
	}
	if (revoked)
		agents_check(s);
	if (revoked || ca)
		reload_tls(s);
}

/* ---- the end ---- */

static void
on_drained(void *arg)
{
	struct stream *s = arg;

	if (!--s->draining)
		loop_stop(s->loop);
}

static void
on_late(struct loop_timer *t)
{
	loop_stop(CONTAINER(t, struct stream, renew)->loop);
}

static void
on_signal(struct loop_fd *l, uint32_t events)
{
	struct stream *s = CONTAINER(l, struct stream, signals);

	(void)events;
	while (signals_next(l->fd))
		;
	if (s->draining)
		return;
	s->draining = 2;
	s->renew.fire = on_late;
	loop_timer_set(s->loop, &s->renew, stream_now(s) + DRAIN);
	grpc_server_drain(s->remote, on_drained, s);
	grpc_server_drain(s->local, on_drained, s);
}

/* ---- life ---- */

static int
watch_fds(struct stream *s, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, 0 };
	int fd;

	if (signals_open(signals, &fd, err))
		return -1;
	s->signals = (struct loop_fd){ .fd = fd, .ready = on_signal };
	if (loop_add(s->loop, &s->signals, EPOLLIN, err) ||
		event_watch_open(s->st, &fd, err))
		return -1;
	s->events = (struct loop_fd){ .fd = fd, .ready = on_events };
	if (loop_add(s->loop, &s->events, EPOLLIN, err))
		return -1;
	return event_last(s->db, &s->seen, err);
}

static int
open_remote(struct stream *s, int fd, struct err *err)
{
	struct grpc_server_options o = { .methods = remote_methods,
		.nmethods = ARRAY_SIZE(remote_methods), .arg = s };
	struct ssl_ctx_st *tls;
	struct config *c;
	int rc;

	if (fd_nonblock(fd, true))
		return err_sys(err, "the listening socket");
	if (state_config(s->st, &c, err) ||
		config_bool(c, "agents", NULL, "proxy", false, &o.proxy,
			err) ||
		load_tls(s, &tls, err))
		return -1;
	o.tls = tls;
	rc = grpc_server_open(s->loop, fd, &o, &s->remote, err);
	tls_free(tls);
	return rc;
}

static int
open_local(struct stream *s, struct err *err)
{
	const struct grpc_server_options o = { .methods = local_methods,
		.nmethods = ARRAY_SIZE(local_methods), .arg = s };
	CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d/%s",
		state_dir(s->st), STREAM_SOCKET);
	int fd;

	return listen_open(path, &fd, err) ||
			grpc_server_open(s->loop, fd, &o, &s->local, err) ?
		-1 :
		0;
}

/* A socket for each agent. */
static void
raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* as many as may be */
}

static int
serve(struct stream *s, int fd, struct err *err)
{
	CLEANUP_CLOSE int owned = fd, lock = -1;

	if (state_lock(s->st, "stream", NULL, 0, 0, &lock, err)) {
		if (err->code != ERR_BUSY)
			return -1;
		return err_set(err, ERR_BUSY,
			"another forge-stream serves '%s'",
			state_path(s->st));
	}
	raise_files();
	/* Small pieces of memory that many connections left go back. */
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
	if (state_db(s->st, &s->db, err) || loop_open(&s->loop, err) ||
		notes_open(s, err) || watch_fds(s, err))
		return -1;
	(void)steal_fd(&owned);
	if (open_remote(s, fd, err) || open_local(s, err))
		return -1;
	s->renew.fire = on_renew;
	loop_timer_set(s->loop, &s->renew, stream_now(s) + DAY);
	log_info("stream.started", "state", state_path(s->st), NULL);
	return loop_run(s->loop, err);
}

int
stream_serve(struct state *st, int fd, struct err *err)
{
	struct stream s = { .st = st, .events.fd = -1, .signals.fd = -1 };
	int rc = serve(&s, fd, err);

	grpc_server_close(s.remote);
	grpc_server_close(s.local);
	if (s.loop)
		loop_run_later(s.loop);
	notes_close(&s);
	if (s.loop) {
		agents_free(&s);
		loop_close(s.loop);
	}
	cleanup_ca(&s.ca);
	cleanup_close(&s.events.fd);
	cleanup_close(&s.signals.fd);
	return rc;
}
