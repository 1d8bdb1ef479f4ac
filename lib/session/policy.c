#include "lib/session/policy_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

struct policy {
	struct rule *v;
	size_t n;
};

static const char *const verdict_names[] = {
	[POLICY_NONE] = "none",
	[POLICY_ALLOW] = "allow",
	[POLICY_ASK] = "ask",
	[POLICY_DENY] = "deny",
};
_Static_assert(ARRAY_SIZE(verdict_names) == POLICY_VERDICT__MAX, "names");

static const struct {
	enum tool_class class;
	const char *name; /* in any case */
} tools[] = {
	{ TOOL_SHELL, "Bash" },
	{ TOOL_SHELL, "shell" },
	{ TOOL_SHELL, "local_shell" },
	{ TOOL_SHELL, "execute" },
	{ TOOL_SHELL, "exec_command" },
	{ TOOL_SHELL, "command_execution" },
	{ TOOL_SHELL, "run_shell_command" },
	{ TOOL_EDIT, "Edit" },
	{ TOOL_EDIT, "Write" },
	{ TOOL_EDIT, "MultiEdit" },
	{ TOOL_EDIT, "NotebookEdit" },
	{ TOOL_EDIT, "patch" },
	{ TOOL_EDIT, "apply_patch" },
	{ TOOL_EDIT, "file_change" },
	{ TOOL_EDIT, "write_file" },
	{ TOOL_EDIT, "replace" },
	{ TOOL_EDIT, "delete" },
	{ TOOL_EDIT, "move" },
	{ TOOL_READ, "Read" },
	{ TOOL_READ, "Grep" },
	{ TOOL_READ, "Glob" },
	{ TOOL_READ, "LS" },
	{ TOOL_READ, "NotebookRead" },
	{ TOOL_READ, "read_file" },
	{ TOOL_READ, "read_many_files" },
	{ TOOL_READ, "list_directory" },
	{ TOOL_READ, "list" },
	{ TOOL_FETCH, "WebFetch" },
	{ TOOL_FETCH, "web_fetch" },
	{ TOOL_FETCH, "fetch" },
};

enum tool_class
tool_class(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tools); i++)
		if (!strcasecmp(tools[i].name, name))
			return tools[i].class;
	return TOOL_OTHER;
}

/* ---- reading ---- */

struct policy *
policy_new(void)
{
	return xcalloc(1, sizeof(struct policy));
}

static void
cut(struct policy *p, size_t n)
{
	while (p->n > n) {
		struct rule *r = &p->v[--p->n];

		free(r->tool);
		free(r->pattern);
		free(r->from);
	}
}

void
policy_free(struct policy *p)
{
	if (!p)
		return;
	cut(p, 0);
	free(p->v);
	free(p);
}

void
cleanup_policy(struct policy **p)
{
	policy_free(*p);
}

size_t
policy_size(const struct policy *p)
{
	return p->n;
}

static int
parse_verdict(const char *line, size_t n, enum policy_verdict *ret)
{
	enum policy_verdict v;

	for (v = POLICY_ALLOW; v < POLICY_VERDICT__MAX; v++)
		if (strlen(verdict_names[v]) == n &&
			!memcmp(line, verdict_names[v], n)) {
			*ret = v;
			return 0;
		}
	return -1;
}

/* What may stand in the parentheses; NULL: that. */
static const char *
pattern_problem(const struct rule *r)
{
	const char *s = r->pattern;

	if (r->class == TOOL_OTHER)
		return "only Bash, Edit, Write, Read and WebFetch take a "
		       "pattern";
	if (!*s)
		return "nothing between the parentheses";
	if (r->class == TOOL_FETCH && (strncmp(s, "domain:", 7) || !s[7]))
		return "write WebFetch(domain:HOST)";
	if (r->class == TOOL_SHELL && !strcmp(s, ":*"))
		return "no command before ':*'";
	return NULL;
}

