#include "lib/net/grpc_wire.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

const char *
grpc_status_name(int status)
{
	static const char *const names[] = { "OK", "CANCELLED", "UNKNOWN",
		"INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED" };

	_Static_assert(ARRAY_SIZE(names) == GRPC_STATUS__MAX, "names");
	return status < 0 || status >= GRPC_STATUS__MAX ? "UNKNOWN" :
							   names[status];
}

/* ---- messages ---- */

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3];
}

static int
check_prefix(struct grpc_reader *r, const char **ret_why)
{
	if (r->prefix[0] > 1) {
		*ret_why = "a message begins with a flag that is none";
		return GRPC_INTERNAL;
	}
	if (r->prefix[0]) {
		*ret_why = r->compressed ?
			"compressed messages are not supported" :
			"a compressed message without grpc-encoding";
		return r->compressed ? GRPC_UNIMPLEMENTED : GRPC_INTERNAL;
	}
	r->want = get32(r->prefix + 1);
	if (r->want > r->max) {
		*ret_why = "the message is too large";
		return GRPC_RESOURCE_EXHAUSTED;
	}
	return GRPC_OK;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* One whole message that is already together is not copied. */
static const void *
gather(struct grpc_reader *r, const uint8_t **p, size_t *n)
{
	size_t take = least(*n, r->want - r->message.len);
	const uint8_t *at = *p;

	*p += take;
	*n -= take;
	if (take == r->want)
		return at;
	if (!r->message.alloc)
		r->message = BUF_INIT;
	buf_add(&r->message, at, take);
	return r->message.len == r->want ? r->message.s : NULL;
}

int
grpc_reader_feed(struct grpc_reader *r, const uint8_t *p, size_t n,
	int (*take)(const void *message, size_t n, void *arg), void *arg,
	const char **ret_why)
{
	while (n || (r->got == GRPC_PREFIX && !r->want)) {
		const void *whole;
		int rc;

		if (r->got < GRPC_PREFIX) {
			size_t part = least(n, GRPC_PREFIX - r->got);

			memcpy(r->prefix + r->got, p, part);
			r->got += part;
			p += part;
			n -= part;
			if (r->got < GRPC_PREFIX)
				return GRPC_OK;
			rc = check_prefix(r, ret_why);
			if (rc)
				return rc;
		}
		whole = r->want ? gather(r, &p, &n) : "";
		if (!whole)
			continue;
		rc = take(whole, r->want, arg);
		r->got = r->want = 0;
		if (r->message.alloc)
			buf_release(&r->message);
		if (rc)
			return GRPC_OK;
	}
	return GRPC_OK;
}

bool
grpc_reader_inside(const struct grpc_reader *r)
{
	return r->got > 0;
}

void
grpc_reader_release(struct grpc_reader *r)
{
	if (r->message.alloc)
		buf_release(&r->message);
}

void
grpc_frame(struct buf *out, const void *p, size_t n)
{
	const uint8_t prefix[GRPC_PREFIX] = { 0, (uint8_t)(n >> 24),
		(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

	buf_grow(out, sizeof(prefix) + n);
	buf_add(out, prefix, sizeof(prefix));
	if (n)
		buf_add(out, p, n);
}

/* ---- headers ---- */

int64_t
grpc_timeout_ms(const char *s, size_t n)
{
	static const struct {
		char unit;
		int64_t ns;
	} units[] = { { 'H', 3600000000000 }, { 'M', 60000000000 },
		{ 'S', 1000000000 }, { 'm', 1000000 }, { 'u', 1000 },
		{ 'n', 1 } };
	int64_t value = 0, ms;
	size_t i;

	if (n < 2 || n > 9)
		return -1;
	for (i = 0; i + 1 < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		value = value * 10 + (s[i] - '0');
	}
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (units[i].unit != s[n - 1])
			continue;
		ms = units[i].ns >= 1000000 ?
			value * (units[i].ns / 1000000) :
			value / (1000000 / units[i].ns);
		return ms ? ms : 1;
	}
	return -1;
}

void
grpc_percent_encode(struct buf *out, const char *s, size_t max)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < max && s[i]; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= ' ' && c <= '~' && c != '%') {
			buf_addc(out, (char)c);
			continue;
		}
		buf_addc(out, '%');
		buf_addc(out, hex[c >> 4]);
		buf_addc(out, hex[c & 15]);
	}
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
				       -1;
}

void
grpc_percent_decode(struct buf *out, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int high = -1, low = -1;

		if (s[i] == '%' && i + 2 < n) {
			high = hex_value(s[i + 1]);
			low = hex_value(s[i + 2]);
		}
		if (high < 0 || low < 0) {
			buf_addc(out, s[i]);
			continue;
		}
		buf_addc(out, (char)(high << 4 | low));
		i += 2;
	}
}

/* ---- text ---- */

/* Length of the sequence that begins with c and its smallest value. */
static size_t
sequence(unsigned char c, uint32_t *ret_value, uint32_t *ret_least)
{
	if (c < 0x80) {
		*ret_value = c;
		*ret_least = 1; /* no NUL */
		return 1;
	}
	if (c >= 0xc2 && c < 0xe0) {
		*ret_value = c & 0x1f;
		*ret_least = 0x80;
		return 2;
	}
	if (c >= 0xe0 && c < 0xf0) {
		*ret_value = c & 0x0f;
		*ret_least = 0x800;
		return 3;
	}
	if (c >= 0xf0 && c < 0xf5) {
		*ret_value = c & 0x07;
		*ret_least = 0x10000;
		return 4;
	}
	return 0;
}

bool
utf8_valid(const char *s, size_t n)
{
	size_t i = 0, k;

	while (i < n) {
		uint32_t value = 0, smallest = 0;
		size_t len = sequence((unsigned char)s[i], &value, &smallest);

		if (!len || len > n - i)
			return false;
		for (k = 1; k < len; k++) {
			unsigned char c = (unsigned char)s[i + k];

			if ((c & 0xc0) != 0x80)
				return false;
			value = value << 6 | (c & 0x3f);
		}
		if (value < smallest || value > 0x10ffff ||
			(value >= 0xd800 && value < 0xe000))
			return false;
		i += len;
	}
	return true;
}
