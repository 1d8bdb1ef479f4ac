#include "cmd/forge-init/init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Where forge-init cannot run (another system, another processor), somebody
 * takes one command line there: `ssh HOST`, `tart exec -i NAME sh -c`.  What
 * is to be run must not be in it, since everybody may read a command line and
 * the environment of a job has secrets.  So the command is always the one
 * below, and it finds what to do as the first line of its stdin.  read(1)
 * of a shell takes no byte more than the line from a pipe.
 */
static char reader[] = "IFS= read -r forge && eval \"$forge\"";

struct text {
	char *s;
	size_t n, room;
	int failed;
};

static void
add(struct text *t, const char *s, size_t n)
{
	char *p;

	if (t->n + n + 1 > t->room) {
		t->room = 2 * t->room + n + 256;
		p = realloc(t->s, t->room);
		if (!p) {
			t->failed = 1;
			t->room = t->n;
			return;
		}
		t->s = p;
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
	t->s[t->n] = '\0';
}

static void
add_str(struct text *t, const char *s)
{
	if (!t->failed)
		add(t, s, strlen(s));
}

/* As a word of the shell; $N is a newline, which the line cannot have. */
static void
quote(struct text *t, const char *s)
{
	add_str(t, "'");
	for (; *s && !t->failed; s++)
		if (*s == '\'')
			add_str(t, "'\\''");
		else if (*s == '\n')
			add_str(t, "'\"$N\"'");
		else
			add(t, s, 1);
	add_str(t, "'");
}

static char **
make_argv(void)
{
	size_t n = 0;
	char **argv;

	while (through[n])
		n++;
	argv = calloc(n + 2, sizeof(*argv));
	if (!argv)
		return NULL;
	memcpy(argv, through, n * sizeof(*argv));
	argv[n] = reader;
	return argv;
}

int
through_request(const struct request *r, char ***ret_argv, char **ret_line)
{
	struct text t = { 0 };
	size_t i;

	/* A terminal and files need an agent there; so does another user. */
	if (r->tty || r->builtin || r->user)
		return EOPNOTSUPP;
	if (strchr(r->argv[0], '='))
		return EINVAL; /* env(1) would take it for a variable */
	add_str(&t, "N=$(printf '\\n.'); N=${N%.}; ");
	if (r->cwd) {
		add_str(&t, "cd -- ");
		quote(&t, r->cwd);
		add_str(&t, " && ");
	}
	add_str(&t, "exec env");
	for (i = 0; i < r->envc; i++) {
		add_str(&t, " ");
		quote(&t, r->env[i]);
	}
	for (i = 0; i < r->argc; i++) {
		add_str(&t, " ");
		quote(&t, r->argv[i]);
	}
	add_str(&t, "\n");
	*ret_argv = make_argv();
	if (t.failed || !*ret_argv) {
		free(t.s);
		free(*ret_argv);
		*ret_argv = NULL;
		return ENOMEM;
	}
	*ret_line = t.s;
	return 0;
}
