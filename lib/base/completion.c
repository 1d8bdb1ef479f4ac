#include "lib/base/completion.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* ---- walking the tables ---- */

static bool
takes_value(const struct poptOption *o)
{
	return (o->argInfo & POPT_ARG_MASK) != POPT_ARG_NONE;
}

static void
each_option(const struct poptOption *o,
	void (*fn)(const struct poptOption *o, void *arg), void *arg)
{
	for (; o && (o->longName || o->shortName || o->arg); o++) {
		if ((o->argInfo & POPT_ARG_MASK) == POPT_ARG_INCLUDE_TABLE)
			continue; /* verbs list their options themselves */
		if (!(o->argInfo & POPT_ARGFLAG_DOC_HIDDEN) && o->longName)
			fn(o, arg);
	}
}

static void
verb_options(const struct verb *v, const struct poptOption *every,
	void (*fn)(const struct poptOption *o, void *arg), void *arg)
{
	each_option(v->options, fn, arg);
	each_option(every, fn, arg);
}

static bool
shown(const struct verb *v)
{
	return *v->name && !(v->flags & VERB_HIDDEN);
}

static void
identifier(const char *name, struct buf *out)
{
	for (; *name; name++)
		buf_addc(out, *name == '-' || *name == ' ' ? '_' : *name);
}

/* What stands in single quotes; bash, zsh and fish all know this form. */
static void
escaped(const char *s, struct buf *out)
{
	for (; *s; s++)
		if (*s == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *s);
}

static void
quoted(const char *s, struct buf *out)
{
	buf_addc(out, '\'');
	escaped(s, out);
	buf_addc(out, '\'');
}

/* "-C|--state|...": the options before the verb that have a value. */
static void
value_options(const struct poptOption *o, struct buf *b)
{
	const char *bar = "";

	for (; o->longName || o->shortName || o->arg; o++) {
		if (!takes_value(o))
			continue;
		if (o->shortName) {
			buf_addf(b, "%s-%c", bar, o->shortName);
			bar = "|";
		}
		if (o->longName)
			buf_addf(b, "%s--%s", bar, o->longName);
		bar = "|";
	}
}

/* The length of a verb's first word when it has two, else 0. */
static size_t
group_of(const struct verb *v)
{
	const char *space = strchr(v->name, ' ');

	return space && shown(v) ? (size_t)(space - v->name) : 0;
}

/* Is verbs[i] the first of its group? */
static bool
opens_group(const struct program *p, size_t i)
{
	size_t n = group_of(&p->verbs[i]), k;

	for (k = 0; n && k < i; k++)
		if (group_of(&p->verbs[k]) == n &&
			!strncmp(p->verbs[k].name, p->verbs[i].name, n))
			return false;
	return n != 0;
}

static bool
same_group(const struct verb *a, const struct verb *b)
{
	size_t n = group_of(a);

	return n && group_of(b) == n && !strncmp(a->name, b->name, n);
}

/* The second words of the group of verbs[i], each after sep. */
static void
second_words(const struct program *p, size_t i, const char *sep,
	struct buf *b)
{
	size_t n = group_of(&p->verbs[i]), k;

	for (k = i; k < p->nverbs; k++)
		if (same_group(&p->verbs[i], &p->verbs[k]))
			buf_addf(b, "%s%s", k == i ? "" : sep,
				p->verbs[k].name + n + 1);
}

/* ---- bash ---- */

static void
bash_option(const struct poptOption *o, void *arg)
{
	buf_addf(arg, " --%s%s", o->longName, takes_value(o) ? "=" : "");
}

static void
bash_words(const struct program *p, struct buf *b)
{
	size_t i;

	for (i = 0; i < p->nverbs; i++) {
		const struct verb *v = &p->verbs[i];

		if (!shown(v) || (group_of(v) && !opens_group(p, i)))
			continue;
		buf_addf(b, " %.*s", (int)strcspn(v->name, " "), v->name);
	}
}

