/*
 * What the files of forward share:
 *
 *	forward.c		tunnels, the loop
 *	forward_listen.c	what was asked for; listening here
 *	forward_reverse.c	listening in the guest
 */
#ifndef FORGE_VM_FORWARD_INTERNAL_H
#define FORGE_VM_FORWARD_INTERNAL_H

#include <poll.h>

#include "lib/vm/conn.h"
#include "lib/vm/forward.h"

#define TUNNELS 448 /* what forge-init has slots for */

struct listener {
	int fd;
	uint16_t port; /* in the guest */
	const char *path; /* to be removed at the end, or NULL */
	char *name;
};

/* A port that the guest listens on; its stream is behind the tunnels'. */
struct reverse {
	const struct forward_spec *to;
	uint16_t port;
	bool up;
	uint32_t error; /* errno of the guest */
	unsigned accepting; /* tunnels that wait for a connection */
	int64_t again; /* monotonic: no more before, the guest refused one */
};

/* One connection; its stream is its index and one. */
struct tunnel {
	bool used;
	int fd; /* -1: given up; used until EXIT comes */
	struct reverse *reverse; /* the guest's; NULL: ours */
	bool accepting; /* there is none yet */
	bool connecting; /* fd is */
	uint32_t window; /* that we may still send to the guest */
	bool sent_eof; /* and we shall send no more */
	struct buf out; /* from the guest, at most CHANNEL_WINDOW */
	size_t at; /* of it, the first byte not yet written */
	uint32_t written; /* not yet given back as credit */
	bool eof; /* nothing comes behind what is in out */
	bool shut; /* and that was told */
	bool over; /* EXIT came */
	bool reset; /* with an error */
};

struct forward {
	struct conn conn;
	int signals;
	struct listener listeners[FORWARD_SPECS];
	size_t nlisteners;
	struct reverse reverses[FORWARD_SPECS];
	size_t nreverses;
	char *names[FORWARD_SPECS]; /* in the order of the specs */
	struct tunnel tunnels[TUNNELS];
	size_t max, used; /* tunnels */
	/* signals, conn, listeners, tunnels */
	struct pollfd fds[2 + FORWARD_SPECS + TUNNELS];
};

/* ---- forward.c ---- */

/* A free one (f->used < f->max), begun in the guest by a frame of type. */
struct tunnel *tunnel_new(struct forward *f, int fd, enum channel_type type,
	uint16_t port);
void tunnel_abort(struct forward *f, struct tunnel *t);
void tunnel_settle(struct forward *f, struct tunnel *t);

/* ---- forward_listen.c ---- */

int forward_listen(const struct forward_spec *s, struct listener *ret,
	struct err *err);
void forward_unlisten(struct listener *l);

/* ---- forward_reverse.c ---- */

/* Ask the guest to listen; s is borrowed. */
void reverse_listen(struct forward *f, const struct forward_spec *s);
/* 0: it does everywhere; 1: not yet; -1. */
int reverse_up(const struct forward *f, struct err *err);
/* A frame whose stream is no tunnel's. */
void reverse_answer(struct forward *f, const struct frame *from);
/* Some tunnels shall always wait for a connection; returns how long poll may
 * wait until it should be called again. */
int reverse_accept(struct forward *f);
/* STARTED: if t waited, it has a connection, and ours is begun. */
void reverse_connect(struct forward *f, struct tunnel *t);
/* Ours is there, or failed. */
void reverse_connected(struct forward *f, struct tunnel *t);
/* t is over; it may have waited still. */
void reverse_lost(struct tunnel *t);

#endif
