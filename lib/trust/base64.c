#include "lib/trust/base64.h"

#include <string.h>
#include <openssl/evp.h>
#include "lib/base/banned.h"

/* A multiple of 3, so that only the last piece is padded; fits an int. */
#define PIECE 3072

void
base64_add(struct buf *out, const void *p, size_t n)
{
	unsigned char text[PIECE / 3 * 4 + 1];
	const unsigned char *in = p;
	size_t part;

	for (; n; in += part, n -= part) {
		part = n < PIECE ? n : PIECE;
		buf_add(out, text,
			(size_t)EVP_EncodeBlock(text, in, (int)part));
	}
}

void
base64url_add(struct buf *out, const void *p, size_t n)
{
	size_t start = out->len, i;

	base64_add(out, p, n);
	while (out->len > start && out->s[out->len - 1] == '=')
		buf_setlen(out, out->len - 1);
	for (i = start; i < out->len; i++) {
		if (out->s[i] == '+')
			out->s[i] = '-';
		else if (out->s[i] == '/')
			out->s[i] = '_';
	}
}

int
base64_decode(const char *s, size_t n, size_t max, struct buf *ret)
{
	size_t pad = 0;
	int len;

	if (n % 4 || n / 4 * 3 > max)
		return -1;
	while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
		pad++;
	buf_grow(ret, n / 4 * 3);
	len = EVP_DecodeBlock((unsigned char *)ret->s + ret->len,
		(const unsigned char *)s, (int)n);
	if (len < 0)
		return -1;
	buf_setlen(ret, ret->len + (size_t)len - pad);
	return 0;
}

int
base64url_decode(const char *s, size_t n, size_t max, struct buf *ret)
{
	CLEANUP_BUF struct buf text = BUF_INIT, again = BUF_INIT;
	size_t i, before = ret->len;

	if (n / 4 * 3 > max)
		return -1;
	for (i = 0; i < n; i++) {
		if (s[i] == '+' || s[i] == '/' || s[i] == '=')
			return -1;
		buf_addc(&text, s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i]);
	}
	while (text.len % 4)
		buf_addc(&text, '=');
	if (base64_decode(text.s, text.len, max + 3, ret))
		return -1;
	base64url_add(&again, ret->s + before, ret->len - before);
	if (again.len == n && (!n || !memcmp(again.s, s, n)))
		return 0;
	buf_setlen(ret, before);
	return -1;
}
