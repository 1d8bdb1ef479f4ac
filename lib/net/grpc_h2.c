#include "lib/net/grpc_internal.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* What frames without content cost of a connection's allowance. */
#define COST_FRAME 1
#define COST_RESET 4

static struct grpc_call *
find(nghttp2_session *h2, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h2, id);
}

/* ---- headers ---- */

static bool
is(const uint8_t *p, size_t n, const char *s)
{
	return n == strlen(s) && !memcmp(p, s, n);
}

/* "application/grpc", "...+proto", "...; charset=x"; not "+json". */
static bool
is_grpc(const uint8_t *p, size_t n)
{
	static const char type[] = "application/grpc";
	size_t len = sizeof(type) - 1;

	if (n < len || memcmp(p, type, len) != 0)
		return false;
	return n == len || p[len] == ';' || is(p + len, n - len, "+proto") ||
		(n > len + 6 && !memcmp(p + len, "+proto;", 7));
}

static void
request_header(struct grpc_call *call, const uint8_t *name, size_t nname,
	const uint8_t *value, size_t nvalue)
{
	const char *text = (const char *)value;

	if (is(name, nname, ":path") && !call->path)
		call->path = xstrndup(text, nvalue);
	else if (is(name, nname, ":method"))
		call->post = is(value, nvalue, "POST");
	else if (is(name, nname, "content-type"))
		call->is_grpc = is_grpc(value, nvalue);
	else if (is(name, nname, "grpc-timeout"))
		call->timeout = grpc_timeout_ms(text, nvalue);
	else if (is(name, nname, "grpc-encoding"))
		call->reader.compressed = !is(value, nvalue, "identity");
}

static void
status_header(struct grpc_call *call, const char *text, size_t n)
{
	size_t i;
	int status = 0;

	for (i = 0; i < n && i < 3 && text[i] >= '0' && text[i] <= '9'; i++)
		status = status * 10 + text[i] - '0';
	call->status = n && i == n && status < GRPC_STATUS__MAX ?
		status :
		GRPC_UNKNOWN;
	call->finished = true;
}

static void
why_header(struct grpc_call *call, const char *text, size_t n)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (call->why)
		return;
	grpc_percent_decode(&b, text, n);
	call->why = xstrdup(b.s);
	err_clean(call->why);
}

static void
answer_header(struct grpc_call *call, const uint8_t *name, size_t nname,
	const uint8_t *value, size_t nvalue)
{
	const char *text = (const char *)value;

	if (is(name, nname, "content-type"))
		call->is_grpc = is_grpc(value, nvalue);
	else if (is(name, nname, "grpc-status"))
		status_header(call, text, nvalue);
	else if (is(name, nname, "grpc-message"))
		why_header(call, text, nvalue);
	else if (is(name, nname, "grpc-encoding"))
		call->reader.compressed = !is(value, nvalue, "identity");
}

static int
on_header(nghttp2_session *h2, const nghttp2_frame *frame,
	const uint8_t *name, size_t nname, const uint8_t *value,
	size_t nvalue, uint8_t flags, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_call *call = find(h2, frame->hd.stream_id);

	(void)flags;
	if (!call)
		return 0;
	call->headers += nname + nvalue + 32;
	if (call->headers > CONN_HEADERS)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (c->client)
		answer_header(call, name, nname, value, nvalue);
	else
		request_header(call, name, nname, value, nvalue);
	return 0;
}

static int
on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_call *call = find(h2, frame->hd.stream_id);

	if (call) {
		call->headers = 0; /* trailers are a list of their own */
		return 0;
	}
	if (c->client || frame->hd.type != NGHTTP2_HEADERS ||
		frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = call_new(c, frame->hd.stream_id);
	return nghttp2_session_set_stream_user_data(h2, call->id, call);
}

/* ---- frames ---- */

static int
on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *hd, void *arg)
{
	(void)h2;
	if (hd->type == NGHTTP2_WINDOW_UPDATE ||
		hd->type == NGHTTP2_HEADERS ||
		(hd->type == NGHTTP2_DATA && hd->length))
		return 0;
	(void)conn_charge(arg, hd->type == NGHTTP2_RST_STREAM ? COST_RESET :
								COST_FRAME);
	return 0;
}

static void
headers_came(struct grpc_conn *c, struct grpc_call *call)
{
	if (c->client)
		call->headed = true;
	else if (!call->method)
		server_route(call);
}

static int
on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_call *call = find(h2, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (frame->hd.type == NGHTTP2_SETTINGS && !c->spoken) {
		c->spoken = true;
		conn_schedule(c);
		if (c->client)
			client_up(c);
	}
	if (!call)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		headers_came(c, call);
	if (end && (frame->hd.type == NGHTTP2_HEADERS ||
			   frame->hd.type == NGHTTP2_DATA))
		call_half_closed(call);
	return 0;
}

/* The other side may still send when we have answered: tell it to stop, or
 * the stream would be taken for ever. */
static int
on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *c = arg;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_RST_STREAM &&
		frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
		(void)conn_charge(c, COST_RESET);
	if (c->client || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
		(frame->hd.type != NGHTTP2_HEADERS &&
			frame->hd.type != NGHTTP2_DATA))
		return 0;
	call = find(h2, frame->hd.stream_id);
	if (call && !call->half_closed)
		(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE,
			call->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int
on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p,
	size_t n, void *arg)
{
	struct grpc_call *call = find(h2, id);

	(void)flags;
	(void)arg;
	(void)nghttp2_session_consume_connection(h2, n);
	if (call)
		call_data(call, p, n);
	return 0;
}

static int
on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct grpc_call *call = find(h2, id);

	(void)arg;
	if (!call)
		return 0;
	call->id = -1; /* there is no such stream any more */
	if (call->finished)
		call_end(call, call->status, call->why);
	else
		call_end(call, call_status_of(error),
			"the peer ended the call without a status");
	return 0;
}

/* ---- sessions ---- */

static nghttp2_session_callbacks *
callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb))
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
		on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb,
		on_begin_frame);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb,
		on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	return cb;
}

static nghttp2_option *
options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o))
		return NULL;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_peer_max_concurrent_streams(o, CONN_CALLS);
	nghttp2_option_set_max_outbound_ack(o, 256);
	nghttp2_option_set_max_settings(o, 16);
	nghttp2_option_set_max_continuations(o, 4);
	nghttp2_option_set_stream_reset_rate_limit(o, 200, 20);
	nghttp2_option_set_max_deflate_dynamic_table_size(o, 0);
	return o;
}

static int
submit_settings(struct grpc_conn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
			c->client ? 0 : CONN_CALLS },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CONN_HEADERS },
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	};

	/* The last one is a client's to say. */
	return nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings,
		       ARRAY_SIZE(settings) - !c->client) ||
		nghttp2_session_set_local_window_size(c->h2,
			NGHTTP2_FLAG_NONE, 0, CONN_WINDOW);
}

int
h2_open(struct grpc_conn *c)
{
	nghttp2_session_callbacks *cb = callbacks();
	nghttp2_option *o = options();
	int rc = -1;

	if (cb && o)
		rc = c->client ?
			nghttp2_session_client_new3(&c->h2, cb, c, o,
				h2_memory()) :
			nghttp2_session_server_new3(&c->h2, cb, c, o,
				h2_memory());
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(o);
	return rc || submit_settings(c) ? -1 : 0;
}
