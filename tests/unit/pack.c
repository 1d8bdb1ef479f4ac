/*
 * walk, pack and tree: what goes in comes out, whatever the pieces, and a
 * hostile sender writes nowhere but below the name that was asked for.
 */
#include "lib/vm/tree.h"
#include "lib/vm/walk.h"

#include <errno.h>
#include <sys/stat.h>
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static unsigned char pack[1 << 20];
static size_t npack;

static void
begin(void)
{
	npack = 0;
}

static void
entry(enum pack_type type, uint32_t mode, const char *path, const char *link)
{
	struct pack_entry e = { .type = type, .mode = mode, .path = path,
		.link = link };

	npack += pack_put(&e, pack + npack);
}

static void
piece(enum pack_piece kind, const char *text)
{
	pack_put_piece(kind, strlen(text), pack + npack);
	npack += PACK_PIECE;
	memcpy(pack + npack, text, strlen(text));
	npack += strlen(text);
}

static void
file(const char *path, const char *text)
{
	entry(PACK_FILE, 0644, path, "");
	if (*text)
		piece(PACK_DATA, text);
	piece(PACK_WHOLE, "");
}

/* Feed it to dst in pieces of step bytes; 0 or errno. */
static int
feed(const char *dst, const char *name, size_t step)
{
	struct pack_reader r;
	static struct tree t;
	size_t at;
	int rc = 0;

	if (tree_target(dst, name, 0, &t))
		return errno;
	pack_reader_init(&r, &tree_sink, &t);
	for (at = 0; !rc && at < npack; at += step)
		if (pack_feed(&r, pack + at,
			    step < npack - at ? step : npack - at))
			rc = errno;
	if (!rc && (!r.ended || tree_finish(&t)))
		rc = r.ended ? errno : EPIPE;
	tree_release(&t);
	return rc;
}

static const char *
content(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f)
		(void)fclose(f);
	return f ? text : "(none)";
}

static void
round_trip(void)
{
	static struct walk w;
	static const size_t steps[] = { 1, 7, sizeof(pack) };
	struct stat st;
	size_t i, n;

	ok(!mkdir("src", 0700) && !mkdir("src/d", 0750) &&
		!symlink("f", "src/l"), "prepared");
	tmp_write("src/f", "text");
	tmp_write("src/d/empty", "");
	ok(!link("src/f", "src/d/hard") && !chmod("src/f", 0604), "prepared");
	is_int(walk_open(&w, "src", 0), 0, "opened");
	begin();
	while ((n = walk_read(&w, pack + npack, 100)))
		npack += n;
	walk_close(&w);
	is_int((int64_t)w.failed, 0, "all of it read");
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char dst[16];

		(void)snprintf(dst, sizeof(dst), "dst%zu", i);
		is_int(feed(dst, "src", steps[i]), 0, "written");
		ok(!chdir(dst) && !stat("f", &st), "there");
		is_int(st.st_mode & 07777, 0604, "mode");
		is_int((int64_t)st.st_nlink, 2, "names");
		is_str(content("l"), "text", "link");
		is_str(content("d/empty"), "", "empty");
		ok(!stat("d", &st) && (st.st_mode & 07777) == 0750, "mode");
		ok(!chdir(".."), "back");
	}
}

