#include "lib/session/sshkey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/session/identity.h"
#include "lib/session/memfile.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

static int
no_passphrase(void *asked, struct buf *ret, struct err *err)
{
	(void)ret;
	*(int *)asked += 1;
	return err_set(err, ERR_USAGE, "nobody is there");
}

static void
test_round(void)
{
	CLEANUP_SSHKEY struct sshkey made = SSHKEY_INIT, again = SSHKEY_INIT;
	struct err err = ERR_INIT;
	int asked = 0;

	ok(!sshkey_make("me@example.com", &made, &err), "made");
	ok(!sshkey_check_public(made.public, &err), "its public line is one");
	ok(strstr(made.public, " me@example.com") != NULL, "with the comment");
	ok(!sshkey_import(&made.private, no_passphrase, &asked, &again, &err),
		"ssh-keygen reads it");
	ok(!asked, "nobody was asked");
	ok(again.public && !strcmp(made.public, again.public),
		"the same public line");
	ok(!strcmp(made.private.s, again.private.s), "and the same text");
}

/* Every length of the comment, so that all paddings are seen. */
static void
test_padding(void)
{
	char comment[20];
	size_t n;
	int bad = 0;

	for (n = 0; n < 9; n++) {
		CLEANUP_SSHKEY struct sshkey k = SSHKEY_INIT, r = SSHKEY_INIT;
		struct err err = ERR_INIT;
		int asked = 0;

		memset(comment, 'c', n);
		comment[n] = '\0';
		if (sshkey_make(comment, &k, &err) ||
			sshkey_import(&k.private, no_passphrase, &asked, &r,
				&err) ||
			strcmp(k.public, r.public))
			bad++;
	}
	ok(!bad, "comments of 0 to 8 bytes");
}

static void
test_public(void)
{
	static const char *const bad[] = { "", "ssh-ed25519",
		"ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-rsa !!!! x",
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIUGN6jxRedxrMujkDKg/QqVXpftc"
		"4WmbjsJXwZ33RbB",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIUGN6jxRedxrMujkDKg/QqVX"
		"pftc4WmbjsJXwZ33RbB a\nb" };
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ok(sshkey_check_public(bad[i], &err) == -1 &&
			err.code == ERR_INVALID, "no public key");
	ok(!sshkey_check_public("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIUGN6jxRe"
		"dxrMujkDKg/QqVXpftc4WmbjsJXwZ33RbB", &err), "one without "
		"a comment");
}

/* ssh-keygen itself checks the signature. */
static void
test_sign(void)
{
	CLEANUP_SSHKEY struct sshkey k = SSHKEY_INIT;
	CLEANUP_BUF struct buf sig = BUF_INIT, text = BUF_INIT, line = BUF_INIT;
	CLEANUP_PROC struct proc p = PROC_INIT, other = PROC_INIT;
	struct err err = ERR_INIT;

	if (sshkey_make("", &k, &err) ||
		sshkey_sign(&k.private, NULL, k.public, "hello", 5, &sig,
			&err)) {
		ok(0, err.msg);
		return;
	}
	buf_addf(&line, "me %s\n", k.public);
	tmp_write("signers", line.s);
	tmp_write("sig", sig.s);
	argv_split(&p.argv, "ssh-keygen -Y verify -f signers -I me -n git "
		"-s sig");
	buf_adds(&text, "hello");
	ok(!proc_run(&p, &text, NULL, 0, 60000, &err), "a signature holds");
	argv_pushv(&other.argv, (const char *const *)p.argv.v);
	buf_adds(&text, "!");
	ok(proc_run(&other, &text, NULL, 0, 60000, &err) == -1,
		"and not for another text");
}

static void
test_memfile(void)
{
	struct memfile f = MEMFILE_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct stat s;

	ok(!memfile_open(&f, "abc", 3, &err), "memfile");
	ok(!stat(f.path, &s) && (s.st_mode & 07777) == 0600, "is private");
	ok(!fs_read(AT_FDCWD, f.path, 10, &b, &err) && !strcmp(b.s, "abc"),
		"is a file");
	memfile_close(&f);
	ok(access(f.path, F_OK) == -1, "and then not");
}

int
main(void)
{
	tmp_enter();
	test_round();
	test_padding();
	test_public();
	test_sign();
	test_memfile();
	tmp_leave();
	return done();
}
