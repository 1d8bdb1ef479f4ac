#include "lib/trust/keypair.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "lib/base/mem.h"
#include "lib/trust/csr.h"
#include "lib/base/banned.h"

void
keypair_free(char *key)
{
	if (key)
		OPENSSL_cleanse(key, strlen(key));
	free(key);
}

int
keypair_make(const char *name, char **ret_key, char **ret_csr,
	struct err *err)
{
	CLEANUP_SECRET struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf csr = BUF_INIT;
	CLEANUP_PKEY EVP_PKEY *key = NULL;

	if (pem_make_key(&key, err) || pem_add_key(&text, key, err) ||
		csr_make(key, name, &csr, err))
		return -1;
	*ret_key = buf_detach(&text);
	*ret_csr = buf_detach(&csr);
	return 0;
}

int
keypair_check(const char *cert, const char *key, char **ret_name,
	int64_t *ret_before, int64_t *ret_after, struct err *err)
{
	CLEANUP_PKEY EVP_PKEY *pkey = NULL;
	CLEANUP_X509 X509 *crt = NULL;
	bool fits;

	if (pem_cert(cert, strlen(cert), "the answer", &crt, err) ||
		pem_key(key, strlen(key), "the answer", &pkey, err)) {
		err->code = ERR_INVALID;
		return -1;
	}
	fits = X509_check_private_key(crt, pkey) == 1;
	ERR_clear_error();
	if (!fits)
		return err_set(err, ERR_INVALID,
			"the certificate is not for this key");
	*ret_name = pem_name(crt);
	*ret_before = pem_time(X509_get0_notBefore(crt));
	*ret_after = pem_time(X509_get0_notAfter(crt));
	return 0;
}