static void
hostile(void)
{
	static const struct {
		const char *what;
		enum pack_type type;
		const char *path, *link;
		int e;
	} cases[] = {
		{ "an absolute path", PACK_FILE, "/tmp/forge-evil", "",
			EPERM },
		{ "..", PACK_FILE, "../evil", "", EPERM },
		{ ".. deeper", PACK_FILE, "x/../../evil", "", EPERM },
		{ "another name", PACK_FILE, ".bashrc", "", EPERM },
		{ "another directory", PACK_DIRECTORY, "y/z", "", EPERM },
		{ "a hard link to elsewhere", PACK_HARDLINK, "x",
			"/etc/passwd", EPERM },
		{ "a hard link to ..", PACK_HARDLINK, "x", "x/../../secret",
			EPERM },
		{ "a hard link beside", PACK_HARDLINK, "x", "secret", EPERM },
		{ "the directory itself", PACK_FILE, ".", "", EISDIR },
	};
	size_t i;

	tmp_write("secret", "s");
	ok(!mkdir("into", 0700), "prepared");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		entry(cases[i].type, 0644, cases[i].path, cases[i].link);
		is_int(feed("into", "x", 1000), cases[i].e, cases[i].what);
	}
	is_str(content("evil"), "(none)", "nothing outside");
	is_int(rmdir("into"), 0, "nor inside");

	ok(!mkdir("into", 0700), "prepared");
	begin();
	entry(PACK_SYMLINK, 0777, "x", "..");
	file("x/evil", "e");
	is_int(feed("into", "x", 1000), ENOTDIR, "through its own link");
	is_str(content("evil"), "(none)", "does not lead out");
	begin();
	entry(PACK_SYMLINK, 0777, "x", "../secret");
	file("x", "mine");
	entry(PACK_END, 0, "", "");
	is_int(feed("into", "x", 1000), 0, "a file in place of its link");
	is_str(content("secret"), "s", "is not written through it");
	is_str(content("into/x"), "mine", "but takes its place");
}

static void
damaged(void)
{
	static unsigned char copy[1 << 16];
	struct stat st;
	size_t whole, n, cut = 0;

	begin();
	entry(PACK_FILE, 06755, "h", "");
	piece(PACK_DATA, "half");
	is_int(feed(".", "h", 1000), EPIPE, "cut in the middle");
	is_str(content("h"), "(none)", "leaves no half file");
	piece(PACK_BROKEN, "");
	entry(PACK_END, 0, "", "");
	is_int(feed(".", "h", 1000), 0, "one that broke at its source");
	is_str(content("h"), "(none)", "is left out");
	begin();
	entry(PACK_FILE, 06755, "h", "");
	piece(PACK_WHOLE, "");
	entry(PACK_END, 0, "", "");
	is_int(feed(".", "h", 1000), 0, "a program");
	ok(!stat("h", &st) && (st.st_mode & 07777) == 0755, "but not set-ID");

	begin();
	entry(PACK_DIRECTORY, 0700, "c", "");
	file("c/file", "some text");
	entry(PACK_SYMLINK, 0777, "c/l", "file");
	entry(PACK_END, 0, "", "");
	whole = npack;
	for (n = 0; n < whole; n++) {
		npack = n;
		cut += feed(".", "c", 1000) == EPIPE;
	}
	is_int((int64_t)cut, (int64_t)whole, "cut anywhere it is told");
	npack = whole;
	memcpy(copy, pack, whole);
	for (n = 0; n < whole * 8; n++) {
		memcpy(pack, copy, whole);
		pack[n / 8] ^= (unsigned char)(1 << n % 8);
		(void)feed("into", "c", 1000); /* no crash, nothing outside */
	}
	is_str(content("secret"), "s", "a bit changed anywhere harms nothing");
	begin();
	entry(PACK_END, 0, "", "");
	pack[npack++] = 0;
	is_int(feed(".", "c", 1000), EPROTO, "more behind the end");
}

static void
deep(void)
{
	char path[2 * TREE_DEPTH + 16] = "x";
	int i;

	for (i = 0; i < TREE_DEPTH + 4; i++)
		memcpy(path + 1 + 2 * i, "/y", 3);
	begin();
	entry(PACK_FILE, 0644, path, "");
	is_int(feed(".", "x", 1000), ENAMETOOLONG, "too deep");
}

int
main(void)
{
	char name[NAME_MAX + 1];

	tmp_enter();
	is_int(walk_name("/a/b//", name), 0, "a name");
	is_str(name, "b", "is the last part");
	ok(!walk_name("/a/..", name) && !strcmp(name, "."), "..");
	ok(!walk_name("/", name) && !strcmp(name, "."), "/");
	round_trip();
	hostile();
	damaged();
	deep();
	tmp_leave();
	return done();
}
