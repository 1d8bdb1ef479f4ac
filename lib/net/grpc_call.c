#include "lib/net/grpc_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define WHY_MAX 1024

#define CONTAINER(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

#define NV(n, v)                                                          \
	{                                                                 \
		.name = (uint8_t *)(uintptr_t)(n), .value =               \
			(uint8_t *)(uintptr_t)(v), .namelen = strlen(n),  \
		.valuelen = strlen(v), .flags = NGHTTP2_NV_FLAG_NONE      \
	}

/* ---- life ---- */

static void
on_deadline(struct loop_timer *t)
{
	struct grpc_call *call = CONTAINER(t, struct grpc_call, timer);

	if (!call->conn || call->conn->server) {
		grpc_finish(call, GRPC_DEADLINE_EXCEEDED,
			"the deadline has passed");
		return;
	}
	call->finished = true;
	call->status = GRPC_DEADLINE_EXCEEDED;
	free(call->why);
	call->why = xstrdup("no answer in time");
	grpc_cancel(call);
}

static void
on_bury(struct loop_later *l)
{
	struct grpc_call *call = CONTAINER(l, struct grpc_call, bury);

	grpc_reader_release(&call->reader);
	buf_release(&call->first);
	buf_release(&call->out);
	free(call->path);
	free(call->why);
	free(call);
}

struct grpc_call *
call_new(struct grpc_conn *c, int32_t id)
{
	struct grpc_call *call = xcalloc(1, sizeof(*call));

	call->conn = c;
	call->loop = c->loop;
	call->id = id;
	call->first = BUF_INIT;
	call->out = BUF_INIT;
	call->timer.fire = on_deadline;
	call->bury.run = on_bury;
	call->next = c->calls;
	if (call->next)
		call->next->prev = &call->next;
	call->prev = &c->calls;
	c->calls = call;
	c->ncalls++;
	return call;
}

static void
unlink_call(struct grpc_call *call)
{
	struct grpc_conn *c = call->conn;

	*call->prev = call->next;
	if (call->next)
		call->next->prev = call->prev;
	c->ncalls--;
	c->queued -= call->out.len - call->out_at;
	if (c->ncalls)
		return;
	c->idle = loop_now(c->loop);
	conn_schedule(c);
	conn_dirty(c);
}

void
call_end(struct grpc_call *call, int status, const char *why)
{
	if (call->ended)
		return;
	call->ended = true;
	loop_timer_clear(call->loop, &call->timer);
	if (call->id > 0)
		(void)nghttp2_session_set_stream_user_data(call->conn->h2,
			call->id, NULL);
	unlink_call(call);
	call->conn = NULL;
	if (call->handler && call->handler->ended)
		call->handler->ended(call, status, why ? why : "");
	loop_later(call->loop, &call->bury);
}

int
call_status_of(uint32_t h2_error)
{
	switch (h2_error) {
	case NGHTTP2_CANCEL:
		return GRPC_CANCELLED;
	case NGHTTP2_REFUSED_STREAM:
		return GRPC_UNAVAILABLE;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return GRPC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return GRPC_PERMISSION_DENIED;
	case NGHTTP2_NO_ERROR:
		return GRPC_UNKNOWN;
	default:
		return GRPC_INTERNAL;
	}
}

void
grpc_handle(struct grpc_call *call, const struct grpc_handler *handler,
	void *arg)
{
	call->handler = handler;
	call->arg = arg;
}

void *
grpc_arg(const struct grpc_call *call)
{
	return call->arg;
}

const struct grpc_peer *
grpc_peer(const struct grpc_call *call)
{
	return &call->conn->peer;
}

void
grpc_deadline(struct grpc_call *call, int64_t at)
{
	if (call->ended || at < 0)
		loop_timer_clear(call->loop, &call->timer);
	else
		loop_timer_set(call->loop, &call->timer, at);
}

/* ---- what comes in ---- */

/* The client's end has no grpc_finish(): its call is cancelled. */
static void
refuse(struct grpc_call *call, int status, const char *why)
{
	if (call->conn->server) {
		grpc_finish(call, status, "%s", why);
		return;
	}
	call->finished = true;
	call->status = status;
	free(call->why);
	call->why = xstrdup(why);
	grpc_cancel(call);
}

