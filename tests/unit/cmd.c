/*
 * cmd, completion, output: a program of a few verbs, run in a child, and
 * every byte and status that comes out of it.
 */
#include "lib/base/cmd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/argv.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/output.h"
#include "lib/base/proc.h"
#include "tests/unit/tap.h"

/* ---- the program ---- */

static char *arg_image;

static const struct poptOption show_options[] = {
	{ "image", 'i', POPT_ARG_STRING, &arg_image, 0, "which image", "NAME" },
	POPT_TABLEEND
};

/* Tells what it was given. */
static int
run_show(int argc, const char **argv, struct err *err)
{
	int i;

	(void)err;
	printf("image=%s state=%s json=%d verbose=%d:",
		arg_image ? arg_image : "-", common.state ? common.state : "-",
		common.json, common.verbose);
	argv = cmd_command(&argc, argv);
	for (i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	putchar('\n');
	return 0;
}

static int
run_fail(int argc, const char **argv, struct err *err)
{
	if (argc && !strcmp(argv[0], "usage"))
		return cmd_usage(err, "not '%s'", argv[0]);
	if (argc)
		return 42; /* a status of its own, and nothing to print */
	(void)err_set(err, ERR_NOTFOUND, "no thing 'x\n'");
	return err_status(err->code);
}

static int
run_list(int argc, const char **argv, struct err *err)
{
	static const struct column columns[] = { { "NAME", "name", 0 },
		{ "SIZE", "size", COLUMN_RIGHT | COLUMN_SIZE },
		{ "OF", "a.b", 0 } };
	CLEANUP_OUTPUT struct output *o = NULL;
	int i, n = argc ? (int)strtol(argv[0], NULL, 10) : 2;

	if (output_open(&o, columns, ARRAY_SIZE(columns), err))
		return err_status(err->code);
	for (i = 0; i < n; i++) {
		struct json *row = json_object(), *a = json_object();

		json_put_str(row, "name", i ? "two\t\x1b[31m" : "one");
		json_put_int(row, "size", (int64_t)(i + 1) << 30);
		json_put_bool(a, "b", i);
		json_put(row, "a", a);
		if (output_row(o, row, err))
			break;
	}
	if (output_close(&o, err) || err->code)
		return err_status(err->code);
	return 0;
}

static int
run_one(int argc, const char **argv, struct err *err)
{
	struct json *o = json_object();

	(void)argc;
	(void)argv;
	json_put_str(o, "name", "one");
	json_put_int(o, "at", 1763690000123);
	json_put_str(o, "none", NULL);
	return output_one(o, err) ? err_status(err->code) : 0;
}

static const struct verb verbs[] = {
	{ "show", "NAME...", "show a thing", show_options, 1, 2, 0, run_show,
		"printf '%s\\n' beta '$(touch pwned)' '*' alpha" },
	{ "run", "[-- CMD [ARG...]]", "run it", show_options, 0, -1,
		VERB_COMMAND, run_show, NULL },
	{ "fail", "", "fail", NULL, 0, 1, 0, run_fail, NULL },
	{ "image list", "", "it's a list", NULL, 0, 1, 0, run_list, NULL },
	{ "image one", "", "one: only [1]", NULL, 0, 0, 0, run_one, NULL },
	{ "inside", "", "not shown", NULL, 0, 0, VERB_HIDDEN, run_one, NULL },
};

static const struct program program = { "forge-t", "things", verbs,
	ARRAY_SIZE(verbs) };

/* ---- running it ---- */

struct result {
	int status;
	struct buf out, err;
};

static void
result_release(struct result *r)
{
	buf_release(&r->out);
	buf_release(&r->err);
}

/* Run it in a child on the words of line; the word '' is an empty one. */
static void
run_line(const char *line, struct result *ret)
{
	struct argv words = ARGV_INIT;
	struct err err = ERR_INIT;
	int out[2], errs[2], status;
	pid_t pid;

	*ret = (struct result){ -1, BUF_INIT, BUF_INIT };
	argv_push(&words, "forge-t");
	argv_split(&words, line);
	if (pipe(out) || pipe(errs))
		BUG("pipe");
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)dup2(out[1], 1);
		(void)dup2(errs[1], 2);
		(void)close(out[0]);
		(void)close(out[1]);
		(void)close(errs[0]);
		(void)close(errs[1]);
		exit(cmd_main(&program, (int)words.n, words.v));
	}
	(void)close(out[1]);
	(void)close(errs[1]);
	/* what is printed here fits in a pipe */
	if (buf_read_fd(&ret->out, out[0], 1 << 20, "stdout", &err) ||
		buf_read_fd(&ret->err, errs[0], 1 << 20, "stderr", &err))
		BUG("%s", err.msg);
	(void)close(out[0]);
	(void)close(errs[0]);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		ret->status = WEXITSTATUS(status);
	argv_release(&words);
}

