#include "lib/vm/cpio.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/unit/tap.h"

/* "NAME MODE SIZE INODE", a line each, as libarchive reads them. */
static char *
listing(const struct buf *b)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	struct buf out = BUF_INIT;

	archive_read_support_format_cpio(a);
	if (archive_read_open_memory(a, b->s, b->len))
		buf_adds(&out, "cannot open");
	while (!archive_read_next_header(a, &e))
		buf_addf(&out, "%s %o %d %d %d\n", archive_entry_pathname(e),
			(unsigned)archive_entry_mode(e),
			(int)archive_entry_size(e),
			(int)archive_entry_ino(e),
			(int)archive_entry_mtime(e));
	archive_read_free(a);
	return buf_detach(&out);
}

static void
add_all(struct cpio *c, bool backwards)
{
	int i;

	for (i = 0; i < 5; i++)
		switch (backwards ? 4 - i : i) {
		case 0:
			cpio_dir(c, "dev");
			break;
		case 1:
			cpio_node(c, "dev/console", S_IFCHR | 0600, 5, 1);
			break;
		case 2:
			cpio_file(c, "init", 0755, "#!", 2);
			break;
		case 3:
			cpio_symlink(c, "sbin", "dev");
			break;
		default:
			cpio_file(c, "dev/empty", 0444, NULL, 0);
			break;
		}
}

static void
test_content(void)
{
	CLEANUP_CPIO struct cpio c = CPIO_INIT, d = CPIO_INIT;
	CLEANUP_BUF struct buf one = BUF_INIT, two = BUF_INIT;
	struct err err = ERR_INIT;
	char *list;

	add_all(&c, false);
	add_all(&d, true);
	ok(!cpio_write(&c, &one, &err), "write");
	list = listing(&one);
	is_str(list, "dev 40755 0 1 0\ndev/console 20600 0 2 0\n"
		"dev/empty 100444 0 3 0\ninit 100755 2 4 0\n"
		"sbin 120777 3 5 0\n",
		"sorted, times 0, inodes counted, by another's reader");
	free(list);
	is_int((int64_t)(one.len % 512), 0, "padded to 512 bytes");
	ok(!cpio_write(&d, &two, &err) && one.len == two.len &&
		!memcmp(one.s, two.s, one.len),
		"the same bytes, whatever the order of adding");
	ok(!memcmp(one.s, "070701000000010000" "41ED", 22),
		"begins with magic, inode and mode");
}

/* After something else in the buffer, alignment counts from our start. */
static void
test_appended(void)
{
	CLEANUP_CPIO struct cpio c = CPIO_INIT;
	CLEANUP_BUF struct buf alone = BUF_INIT, after = BUF_INIT;
	struct err err = ERR_INIT;

	add_all(&c, false);
	buf_adds(&after, "abc");
	ok(!cpio_write(&c, &alone, &err) && !cpio_write(&c, &after, &err) &&
		after.len == alone.len + 3 &&
		!memcmp(after.s + 3, alone.s, alone.len),
		"a second archive behind other bytes is the same");
}

static void
refused(const char *path, const char *other, const char *why)
{
	CLEANUP_CPIO struct cpio c = CPIO_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	cpio_file(&c, path, 0644, "x", 1);
	if (other)
		cpio_file(&c, other, 0644, "x", 1);
	ok(cpio_write(&c, &b, &err) && err.code == ERR_INVALID && !b.len &&
		strstr(err.msg, why), err.msg);
}

static void
test_refused(void)
{
	refused("/init", NULL, "bad path");
	refused("", NULL, "bad path");
	refused("a/", NULL, "bad path");
	refused("./a", NULL, "bad path");
	refused("../a", NULL, "bad path");
	refused("a/../b", NULL, "bad path");
	refused("TRAILER!!!", NULL, "bad path");
	refused("a", "a", "twice");
	refused("a/b", NULL, "without its directory");
	refused("a", "a/b", "without its directory");
}

static void
test_empty(void)
{
	CLEANUP_CPIO struct cpio c = CPIO_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	char *list;

	ok(!cpio_write(&c, &b, &err) && b.len == 512, "an empty one");
	list = listing(&b);
	is_str(list, "", "lists nothing");
	free(list);
}

/* Every length around the alignment, read back by libarchive. */
static void
test_lengths(void)
{
	static char data[64];
	bool good = true;
	size_t n;

	for (n = 0; n < sizeof(data); n++) {
		CLEANUP_CPIO struct cpio c = CPIO_INIT;
		CLEANUP_BUF struct buf b = BUF_INIT, want = BUF_INIT;
		struct err err = ERR_INIT;
		char name[72] = "n", *list;

		memset(name + 1, 'x', n);
		cpio_file(&c, name, 0644, data, n);
		cpio_file(&c, "z", 0644, data, 1);
		buf_addf(&want, "%s 100644 %d 1 0\nz 100644 1 2 0\n", name,
			(int)n);
		good &= !cpio_write(&c, &b, &err);
		list = listing(&b);
		good &= !strcmp(list, want.s);
		free(list);
	}
	ok(good, "names and contents of every length mod 4");
}

int
main(void)
{
	test_content();
	test_appended();
	test_refused();
	test_empty();
	test_lengths();
	return done();
}
