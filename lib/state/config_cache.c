#include "lib/state/config_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/banned.h"

#define CACHE_MAX (2u << 20)
#define SETTLED 2000 /* ms */

bool
config_stamp(char *const *files, size_t n, struct buf *ret)
{
	bool settled = true;
	struct stat st;
	size_t i;

	buf_adds(ret, "forge-config-1");
	for (i = 0; i < n; i++) {
		if (stat(files[i], &st)) {
			buf_addf(ret, " -%d", errno);
			continue;
		}
		buf_addf(ret, " %llx:%llx:%llx:%llx.%lx:%llx.%lx",
			(unsigned long long)st.st_dev,
			(unsigned long long)st.st_ino,
			(unsigned long long)st.st_size,
			(unsigned long long)st.st_mtim.tv_sec,
			(unsigned long)st.st_mtim.tv_nsec,
			(unsigned long long)st.st_ctim.tv_sec,
			(unsigned long)st.st_ctim.tv_nsec);
		if (clock_wall() - (int64_t)st.st_ctim.tv_sec * 1000 < SETTLED)
			settled = false;
	}
	return settled;
}

/* The string at *pos, which is moved behind it; NULL without a NUL. */
static const char *
next(const struct buf *b, size_t *pos)
{
	const char *s = b->s + *pos;
	const char *nul = *pos < b->len ? memchr(s, '\0', b->len - *pos) :
					  NULL;

	if (!nul)
		return NULL;
	*pos += (size_t)(nul - s) + 1;
	return s;
}

bool
config_cache_load(int statefd, const char *path, const struct buf *stamp,
	void (*emit)(size_t file, const char *name, const char *value,
		void *arg),
	void *arg)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	const char *s, *name, *value;
	size_t pos = 0;

	if (fs_read(statefd, path, CACHE_MAX, &b, &err))
		return false;
	s = next(&b, &pos);
	/* It ends in an empty string: one that was cut is no cache. */
	if (!s || strcmp(s, stamp->s) != 0 || b.len < 2 ||
		b.s[b.len - 1] || b.s[b.len - 2])
		return false;
	while ((s = next(&b, &pos)) && *s && (name = next(&b, &pos)) &&
		(value = next(&b, &pos)))
		emit(*s == '1', name, value, arg);
	return true;
}

void
config_cache_add(struct buf *text, size_t file, const char *name,
	const char *value)
{
	buf_addc(text, file ? '1' : '0');
	buf_addc(text, '\0');
	buf_add(text, name, strlen(name) + 1);
	buf_add(text, value, strlen(value) + 1);
}

void
config_cache_save(int statefd, const char *path, const struct buf *stamp,
	const struct buf *text)
{
	CLEANUP_BUF struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	buf_add(&b, stamp->s, stamp->len + 1);
	buf_add(&b, text->s, text->len);
	buf_addc(&b, '\0');
	/* Without a cache the files are read: no failure. */
	(void)!(fs_mkdirs(statefd, "cache", 0700, &err) ||
		fs_replace(statefd, path, b.s, b.len, 0600, &err));
}
