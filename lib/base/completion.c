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
each_option(const struct poptOption *o, void (*fn)(const struct poptOption *o, void *arg), void *arg)
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

static void
identifier(const char *name, struct buf *out)
{
	for (; *name; name++)
		buf_addc(out, *name == '-' || *name == ' ' ? '_' : *name);
}

/* Single quotes for the shell; description texts have no newline. */
static void
quoted(const char *s, struct buf *out)
{
	buf_addc(out, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *s);
	buf_addc(out, '\'');
}

static bool
shown(const struct verb *v)
{
	return *v->name && !(v->flags & VERB_HIDDEN);
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
		size_t first = strcspn(v->name, " ");

		if (!shown(v))
			continue;
		/* The first word of a group only once. */
		if (v->name[first] && i &&
			!strncmp(p->verbs[i - 1].name, v->name, first + 1))
			continue;
		buf_addf(b, " %.*s", (int)first, v->name);
	}
}

static void
bash_second(const struct program *p, struct buf *b)
{
	size_t i, k;

	for (i = 0; i < p->nverbs; i++) {
		const char *name = p->verbs[i].name;
		size_t first = strcspn(name, " ");

		if (!name[first] ||
			(i && !strncmp(p->verbs[i - 1].name, name, first + 1)))
			continue;
		buf_addf(b, "\t%.*s) words='", (int)first, name);
		for (k = i; k < p->nverbs; k++)
			if (!strncmp(p->verbs[k].name, name, first + 1))
				buf_addf(b, " %s",
					p->verbs[k].name + first + 1);
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
		buf_adds(b, "\n\t\twords=$(");
		buf_adds(b, v->complete);
		buf_addc(b, ')');
	}
	buf_adds(b, " ;;\n");
}

static void
bash(const struct program *p, const struct poptOption *every, struct buf *b)
{
	size_t i;

	buf_addc(b, '_');
	identifier(p->name, b);
	buf_adds(b, "()\n{\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb= words= "
		    "options= i\n"
		    "\tlocal -a plain=()\n"
		    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		    "\t\tcase ${COMP_WORDS[i]} in -*) ;; "
		    "*) plain+=(\"${COMP_WORDS[i]}\") ;; esac\n"
		    "\tdone\n"
		    "\tverb=${plain[0]-}\n"
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
		if (!(p->verbs[i].flags & VERB_HIDDEN))
			bash_verb(&p->verbs[i], every, b);
	buf_adds(b, "\tesac\n"
		    "\tif [[ $cur == -* ]]; then words=$options; fi\n"
		    "\tmapfile -t COMPREPLY < "
		    "<(compgen -W \"$words\" -- \"$cur\")\n"
		    "\tif [[ ${COMPREPLY[0]-} == *= ]]; then "
		    "compopt -o nospace; fi\n"
		    "}\n");
	buf_adds(b, "complete -o default -F _");
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
		buf_adds(b, v->complete);
		buf_adds(b, ")\"})' ;;\n");
	} else {
		buf_adds(b, "\t\t'*:argument:_files' ;;\n");
	}
}

static void
zsh(const struct program *p, const struct poptOption *every, struct buf *b)
{
	size_t i;

	buf_addf(b, "#compdef %s\nlocal -a verbs\nverbs=(\n", p->name);
	for (i = 0; i < p->nverbs; i++) {
		if (!shown(&p->verbs[i]))
			continue;
		buf_adds(b, "\t'");
		zsh_text(p->verbs[i].name, b);
		buf_addc(b, ':');
		zsh_text(p->verbs[i].summary, b);
		buf_adds(b, "'\n");
	}
	buf_adds(b, ")\nlocal verb=${words[2]-}\n"
		    "case \"${words[2]-} ${words[3]-}\" in\n");
	for (i = 0; i < p->nverbs; i++)
		if (strchr(p->verbs[i].name, ' ')) {
			quoted(p->verbs[i].name, b);
			buf_adds(b, ") verb=\"${words[2]} ${words[3]}\"; "
				    "shift words; (( CURRENT-- )) ;;\n");
		}
	buf_adds(b, "esac\nif [[ $verb != *' '* ]] && (( CURRENT == 2 )); then\n"
		    "\t_describe command verbs\n\treturn\nfi\n"
		    "shift words\n(( CURRENT-- ))\ncase $verb in\n");
	for (i = 0; i < p->nverbs; i++)
		if (!(p->verbs[i].flags & VERB_HIDDEN))
			zsh_verb(&p->verbs[i], every, b);
	buf_adds(b, "esac\n");
}

/* ---- fish ---- */

struct fish {
	struct buf *b;
	const char *program;
	const char *verb;
};

/* The condition under which a verb's candidates are offered. */
static void
fish_condition(const char *verb, struct buf *b)
{
	size_t first = strcspn(verb, " ");

	if (!*verb)
		return;
	buf_addf(b, " -n '__fish_seen_subcommand_from %.*s", (int)first, verb);
	if (verb[first])
		buf_addf(b, "; and __fish_seen_subcommand_from %s",
			verb + first + 1);
	buf_addc(b, '\'');
}

static void
fish_option(const struct poptOption *o, void *arg)
{
	struct fish *f = arg;

	buf_addf(f->b, "complete -c %s", f->program);
	fish_condition(f->verb, f->b);
	buf_addf(f->b, " -l %s", o->longName);
	if (o->shortName)
		buf_addf(f->b, " -s %c", o->shortName);
	if (takes_value(o))
		buf_adds(f->b, " -r");
	buf_adds(f->b, " -d ");
	quoted(o->descrip ? o->descrip : "", f->b);
	buf_addc(f->b, '\n');
}

static void
fish_name(const struct program *p, const struct verb *v, struct buf *b)
{
	size_t first = strcspn(v->name, " ");

	buf_addf(b, "complete -c %s -f", p->name);
	if (v->name[first])
		buf_addf(b, " -n '__fish_seen_subcommand_from %.*s' -a %s",
			(int)first, v->name, v->name + first + 1);
	else
		buf_addf(b, " -n __fish_use_subcommand -a %s", v->name);
	buf_adds(b, " -d ");
	quoted(v->summary, b);
	buf_addc(b, '\n');
	if (v->name[first])
		buf_addf(b, "complete -c %s -f -n __fish_use_subcommand -a "
			    "%.*s\n", p->name, (int)first, v->name);
}

static void
fish(const struct program *p, const struct poptOption *every, struct buf *b)
{
	size_t i;

	for (i = 0; i < p->nverbs; i++) {
		const struct verb *v = &p->verbs[i];
		struct fish f = { b, p->name, v->name };

		if (v->flags & VERB_HIDDEN)
			continue;
		if (*v->name)
			fish_name(p, v, b);
		verb_options(v, every, fish_option, &f);
		if (!v->complete)
			continue;
		buf_addf(b, "complete -c %s -f", p->name);
		fish_condition(v->name, b);
		buf_adds(b, " -a '(");
		buf_adds(b, v->complete);
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
