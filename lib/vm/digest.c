#include "lib/vm/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define CHUNK ((size_t)256 << 10)

static void
finish(EVP_MD_CTX *ctx, struct digest *ret)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	size_t i;

	if (EVP_DigestFinal_ex(ctx, sum, &n) != 1 || n != 32)
		BUG("SHA-256 failed");
	for (i = 0; i < n; i++) {
		ret->hex[2 * i] = hex[sum[i] >> 4];
		ret->hex[2 * i + 1] = hex[sum[i] & 15];
	}
	ret->hex[2 * i] = '\0';
}

static EVP_MD_CTX *
start(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		BUG("libcrypto has no SHA-256");
	return ctx;
}

void
digest_bytes(const void *p, size_t n, struct digest *ret)
{
	EVP_MD_CTX *ctx = start();

	if (EVP_DigestUpdate(ctx, p, n) != 1)
		BUG("SHA-256 failed");
	finish(ctx, ret);
	EVP_MD_CTX_free(ctx);
	ret->size = (int64_t)n;
}

int
digest_file(int dirfd, const char *path, struct digest *ret, struct err *err)
{
	CLEANUP_CLOSE int fd = openat(dirfd, path,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP_FREE char *block = xmalloc(CHUNK);
	EVP_MD_CTX *ctx;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	ctx = start();
	ret->size = 0;
	while ((n = read(fd, block, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || EVP_DigestUpdate(ctx, block, (size_t)n) != 1) {
			(void)err_sys(err, "cannot read '%s'", path);
			EVP_MD_CTX_free(ctx);
			return -1;
		}
		ret->size += n;
	}
	finish(ctx, ret);
	EVP_MD_CTX_free(ctx);
	return 0;
}