static int
take(const void *message, size_t n, void *arg)
{
	struct grpc_call *call = arg;

	if (call->method && call->method->unary) {
		if (call->has_first) {
			refuse(call, GRPC_UNIMPLEMENTED,
				"more than one message in a unary call");
			return 1;
		}
		call->has_first = true;
		if (n)
			buf_add(&call->first, message, n);
		return 0;
	}
	if (call->handler && call->handler->message)
		call->handler->message(call, message, n);
	return call->ended || (call->finished && call->conn->server);
}

void
call_data(struct grpc_call *call, const uint8_t *p, size_t n)
{
	struct grpc_conn *c = call->conn;
	const char *why = "";
	int32_t id = call->id;
	int status;

	if (call->finished)
		return; /* its window stays closed */
	status = grpc_reader_feed(&call->reader, p, n, take, call, &why);
	if (call->ended)
		return;
	if (status) {
		refuse(call, status, why);
		return;
	}
	if (call->paused)
		call->unconsumed += n;
	else
		(void)nghttp2_session_consume_stream(c->h2, id, n);
}

static void
deliver_unary(struct grpc_call *call)
{
	if (!call->has_first) {
		refuse(call, GRPC_INTERNAL,
			"a unary call without a message");
		return;
	}
	if (call->handler && call->handler->message)
		call->handler->message(call, call->first.s, call->first.len);
	if (!call->ended)
		buf_release(&call->first);
}

void
call_half_closed(struct grpc_call *call)
{
	call->half_closed = true;
	if (call->conn->client) {
		if (!call->closing) /* there is nothing left to tell it */
			(void)nghttp2_submit_rst_stream(call->conn->h2,
				NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
		return;
	}
	if (call->finished)
		return;
	if (grpc_reader_inside(&call->reader))
		refuse(call, GRPC_INTERNAL, "the call ends inside a message");
	else if (call->method && call->method->unary)
		deliver_unary(call);
	else if (call->handler && call->handler->half_closed)
		call->handler->half_closed(call);
}

void
grpc_pause(struct grpc_call *call, bool pause)
{
	call->paused = pause;
	if (pause || !call->unconsumed || !call->conn || call->id < 0)
		return;
	(void)nghttp2_session_consume_stream(call->conn->h2, call->id,
		call->unconsumed);
	call->unconsumed = 0;
	conn_dirty(call->conn);
}

/* ---- what goes out ---- */

static size_t
trailers(struct grpc_call *call, nghttp2_nv *nv, char *status, size_t size,
	struct buf *why)
{
	snprintf(status, size, "%d", call->status);
	if (call->why)
		grpc_percent_encode(why, call->why, WHY_MAX);
	nv[0] = (nghttp2_nv)NV("grpc-status", status);
	if (!why->len)
		return 1;
	nv[1] = (nghttp2_nv)NV("grpc-message", why->s);
	return 2;
}

static void
submit_trailers(struct grpc_call *call)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	nghttp2_nv nv[2];
	char status[16] = "";
	size_t n = trailers(call, nv, status, sizeof(status), &why);

	(void)nghttp2_submit_trailer(call->conn->h2, call->id, nv, n);
}

static size_t
drain(struct grpc_call *call, uint8_t *p, size_t n)
{
	size_t left = call->out.len - call->out_at;

	if (n > left)
		n = left;
	memcpy(p, call->out.s + call->out_at, n);
	call->out_at += n;
	call->conn->queued -= n;
	if (n == left) {
		buf_release(&call->out);
		call->out_at = 0;
	} else if (call->out_at > GRPC_QUEUE_LOW) {
		buf_consume(&call->out, call->out_at);
		call->out_at = 0;
	}
	return n;
}

