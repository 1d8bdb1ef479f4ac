#include "lib/vm/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/vm/digest.h"
#include "lib/base/banned.h"

#define REF_KEY "org.opencontainers.image.ref.name"
#define HEX "0123456789abcdef"
#define NESTING 4 /* an index of indexes ... */

void
oci_release(struct oci *o)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		(void)close(o->layers[i].fd); /* read only */
		free((char *)(uintptr_t)o->layers[i].what);
	}
	free(o->layers);
	free(o->digest);
	image_config_release(&o->config);
}

/* ---- blobs ---- */

/* "sha256:HEX" to its place in the layout. */
static int
blob_path(const char *digest, char **ret, struct err *err)
{
	if (strncmp(digest, "sha256:", 7) != 0 ||
		strlen(digest + 7) != 64 || strspn(digest + 7, HEX) != 64)
		return err_set(err, ERR_INVALID,
			"'%.80s' is no sha256 digest", digest);
	*ret = xasprintf("blobs/sha256/%s", digest + 7);
	return 0;
}

/* size -1: any. */
static int
check_blob(int dirfd, const char *path, const char *hex, int64_t size,
	struct err *err)
{
	struct digest d;
	struct stat sb;

	if (fstatat(dirfd, path, &sb, AT_SYMLINK_NOFOLLOW))
		return err_set(err, errno == ENOENT ? ERR_NOTFOUND : ERR_SYS,
			"blob %.12s is missing", hex);
	if (!S_ISREG(sb.st_mode))
		return err_set(err, ERR_INVALID, "blob %.12s is no file",
			hex);
	if (size >= 0 && sb.st_size != size)
		return err_set(err, ERR_INVALID, "blob %.12s has %" PRId64
			" bytes instead of %" PRId64, hex,
			(int64_t)sb.st_size, size);
	if (digest_file(dirfd, path, &d, err))
		return -1;
	return !strcmp(d.hex, hex) ? 0 : err_set(err, ERR_INVALID,
		"blob %.12s has not the content that its name says", hex);
}

static int
read_json(int dirfd, const char *path, struct json **ret, struct err *err)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (fs_read(dirfd, path, OCI_JSON_MAX, &text, err))
		return -1;
	return json_parse(text.s, text.len, ret, err) ?
		err_wrap(err, "'%.80s'", path) :
		0;
}

/* The blob that a descriptor {"digest","size"} names, as JSON. */
static int
read_blob(int dirfd, const struct json *descriptor, struct json **ret,
	struct err *err)
{
	const char *digest = json_str(descriptor, "digest", "");
	CLEANUP_FREE char *path = NULL;

	if (blob_path(digest, &path, err) ||
		check_blob(dirfd, path, digest + 7,
			json_int(descriptor, "size", -1), err))
		return -1;
	return read_json(dirfd, path, ret, err);
}

static int
add_layer(struct oci *o, int dirfd, const char *path, const char *hex,
	int64_t size, struct err *err)
{
	CLEANUP_CLOSE int fd = -1;

	if (check_blob(dirfd, path, hex, size, err))
		return -1;
	fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open layer %.12s", hex);
	o->layers = xreallocarray(o->layers, o->n + 1, sizeof(*o->layers));
	o->layers[o->n++] = (struct layer){ .fd = steal_fd(&fd),
		.what = xasprintf("layer %.12s", hex) };
	return 0;
}

/* ---- the configuration ---- */

int
oci_config(const struct json *blob, size_t layers, struct image_config *ret,
	struct err *err)
{
	const char *os = json_str(blob, "os", "linux");
	const char *arch = json_str(blob, "architecture", "amd64");
	const char *user = json_str(blob, "config.User", "");
	const char *workdir = json_str(blob, "config.WorkingDir", "");

