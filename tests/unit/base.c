/*
 * base: strings, lists, numbers, times, files and locks.
 */
#include "lib/base/argv.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/lock.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/tap.h"

static void
test_buf(void)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	int fds[2];
	char *s;

	is_str(b.s, "", "an empty buffer is a string");
	buf_addf(&b, "%d-%s", 7, "x");
	buf_addc(&b, '\0');
	buf_adds(&b, "end ");
	is_int(b.len, 8, "length counts what is in the middle");
	buf_rtrim(&b);
	is_int(b.len, 7, "white space comes off");
	buf_consume(&b, 4);
	is_str(b.s, "end", "the front comes off");
	s = buf_detach(&b);
	is_str(s, "end", "detached");
	is_int(b.len, 0, "and empty again");
	free(s);
	buf_addhex(&b, "\x00\xff\x1a", 3);
	is_str(b.s, "00ff1a", "hexadecimal");
	buf_release(&b);

	ok(!pipe(fds) && write(fds[1], "12345", 5) == 5 && !close(fds[1]),
		"a pipe with five bytes");
	is_int(buf_read_fd(&b, fds[0], 4, "it", &err), -1,
		"five bytes into four");
	is_str(err.msg, "it: more than 4 bytes", "is told");
	is_int(err.code, ERR_LIMIT, "as a limit");
	is_int(b.len, 0, "and leaves the buffer as it was");
	(void)close(fds[0]);
	ok(!pipe(fds) && write(fds[1], "12345", 5) == 5 && !close(fds[1]),
		"again");
	is_int(buf_read_fd(&b, fds[0], 5, "it", &err), 0,
		"five bytes into five");
	is_str(b.s, "12345", "all of them");
	(void)close(fds[0]);
	buf_release(&b);
}

static void
test_argv(void)
{
	struct argv a = ARGV_INIT;
	struct buf b = BUF_INIT;
	int i;

	ok(a.v[0] == NULL, "an empty list ends in NULL");
	argv_split(&a, "  one two\tthree\n");
	argv_splitc(&a, ",four,,five", ',');
	is_int(a.n, 5, "five parts");
	is_str(a.v[3], "four", "of both kinds");
	for (i = 0; i < 100; i++)
		argv_pushf(&a, "%d", i);
	ok(a.v[105] == NULL && !strcmp(a.v[104], "99"), "it grows");
	argv_release(&a);
	argv_pushv(&a, (const char *[]){ "a", "", "it's", "x y", "-o=1", NULL });
	argv_quote((const char *const *)a.v, &b);
	is_str(b.s, "a '' 'it'\\''s' 'x y' -o=1", "quoted for a shell");
	argv_release(&a);
	buf_release(&b);
}

static const struct {
	const char *text;
	int64_t value; /* -1: refused */
} sizes[] = { { "0", 0 }, { "1", 1 }, { "1k", 1024 }, { "512M", 512 << 20 },
	{ "1.5G", 1610612736 }, { "4GiB", INT64_C(4) << 30 }, { "2t", -1 },
	{ "", -1 }, { "M", -1 }, { "1x", -1 }, { "-1", -1 }, { " 1", -1 },
	{ "1 M", -1 }, { "1e3", -1 }, { "1.2.3", -1 }, { "0x10", -1 },
	{ "99999999999999999999999999999999999", -1 } },
  durations[] = { { "0", 0 }, { "90", 90000 }, { "500ms", 500 },
	  { "5m", 300000 }, { "1h30m", 5400000 }, { "1.5s", 1500 },
	  { "2d", 172800000 }, { "", -1 }, { "1h30", -1 }, { "h", -1 },
	  { "1y", -1 }, { "-5m", -1 }, { "9999d", -1 }, { "5 m", -1 } },
  numbers[] = { { "0", 0 }, { "100", 100 }, { "101", -1 }, { "-1", -1 },
	  { "", -1 }, { " 5", -1 }, { "5 ", -1 }, { "+5", -1 }, { "5x", -1 },
	  { "99999999999999999999", -1 } },
  names[] = { { "a", 0 }, { "web-1.x_Y", 0 }, { "0", 0 }, { "", -1 },
	  { "-a", -1 }, { ".a", -1 }, { "a/b", -1 }, { "a b", -1 },
	  { "..", -1 }, { "\xc3\xa4", -1 }, { "a\nb", -1 },
	  { "123456789012345678901234567890123456789012345678901234567890123",
		  0 },
	  { "1234567890123456789012345678901234567890123456789012345678901234",
		  -1 } };

static void
test_parse(void)
{
	struct err err = ERR_INIT;
	int64_t n;
	bool b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = -1;
		if (parse_size(sizes[i].text, 0, INT64_C(1) << 40, "size", &n,
			    &err))
			n = -1;
		is_int(n, sizes[i].value, sizes[i].text);
	}
	for (i = 0; i < ARRAY_SIZE(durations); i++) {
		if (parse_duration(durations[i].text, "time", &n, &err))
			n = -1;
		is_int(n, durations[i].value, durations[i].text);
	}
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (parse_i64(numbers[i].text, 0, 100, "number", &n, &err))
			n = -1;
		is_int(n, numbers[i].value, numbers[i].text);
	}
	for (i = 0; i < ARRAY_SIZE(names); i++)
		is_int(parse_name(names[i].text, "name", &err), names[i].value,
			"a name or not");
	ok(!parse_bool("Yes", "x", &b, &err) && b, "yes");
	ok(!parse_bool("off", "x", &b, &err) && !b, "off");
	is_int(parse_bool("maybe", "x", &b, &err), -1, "maybe");
	is_str(err.msg, "x: 'maybe' is neither true nor false", "is told");
	is_int(err_status(err.code), 2, "as a mistake of usage");
	is_int(parse_name("a\n\x1b[31mb", "name", &err), -1, "not a name");
	ok(!strpbrk(err.msg, "\n\x1b"), "foreign control bytes are masked");
}

