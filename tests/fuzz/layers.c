/*
 * The first byte says as what the rest is read: two layers that follow each
 * other (cut in the middle), or an OCI configuration.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/vm/layer_tree.h"
#include "lib/vm/layers.h"
#include "lib/vm/oci.h"

#define ENTRIES 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* As in json.c: libjq 1.6 loses a string. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}

/* No name may lead out, and no more may be there than was allowed. */
static int
check(const struct layer_node *n, void *arg)
{
	CLEANUP_FREE char *path = layer_node_path(n);
	size_t *count = arg;

	if (!*n->name || strchr(n->name, '/') || !strcmp(n->name, ".") ||
		!strcmp(n->name, "..") || *path == '/' ||
		++*count > ENTRIES)
		abort();
	return 0;
}

static void
layers(const uint8_t *data, size_t size)
{
	struct layer_tree *t = layer_tree_new(ENTRIES);
	struct err err = ERR_INIT;
	size_t half = size / 1024 * 512, n = 0;

	if ((layers_read_memory(t, data, half, 1 << 20, &err) ||
		    layers_read_memory(t, data + half, size - half, 1 << 20,
			    &err)) &&
		err.code != ERR_INVALID)
		abort();
	(void)layer_tree_each(t, check, &n);
	layer_tree_free(t);
}

static void
config(const uint8_t *data, size_t size)
{
	CLEANUP_IMAGE_CONFIG struct image_config c = IMAGE_CONFIG_INIT;
	CLEANUP_JSON struct json *j = NULL;
	CLEANUP_ARGV struct argv words = ARGV_INIT;
	struct err err = ERR_INIT;
	size_t i;

	if (json_parse((const char *)data, size, &j, &err) ||
		oci_config(j, 1, &c, &err))
		return;
	for (i = 0; i < c.env.n; i++)
		if (!c.env.v[i])
			abort();
	image_config_command(&c, &words);
	if (!words.n)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (*data == 'j')
		config(data + 1, size - 1);
	else
		layers(data + 1, size - 1);
	return 0;
}