	if (strcmp(os, "linux") != 0 || strcmp(arch, "amd64") != 0)
		return err_set(err, ERR_INVALID,
			"it is for %.20s/%.20s, not for linux/amd64", os,
			arch);
	if (json_len(blob, "rootfs.diff_ids") != layers)
		return err_set(err, ERR_INVALID,
			"its configuration tells of %zu layers, and there "
			"are %zu", json_len(blob, "rootfs.diff_ids"), layers);
	if (*workdir && *workdir != '/')
		return err_set(err, ERR_INVALID,
			"its working directory '%.100s' is not absolute",
			workdir);
	image_config_list(blob, "config.Env", &ret->env);
	image_config_list(blob, "config.Entrypoint", &ret->entrypoint);
	image_config_list(blob, "config.Cmd", &ret->cmd);
	ret->user = *user ? xstrdup(user) : NULL;
	ret->workdir = *workdir ? xstrdup(workdir) : NULL;
	return 0;
}

/* ---- the layout ---- */

/* Elements of an array, 0 for anything else. */
static size_t
length(const struct json *j)
{
	CLEANUP_JSON struct json *first = j ? json_at(j, 0) : NULL;

	return first ? json_len(j, "") : 0;
}

/* The name of a manifest in an index, "" without one; caller frees. */
static char *
ref_of(const struct json *descriptor)
{
	CLEANUP_JSON struct json *all = json_get(descriptor, "annotations");
	size_t i, n = all && !length(all) ? json_len(all, "") : 0;

	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *value = NULL;
		CLEANUP_FREE char *key = json_key(all, i, &value);

		if (!strcmp(key, REF_KEY))
			return xstrdup(json_str(value, "", ""));
	}
	return xstrdup("");
}

static bool
ours(const struct json *descriptor)
{
	return !strcmp(json_str(descriptor, "platform.os", "linux"),
		       "linux") &&
		!strcmp(json_str(descriptor, "platform.architecture",
				"amd64"),
			"amd64");
}

/* The one of list that is for us and has the name ref (NULL: any). */
static int
choose(const struct json *index, const char *ref, struct json **ret,
	struct err *err)
{
	CLEANUP_JSON struct json *list = json_get(index, "manifests");
	CLEANUP_JSON struct json *found = NULL;
	CLEANUP_BUF struct buf names = BUF_INIT;
	size_t i, n = length(list), fit = 0;

	for (i = 0; i < n && names.len < 200; i++) {
		CLEANUP_JSON struct json *d = json_at(list, i);
		CLEANUP_FREE char *name = ref_of(d);

		if (!ours(d))
			continue;
		buf_addf(&names, "%s%.100s", names.len ? ", " : "",
			*name ? name : "one without a name");
		if (ref && strcmp(name, ref) != 0)
			continue;
		json_free(found);
		found = steal_ptr(&d);
		fit++;
	}
	if (!fit)
		return err_set(err, ERR_NOTFOUND,
			"no image%s%.100s for linux/amd64 in it%s%s",
			ref ? " named " : "", ref ? ref : "",
			names.len ? "; there is " : "", names.s);
	if (fit > 1)
		return err_set(err, ERR_USAGE,
			"several images are in it, --ref chooses one: %s",
			names.s);
	*ret = steal_ptr(&found);
	return 0;
}

/* Down to a manifest: what an index names may be an index for platforms. */
static int
find_manifest(int dirfd, const char *ref, char **ret_digest,
	struct json **ret, struct err *err)
{
	CLEANUP_JSON struct json *here = NULL;
	int depth;

