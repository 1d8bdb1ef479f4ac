#include "lib/vm/mac.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/vm/digest.h"
#include "lib/vm/lease.h"
#include "lib/base/banned.h"

void
mac_of(const char *name, uint32_t address, char ret[18])
{
	char text[16];
	CLEANUP_FREE char *in = xasprintf("%s|%s", name,
		address_format(address, text, sizeof(text)));
	unsigned char d[DIGEST_SHA1];

	/* A collision is two VMs of one name and address. */
	digest_sha1(in, strlen(in), d);
	(void)snprintf(ret, 18, "02:%02x:%02x:%02x:%02x:%02x", d[0], d[1],
		d[2], d[3], d[4]);
}
