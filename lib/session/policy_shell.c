#include "lib/session/policy_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define QUOTED_BLANK '\x1f' /* a blank that separates no words */

/* Words that may stand before a command and let it run all the same. */
static const char *const before[] = { "!", "{", "if", "then", "elif", "else",
	"while", "until", "do", "time", "coproc", "command", "builtin", "exec",
	"env", "nohup", "nice", "sudo", "xargs", "setsid", "timeout",
	"stdbuf", NULL };

struct reader {
	const char *p;
	struct shell_line *out;
	struct buf word, command; /* command: being joined */
	struct argv words;
	bool in_word;
	bool target; /* the next word is where a redirection goes */
};

static bool
is_assignment(const char *w)
{
	size_t n = strspn(w, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

	return n && !(*w >= '0' && *w <= '9') &&
		(w[n] == '=' || w[n] == '[' ||
			(w[n] == '+' && w[n + 1] == '='));
}

static bool
is_before(const char *w)
{
	size_t i;

	for (i = 0; before[i]; i++)
		if (!strcmp(w, before[i]))
			return true;
	return false;
}

static void
push_from(struct reader *r, struct argv *to, size_t i)
{
	buf_reset(&r->command);
	for (; i < r->words.n; i++) {
		if (r->command.len)
			buf_addc(&r->command, ' ');
		buf_adds(&r->command, r->words.v[i]);
	}
	argv_push(to, r->command.s);
}

static void
end_word(struct reader *r)
{
	if (!r->in_word)
		return;
	if (!r->target)
		argv_push(&r->words, r->word.s);
	else if (strcmp(r->word.s, "/dev/null") != 0)
		r->out->plain = false;
	r->target = r->in_word = false;
	buf_reset(&r->word);
}

/*
 * What a deny must see behind "sudo -u x", "A=b" or "then": after one of
 * those anything may be the command, so a few beginnings are tried.
 */
static void
push_inner(struct reader *r)
{
	bool wrapped = false;
	size_t i;

	for (i = 0; i + 1 < r->words.n && i < 16; i++) {
		const char *w = r->words.v[i];

		wrapped |= is_assignment(w) || is_before(w);
		if (!wrapped)
			return;
		push_from(r, &r->out->inner, i + 1);
	}
}

static void
end_command(struct reader *r)
{
	end_word(r);
	if (r->target)
		r->out->plain = false;
	r->target = false;
	if (!r->words.n)
		return;
	if (is_assignment(r->words.v[0]))
		r->out->plain = false;
	push_from(r, &r->out->commands, 0);
	push_inner(r);
	argv_release(&r->words);
	r->words = ARGV_INIT;
}

static void
add(struct reader *r, char c)
{
	r->in_word = true;
	buf_addc(&r->word, c);
}

/* At '$': true when it begins something that is not a plain variable. */
static bool
substitutes(struct reader *r)
{
	if (!r->p[1] || !strchr("({['\"", r->p[1]))
		return false;
	r->out->plain = false;
	return r->p[1] == '(' || r->p[1] == '{';
}

static void
single_quoted(struct reader *r)
{
	r->in_word = true;
	for (r->p++; *r->p && *r->p != '\''; r->p++)
		add(r, *r->p == ' ' ? QUOTED_BLANK : *r->p);
	if (*r->p)
		r->p++;
	else
		r->out->plain = false;
}

/* What is substituted inside is shown to a deny as a command of its own. */
static void
double_quoted(struct reader *r)
{
	r->in_word = true;
	for (r->p++; *r->p && *r->p != '"'; r->p++) {
		if (*r->p == '`' || (*r->p == '$' && substitutes(r))) {
			r->out->plain = false;
			if (*r->p == '$')
				r->p++;
			end_command(r);
			r->in_word = true;
			continue;
		}
		if (*r->p == '\\' && r->p[1] && strchr("$`\"\\\n", r->p[1])) {
			r->p++;
			if (*r->p == '\n')
				continue;
		}
		add(r, !r->out->plain || *r->p != ' ' ? *r->p : QUOTED_BLANK);
	}
	if (*r->p)
		r->p++;
	else
		r->out->plain = false;
}

/* "2>&1" and "> /dev/null" are harmless; p stands at '<', '>' or "&>". */
static void
redirection(struct reader *r)
{
	const char *digits = "0123456789";

	if (r->in_word && strspn(r->word.s, digits) == r->word.len) {
		r->in_word = false; /* a descriptor's number */
		buf_reset(&r->word);
	}
	end_word(r);
	if (r->target || *r->p == '<')
		r->out->plain = false;
	r->p += *r->p == '&' ? 2 : 1;
	if (*r->p == '&') {
		size_t n = strspn(r->p + 1, digits);

		if (!n && r->p[1] == '-')
			n = 1;
		if (!n || (r->p[n + 1] && !strchr(" \t\n;&|)", r->p[n + 1])))
			r->out->plain = false;
		r->p += n + 1;
		return;
	}
	if (*r->p == '>')
		r->p++;
	else if (*r->p && strchr("<|(", *r->p))
		r->out->plain = false;
	r->target = true;
}

static void
unquoted(struct reader *r)
{
	char c = *r->p;

	if (c == ' ' || c == '\t') {
		end_word(r);
	} else if (c == '<' || c == '>' || (c == '&' && r->p[1] == '>')) {
		redirection(r);
		return;
	} else if (strchr("\n;&|()`", c)) {
		if (strchr("()`", c))
			r->out->plain = false;
		end_command(r);
	} else if (c == '#' && !r->in_word) {
		r->out->plain = false;
		r->p += strcspn(r->p, "\n");
		return;
	} else if (c == '$' && substitutes(r)) {
		r->p++;
		end_command(r);
	} else if (c == '\\') {
		if (*++r->p == '\0')
			return;
		if (*r->p != '\n')
			add(r, *r->p == ' ' ? QUOTED_BLANK : *r->p);
	} else {
		add(r, c);
	}
	r->p++;
}

void
shell_read(const char *line, struct shell_line *ret)
{
	struct reader r = { .out = ret, .word = BUF_INIT, .command = BUF_INIT,
		.words = ARGV_INIT };
	struct buf trimmed = BUF_INIT;

	buf_adds(&trimmed, line + strspn(line, " \t\n"));
	buf_rtrim(&trimmed);
	*ret = (struct shell_line){ .text = buf_detach(&trimmed),
		.commands = ARGV_INIT, .inner = ARGV_INIT, .plain = true };
	/* A byte of ours in it would make two words look like one. */
	if (strchr(ret->text, QUOTED_BLANK))
		ret->plain = false;
	for (r.p = ret->text; *r.p;) {
		if (*r.p == '\'')
			single_quoted(&r);
		else if (*r.p == '"')
			double_quoted(&r);
		else
			unquoted(&r);
	}
	end_command(&r);
	buf_release(&r.word);
	buf_release(&r.command);
	argv_release(&r.words);
}

void
shell_release(struct shell_line *l)
{
	free(l->text);
	argv_release(&l->commands);
	argv_release(&l->inner);
}

/* ---- what a tool's input says ---- */

/* ["bash","-lc","..."], or words that need no quoting. */
static char *
shell_of_words(const struct json *list)
{
	struct buf line = BUF_INIT;
	size_t i, n = json_len(list, "");

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *word = json_at(list, i);
		const char *s = json_str(word, "", "");

		if (n == 3 && i == 2 && (!strcmp(line.s, "bash -lc") ||
			!strcmp(line.s, "bash -c") || !strcmp(line.s, "sh -c"))) {
			buf_release(&line);
			return xstrdup(s);
		}
		if (!*s || s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-")]) {
			buf_release(&line);
			return NULL;
		}
		if (i)
			buf_addc(&line, ' ');
		buf_adds(&line, s);
	}
	return buf_detach(&line);
}

