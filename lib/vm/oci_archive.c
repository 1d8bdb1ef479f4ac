#include "lib/vm/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/vm/archive.h"
#include "lib/vm/digest.h"
#include "lib/base/banned.h"

#define CHUNK ((size_t)256 << 10)
#define BLOBS "blobs/sha256/"
#define ENTRIES_MAX 8192

static const char *
plain(const char *path)
{
	while (!strncmp(path, "./", 2))
		path += 2;
	return path;
}

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), m = strlen(with);

	return n >= m && !strcmp(s + n - m, with);
}

/* A name that such an archive has, and a root file system has not. */
static bool
typical(const char *p)
{
	return !*p || !strcmp(p, ".") || !strcmp(p, "blobs") ||
		!strncmp(p, "blobs/", 6) || !strcmp(p, "oci-layout") ||
		!strcmp(p, "repositories") ||
		(!strchr(p, '/') && (ends(p, ".json") || ends(p, ".tar"))) ||
		strspn(p, "0123456789abcdef") == 64;
}

int
oci_archive_kind(int fd, const char *what, enum oci_kind *ret,
	struct err *err)
{
	CLEANUP_ARCHIVE struct archive *a = NULL;
	enum oci_kind kind = OCI_NONE;
	struct archive_entry *e;
	int rc;

	if (archive_open_tar(fd, what, &a, err))
		return -1;
	while ((rc = archive_next(a, what, &e, err)) == 1) {
		const char *p = archive_entry_pathname(e);

		if (!p || !typical(plain(p))) {
			*ret = OCI_NONE;
			return 0;
		}
		if (!strcmp(plain(p), "oci-layout"))
			kind = OCI_LAYOUT;
		else if (!strcmp(plain(p), "manifest.json") &&
			kind == OCI_NONE)
			kind = OCI_DOCKER;
	}
	*ret = kind;
	return rc;
}

void
oci_docker_name(const char *path, char *ret)
{
	struct digest d;

	path = plain(path);
	digest_bytes(path, strlen(path), &d);
	memcpy(ret, d.hex, sizeof(d.hex));
}

/* Where an entry goes: a name of ours, or one of a fixed form. */
static void
place(const char *path, char *ret, size_t size)
{
	char name[65];

	path = plain(path);
	if (!strcmp(path, "index.json") || !strcmp(path, "oci-layout") ||
		(!strncmp(path, BLOBS, strlen(BLOBS)) &&
			strlen(path) == strlen(BLOBS) + 64 &&
			strspn(path + strlen(BLOBS), "0123456789abcdef") ==
				64)) {
		(void)snprintf(ret, size, "%s", path);
		return;
	}
	oci_docker_name(path, name);
	(void)snprintf(ret, size, "%s", name);
}

static int
save(struct archive *a, const char *what, int dirfd, const char *name,
	int64_t *left, struct err *err)
{
	CLEANUP_FREE char *block = xmalloc(CHUNK);
	CLEANUP_CLOSE int fd = openat(dirfd, name,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	la_ssize_t n;

	if (fd < 0)
		return err_sys(err, "cannot write '%s'", name);
	while ((n = archive_read_data(a, block, CHUNK)) > 0) {
		*left -= n;
		if (*left < 0)
			return 1;
		if (write_all(fd, block, (size_t)n))
			return err_sys(err, "cannot write '%s'", name);
	}
	return n ? archive_fail(a, what, err) : 0;
}

static int
unpack(struct archive *a, const char *what, int64_t max, int dirfd,
	struct err *err)
{
	struct archive_entry *e;
	int64_t left = max;
	char name[128];
	int n, rc;

	for (n = 0; (rc = archive_next(a, what, &e, err)) == 1; n++) {
		const char *path = archive_entry_pathname(e);

		if (n == ENTRIES_MAX)
			return err_set(err, ERR_INVALID,
				"%s: more than %d files", what, ENTRIES_MAX);
		if (!path || !S_ISREG(archive_entry_mode(e)) ||
			archive_entry_hardlink(e))
			continue; /* what needs it misses it */
		place(path, name, sizeof(name));
		rc = archive_entry_size(e) > left ?
			1 :
			save(a, what, dirfd, name, &left, err);
		if (rc > 0)
			return err_set(err, ERR_INVALID,
				"%s: more than %s when unpacked (--max-size)",
				what, format_size(max, name, sizeof(name)));
		if (rc)
			return -1;
	}
	return rc;
}

int
oci_archive_unpack(int fd, const char *what, int64_t max_bytes, int dirfd,
	struct err *err)
{
	CLEANUP_ARCHIVE struct archive *a = NULL;

	if (fs_mkdirs(dirfd, "blobs/sha256", 0700, err) ||
		archive_open_tar(fd, what, &a, err))
		return -1;
	return unpack(a, what, max_bytes, dirfd, err);
}
