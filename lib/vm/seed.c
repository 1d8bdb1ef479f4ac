#include "lib/vm/seed.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/banned.h"

#define TOOL_TIMEOUT 30000 /* ms */
#define NEED "no 'mformat' and 'mcopy' in PATH: apt-get install mtools"

int
seed_check(const char *user_data, struct err *err)
{
	CLEANUP_FREE char *mformat = fs_which("mformat");
	CLEANUP_FREE char *mcopy = fs_which("mcopy");
	CLEANUP_BUF struct buf b = BUF_INIT;

	if (!mformat || !mcopy)
		return err_set(err, ERR_NOTFOUND, NEED);
	return fs_read(AT_FDCWD, user_data, SEED_MAX, &b, err) ?
		err_wrap(err, "--user-data") :
		0;
}

static int
run(const char *const *argv, const struct buf *input, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;

	argv_pushv(&p.argv, argv);
	/* no files of the user's own have a say in it */
	argv_push(&p.env, "MTOOLSRC=/dev/null");
	argv_push(&p.env, "MTOOLS_SKIP_CHECK=1");
	return proc_run(&p, input, NULL, 0, TOOL_TIMEOUT, err);
}

static int
put(const char *image, const char *dir, const char *name,
	const struct buf *text, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/.%s", dir, name);
	CLEANUP_FREE char *to = xasprintf("::%s", name);
	int rc;

	if (fs_replace(AT_FDCWD, path, text->s, text->len, 0600, err))
		return -1;
	rc = run((const char *[]){ "mcopy", "-i", image, path, to, NULL },
		NULL, err);
	return unlink(path) ? err_sys(err, "cannot remove '%s'", path) : rc;
}

int
seed_make(const char *user_data, const char *name, const char *dir,
	const char *path, struct err *err)
{
	CLEANUP_BUF struct buf user = BUF_INIT, meta = BUF_INIT,
			       vendor = BUF_INIT;
	CLEANUP_FREE char *id = random_name(12);

	if (fs_read(AT_FDCWD, user_data, SEED_MAX, &user, err))
		return -1;
	/* a new id each time: cloud-init works once for each */
	buf_addf(&meta, "instance-id: %s-%s\nlocal-hostname: %s\n", name, id,
		name);
	/* 2.88 MB: twice what may be in it */
	if (run((const char *[]){ "mformat", "-C", "-i", path, "-f", "2880",
			"-v", "CIDATA", "::", NULL }, NULL, err))
		return -1;
	return put(path, dir, "user-data", &user, err) ||
			put(path, dir, "meta-data", &meta, err) ||
			put(path, dir, "vendor-data", &vendor, err) ?
		-1 :
		0;
}
