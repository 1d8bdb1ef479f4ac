#include "lib/vm/digest.h"

/*
 * Not EVP, whose first use costs the start of a program 2 ms, and which is all
 * of libcrypto: of these a static program has only the few KB it needs.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define CHUNK ((size_t)256 << 10)

static void
finish(SHA256_CTX *ctx, struct digest *ret)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum[SHA256_DIGEST_LENGTH];
	size_t i;

	if (SHA256_Final(sum, ctx) != 1)
		BUG("SHA-256 failed");
	for (i = 0; i < sizeof(sum); i++) {
		ret->hex[2 * i] = hex[sum[i] >> 4];
		ret->hex[2 * i + 1] = hex[sum[i] & 15];
	}
	ret->hex[2 * i] = '\0';
}

void
digest_bytes(const void *p, size_t n, struct digest *ret)
{
	SHA256_CTX ctx;

	if (SHA256_Init(&ctx) != 1 || SHA256_Update(&ctx, p, n) != 1)
		BUG("SHA-256 failed");
	finish(&ctx, ret);
	ret->size = (int64_t)n;
}

void
digest_sha1(const void *p, size_t n, unsigned char ret[DIGEST_SHA1])
{
	SHA_CTX ctx;

	if (SHA1_Init(&ctx) != 1 || SHA1_Update(&ctx, p, n) != 1 ||
		SHA1_Final(ret, &ctx) != 1)
		BUG("SHA-1 failed");
}

int
digest_file(int dirfd, const char *path, struct digest *ret, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dirfd, path,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP_FREE char *block = xmalloc(CHUNK);
	SHA256_CTX ctx;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (SHA256_Init(&ctx) != 1)
		BUG("SHA-256 failed");
	ret->size = 0;
	while ((n = read(fd, block, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot read '%s'", path);
		if (SHA256_Update(&ctx, block, (size_t)n) != 1)
			BUG("SHA-256 failed");
		ret->size += n;
	}
	finish(&ctx, ret);
	return 0;
}