ssize_t
call_read(nghttp2_session *h2, int32_t id, uint8_t *p, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct grpc_call *call = source->ptr;

	(void)h2;
	(void)id;
	(void)arg;
	if (call->ended)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = drain(call, p, n);
	if (!call->out.len && call->closing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (call->conn->server) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			submit_trailers(call);
		}
	} else if (!n) {
		call->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (call->high && call->out.len - call->out_at < GRPC_QUEUE_LOW) {
		call->high = false;
		if (call->handler && call->handler->drained)
			call->handler->drained(call);
	}
	return (ssize_t)n;
}

static void
resume(struct grpc_call *call)
{
	if (!call->id)
		return; /* it begins when the connection is made */
	if (call->deferred) {
		call->deferred = false;
		(void)nghttp2_session_resume_data(call->conn->h2, call->id);
	}
	conn_dirty(call->conn);
}

void
grpc_accept(struct grpc_call *call)
{
	const nghttp2_nv nv[] = { NV(":status", "200"),
		NV("content-type", "application/grpc") };
	nghttp2_data_provider data = { .source.ptr = call,
		.read_callback = call_read };

	if (call->ended || call->headed || call->id < 0)
		return;
	call->headed = true;
	(void)nghttp2_submit_response(call->conn->h2, call->id, nv,
		ARRAY_SIZE(nv), &data);
	conn_dirty(call->conn);
}

/* Of all that waits to go out.  Anybody may come and not read. */
static size_t
queue_max(const struct grpc_conn *c)
{
	return c->stranger && !c->peer.local ? CONN_STRANGER_QUEUE :
					       CONN_QUEUE_MAX;
}

bool
grpc_send(struct grpc_call *call, const void *p, size_t n)
{
	struct grpc_conn *c = call->conn;

	if (call->ended || call->closing || call->id < 0 ||
		c->state == CONN_DEAD)
		return false;
	if (grpc_queued(call) + n > GRPC_QUEUE_MAX ||
		c->queued + n > queue_max(c)) {
		c->queued -= grpc_queued(call);
		buf_release(&call->out);
		call->out_at = 0;
		refuse(call, GRPC_RESOURCE_EXHAUSTED,
			"the peer does not read fast enough");
		return false;
	}
	grpc_frame(&call->out, p, n);
	c->queued += GRPC_PREFIX + n;
	call->high |= grpc_queued(call) > GRPC_QUEUE_LOW;
	if (c->server)
		grpc_accept(call);
	resume(call);
	return true;
}

size_t
grpc_queued(const struct grpc_call *call)
{
	return call->out.len - call->out_at;
}

void
grpc_half_close(struct grpc_call *call)
{
	if (call->ended || call->closing || call->id < 0)
		return;
	call->closing = true;
	resume(call);
}

void
grpc_cancel(struct grpc_call *call)
{
	if (call->ended || call->id < 0)
		return;
	if (!call->finished) {
		call->finished = true;
		call->status = GRPC_CANCELLED;
	}
	call->closing = true;
	if (!call->id) { /* it has not been sent yet */
		call_end(call, call->status, call->why);
		return;
	}
	(void)nghttp2_submit_rst_stream(call->conn->h2, NGHTTP2_FLAG_NONE,
		call->id, NGHTTP2_CANCEL);
	conn_dirty(call->conn);
}

/* No message was sent: headers and trailers are one. */
static void
trailers_only(struct grpc_call *call)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	nghttp2_nv nv[4] = { NV(":status", "200"),
		NV("content-type", "application/grpc") };
	char status[16] = "";
	size_t n = 2 + trailers(call, nv + 2, status, sizeof(status), &why);

	call->headed = true;
	(void)nghttp2_submit_response(call->conn->h2, call->id, nv, n, NULL);
	conn_dirty(call->conn);
}

void
grpc_finish(struct grpc_call *call, int status, const char *fmt, ...)
{
	va_list ap;

	if (call->ended || call->finished || !call->conn)
		return;
	call->finished = true;
	call->status = status;
	loop_timer_clear(call->loop, &call->timer);
	if (fmt) {
		va_start(ap, fmt);
		call->why = xvasprintf(fmt, ap);
		va_end(ap);
	}
	call->closing = true;
	if (call->id < 0)
		return;
	if (call->headed)
		resume(call);
	else
		trailers_only(call);
}
