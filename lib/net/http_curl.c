/*
 * libcurl, loaded when it is first used: it brings 25 libraries along, and a
 * program that makes no request should not wait four milliseconds for them.
 */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stdarg.h>

#define LAZY_SONAME "libcurl.so.4"
#include "lib/base/lazy.h"
#include "lib/base/banned.h"

/* Parameters are not called what libcurl's headers call them. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

#undef curl_easy_setopt
#undef curl_easy_getinfo

typedef struct curl_slist *slist;
typedef const char *text;

/* What setopt takes, long, curl_off_t or pointer, goes through as one. */
_Static_assert(sizeof(long) == sizeof(void *) &&
		sizeof(curl_off_t) == sizeof(void *),
	"a long, an offset and a pointer are passed alike");

CURLcode
curl_easy_setopt(CURL *c, CURLoption option, ...)
{
	LAZY_FIND(curl_easy_setopt, fn);
	va_list ap;
	void *arg;

	va_start(ap, option);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fn(c, option, arg);
}

CURLcode
curl_easy_getinfo(CURL *c, CURLINFO info, ...)
{
	LAZY_FIND(curl_easy_getinfo, fn);
	va_list ap;
	void *arg;

	va_start(ap, info);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fn(c, info, arg);
}

/* Called before all others: where a missing library is noticed. */
CURLcode
curl_global_init(long flags)
{
	static __typeof__(&curl_global_init) fn;

	return fn || !lazy_load("curl_global_init", &fn, sizeof(fn)) ?
		fn(flags) :
		CURLE_FAILED_INIT;
}

LAZY_NEW(void *, curl_easy_init)
LAZY_NEW(CURLU *, curl_url)
LAZY_VOID(curl_easy_cleanup, (CURL * c), (c))
LAZY_VOID(curl_easy_reset, (CURL * c), (c))
LAZY(CURLcode, curl_easy_perform, (CURL * c), (c))
LAZY(text, curl_easy_strerror, (CURLcode code), (code))
LAZY(time_t, curl_getdate, (const char *s, const time_t *unused), (s, unused))
LAZY_VOID(curl_free, (void *p), (p))
LAZY(slist, curl_slist_append, (struct curl_slist * l, const char *s), (l, s))
LAZY_VOID(curl_slist_free_all, (struct curl_slist * l), (l))
LAZY_VOID(curl_url_cleanup, (CURLU * u), (u))
LAZY(CURLUcode, curl_url_get,
	(CURLU * u, CURLUPart part, char **ret, unsigned flags),
	(u, part, ret, flags))
LAZY(CURLUcode, curl_url_set,
	(CURLU * u, CURLUPart part, const char *s, unsigned flags),
	(u, part, s, flags))
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
