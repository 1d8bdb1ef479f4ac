/*
 * proxy: the header that a load balancer puts in front of a connection to
 * say whose it is: the PROXY protocol, version 1 (text) and 2 (binary).
 */
#ifndef FORGE_NET_PROXY_H
#define FORGE_NET_PROXY_H

#include <stddef.h>
#include <sys/types.h>

#define PROXY_MAX 1024 /* bytes of a header, as we take them */

/*
 * n bytes from the start of a connection.  Returns the header's length, 0
 * when more must come, -1 when it is none.  address (at least 64 bytes) gets
 * "192.0.2.1:1234", or "unknown" when the header does not tell.
 */
ssize_t proxy_parse(const unsigned char *p, size_t n, char *address,
	size_t size) __attribute__((warn_unused_result));

#endif
