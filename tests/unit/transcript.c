#include "lib/session/transcript.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/state/state.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

#define LOG "state/session/s/log.ndjson"

static struct state *st;

static void
add(struct transcript *t, int n, size_t size)
{
	struct json *data = json_object();
	struct err err = ERR_INIT;
	char *text = malloc(size + 1);

	memset(text, 'x', size);
	text[size] = '\0';
	json_put_int(data, "n", n);
	json_put_str(data, "text", text);
	free(text);
	if (transcript_add(t, "output", data, NULL, &err))
		printf("# %s\n", err.msg);
}

/* Lines of r until there are none; the number of the last. */
static int64_t
read_all(struct transcript_reader *r, int *ret_lines)
{
	struct err err = ERR_INIT;
	const char *line;
	int64_t seq = 0;
	size_t n;

	*ret_lines = 0;
	while (transcript_next(r, &line, &n, &err) == 1) {
		seq = transcript_seq(line, n);
		(*ret_lines)++;
		if (line[n - 1] != '\n')
			return -1;
	}
	return seq;
}

static int64_t
replay(int64_t since, int *ret_lines)
{
	struct transcript_reader *r;
	struct err err = ERR_INIT;
	int64_t seq;

	if (transcript_read(st, "s", since, &r, &err))
		return -1;
	seq = read_all(r, ret_lines);
	transcript_close(r);
	return seq;
}

static void
test_numbers(void)
{
	is_int(transcript_seq("{\"seq\":41,\"at\":1}", 17), 41, "a number");
	is_int(transcript_seq("{\"seq\":41", 9), 0, "it has no end");
	is_int(transcript_seq("{\"seq\":,", 8), 0, "there is none");
	is_int(transcript_seq("{\"at\":1", 7), 0, "not at the beginning");
	is_int(transcript_seq("{\"seq\":99999999999999999999,", 28), 0,
		"too large");
	is_int(transcript_seq("", 0), 0, "nothing");
}

static void
append(const char *text)
{
	int fd = open(LOG, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# cannot append\n");
	if (fd >= 0)
		(void)close(fd);
}

static void
test_writer(void)
{
	struct transcript t = TRANSCRIPT_INIT;
	struct err err = ERR_INIT;
	int lines;

	is_int(transcript_open(st, "s", &t, &err), 0, "open a new one");
	is_int(t.seq, 0, "it is empty");
	add(&t, 1, 10);
	add(&t, 2, 300000); /* more than a reader's piece */
	add(&t, 3, 10);
	transcript_release(&t);
	is_int(replay(0, &lines), 3, "three lines come back");
	is_int(lines, 3, "not more");
	is_int(replay(2, &lines), 3, "since the second");
	is_int(lines, 1, "one");
	is_int(replay(3, &lines), 0, "since the last: none");

	append("{\"seq\":4,\"at\":1,\"kind\":\"outp");
	is_int(replay(0, &lines), 3, "a torn line is not given");
	is_int(transcript_open(st, "s", &t, &err), 0, "open it again");
	is_int(t.seq, 3, "it goes on after the last whole line");
	add(&t, 4, 10);
	transcript_release(&t);
	is_int(replay(0, &lines), 4, "with the next number");
	is_int(lines, 4, "and no piece between");
	append("no line of ours\n");
	is_int(transcript_open(st, "s", &t, &err), -1, "damaged");
	is_int(err.code, ERR_INVALID, "and said so");
	transcript_release(&t);
}

static void
test_torn_first(void)
{
	struct transcript t = TRANSCRIPT_INIT;
	struct err err = ERR_INIT;
	int lines;

	if (truncate(LOG, 7))
		printf("# truncate\n");
	is_int(transcript_open(st, "s", &t, &err), 0, "only a torn line");
	is_int(t.seq, 0, "is as good as none");
	add(&t, 1, 10);
	transcript_release(&t);
	is_int(replay(0, &lines), 1, "it begins again");
}

static void
test_follow(void)
{
	struct transcript t = TRANSCRIPT_INIT;
	struct transcript_reader *r;
	struct pollfd p = { .events = POLLIN };
	struct err err = ERR_INIT;
	int lines;

	if (!ok(!transcript_follow(st, "new", 0, &r, &err),
		    "follow what is not there yet"))
		return;
	is_int(read_all(r, &lines), 0, "nothing");
	p.fd = transcript_fd(r);
	is_int(poll(&p, 1, 0), 0, "asleep");
	if (transcript_open(st, "new", &t, &err))
		printf("# %s\n", err.msg);
	add(&t, 1, 5);
	is_int(poll(&p, 1, 60000), 1, "woken");
	transcript_clear(r);
	is_int(read_all(r, &lines), 1, "by the first line");
	add(&t, 2, 5);
	is_int(poll(&p, 1, 60000), 1, "woken again");
	is_int(read_all(r, &lines), 2, "by the second");
	transcript_close(r);
	transcript_release(&t);
}

static void
test_speed(void)
{
	struct transcript t = TRANSCRIPT_INIT;
	struct err err = ERR_INIT;
	int64_t began;
	int i, lines;

	if (unlink(LOG) || transcript_open(st, "s", &t, &err))
		printf("# %s\n", err.msg);
	for (i = 0; i < 100000; i++)
		add(&t, i, 40);
	transcript_release(&t);
	began = clock_mono();
	is_int(replay(0, &lines), 100000, "100000 lines");
	printf("# replayed in %d ms\n", (int)(clock_mono() - began));
	is_int(lines, 100000, "all of them");
}

int
main(void)
{
	struct err err = ERR_INIT;

	tmp_enter();
	setenv("FORGE_STATE", "state", 1);
	if (state_open(&st, &err)) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_numbers();
	test_writer();
	test_torn_first();
	test_follow();
	test_speed();
	state_close(st);
	tmp_leave();
	return done();
}
