#include "lib/state/config_file.h"

#include <ctype.h>
#include <dlfcn.h>
#include <git2.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/state/config.h"
#include "lib/base/banned.h"

/* The functions used of libgit2, under their own types. */
struct git {
	void *lib;
	__typeof__(&git_libgit2_init) init;
	__typeof__(&git_error_last) last;
	__typeof__(&git_config_open_ondisk) open;
	__typeof__(&git_config_free) free;
	__typeof__(&git_config_iterator_new) iterate;
	__typeof__(&git_config_iterator_free) iterator_free;
	__typeof__(&git_config_next) next;
};

static const char git_soname[] = "libgit2.so." LIBGIT2_SOVERSION;

/* dlsym() gives a data pointer: copied, since ISO C has no cast for it. */
static bool
resolve(void *lib, const char *name, void *fn)
{
	void *p = dlsym(lib, name);

	memcpy(fn, &p, sizeof(p));
	return p != NULL;
}

/* Started once and kept: starting it again would cost the same again. */
static const struct git *
git_load(struct err *err)
{
	static struct git g;
	static bool started;

	if (started)
		return &g;
	if (!g.lib)
		g.lib = dlopen(git_soname, RTLD_NOW | RTLD_LOCAL);
	if (!g.lib) {
		(void)err_set(err, ERR_SYS,
			"cannot read the configuration without %s: %s",
			git_soname, dlerror());
		return NULL;
	}
	started = resolve(g.lib, "git_libgit2_init", &g.init) &&
		resolve(g.lib, "git_error_last", &g.last) &&
		resolve(g.lib, "git_config_open_ondisk", &g.open) &&
		resolve(g.lib, "git_config_free", &g.free) &&
		resolve(g.lib, "git_config_iterator_new", &g.iterate) &&
		resolve(g.lib, "git_config_iterator_free",
			&g.iterator_free) &&
		resolve(g.lib, "git_config_next", &g.next) && g.init() > 0;
	if (started)
		return &g;
	(void)err_set(err, ERR_SYS, "cannot start %s", git_soname);
	return NULL;
}

static int
git_failed(const struct git *g, const char *path, struct err *err)
{
	const git_error *e = g->last();

	return err_set(err, ERR_INVALID, "configuration '%s': %s", path,
		e && e->message ? e->message : "cannot be read");
}

static int
read_entries(const struct git *g, git_config *cfg,
	void (*emit)(const char *name, const char *value, unsigned depth,
		void *arg),
	void *arg)
{
	git_config_iterator *it;
	git_config_entry *e;
	int rc;

	if (g->iterate(&it, cfg))
		return -1;
	while (!(rc = g->next(&e, it)))
		emit(e->name, e->value, e->include_depth, arg);
	g->iterator_free(it);
	return rc == GIT_ITEROVER ? 0 : -1;
}

int
config_file_read(const char *path,
	void (*emit)(const char *name, const char *value, unsigned depth,
		void *arg),
	void *arg, struct err *err)
{
	const struct git *g = git_load(err);
	git_config *cfg = NULL;
	int rc = 0;

	if (!g)
		return -1;
	if (g->open(&cfg, path) || read_entries(g, cfg, emit, arg))
		rc = git_failed(g, path, err);
	g->free(cfg);
	return rc;
}

/* Where config_file_line() stands. */
struct scan {
	const char *p, *end;
	size_t line;
	struct buf name; /* "section" or "section.NAME" */
};

static bool
at_end(const struct scan *s)
{
	return s->p == s->end;
}

static void
skip_char(struct scan *s)
{
	if (*s->p == '\n')
		s->line++;
	s->p++;
}

static void
skip_blank(struct scan *s)
{
	while (!at_end(s) && (isspace((unsigned char)*s->p)))
		skip_char(s);
}

/* To the end of a value: quotes hide comments, a backslash the line end. */
static void
skip_value(struct scan *s)
{
	bool quoted = false, comment = false;

	for (; !at_end(s) && *s->p != '\n'; skip_char(s)) {
		if (comment)
			continue;
		if (*s->p == '\\' && s->p + 1 < s->end) {
			skip_char(s);
			if (*s->p == '\r' && s->p + 1 < s->end)
				skip_char(s);
		} else if (*s->p == '"')
			quoted = !quoted;
		else if (!quoted && (*s->p == '#' || *s->p == ';'))
			comment = true;
	}
}

static void
scan_lower(struct scan *s, struct buf *to)
{
	for (; !at_end(s); skip_char(s)) {
		unsigned char c = (unsigned char)*s->p;

		if (!isalnum(c) && c != '-' && c != '.')
			break;
		buf_addc(to, (char)tolower(c));
	}
}

/* [section "NAME"] or [section], up to the bracket. */
static void
scan_header(struct scan *s)
{
	buf_reset(&s->name);
	skip_char(s);
	skip_blank(s);
	scan_lower(s, &s->name);
	skip_blank(s);
	if (!at_end(s) && *s->p == '"') {
		buf_addc(&s->name, '.');
		skip_char(s);
		for (; !at_end(s) && *s->p != '"'; skip_char(s)) {
			if (*s->p == '\\' && s->p + 1 < s->end)
				skip_char(s);
			buf_addc(&s->name, *s->p);
		}
	}
	while (!at_end(s) && *s->p != ']' && *s->p != '\n')
		skip_char(s);
	if (!at_end(s))
		skip_char(s);
}

/* The next setting, its whole name in key; false at the end. */
static bool
scan_key(struct scan *s, struct buf *key)
{
	for (;;) {
		skip_blank(s);
		if (at_end(s))
			return false;
		if (*s->p == '[') {
			scan_header(s);
			continue;
		}
		buf_reset(key);
		buf_add(key, s->name.s, s->name.len);
		buf_addc(key, '.');
		if (isalpha((unsigned char)*s->p)) {
			scan_lower(s, key);
			return true;
		}
		while (!at_end(s) && *s->p != '\n')
			skip_char(s);
	}
}

size_t
config_file_line(const char *text, size_t n, const char *name, size_t nth)
{
	struct scan s = { .p = text, .end = text + n, .line = 1,
		.name = BUF_INIT };
	CLEANUP_BUF struct buf key = BUF_INIT;
	size_t line = 0;

	/* Editors of other systems put a mark in front. */
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		s.p += 3;
	while (!line && scan_key(&s, &key)) {
		if (!strcmp(key.s, name) && nth-- == 0)
			line = s.line;
		else
			skip_value(&s);
	}
	buf_release(&s.name);
	return line;
}
