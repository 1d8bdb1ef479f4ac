/*
 * stream: the coordinator's end of what agents dial: one process, kept by
 * forge-watch, that holds their streams.
 *
 *	services on TCP (TLS 1.3; a client certificate where it says so)
 *	cirunner.agent.RegistrationService	Register
 *	cirunner.agent.AgentService		AgentStream	certificate
 *	forge.agent.v1.Agent			Join; Renew, Serve, Run	certificate
 *	grpc.health.v1.Health, grpc.reflection.v1 and v1alpha
 *
 *	on run/stream.sock, for programs of this state only
 *	forge.agent.v1.Place			Run: a command or a runner there
 *
 * A certificate is checked against the CA, its revocation list and the
 * database when a stream opens, and again whenever an event tells of a
 * revocation: the stream ends then, at once.  The process holds the lock
 * run/stream; what it knows besides rows (who is connected, what runs where)
 * comes again with the agents and places when it is started anew.
 */
#ifndef FORGE_STREAM_STREAM_H
#define FORGE_STREAM_STREAM_H

#include "lib/base/err.h"

struct state;

#define STREAM_SOCKET "run/stream.sock"

/*
 * Serve until SIGTERM; fd is a listening socket, taken over.  ERR_BUSY when
 * another one serves this state, ERR_NOTFOUND when there is no CA.
 */
int stream_serve(struct state *st, int fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