/* TOOL or TOOL(PATTERN); s is without blanks at its ends. */
static const char *
parse_tool(struct rule *r, const char *s)
{
	size_t n = strcspn(s, "( \t");
	const char *problem;

	if (!n || (s[n] && s[n] != '('))
		return "write TOOL or TOOL(PATTERN)";
	r->tool = xstrndup(s, n);
	r->class = tool_class(r->tool);
	if (!s[n])
		return NULL;
	s += n + 1;
	n = strlen(s);
	if (!n || s[n - 1] != ')')
		return "')' is missing at the end";
	r->pattern = xstrndup(s, n - 1);
	if (!strcmp(r->pattern, "*") || !strcmp(r->pattern, "**")) {
		free(r->pattern);
		r->pattern = NULL;
		return NULL;
	}
	problem = pattern_problem(r);
	return problem;
}

/* line is NUL-terminated, without blanks at its ends, and not empty. */
static int
parse_rule(struct policy *p, const char *name, int number, const char *line,
	struct err *err)
{
	size_t n = strcspn(line, " \t");
	const char *problem = NULL;
	struct rule r = { 0 };

	if (parse_verdict(line, n, &r.verdict))
		problem = "a rule begins with allow, ask or deny";
	else
		problem = parse_tool(&r, line + n + strspn(line + n, " \t"));
	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	r.from = xasprintf("%s:%d: %s", name, number, line);
	p->v[p->n++] = r;
	if (problem)
		return err_set(err, ERR_INVALID, "%s:%d: %s", name, number,
			problem);
	return 0;
}

int
policy_parse(struct policy *p, const char *name, const char *text, size_t n,
	struct err *err)
{
	size_t before = p->n, at = 0;
	int number = 0;

	if (n > POLICY_FILE_MAX)
		return err_set(err, ERR_LIMIT, "%s: larger than %d bytes",
			name, POLICY_FILE_MAX);
	while (at < n) {
		const char *nl = memchr(text + at, '\n', n - at);
		size_t len = nl ? (size_t)(nl - text) - at : n - at;
		CLEANUP_BUF struct buf line = BUF_INIT;
		const char *s;

		number++;
		buf_add(&line, text + at, len);
		at += len + 1;
		buf_rtrim(&line);
		s = line.s + strspn(line.s, " \t");
		if (strlen(line.s) != line.len) {
			cut(p, before);
			return err_set(err, ERR_INVALID,
				"%s:%d: a zero byte", name, number);
		}
		if (!*s || *s == '#')
			continue;
		if (parse_rule(p, name, number, s, err)) {
			cut(p, before);
			return -1;
		}
	}
	return 0;
}

int
policy_read(struct policy *p, int dirfd, const char *path, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (fs_read(dirfd, path, POLICY_FILE_MAX, &text, err))
		return -1;
	return policy_parse(p, path, text.s, text.len, err);
}

/* ---- deciding ---- */

/* What patterns are compared with, read once for a use. */
struct subject {
	const struct policy_use *use;
	enum tool_class class;
	struct shell_line line; /* text NULL: there is none */
	struct argv paths;
	char *host;
};

static void
subject_read(const struct policy_use *use, struct subject *s)
{
	CLEANUP_FREE char *line = NULL;

	*s = (struct subject){ .use = use, .class = tool_class(use->tool),
		.paths = ARGV_INIT,
		.line = { .commands = ARGV_INIT, .inner = ARGV_INIT } };
	if (!use->input)
		return;
	if (s->class == TOOL_SHELL)
		line = shell_of(use->input);
	if (line)
		shell_read(line, &s->line);
	if (s->class == TOOL_EDIT || s->class == TOOL_READ)
		paths_of(use, &s->paths);
	if (s->class == TOOL_FETCH)
		s->host = host_of(use->input);
}

static void
subject_release(struct subject *s)
{
	shell_release(&s->line);
	argv_release(&s->paths);
	free(s->host);
}

static bool
tool_is(const struct rule *r, const struct subject *s)
{
	if (r->class != TOOL_OTHER)
		return r->class == s->class;
	return glob_match(r->tool, s->use->tool, false);
}

/* Does the pattern match the i-th thing that the use is about? */
static bool
matches(const struct rule *r, const struct subject *s, size_t i)
{
	size_t n = s->line.commands.n;

	switch (s->class) {
	case TOOL_SHELL:
		return shell_match(r->pattern,
			i < n ? s->line.commands.v[i] :
				s->line.inner.v[i - n]);
	case TOOL_EDIT:
	case TOOL_READ:
		return path_match(r->pattern, s->paths.v[i], s->use);
	case TOOL_FETCH:
		return glob_match(r->pattern + 7, s->host, false);
	case TOOL_OTHER:
	case TOOL_CLASS__MAX:
		break;
	}
	return false;
}