#define TRY "Try 'forge-t --help'.\n"

static const struct {
	const char *line;
	int status;
	const char *out, *err;
} cases[] = {
	{ "", 2, "", "forge-t: a command is needed\n" TRY },
	{ "--version", 0, "forge-t " FORGE_VERSION "\n", "" },
	{ "show --version", 0, "forge-t " FORGE_VERSION "\n", "" },
	{ "nope", 2, "", "forge-t: unknown command 'nope'\n" TRY },
	{ "sho x", 2, "", "forge-t: unknown command 'sho'\n" TRY },
	{ "image", 2, "", "forge-t: 'image' needs a second word\n" TRY },
	{ "image x", 2, "", "forge-t: unknown command 'image x'\n" TRY },
	{ "--x", 2, "", "forge-t: unknown option '--x'\n" TRY },
	{ "--x show", 2, "", "forge-t: unknown option '--x'\n" TRY },
	{ "show --x y", 2, "", "forge-t: unknown option '--x'\n"
		"Try 'forge-t show --help'.\n" },
	{ "show y -Z", 2, "", "forge-t: unknown option '-Z'\n"
		"Try 'forge-t show --help'.\n" },
	{ "show --image", 2, "", "forge-t: option '--image': missing argument\n"
		"Try 'forge-t show --help'.\n" },
	{ "show", 2, "", "forge-t: show: too few arguments\n"
		"Try 'forge-t show --help'.\n" },
	{ "show a b c", 2, "", "forge-t: show: too many arguments\n"
		"Try 'forge-t show --help'.\n" },
	{ "image one x", 2, "", "forge-t: image one: too many arguments\n"
		"Try 'forge-t image one --help'.\n" },
	{ "show a -i img b", 0,
		"image=img state=- json=0 verbose=0: [a] [b]\n", "" },
	{ "show -iimg -- -a", 0,
		"image=img state=- json=0 verbose=0: [-a]\n", "" },
	{ "-v -C /s show --json -v a", 0,
		"image=- state=/s json=1 verbose=2: [a]\n", "" },
	{ "show a --state=/t", 0,
		"image=- state=/t json=0 verbose=0: [a]\n", "" },
	{ "run --image=i sh -c --image", 0,
		"image=i state=- json=0 verbose=0: [sh] [-c] [--image]\n",
		"" },
	{ "run -- ls --json", 0,
		"image=- state=- json=0 verbose=0: [ls] [--json]\n", "" },
	{ "run", 0, "image=- state=- json=0 verbose=0:\n", "" },
	{ "fail", 3, "", "forge-t: no thing 'x?'\n" },
	{ "fail usage", 2, "", "forge-t: not 'usage'\n"
		"Try 'forge-t fail --help'.\n" },
	{ "fail quietly", 42, "", "" },
	{ "inside", 0, "name: one\nat: 1763690000123\nnone: \n", "" },
	{ "image one --json", 0,
		"{\"name\":\"one\",\"at\":1763690000123,\"none\":null}\n", "" },
	{ "image one -q .at", 0, "1763690000123\n", "" },
	{ "image one -q .name,.none", 0, "one\nnull\n", "" },
	{ "image one -q .name.x", 1, "",
		"forge-t: filter: Cannot index string with string \"x\"\n" },
	{ "image list", 0, "NAME      SIZE OF\n"
		"one         1G false\ntwo??[31m   2G true\n", "" },
	{ "image list 0", 0, "", "" },
	{ "image list 0 --json", 0, "", "" },
	{ "image list --json", 0,
		"{\"name\":\"one\",\"size\":1073741824,\"a\":{\"b\":false}}\n"
		"{\"name\":\"two\\t\\u001b[31m\",\"size\":2147483648,"
		"\"a\":{\"b\":true}}\n", "" },
	{ "image list -q select(.a.b)|.size", 0, "2147483648\n", "" },
	{ "image list -q .[", 2, "",
		"forge-t: filter '.[': jq: error: syntax error, unexpected "
		"$end (Unix shell quoting issues?) at <top-level>, line 1:\n"
		"Try 'forge-t image list --help'.\n" },
	{ "--print-completion=tcsh", 2, "",
		"forge-t: no completion for 'tcsh'\n"
		"Try bash, zsh or fish.\n" },
};