char *
shell_of(const struct json *input)
{
	static const char *const keys[] = { "command", "cmd", "script" };
	CLEANUP_JSON struct json *value = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t i;

	for (i = 0; input && i < ARRAY_SIZE(keys) && !value; i++)
		if (json_has(input, keys[i]))
			value = json_get(input, keys[i]);
	if (!value)
		return NULL;
	/* What stands behind a NUL we would not see, and the agent might. */
	text = json_text(value);
	if (strstr(text, "\\u0000"))
		return NULL;
	if (json_str(value, "", NULL))
		return xstrdup(json_str(value, "", NULL));
	return json_len(value, "") ? shell_of_words(value) : NULL;
}

/* ---- patterns ---- */

/* Escapes resolved, runs of blanks made one; NULL when it has a star. */
static char *
literal_of(const char *pattern, size_t n)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++) {
		char c = pattern[i];

		if (c == '*') {
			buf_release(&b);
			return NULL;
		}
		if (c == '\\' && i + 1 < n && strchr("*\\n", pattern[i + 1])) {
			c = pattern[++i];
			if (c == 'n')
				c = '\n';
		}
		buf_addc(&b, c);
	}
	return buf_detach(&b);
}

bool
shell_is(const char *pattern, const struct shell_line *l)
{
	CLEANUP_FREE char *text = literal_of(pattern, strlen(pattern));

	return text && !strcmp(text, l->text);
}

bool
shell_match(const char *pattern, const char *command)
{
	size_t n = strlen(pattern);
	CLEANUP_FREE char *prefix = NULL;

	if (n < 2 || strcmp(pattern + n - 2, ":*") != 0)
		return glob_match(pattern, command, false);
	prefix = literal_of(pattern, n - 2);
	if (!prefix) { /* a star before it too */
		CLEANUP_FREE char *alone = xstrndup(pattern, n - 2);
		CLEANUP_FREE char *more = xasprintf("%s *", alone);

		return glob_match(alone, command, false) ||
			glob_match(more, command, false);
	}
	n = strlen(prefix);
	return !strncmp(command, prefix, n) &&
		(!command[n] || command[n] == ' ');
}
