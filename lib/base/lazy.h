/*
 * lazy: functions of a library that is loaded by the first call.
 *
 * For libraries that cost a program milliseconds at its start and are seldom
 * used.  A file defines the functions under their own names, and nothing is
 * linked with the library:
 *	#define LAZY_SONAME "libarchive.so.13"
 *	#include "lib/base/lazy.h"
 *	LAZY(int, archive_read_free, (struct archive *a), (a))
 * One that is missing there is told by the linker: add its line.  When the
 * library is not installed a LAZY_NEW function returns NULL, which callers
 * take as any failure to make the thing; the others are never reached.
 */
#ifndef FORGE_BASE_LAZY_H
#define FORGE_BASE_LAZY_H

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/err.h"

#ifndef LAZY_SONAME
#define LAZY_SONAME "" /* so that this header compiles alone */
#endif

/* dlsym() gives a data pointer: copied, since ISO C has no cast for it. */
static inline int
lazy_load(const char *name, void *fn, size_t size)
{
	static void *lib;
	void *p;

	if (!lib)
		lib = dlopen(LAZY_SONAME, RTLD_NOW | RTLD_LOCAL);
	p = lib ? dlsym(lib, name) : NULL;
	memcpy(fn, &p, size);
	return p ? 0 : -1;
}

#define LAZY_FIND(name, fn)                                        \
	static __typeof__(&name) fn;                               \
                                                                   \
	if (!fn && lazy_load(#name, &fn, sizeof(fn)))              \
	BUG(LAZY_SONAME " without %s", #name)
/* how: return, or nothing */
#define LAZY_HOW(ret, name, params, args, how)                     \
	ret name params                                            \
	{                                                          \
		LAZY_FIND(name, fn);                               \
		how fn args;                                       \
	}
#define LAZY(ret, name, params, args) LAZY_HOW(ret, name, params, args, return)
#define LAZY_VOID(name, params, args) LAZY_HOW(void, name, params, args, )
#define LAZY_NEW(ret, name)                                        \
	ret name(void)                                             \
	{                                                          \
		static __typeof__(&name) fn;                       \
                                                                   \
		return fn || !lazy_load(#name, &fn, sizeof(fn)) ?  \
			fn() :                                     \
			NULL;                                      \
	}

#endif