static void
bash_second(const struct program *p, struct buf *b)
{
	size_t i;

	for (i = 0; i < p->nverbs; i++) {
		if (!opens_group(p, i))
			continue;
		buf_addf(b, "\t%.*s) words='", (int)group_of(&p->verbs[i]),
			p->verbs[i].name);
		second_words(p, i, " ", b);
		buf_adds(b, "' ;;\n");
	}
}

static void
bash_verb(const struct verb *v, const struct poptOption *every,
	struct buf *b)
{
	buf_addc(b, '\t');
	quoted(v->name, b);
	buf_adds(b, ") options='");
	verb_options(v, every, bash_option, b);
	buf_addc(b, '\'');
	if (v->complete) {
		buf_adds(b, "\n\t\t[[ $cur == -* ]] || words=$(");
		buf_adds(b, v->complete);
		buf_addc(b, ')');
	}
	buf_adds(b, " ;;\n");
}

/* The words before the cursor that are neither options nor their values. */
static void
bash_plain(const struct program *p, const struct poptOption *every,
	struct buf *b)
{
	buf_addc(b, '_');
	identifier(p->name, b);
	buf_adds(b, "()\n{\n"
		    "\tlocal IFS=$' \\t\\n' w i verb='' words='' "
		    "options=''\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
		    "\tlocal -a plain=() list=()\n"
		    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		    "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	value_options(every, b);
	buf_adds(b, ")\n"
		    "\t\t\t[[ ${COMP_WORDS[i + 1]-} == = ]] && ((i++))\n"
		    "\t\t\t((i++)) ;;\n"
		    "\t\t-*) ;;\n"
		    "\t\t*) plain+=(\"${COMP_WORDS[i]}\") ;;\n"
		    "\t\tesac\n"
		    "\tdone\n");
}

/*
 * The candidates come one by one from read, which, unlike compgen -W, expands
 * nothing in them.
 */
static void
bash(const struct program *p, const struct poptOption *every, struct buf *b)
{
	size_t i;

	bash_plain(p, every, b);
	buf_adds(b, "\tverb=${plain[0]-}\n"
		    "\tcase $verb in\n"
		    "\t'') words='");
	bash_words(p, b);
	buf_adds(b, "' ;;\n");
	bash_second(p, b);
	buf_adds(b, "\tesac\n"
		    "\tif [[ $words && $verb && ${plain[1]-} ]]; then\n"
		    "\t\tverb=\"$verb ${plain[1]}\"\n\t\twords=\n\tfi\n"
		    "\tcase $verb in\n");
	for (i = 0; i < p->nverbs; i++)
		if (shown(&p->verbs[i]))
			bash_verb(&p->verbs[i], every, b);
	buf_adds(b, "\tesac\n"
		    "\tif [[ $cur == -* ]]; then words=$options; fi\n"
		    "\t"
		    "read -r -d '' -a list <<<\"$words\"\n"
		    "\tCOMPREPLY=()\n"
		    "\tfor w in \"${list[@]}\"; do\n"
		    "\t\t[[ $w == \"$cur\"* ]] && COMPREPLY+=(\"$w\")\n"
		    "\tdone\n"
		    "\tif [[ ${COMPREPLY[0]-} == --*= ]]; then "
		    "compopt -o nospace; fi\n"
		    "}\n"
		    "complete -o default -F _");
	identifier(p->name, b);
	buf_addf(b, " %s\n", p->name);
}

/* ---- zsh ---- */

/* "--image[boot this image]:IMAGE:" with ] and : escaped */
static void
zsh_text(const char *s, struct buf *b)
{
	for (; s && *s; s++) {
		if (strchr("[]:\\", *s))
			buf_addc(b, '\\');
		if (*s == '\'')
			buf_adds(b, "'\\''");
		else
			buf_addc(b, *s);
	}
}

static void
zsh_option(const struct poptOption *o, void *arg)
{
	struct buf *b = arg;

	buf_addf(b, "\t\t'--%s%s[", o->longName, takes_value(o) ? "=" : "");
	zsh_text(o->descrip, b);
	buf_addc(b, ']');
	if (takes_value(o)) {
		buf_addc(b, ':');
		zsh_text(o->argDescrip, b);
		buf_adds(b, ":_files");
	}
	buf_adds(b, "' \\\n");
}

static void
zsh_verb(const struct verb *v, const struct poptOption *every, struct buf *b)
{
	buf_addc(b, '\t');
	quoted(v->name, b);
	buf_adds(b, ") _arguments -s \\\n");
	verb_options(v, every, zsh_option, b);
	if (v->complete) {
		buf_adds(b, "\t\t'*:argument:(${(f)\"$(");
		escaped(v->complete, b);
		buf_adds(b, ")\"})' ;;\n");
	} else {
		buf_adds(b, "\t\t'*:argument:_files' ;;\n");
	}
}

static void
zsh_word(const char *word, int n, const char *summary, struct buf *b)
{
	buf_addf(b, "\t'%.*s:", n, word);
	zsh_text(summary, b);
	buf_adds(b, "'\n");
}

static void
zsh_words(const struct program *p, struct buf *b)
{
	size_t i;

	buf_adds(b, "if (( CURRENT == 2 )); then\nlist=(\n");
	for (i = 0; i < p->nverbs; i++) {
		const struct verb *v = &p->verbs[i];
		CLEANUP_BUF struct buf seconds = BUF_INIT;

		if (opens_group(p, i)) {
			second_words(p, i, ", ", &seconds);
			zsh_word(v->name, (int)group_of(v), seconds.s, b);
		} else if (shown(v) && !group_of(v)) {
			zsh_word(v->name, (int)strlen(v->name), v->summary, b);
		}
	}
	buf_adds(b, ")\n_describe command list\nreturn\nfi\n");
}

static void
zsh_second(const struct program *p, struct buf *b)
{
	size_t i, k, n;

	for (i = 0; i < p->nverbs; i++) {
		if (!opens_group(p, i))
			continue;
		n = group_of(&p->verbs[i]);
		buf_addf(b, "'%.*s')\nif (( CURRENT == 3 )); then\nlist=(\n",
			(int)n, p->verbs[i].name);
		for (k = i; k < p->nverbs; k++) {
			const char *second = p->verbs[k].name + n + 1;

			if (same_group(&p->verbs[i], &p->verbs[k]))
				zsh_word(second, (int)strlen(second),
					p->verbs[k].summary, b);
		}
		buf_adds(b, ")\n_describe command list\nreturn\nfi\n"
			    "verb=\"$verb ${words[3]}\"\n"
			    "shift words; (( CURRENT-- )) ;;\n");
	}
}

static void
zsh(const struct program *p, const struct poptOption *every, struct buf *b)
{
	size_t i;

	buf_addf(b, "#compdef %s\nlocal -a list\nlocal verb\n"
		    "while (( CURRENT > 2 )) && [[ ${words[2]} == -* ]]; do\n"
		    "\tcase ${words[2]} in\n\t",
		p->name);
	value_options(every, b);
	buf_adds(b, ")\n"
		    "\t\tif (( CURRENT == 3 )); then _files; return; fi\n"
		    "\t\tshift words; (( CURRENT-- )) ;;\n\tesac\n"
		    "\tshift words; (( CURRENT-- ))\ndone\n");
	zsh_words(p, b);
	buf_adds(b, "verb=${words[2]}\ncase $verb in\n");
	zsh_second(p, b);
	buf_adds(b, "esac\nshift words; (( CURRENT-- ))\ncase $verb in\n");
	for (i = 0; i < p->nverbs; i++)
		if (shown(&p->verbs[i]))
			zsh_verb(&p->verbs[i], every, b);
	buf_adds(b, "esac\n");
}

/* ---- fish ---- */

struct fish {
	struct buf *b;
	const struct program *program;
	const char *verb;
};

/* Groups that have this word too ("image show") are told from it. */
static void
fish_not_groups(const struct program *p, const char *verb, struct buf *b)
{
	size_t i, n;

	for (i = 0; i < p->nverbs; i++) {
		n = group_of(&p->verbs[i]);
		if (n && !strcmp(p->verbs[i].name + n + 1, verb))
			buf_addf(b, "; and not __fish_seen_subcommand_from "
				    "%.*s", (int)n, p->verbs[i].name);
	}
}

/* The condition under which a verb's candidates are offered. */
static void
fish_condition(const struct program *p, const char *verb, struct buf *b)
{
	size_t first = strcspn(verb, " ");

	if (!*verb)
		return;
	buf_addf(b, " -n '__fish_seen_subcommand_from %.*s", (int)first, verb);
	if (verb[first])
		buf_addf(b, "; and __fish_seen_subcommand_from %s",
			verb + first + 1);
	else
		fish_not_groups(p, verb, b);
	buf_addc(b, '\'');
}

static void
fish_option(const struct poptOption *o, void *arg)
{
	struct fish *f = arg;

	buf_addf(f->b, "complete -c %s", f->program->name);
	fish_condition(f->program, f->verb, f->b);
	buf_addf(f->b, " -l %s", o->longName);
	if (o->shortName)
		buf_addf(f->b, " -s %c", o->shortName);
	if (takes_value(o))
		buf_adds(f->b, " -r");
	buf_adds(f->b, " -d ");
	quoted(o->descrip ? o->descrip : "", f->b);
	buf_addc(f->b, '\n');
}

/* A group's second words are offered until one of them was given. */
static void
fish_name(const struct program *p, size_t i, struct buf *b)
{
	const struct verb *v = &p->verbs[i];
	size_t n = group_of(v), first = i;

	if (opens_group(p, i))
		buf_addf(b, "complete -c %s -f -n __fish_use_subcommand -a "
			    "%.*s\n", p->name, (int)n, v->name);
	buf_addf(b, "complete -c %s -f", p->name);
	if (n) {
		while (!opens_group(p, first) ||
			!same_group(&p->verbs[first], v))
			first--;
		buf_addf(b, " -n '__fish_seen_subcommand_from %.*s; and not "
			    "__fish_seen_subcommand_from ", (int)n, v->name);
		second_words(p, first, " ", b);
		buf_addf(b, "' -a %s", v->name + n + 1);
	} else {
		buf_addf(b, " -n __fish_use_subcommand -a %s", v->name);
	}
	buf_adds(b, " -d ");
	quoted(v->summary, b);
	buf_addc(b, '\n');
}

static void
fish(const struct program *p, const struct poptOption *every, struct buf *b)
{
	size_t i;

	for (i = 0; i < p->nverbs; i++) {
		const struct verb *v = &p->verbs[i];
		struct fish f = { b, p, v->name };

		if (v->flags & VERB_HIDDEN)
			continue;
		if (*v->name)
			fish_name(p, i, b);
		verb_options(v, every, fish_option, &f);
		if (!v->complete)
			continue;
		buf_addf(b, "complete -c %s -f", p->name);
		fish_condition(p, v->name, b);
		buf_adds(b, " -a '(");
		escaped(v->complete, b);
		buf_adds(b, ")'\n");
	}
}

int
completion_print(const struct program *p, const struct poptOption *every,
	const char *shell)
{
	static const struct {
		const char *name;
		void (*print)(const struct program *,
			const struct poptOption *, struct buf *);
	} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	CLEANUP_BUF struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shells); i++)
		if (!strcmp(shells[i].name, shell)) {
			shells[i].print(p, every, &b);
			fputs(b.s, stdout);
			return EXIT_OK;
		}
	fprintf(stderr, "%s: no completion for '%s'\n"
			"Try bash, zsh or fish.\n", p->name, shell);
	return EXIT_USAGE;
}
