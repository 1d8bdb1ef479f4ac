#include "lib/session/policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static const char *const verdicts[] = { "none", "allow", "ask", "deny" };

static const char *
decide(const char *rules, const char *tool, const char *input, bool resolve)
{
	struct err err = ERR_INIT;
	CLEANUP_POLICY struct policy *p = policy_new();
	CLEANUP_JSON struct json *json = NULL;
	struct policy_use use = { .tool = tool, .cwd = "/w/repo",
		.home = "/home/agent", .resolve = resolve };
	char cwd[4096];

	if (resolve && getcwd(cwd, sizeof(cwd)))
		use.cwd = cwd;
	if (policy_parse(p, "rules", rules, strlen(rules), &err)) {
		printf("# %s\n", err.msg);
		return "error";
	}
	if (json_parse(input, strlen(input), &json, &err))
		return "bad input";
	use.input = json;
	return verdicts[policy_decide(p, &use, NULL)];
}

static const char *
shell(const char *rules, const char *command)
{
	CLEANUP_JSON struct json *o = json_object();
	CLEANUP_FREE char *text = NULL;

	json_put_str(o, "command", command);
	text = json_text(o);
	return decide(rules, "Bash", text, false);
}

static void
test_shell(void)
{
	static const struct {
		const char *rules, *command, *want;
	} t[] = {
		{ "allow Bash(git diff:*)", "git diff", "allow" },
		{ "allow Bash(git diff:*)", "git diff --stat HEAD", "allow" },
		{ "allow Bash(git diff:*)", "  git   diff -p ", "allow" },
		{ "allow Bash(git diff:*)", "git diff 'a; b' \"c && d\"",
			"allow" },
		{ "allow Bash(git diff:*)", "git diff 2>&1", "allow" },
		{ "allow Bash(git diff:*)", "git diff 2>/dev/null", "allow" },
		{ "allow Bash(git diff:*)", "git diff &> /dev/null", "allow" },
		{ "allow Bash(git diff:*)", "git diff a\\;b", "allow" },
		{ "allow Bash(git diff:*)", "git diff \\\n --stat", "allow" },
		{ "allow Bash(git diff:*)", "git diff $HOME", "allow" },
		/* not that command */
		{ "allow Bash(git diff:*)", "git difftool", "none" },
		{ "allow Bash(git diff:*)", "git push", "none" },
		{ "allow Bash(git diff:*)", "", "none" },
		{ "allow Bash(git diff:*)", "PATH=. git diff", "none" },
		{ "allow Bash(./a:*)", "'./a b' x", "none" },
		/* operators do not slip through */
		{ "allow Bash(git diff:*)", "git diff; rm -rf /", "none" },
		{ "allow Bash(git diff:*)", "git diff && rm x", "none" },
		{ "allow Bash(git diff:*)", "git diff || rm x", "none" },
		{ "allow Bash(git diff:*)", "git diff | sh", "none" },
		{ "allow Bash(git diff:*)", "git diff |& sh", "none" },
		{ "allow Bash(git diff:*)", "git diff & rm x", "none" },
		{ "allow Bash(git diff:*)", "git diff\nrm x", "none" },
		{ "allow Bash(git diff:*)", "git diff $(rm x)", "none" },
		{ "allow Bash(git diff:*)", "git diff \"$(rm x)\"", "none" },
		{ "allow Bash(git diff:*)", "git diff `rm x`", "none" },
		{ "allow Bash(git diff:*)", "git diff \"`rm x`\"", "none" },
		{ "allow Bash(git diff:*)", "git diff ${x:-$(rm x)}", "none" },
		{ "allow Bash(git diff:*)", "git diff <(rm x)", "none" },
		{ "allow Bash(git diff:*)", "git diff > /etc/passwd", "none" },
		{ "allow Bash(git diff:*)", "git diff >> x", "none" },
		{ "allow Bash(git diff:*)", "git diff >| x", "none" },
		{ "allow Bash(git diff:*)", "git diff >&x", "none" },
		{ "allow Bash(git diff:*)", "git diff &>x", "none" },
		{ "allow Bash(git diff:*)", "git diff >/dev/null >x", "none" },
		{ "allow Bash(git diff:*)", "git diff < x", "none" },
		{ "allow Bash(git diff:*)", "git diff <<E\nrm\nE", "none" },
		{ "allow Bash(git diff:*)", "git diff $'a\\'' ; rm #'",
			"none" },
		{ "allow Bash(git diff:*)", "git diff #'\nrm x #'", "none" },
		{ "allow Bash(git diff:*)", "git diff 'x", "none" },
		{ "allow Bash(git diff:*)", "(git diff)", "none" },
		{ "allow Bash(git diff:*)", "git() { rm x; }; git diff",
			"none" },
		{ "allow Bash(git diff:*)", "{ git diff; }", "none" },
		/* each of several is allowed */
		{ "allow Bash(git diff:*)\nallow Bash(wc:*)",
			"git diff | wc -l && git diff", "allow" },
		{ "allow Bash(cd)\nallow Bash(wc:*)", "cd && wc x; rm y",
			"none" },
		/* exactly, with stars, and all of it */
		{ "allow Bash(make check)", "make check", "allow" },
		{ "allow Bash(make check)", "make check all", "none" },
		{ "allow Bash(make > log; true)", "make > log; true",
			"allow" },
		{ "allow Bash(npm run *)", "npm run a b", "allow" },
		{ "allow Bash(npm run *)", "npm run", "none" },
		{ "allow Bash(npm run *)", "npm run x; rm y", "none" },
		{ "allow Bash(git * main:*)", "git push main --force",
			"allow" },
		{ "allow Bash(ls \\*)", "ls *", "allow" },
		{ "allow Bash(ls \\*)", "ls x", "none" },
		{ "allow Bash(a\\nb)", "a\nb", "allow" },
		{ "allow Bash", "a $(b) > c", "allow" },
		{ "allow Bash(*)", "a $(b) > c", "allow" },
		{ "allow *", "a", "allow" },
		/* deny sees what it can */
		{ "allow Bash\ndeny Bash(rm:*)", "rm -rf /", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "ls; rm x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "ls $(rm x)", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "ls \"$(rm x)\"", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "ls `rm x`", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "sudo -n rm x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "A=b rm x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "env -u X A=b rm x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "if true; then rm x; fi",
			"deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "r'm' x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "ls #'\nrm x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "timeout 5 rm x", "deny" },
		{ "allow Bash\ndeny Bash(rm:*)", "echo rm x", "allow" },
		{ "allow Bash\ndeny Bash(rm:*)", "echo 'x; rm y'", "allow" },
		{ "allow Bash\nask Bash(git push:*)", "git push -f", "ask" },
		/* deny > ask > allow, whatever the order */
		{ "deny Bash(x)\nask Bash(x)\nallow Bash(x)", "x", "deny" },
		{ "allow Bash(x)\nask Bash(x)\ndeny Bash(x)", "x", "deny" },
		{ "allow Bash(x)\nask Bash(x)", "x", "ask" },
		{ "", "x", "none" },
		/* one rule for tools of a class */
		{ "allow run_shell_command(x:*)", "x y", "allow" },
		{ "allow Read", "x", "none" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		CLEANUP_FREE char *name =
			xasprintf("'%s' is %s", t[i].command, t[i].want);
		char *c;

		for (c = name; *c; c++)
			if (*c == '\n' || *c == '#')
				*c = ' ';
		is_str(shell(t[i].rules, t[i].command), t[i].want, name);
	}
}

static void
test_tools(void)
{
	static const struct {
		const char *rules, *tool, *input, *want;
	} t[] = {
		{ "deny Write(/etc/**)", "Write", "{\"file_path\":\"/etc/x/y\"}",
			"deny" },
		{ "deny Write(/etc/**)", "Edit", "{\"file_path\":\"/etc/x\"}",
			"deny" },
		{ "deny Write(/etc/)", "Write", "{\"file_path\":\"/etc/x/y\"}",
			"deny" },
		{ "deny Write(/etc/**)", "Write",
			"{\"file_path\":\"../../etc/x\"}", "deny" },
		{ "deny Write(/etc/**)", "Write",
			"{\"file_path\":\"/w/./../etc//x\"}", "deny" },
		{ "deny Write(/etc/**)", "Write", "{}", "deny" },
		{ "deny Write(/etc/**)", "Write", "{\"file_path\":\"/etcx\"}",
			"none" },
		{ "deny Write(/etc/**)", "Read", "{\"file_path\":\"/etc/x\"}",
			"none" },
		{ "allow Edit(src/**)", "Edit", "{\"file_path\":\"src/a/b.c\"}",
			"allow" },
		{ "allow Edit(./src/*)", "Edit",
			"{\"file_path\":\"/w/repo/src/b.c\"}", "allow" },
		{ "allow Edit(src/*)", "Edit", "{\"file_path\":\"src/a/b.c\"}",
			"none" },
		{ "allow Edit(src/**)", "Edit",
			"{\"file_path\":\"src/../Makefile\"}", "none" },
		{ "allow Edit(src/**)", "Edit",
			"{\"file_path\":\"src/a\",\"path\":\"/etc/x\"}",
			"none" },
		{ "allow Edit(src/**)", "edit", "{\"locations\":[{\"path\":"
			"\"/w/repo/src/x\"}]}", "allow" },
		{ "allow Edit(src/**)", "Edit", "{\"file_path\":\"src/a\\u0000\"}",
			"none" },
		{ "allow Read(**/*.c)", "Read", "{\"file_path\":\"x.c\"}",
			"allow" },
		{ "allow Read(**/*.c)", "Read", "{\"file_path\":\"a/b/x.c\"}",
			"allow" },
		{ "allow Read(**/t/*.c)", "Read", "{\"file_path\":\"a/b/x.c\"}",
			"none" },
		{ "allow Read(a?c)", "Read", "{\"file_path\":\"abc\"}", "allow" },
		{ "allow Read(~/notes/)", "Read",
			"{\"file_path\":\"/home/agent/notes/x\"}", "allow" },
		{ "deny Read(~/.ssh/)", "Grep", "{\"path\":\"~/.ssh/id\"}",
			"deny" },
		{ "allow WebFetch(domain:example.com)", "WebFetch",
			"{\"url\":\"https://EXAMPLE.com:443/x\"}", "allow" },
		{ "allow WebFetch(domain:*.example.com)", "WebFetch",
			"{\"url\":\"http://a.example.com?x\"}", "allow" },
		{ "allow WebFetch(domain:example.com)", "WebFetch",
			"{\"url\":\"https://example.com@evil.test/\"}", "none" },
		{ "allow WebFetch(domain:example.com)", "WebFetch",
			"{\"url\":\"https://example.com\\\\@evil.test/\"}",
			"none" },
		{ "allow WebFetch(domain:example.com)", "WebFetch",
			"{\"url\":\"https://example.com.evil.test/\"}", "none" },
		{ "deny WebFetch(domain:x.test)", "WebFetch",
			"{\"url\":\"https://x.test@y/\"}", "deny" },
		{ "allow mcp__tracker__*", "mcp__tracker__list", "{}", "allow" },
		{ "allow mcp__tracker__*", "mcp__other__list", "{}", "none" },
		{ "allow Bash(ls:*)", "shell",
			"{\"command\":[\"bash\",\"-lc\",\"ls x\"]}", "allow" },
		{ "allow Bash(ls:*)", "shell",
			"{\"command\":[\"bash\",\"-lc\",\"ls; rm x\"]}", "none" },
		{ "allow Bash(ls:*)", "shell", "{\"command\":[\"ls\",\"-l\"]}",
			"allow" },
		{ "allow Bash(ls:*)", "shell", "{\"command\":[\"ls\",\";x\"]}",
			"none" },
		{ "allow Bash(ls:*)", "Bash",
			"{\"command\":\"ls\\u0000; rm x\"}", "none" },
		{ "deny Bash(rm:*)", "Bash", "{}", "deny" },
		{ "allow Bash(ls:*)", "Bash", "null", "none" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		CLEANUP_FREE char *name = xasprintf("%s: %s %s", t[i].rules,
			t[i].tool, t[i].input);

		is_str(decide(t[i].rules, t[i].tool, t[i].input, false),
			t[i].want, name);
	}
}

static void
test_links(void)
{
	const char *rules = "allow Edit(./)\ndeny Edit(/etc/)";

	ok(!symlink("/etc", "out") && !mkdir("in", 0700) &&
		!symlink("in", "also"), "a tree with links");
	is_str(decide(rules, "Edit", "{\"file_path\":\"in/new/x\"}", true),
		"allow", "a file that is not there yet");
	is_str(decide(rules, "Edit", "{\"file_path\":\"also/x\"}", true),
		"allow", "through a link that stays inside");
	is_str(decide(rules, "Edit", "{\"file_path\":\"out/x\"}", true),
		"deny", "through a link to a denied place");
	is_str(decide("allow Edit(./)", "Edit", "{\"file_path\":\"out/x\"}",
		       true),
		"none", "through a link that leads out");
	is_str(decide("allow Edit(./)", "Edit",
		       "{\"file_path\":\"out/../x\"}", true),
		"none", "and back by '..', as the kernel sees it");
}

static void
test_mistakes(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "permit Bash", "f:1: a rule begins with allow, ask or deny" },
		{ "\n# x\nallow", "f:3: write TOOL or TOOL(PATTERN)" },
		{ "allow Bash(x", "f:1: ')' is missing at the end" },
		{ "allow Bash (x)", "f:1: write TOOL or TOOL(PATTERN)" },
		{ "allow Bash()", "f:1: nothing between the parentheses" },
		{ "allow Bash(:*)", "f:1: no command before ':*'" },
		{ "allow Task(x)", "f:1: only Bash, Edit, Write, Read and "
				   "WebFetch take a pattern" },
		{ "allow WebFetch(x)", "f:1: write WebFetch(domain:HOST)" },
	};
	CLEANUP_POLICY struct policy *p = policy_new();
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		ok(policy_parse(p, "f", t[i].text, strlen(t[i].text), &err) ==
			-1, "refused");
		is_str(err.msg, t[i].want, "where and why");
	}
	ok(policy_parse(p, "f", "allow x\0y", 9, &err) == -1, "a zero byte");
	is_int((int64_t)policy_size(p), 0, "nothing of them is kept");
	ok(policy_read(p, AT_FDCWD, "nowhere", &err) == -1 &&
		err.code == ERR_NOTFOUND, "a file that is not there");
}

