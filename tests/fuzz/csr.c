/* A certificate request comes from a stranger: any bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trust/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_PKEY EVP_PKEY *key = NULL;
	struct err err = ERR_INIT;
	char *name = NULL, *host;

	if (csr_parse((const char *)data, size, &key, &name, &err)) {
		if (key || name || err.code != ERR_INVALID)
			abort();
		return 0;
	}
	host = csr_host_name(name);
	if (!*host || strlen(host) > 24 ||
		host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-")] ||
		*host == '-')
		abort();
	free(host);
	free(name);
	return 0;
}