/* How many things the use is about; inner: what it may run in turn too. */
static size_t
things(const struct subject *s, bool inner)
{
	if (s->class == TOOL_SHELL)
		return s->line.commands.n + (inner ? s->line.inner.n : 0);
	return s->class == TOOL_FETCH ? s->host != NULL : s->paths.n;
}

static bool
stops(const struct rule *r, const struct subject *s)
{
	size_t i, n = things(s, true);

	if (!r->pattern || !n)
		return true;
	if (s->class == TOOL_SHELL && shell_is(r->pattern, &s->line))
		return true;
	for (i = 0; i < n; i++)
		if (matches(r, s, i))
			return true;
	return false;
}

static const struct rule *
allows(const struct policy *p, const struct subject *s, size_t i)
{
	size_t k;

	for (k = 0; k < p->n; k++)
		if (p->v[k].verdict == POLICY_ALLOW && tool_is(&p->v[k], s) &&
			p->v[k].pattern && matches(&p->v[k], s, i))
			return &p->v[k];
	return NULL;
}

/* Each part may be allowed by another rule; the last one is named. */
static const struct rule *
allowed(const struct policy *p, const struct subject *s)
{
	size_t i, n = things(s, false);
	const struct rule *found = NULL;

	for (i = 0; i < p->n; i++) {
		const struct rule *r = &p->v[i];

		if (r->verdict == POLICY_ALLOW && tool_is(r, s) &&
			(!r->pattern ||
				(s->line.text && shell_is(r->pattern, &s->line))))
			return r;
	}
	if (s->class == TOOL_SHELL && !s->line.plain)
		return NULL;
	for (i = 0; i < n; i++) {
		found = allows(p, s, i);
		if (!found)
			return NULL;
	}
	return found;
}

static const struct rule *
stopped(const struct policy *p, const struct subject *s,
	enum policy_verdict verdict)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->v[i].verdict == verdict && tool_is(&p->v[i], s) &&
			stops(&p->v[i], s))
			return &p->v[i];
	return NULL;
}

enum policy_verdict
policy_decide(const struct policy *p, const struct policy_use *use,
	char **ret_rule)
{
	const struct rule *found;
	struct subject s;

	subject_read(use, &s);
	found = stopped(p, &s, POLICY_DENY);
	if (!found)
		found = stopped(p, &s, POLICY_ASK);
	if (!found)
		found = allowed(p, &s);
	if (ret_rule)
		*ret_rule = found ? xstrdup(found->from) : NULL;
	subject_release(&s);
	return found ? found->verdict : POLICY_NONE;
}

/* ---- a rule for a use ---- */

static void
add_escaped(struct buf *b, const char *s, const char *special)
{
	for (; *s; s++)
		if (*s == '\n') {
			buf_adds(b, "\\n");
		} else {
			if (strchr(special, *s))
				buf_addc(b, '\\');
			buf_addc(b, *s);
		}
}

static void
add_rule(struct buf *b, const char *tool, const char *before, const char *s,
	const char *special)
{
	buf_addf(b, "allow %s(%s", tool, before);
	add_escaped(b, s, special);
	buf_adds(b, ")\n");
}

char *
policy_rules_for(const struct policy_use *use)
{
	struct buf b = BUF_INIT;
	struct subject s;
	size_t i;

	subject_read(use, &s);
	/* A tool that calls itself '*' shall not get a rule for all. */
	if (!*use->tool ||
		use->tool[strspn(use->tool, "abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-")])
		;
	else if (s.class == TOOL_OTHER)
		buf_addf(&b, "allow %s\n", use->tool);
	else if (s.line.text && *s.line.text)
		add_rule(&b, use->tool, "", s.line.text, "*\\");
	else if (s.host)
		add_rule(&b, use->tool, "domain:", s.host, "");
	for (i = 0; i < s.paths.n; i++)
		add_rule(&b, use->tool, "", s.paths.v[i], "*?\\");
	subject_release(&s);
	return b.len ? buf_detach(&b) : NULL;
}