static void
test_cases(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct result r;

		run_line(cases[i].line, &r);
		is_int(r.status, cases[i].status, cases[i].line);
		is_str(r.out.s, cases[i].out, "stdout");
		is_str(r.err.s, cases[i].err, "stderr");
		result_release(&r);
	}
}

static void
test_help(void)
{
	struct result r;

	run_line("--help", &r);
	is_int(r.status, 0, "help");
	is_str(r.out.s, "Usage: forge-t [OPTION...] COMMAND [ARG...]\n\n"
		"things\n\nCommands:\n"
		"  show        show a thing\n"
		"  run         run it\n"
		"  fail        fail\n"
		"  image list  it's a list\n"
		"  image one   one: only [1]\n\n"
		"'forge-t COMMAND --help' tells the options of a command; "
		"the whole is in forge-t(1).\n", "all but hidden verbs");
	is_str(r.err.s, "", "nothing on stderr");
	result_release(&r);
	run_line("show -h", &r);
	is_int(r.status, 0, "help of a verb");
	ok(!strncmp(r.out.s, "forge-t show: show a thing\n"
		"Usage: forge-t show [OPTION...] NAME...\n", 66),
		"what it does, and how");
	ok(strstr(r.out.s, "-i, --image=NAME") != NULL, "its options");
	ok(strstr(r.out.s, "-q, --filter=FILTER") != NULL, "and everybody's");
	is_str(r.err.s, "", "nothing on stderr");
	result_release(&r);
}

static void
test_many(void)
{
	struct result r;
	size_t i, lines = 0;

	run_line("image list 10000 -q .size", &r);
	is_int(r.status, 0, "ten thousand rows");
	for (i = 0; i < r.out.len; i++)
		lines += r.out.s[i] == '\n';
	is_int((int64_t)lines, 10000, "all printed");
	result_release(&r);
}

/* ---- the shells ---- */

/*
 * Run SHELL on the completion that is printed for it and then on the script,
 * in an empty directory; what it prints is compared.
 */
