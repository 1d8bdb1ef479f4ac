/*
 * Only for lib/stream.
 *
 *	serve.c		life, signals, events, TLS
 *	agent.c		AgentStream: who is there, what they can
 *	note.c		what of it goes into rows, many in one transaction
 *	join.c		Register, Join, Renew
 *	place.c		Place: runners and commands on agents
 *	stray.c		runners that nobody waits for any more
 *	command.c	Serve and Run: commands on forge's own agents
 *	info.c		health and reflection
 */
#ifndef FORGE_STREAM_INTERNAL_H
#define FORGE_STREAM_INTERNAL_H

#include "cirunner.pb-c.h"
#include "forge.pb-c.h"
#include "lib/base/argv.h"
#include "lib/net/grpc.h"
#include "lib/net/pb.h"
#include "lib/state/db.h"
#include "lib/stream/stream.h"
#include "lib/trust/agent.h"

#define AGENT_PING 30000 /* ms */
#define AGENT_STALE 120000 /* nothing heard */
#define AGENT_FIRST 30000 /* for the first status */
#define AGENT_SEEN 15000 /* between two notes that it is alive */
#define ACK_TIMEOUT 30000
#define GRACE 180000 /* that an agent may be away */
#define MISSING 10000 /* a VM no more listed, until its event comes */

struct stream {
	struct state *st;
	struct db *db;
	struct loop *loop;
	struct grpc_server *remote, *local;
	struct ca *ca;
	struct loop_fd events, signals;
	struct loop_timer renew; /* our own certificate */
	int64_t seen; /* the last event looked at */
	struct agent *agents;
	struct place *places;
	struct notes *notes;
	struct joiner *joiners; /* who wait for their registration */
	size_t njoiners;
	struct loop_timer join;
	int draining; /* servers that still have connections */
	struct err err;
};

/* A connected agent. */
struct agent {
	struct agent *next, **prev;
	struct stream *s;
	struct grpc_call *call; /* AgentStream; NULL: only Serve */
	struct grpc_call *serve; /* or NULL */
	struct loop_timer timer;
	char *id, *serial, *address;
	int64_t expires_at; /* wall ms */
	char *host, *kind;
	struct argv *sets; /* label sets, lower case, sorted */
	size_t nsets;
	uint32_t max, slots, active;
	uint32_t vms; /* as the last status lists */
	struct argv names, ids; /* of them */
	int64_t heard, pinged, noted; /* mono ms */
	int64_t strayed; /* mono ms of the last look for strays, or 0 */
	bool first; /* its first status has come */
};

enum place_state {
	PLACE_NEW, /* its start has not come */
	PLACE_RESERVED, /* runner: the JIT configuration is awaited */
	PLACE_SENT, /* CreateRunner, the ack is awaited */
	PLACE_ACKED, /* or command: offered or runs */
	PLACE_OVER,
};

/* A program that runs something on an agent. */
struct place {
	struct place *next, **prev;
	struct stream *s;
	struct grpc_call *call;
	struct grpc_call *run; /* command: the agent's end */
	struct loop_timer timer; /* ack, or grace */
	enum place_state state;
	bool runner;
	bool listed; /* runner: the agent has shown it */
	bool away; /* its agent is */
	bool missing; /* its VM is no more listed */
	char *id; /* of command or offer */
	char *name;
	char *agent; /* id */
	char *scope;
	struct argv labels;
	int64_t grace;
};

/* serve.c */
int64_t stream_now(const struct stream *s);

/* join.c */
void register_open(struct grpc_call *call, void *arg);
void join_open(struct grpc_call *call, void *arg);
void renew_open(struct grpc_call *call, void *arg);
/* A failure of ours as the status of a call. */
void finish_err(struct grpc_call *call, const char *what,
	const struct err *err);

/* agent.c */
void agent_open(struct grpc_call *call, void *arg);
/* Is who calls an agent in good standing?  Otherwise the call is ended. */
bool agent_allowed(struct stream *s, struct grpc_call *call);
/* By id, then by host; NULL. */
struct agent *agent_find(struct stream *s, const char *name);
/* The one with most free slots that serves these labels; on: "*", an id or a
 * host. */
struct agent *agent_choose(struct stream *s, const char *on,
	const struct argv *labels);
struct agent *agent_get(struct stream *s, struct grpc_call *call);
void agent_leave(struct agent *a); /* when it has no call any more */
/* Those who must not be here any more are cut. */
void agents_check(struct stream *s);
void agents_free(struct stream *s);
int agent_free_slots(const struct agent *a);

/* note.c */
void note_connected(struct agent *a);
void note_report(struct agent *a);
void note_seen(struct agent *a);
void note_gone(struct agent *a, const char *why);
int notes_open(struct stream *s, struct err *err)
	__attribute__((warn_unused_result));
/* Write them now. */
void notes_flush(struct stream *s);
void notes_close(struct stream *s);

/* place.c */
/* Runners that an agent got from us and does not list yet. */
int places_unlisted(const struct agent *a);
void place_open(struct grpc_call *call, void *arg);
void place_acked(struct agent *a, const char *id, bool accepted,
	const char *why);
void place_event(struct agent *a, const char *runner, int event,
	const char *why);
/* A status came: who is listed, who is not any more. */
void places_listed(struct agent *a);
void places_agent(struct agent *a, bool here);
/* Tell it to end the VM of this name; id: of the command. */
void agent_destroy(struct agent *a, const char *id, const char *name);
/* By the id of its command or offer; NULL. */
struct place *place_find(struct stream *s, const char *agent, const char *id);
/* Who runs it is known: input may come. */
void place_ready(struct place *p);
/* It is over; why (or NULL) is a line for its stderr. */
void place_status(struct place *p, unsigned status, const char *why);

/* stray.c */
/* A status came. */
void strays_look(struct agent *a);

/* command.c */
void serve_open(struct grpc_call *call, void *arg);
void run_open(struct grpc_call *call, void *arg);
void command_offer(struct place *p, const char *on,
	const Forge__Agent__V1__PlaceStart *start);
void command_input(struct place *p, Forge__Agent__V1__RunInput *in);
void command_drained(struct place *p);
void command_over(struct place *p);

/* info.c */
void health_check_open(struct grpc_call *call, void *arg);
void health_watch_open(struct grpc_call *call, void *arg);
void reflection_open(struct grpc_call *call, void *arg);

#endif
