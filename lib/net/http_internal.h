/*
 * http_internal: what http.c and http_stream.c share; only for them.
 */
#ifndef FORGE_NET_HTTP_INTERNAL_H
#define FORGE_NET_HTTP_INTERNAL_H

#include <stdbool.h>
#include <curl/curl.h>
#include "lib/net/http.h"

#define HTTP_HEADERS_MAX (64 * 1024) /* bytes of an answer's headers */

struct http {
	CURL *curl;
	char *ca_file;
	char why[CURL_ERROR_SIZE];
};

/* May it be called?  *ret_plain: it is http:// */
int http_look_at_url(const char *text, bool *ret_plain, struct err *err)
	__attribute__((warn_unused_result));
/* All that holds for every call; false: libcurl is too old. */
bool http_rules(struct http *http, bool plain)
	__attribute__((warn_unused_result));
int http_headers(const struct argv *list, struct curl_slist **ret,
	struct err *err) __attribute__((warn_unused_result));
void http_slist_free(struct curl_slist **list);

#endif