static void
shell(const char *name, const char *script, const char *want)
{
	static char dir[] = "/tmp/forge-cmd-XXXXXX";
	struct proc p = PROC_INIT;
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct err err = ERR_INIT;
	CLEANUP_FREE char *path = fs_which(name), *option = NULL;
	struct result r;

	if (!path) {
		skip(name, "not installed");
		return;
	}
	option = xasprintf("--print-completion=%s", name);
	run_line(option, &r);
	is_int(r.status, 0, option);
	if (!strcmp(name, "zsh"))
		buf_addf(&text, "_forge_t() {\n%s}\n%s", r.out.s, script);
	else
		buf_addf(&text, "%s%s", r.out.s, script);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	if (!mkdtemp(dir))
		BUG("mkdtemp");
	p.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	argv_push(&p.argv, path);
	/* no files of the user's; as root fish would make a HOME */
	if (!strcmp(name, "zsh"))
		argv_push(&p.argv, "-f");
	if (!strcmp(name, "fish"))
		argv_push(&p.argv, "--no-config");
	argv_push(&p.env, "HOME=/dev/null");
	argv_push(&p.env, "XDG_CONFIG_HOME=/dev/null");
	argv_push(&p.env, "XDG_DATA_HOME=/dev/null");
	argv_push(&p.env, "XDG_CACHE_HOME=/dev/null");
	argv_pushv(&p.argv, (const char *[]){ "-c", text.s, NULL });
	if (proc_run(&p, NULL, &out, 1 << 16, 30000, &err))
		printf("# %s\n", err.msg);
	is_str(out.s, want, name);
	ok(!rmdir(dir), "nothing that was offered was executed");
	(void)close(p.dirfd);
	buf_release(&text);
	buf_release(&out);
	result_release(&r);
	proc_release(&p);
}

static void
test_bash(void)
{
	static const char script[] =
		"compopt() { :; }\n"
		"t() { COMP_WORDS=(forge-t \"$@\"); COMP_CWORD=$#\n"
		"COMPREPLY=(); _forge_t; echo \"$*: ${COMPREPLY[*]}\"; }\n"
		"t ''; t im; t image ''; t image o; t image list ''; t fail -\n"
		"t -C /x image l; t --state = /x im; t show --im; t show ''\n"
		"t show a; t inside -";

	shell("bash", script,
		": show run fail image\n"
		"im: image\n"
		"image : list one\n"
		"image o: one\n"
		"image list : \n"
		"fail -: --state= --json --filter= --verbose --quiet "
		"--version --help\n"
		"-C /x image l: list\n"
		"--state = /x im: image\n"
		"show --im: --image=\n"
		"show : beta $(touch pwned) * alpha\n"
		"show a: alpha\n"
		"inside -: \n");
}

/* The completion system stubbed: what would be offered is printed. */
static void
test_zsh(void)
{
	static const char script[] =
		"_describe() { print -r -- \"$1: ${(j:|:)list}\" }\n"
		"_files() { print files }\n"
		"_arguments() {\n"
		"print -r -- \"in $words: $2 .. ${argv[-1]}\" }\n"
		"t() { local -a words=(forge-t \"$@\"); local CURRENT=$#words\n"
		"print -rn -- \"$* > \"; _forge_t }\n"
		"t ''; t image ''; t image list ''; t -C /x image o; t -C ''\n"
		"t show ''; t --json fail -";

	shell("zsh", script,
		" > command: show:show a thing|run:run it|fail:fail|"
		"image:list, one\n"
		"image  > command: list:it's a list|one:one\\: only \\[1\\]\n"
		"image list  > in list : --state=[the state directory]:DIR:"
		"_files .. *:argument:_files\n"
		"-C /x image o > command: list:it's a list|"
		"one:one\\: only \\[1\\]\n"
		"-C  > files\n"
		"show  > in show : --image=[which image]:NAME:_files .. "
		"*:argument:(${(f)\"$(printf '%s\\n' beta '$(touch pwned)' "
		"'*' alpha)\"})\n"
		"--json fail - > in fail -: --state=[the state directory]:DIR:"
		"_files .. *:argument:_files\n");
}

static void
test_fish(void)
{
	static const char script[] =
		"for l in '' im 'image ' 'image o' 'image list ' 'show --im' "
		"'show '\n"
		"echo \"$l:\" (complete -C \"forge-t $l\" | "
		"string split -f 1 \\t | sort | string join ' ')\nend\n";

	shell("fish", script,
		": fail image run show\n"
		"im: image\n"
		"image : list one\n"
		"image o: one\n"
		"image list :\n"
		"show --im: --image\n"
		"show : $(touch pwned) * alpha beta\n");
}

int
main(void)
{
	test_cases();
	test_help();
	test_many();
	test_bash();
	test_zsh();
	test_fish();
	return done();
}