static void
test_format(void)
{
	char s[32];

	is_str(format_size(0, s, sizeof(s)), "0", "0");
	is_str(format_size(1536, s, sizeof(s)), "1.5K", "1.5K");
	is_str(format_size(INT64_C(4) << 30, s, sizeof(s)), "4G", "4G");
	is_str(format_duration(45, s, sizeof(s)), "45ms", "45ms");
	is_str(format_duration(1240, s, sizeof(s)), "1.24s", "1.24s");
	is_str(format_duration(185000, s, sizeof(s)), "3m05s", "3m05s");
	is_str(format_duration(7800000, s, sizeof(s)), "2h10m", "2h10m");
	is_str(clock_format(1763690000123, s, sizeof(s)),
		"2025-11-21T01:53:20.123Z", "a time");
	is_int(clock_parse("2025-11-21T01:53:20.123Z"), 1763690000123,
		"and back");
	is_int(clock_parse("2025-11-21T01:53:20Z"), 1763690000000,
		"without fraction");
	is_int(clock_parse("2025-11-21 01:53:20"), -1, "not a time");
}

static void
test_files(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;

	is_int(fs_replace(fd, "a", "one", 3, 0600, &err), 0, "a new file");
	is_int(fs_replace(fd, "a", "two", 3, 0640, &err), 0, "replaced");
	is_int(fs_read(fd, "a", 100, &b, &err), 0, "read");
	is_str(b.s, "two", "the new content");
	ok(!fstatat(fd, "a", &st, 0) && (st.st_mode & 07777) == 0640, "mode");
	is_int(fs_replace(fd, "no/such", "x", 1, 0600, &err), -1,
		"no directory for it");
	is_int(err.code, ERR_NOTFOUND, "is told so");
	is_int(fs_mkdirs(fd, "x/y/z", 0700, &err), 0, "directories");
	is_int(fs_mkdirs(fd, "x/y/z", 0700, &err), 0, "that are there");
	ok(!symlinkat("/etc", fd, "x/y/link"), "a link to elsewhere");
	is_int(fs_replace(fd, "x/y/z/f", "1", 1, 0600, &err), 0, "a file");
	is_int(fs_remove_tree(fd, "x", &err), 0, "all of it removed");
	ok(!fs_exists(fd, "x") && fs_exists(AT_FDCWD, "/etc/passwd"),
		"but not what the link points to");
	is_int(fs_remove_tree(fd, "x", &err), 0, "nothing to remove");
	is_int(fs_read(fd, "a", 2, &b, &err), -1, "more than the maximum");
	buf_release(&b);
	(void)close(fd);
}

static void
test_locks(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = ERR_INIT;
	int a = -1, b = -1, c = -1, ready[2];
	char byte;
	pid_t pid;

	is_int(lock_held(fd, "lock", &err), 0, "no file: free");
	is_int(lock_take(fd, "lock", 0, 0, &a, &err), 0, "taken");
	is_int(lock_held(fd, "lock", &err), 1, "held");
	is_int(lock_take(fd, "lock", 0, 50, &b, &err), -1, "by one only");
	is_int(err.code, ERR_BUSY, "the other is told");
	(void)close(a);
	is_int(lock_held(fd, "lock", &err), 0, "free again");
	is_int(lock_take(fd, "lock", LOCK_SHARED, 0, &a, &err), 0, "shared");
	is_int(lock_take(fd, "lock", LOCK_SHARED, 0, &b, &err), 0, "by two");
	is_int(lock_take(fd, "lock", 0, 0, &c, &err), -1, "but not alone");
	(void)close(a);
	(void)close(b);

	ok(!pipe(ready), "a pipe");
	pid = fork();
	if (pid == 0) {
		if (lock_take(fd, "lock", 0, 0, &a, &err) ||
			write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ok(read(ready[0], &byte, 1) == 1, "a child holds it");
	is_int(lock_take(fd, "lock", 0, 0, &a, &err), -1, "so we cannot");
	(void)kill(pid, SIGKILL);
	ok(waitpid(pid, NULL, 0) == pid, "the child is killed");
	is_int(lock_take(fd, "lock", 0, 0, &a, &err), 0, "its lock with it");
	(void)close(a);
	(void)close(fd);
}

int
main(void)
{
	char dir[] = "/tmp/forge-base-XXXXXX";
	struct err err = ERR_INIT;

	if (!mkdtemp(dir))
		return 1;
	test_buf();
	test_argv();
	test_parse();
	test_format();
	test_files(dir);
	test_locks(dir);
	if (fs_remove_tree(AT_FDCWD, dir, &err))
		puts(err.msg);
	return done();
}