/* What --always writes allows the same use, and little else. */
static void
test_rules_for(void)
{
	static const struct {
		const char *tool, *input, *want;
	} t[] = {
		{ "Bash", "{\"command\":\"touch a\"}", "allow Bash(touch a)\n" },
		{ "Bash", "{\"command\":\"ls * \\\\* x:*\"}",
			"allow Bash(ls \\* \\\\\\* x:\\*)\n" },
		{ "Bash", "{\"command\":\"a\\nb; $(c) > d\"}",
			"allow Bash(a\\nb; $(c) > d)\n" },
		{ "Edit", "{\"file_path\":\"x*\"}",
			"allow Edit(/w/repo/x\\*)\n" },
		{ "WebFetch", "{\"url\":\"https://a.test/x\"}",
			"allow WebFetch(domain:a.test)\n" },
		{ "mcp__a__b", "{\"x\":1}", "allow mcp__a__b\n" },
		{ "Bash", "{}", NULL },
		{ "*", "{}", NULL },
		{ "x\nallow Bash", "{}", NULL },
	};
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		CLEANUP_JSON struct json *input = NULL;
		struct policy_use use = { .tool = t[i].tool, .cwd = "/w/repo" };
		CLEANUP_FREE char *rules = NULL;

		if (json_parse(t[i].input, strlen(t[i].input), &input, &err))
			abort();
		use.input = input;
		rules = policy_rules_for(&use);
		is_str(rules, t[i].want, "a rule for it");
		if (rules)
			is_str(decide(rules, t[i].tool, t[i].input, false),
				"allow", "which allows it");
	}
	is_str(shell("allow Bash(touch a)\n", "touch a b"), "none",
		"and no more");
}