	if (read_json(dirfd, "index.json", &here, err))
		return -1;
	for (depth = 0; depth < NESTING; depth++) {
		CLEANUP_JSON struct json *d = NULL, *next = NULL;

		if (choose(here, depth ? NULL : ref, &d, err) ||
			read_blob(dirfd, d, &next, err))
			return -1;
		json_free(here);
		here = steal_ptr(&next);
		if (!json_has(here, "manifests")) {
			*ret_digest = xstrdup(json_str(d, "digest", ""));
			*ret = steal_ptr(&here);
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "its indexes lie too deep");
}

int
oci_read_layout(int dirfd, const char *ref, struct oci *ret, struct err *err)
{
	CLEANUP_JSON struct json *m = NULL, *d = NULL, *config = NULL,
				 *layers = NULL;
	size_t i, n;

	if (find_manifest(dirfd, ref, &ret->digest, &m, err))
		return -1;
	d = json_get(m, "config");
	layers = json_get(m, "layers");
	n = length(layers);
	if (!d || !n || n > OCI_LAYERS_MAX)
		return err_set(err, ERR_INVALID,
			"its manifest has no configuration, or not 1 to %d "
			"layers", OCI_LAYERS_MAX);
	if (read_blob(dirfd, d, &config, err) ||
		oci_config(config, n, &ret->config, err))
		return -1;
	for (i = 0; i < n; i++) {
		CLEANUP_JSON struct json *l = json_at(layers, i);
		const char *digest = json_str(l, "digest", "");
		CLEANUP_FREE char *path = NULL;

		if (blob_path(digest, &path, err) ||
			add_layer(ret, dirfd, path, digest + 7,
				json_int(l, "size", -1), err))
			return -1;
	}
	return 0;
}

/* ---- docker's archive ---- */

static bool
tagged(const struct json *entry, const char *ref)
{
	CLEANUP_ARGV struct argv tags = ARGV_INIT;
	size_t i;

	image_config_list(entry, "RepoTags", &tags);
	for (i = 0; i < tags.n; i++)
		if (!strcmp(tags.v[i], ref))
			return true;
	return false;
}

static int
choose_docker(const struct json *list, const char *ref, struct json **ret,
	struct err *err)
{
	size_t i, n = length(list);

	if (!ref && n > 1)
		return err_set(err, ERR_USAGE,
			"%zu images are in it: --ref TAG chooses one", n);
	for (i = 0; i < n; i++) {
		struct json *entry = json_at(list, i);

		if (!ref || tagged(entry, ref)) {
			*ret = entry;
			return 0;
		}
		json_free(entry);
	}
	return err_set(err, ERR_NOTFOUND, "no image%s%.100s in it",
		ref ? " tagged " : "", ref ? ref : "");
}

int
oci_read_docker(int dirfd, const char *ref, struct oci *ret, struct err *err)
{
	CLEANUP_JSON struct json *list = NULL, *entry = NULL, *config = NULL;
	CLEANUP_ARGV struct argv layers = ARGV_INIT, ids = ARGV_INIT;
	struct digest d;
	char name[65];
	size_t i;

	oci_docker_name("manifest.json", name);
	if (read_json(dirfd, name, &list, err) ||
		choose_docker(list, ref, &entry, err))
		return -1;
	oci_docker_name(json_str(entry, "Config", ""), name);
	image_config_list(entry, "Layers", &layers);
	if (!layers.n || layers.n > OCI_LAYERS_MAX)
		return err_set(err, ERR_INVALID,
			"its manifest has not 1 to %d layers",
			OCI_LAYERS_MAX);
	if (!fs_exists(dirfd, name))
		return err_set(err, ERR_NOTFOUND,
			"its configuration is missing");
	if (read_json(dirfd, name, &config, err) ||
		digest_file(dirfd, name, &d, err) ||
		oci_config(config, layers.n, &ret->config, err))
		return -1;
	ret->digest = xasprintf("sha256:%s", d.hex);
	image_config_list(config, "rootfs.diff_ids", &ids);
	if (ids.n != layers.n)
		return err_set(err, ERR_INVALID,
			"its configuration tells of no such layers");
	for (i = 0; i < layers.n; i++) {
		CLEANUP_FREE char *path = NULL;

		oci_docker_name(layers.v[i], name);
		if (blob_path(ids.v[i], &path, err) ||
			add_layer(ret, dirfd, name, ids.v[i] + 7, -1, err))
			return -1;
	}
	return 0;
}
