/*
 * oci: images as other tools write them: a directory in OCI's image layout,
 * and the two forms of archive (`skopeo copy ... oci-archive:` and
 * docker-archive:).
 *
 * Blobs are used only when size and SHA-256 are those that the manifest
 * says.  Of an image for several platforms the one for linux/amd64 is taken.
 */
#ifndef FORGE_VM_OCI_H
#define FORGE_VM_OCI_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/vm/image_config.h"
#include "lib/vm/layers.h"

#define OCI_JSON_MAX ((size_t)4 << 20)
#define OCI_LAYERS_MAX 512

enum oci_kind { OCI_NONE, OCI_LAYOUT, OCI_DOCKER };

struct oci {
	struct image_config config;
	struct layer *layers; /* open, the lowest first */
	size_t n;
	char *digest; /* of the manifest; of docker's: of its config */
};

#define OCI_INIT ((struct oci){ .config = IMAGE_CONFIG_INIT })
#define CLEANUP_OCI __attribute__((cleanup(oci_release)))
void oci_release(struct oci *o);

/*
 * Read an image.  ref: its name in there (annotation
 * org.opencontainers.image.ref.name, or docker's tag), NULL when there is
 * only one.  ERR_NOTFOUND: no such one, or a blob is missing; ERR_USAGE:
 * several, so ref is needed; ERR_INVALID for all that is wrong.
 */
int oci_read_layout(int dirfd, const char *ref, struct oci *ret,
	struct err *err) __attribute__((warn_unused_result));
/* dirfd: what oci_archive_unpack() made of a docker-archive. */
int oci_read_docker(int dirfd, const char *ref, struct oci *ret,
	struct err *err) __attribute__((warn_unused_result));

/* What kind of archive is the tar file fd?  OCI_NONE: of any other kind. */
int oci_archive_kind(int fd, const char *what, enum oci_kind *ret,
	struct err *err) __attribute__((warn_unused_result));
/*
 * Its files into the empty directory dirfd, under names that are safe:
 * oci_read_*() know them.  No file's place is chosen by the archive.
 */
int oci_archive_unpack(int fd, const char *what, int64_t max_bytes, int dirfd,
	struct err *err) __attribute__((warn_unused_result));
/* The name below dirfd for path in a docker-archive: 65 bytes. */
void oci_docker_name(const char *path, char *ret);

/* What the configuration blob says, added to ret; ERR_INVALID. */
struct json;
int oci_config(const struct json *blob, size_t layers,
	struct image_config *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