/*
 * The promise itself, against the real shell: of many lines made of what is
 * special to it, those that "echo" alone is allowed for run nothing else.
 */
static void
test_bash(void)
{
	static const char *const parts[] = { "echo", "evil", " ", " ", " ",
		";", "&", "|", "\n", "'", "'", "\"", "\"", "\\", "$(", ")",
		"`", "#", "<", ">", "$'", "${x}", "{", "}", "!", "/dev/null",
		"2", "&&", "||", "=", "x", "\t", "(", "-" };
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf script = BUF_INIT, out = BUF_INIT;
	struct err err = ERR_INIT;
	unsigned seed = 20261121;
	int i, allowed = 0;

	tmp_write("evil", "#!/bin/sh\n: >\"$MARK\"\n");
	ok(!chmod("evil", 0755), "a program that leaves a mark");
	buf_adds(&script, "MARK=$PWD/mark\nexport MARK\nPATH=$PWD:$PATH\n"
			  "mkdir d; cd d\nset -m\n");
	for (i = 0; i < 40000; i++) {
		struct buf line = BUF_INIT;
		int k, n = 2 + rand_r(&seed) % 14;

		buf_adds(&line, "echo ");
		for (k = 0; k < n; k++)
			buf_adds(&line, parts[(size_t)rand_r(&seed) %
				ARRAY_SIZE(parts)]);
		if (strstr(line.s, "evil") &&
			!strcmp(shell("allow Bash(echo:*)", line.s), "allow")) {
			CLEANUP_FREE char *name =
				xasprintf("s%d", allowed++);

			tmp_write(name, line.s);
			buf_addf(&script, "(. ../%s) </dev/null >>../out 2>&1;"
				" [ ! -e ../mark ] || { echo %s; exit 1; }\n",
				name, name);
		}
		buf_release(&line);
	}
	ok(allowed > 100, "enough lines that are allowed");
	printf("# %d\n", allowed);
	argv_push(&p.argv, "bash");
	ok(!proc_run(&p, &script, &out, 4096, 120000, &err) && !out.len,
		"none of them ran the other program");
	printf("# %s%s\n", err.msg, out.s);
	ok(!access("out", R_OK), "they ran");
}

int
main(void)
{
	tmp_enter();
	test_shell();
	test_tools();
	test_links();
	test_mistakes();
	test_rules_for();
	test_bash();
	tmp_leave();
	return done();
}
