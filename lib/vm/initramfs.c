#include "lib/vm/initramfs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/cpio.h"
#include "lib/vm/kernel.h"
#include "lib/base/banned.h"

#define INIT_MAX ((size_t)16 << 20)

struct out {
	struct cpio *cpio;
	struct buf *order;
};

static int
add_module(const struct module *mod, void *arg)
{
	struct out *o = arg;
	CLEANUP_FREE char *path = xasprintf("modules/%s.ko", mod->name);

	cpio_file(o->cpio, path, 0444, mod->data.s, mod->data.len);
	buf_addf(o->order, "%s.ko\n", mod->name);
	return 0;
}

int
initramfs_build(struct kernel *k, struct buf *ret, struct err *err)
{
	CLEANUP_CPIO struct cpio cpio = CPIO_INIT;
	CLEANUP_BUF struct buf init = BUF_INIT, order = BUF_INIT;
	CLEANUP_FREE char *path = NULL;
	struct out out = { &cpio, &order };

	if (find_helper("forge-init", &path, err) ||
		fs_read(AT_FDCWD, path, INIT_MAX, &init, err))
		return -1;
	cpio_dir(&cpio, "dev");
	cpio_node(&cpio, "dev/console", S_IFCHR | 0600, 5, 1);
	cpio_node(&cpio, "dev/null", S_IFCHR | 0666, 1, 3);
	cpio_dir(&cpio, "modules");
	cpio_dir(&cpio, "proc");
	cpio_dir(&cpio, "sys");
	if (modules_order(&k->modules, add_module, &out, err))
		return -1;
	cpio_file(&cpio, "modules/order", 0444, order.s, order.len);
	cpio_file(&cpio, "init", 0755, init.s, init.len);
	return cpio_write(&cpio, ret, err);
}
