#include "lib/vm/kernel.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/vm/unpack.h"
#include "lib/base/banned.h"

/* Fields of a bzImage, by the kernel's Documentation/arch/x86/boot.rst. */
enum {
	SETUP_SECTS = 0x1f1,
	SIGNATURE = 0x202, /* "HdrS" */
	BOOT_VERSION = 0x206,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	SETUP_END = 0x250,
	PAYLOAD_SINCE = 0x0208,
	XEN_ELFNOTE_PHYS32_ENTRY = 18,
};

void
kernel_release(struct kernel *k)
{
	free(k->version);
	free(k->source);
	buf_release(&k->image);
	modules_release(&k->modules);
	*k = KERNEL_INIT;
}

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		(uint32_t)p[3] << 24;
}

static size_t
align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* One PT_NOTE segment; every length in it is checked against what is left. */
static bool
has_pvh_note(const unsigned char *p, size_t n)
{
	while (n >= 12) {
		size_t name = get32(p), desc = get32(p + 4);
		uint32_t type = get32(p + 8);

		p += 12;
		n -= 12;
		if (name > n || align4(name) > n ||
			desc > n - align4(name))
			return false;
		if (type == XEN_ELFNOTE_PHYS32_ENTRY && name == 4 &&
			!memcmp(p, "Xen", 4))
			return true;
		desc = align4(name) + align4(desc);
		if (desc > n)
			return false;
		p += desc;
		n -= desc;
	}
	return false;
}

static int
check_elf(const unsigned char *p, size_t n, struct err *err)
{
	bool pvh = false;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	size_t i;

	if (n < sizeof(eh))
		return err_set(err, ERR_INVALID, "kernel: cut short");
	memcpy(&eh, p, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 ||
		eh.e_ident[EI_DATA] != ELFDATA2LSB ||
		eh.e_machine != EM_X86_64)
		return err_set(err, ERR_INVALID,
			"kernel: not one for x86-64 (64 bits)");
	if (!eh.e_phnum || eh.e_phentsize != sizeof(ph) || eh.e_phoff > n ||
		(n - eh.e_phoff) / sizeof(ph) < eh.e_phnum)
		return err_set(err, ERR_INVALID,
			"kernel: broken program headers");
	for (i = 0; i < eh.e_phnum; i++) {
		memcpy(&ph, p + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_offset > n || ph.p_filesz > n - ph.p_offset)
			return err_set(err, ERR_INVALID,
				"kernel: a segment lies beyond its end");
		if (ph.p_type == PT_NOTE)
			pvh |= has_pvh_note(p + ph.p_offset, ph.p_filesz);
	}
	if (!pvh)
		return err_set(err, ERR_INVALID,
			"kernel: no PVH entry in it (built without "
			"CONFIG_PVH)");
	return 0;
}

static bool
is_elf(const unsigned char *p, size_t n)
{
	return n >= SELFMAG && !memcmp(p, ELFMAG, SELFMAG);
}

/*
 * The build puts the unpacked length behind the compressed bytes (gzip has
 * it there by itself), so what comes out is known before it comes.
 */
static int
unpack_payload(const unsigned char *p, size_t n, struct buf *ret,
	struct err *err)
{
	size_t size;

	if (n < 8)
		return err_set(err, ERR_INVALID, "kernel: empty payload");
	if (is_elf(p, n)) {
		if (n > KERNEL_MAX)
			return err_set(err, ERR_LIMIT, "kernel: too large");
		buf_add(ret, p, n);
		return 0;
	}
	size = get32(p + n - 4);
	if (size > KERNEL_MAX)
		return err_set(err, ERR_INVALID,
			"kernel: says that it unpacks to %zu bytes", size);
	/* a reader of several streams would take that length for one */
	if (memcmp(p, "\x1f\x8b", 2) != 0)
		n -= 4;
	if (unpack_stream(p, n, size, ret, err))
		return err_wrap(err, "kernel");
	if (ret->len != size)
		return err_set(err, ERR_INVALID,
			"kernel: unpacks to %zu bytes instead of %zu",
			ret->len, size);
	return 0;
}

static int
extract_bzimage(const unsigned char *p, size_t n, struct buf *ret,
	struct err *err)
{
	size_t start, offset, length;

	if (((unsigned)p[BOOT_VERSION] | (unsigned)p[BOOT_VERSION + 1] << 8) <
		PAYLOAD_SINCE)
		return err_set(err, ERR_INVALID,
			"kernel: a bzImage older than Linux 2.6.26");
	start = ((p[SETUP_SECTS] ? p[SETUP_SECTS] : 4u) + 1) * (size_t)512;
	offset = get32(p + PAYLOAD_OFFSET);
	length = get32(p + PAYLOAD_LENGTH);
	if (start > n || offset > n - start || length > n - start - offset)
		return err_set(err, ERR_INVALID,
			"kernel: its payload lies beyond its end");
	return unpack_payload(p + start + offset, length, ret, err);
}

int
kernel_extract(const void *data, size_t n, struct buf *ret, struct err *err)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	const unsigned char *p = data;

	if (is_elf(p, n)) {
		if (check_elf(p, n, err))
			return -1;
		buf_add(ret, p, n);
		return 0;
	}
	if (n < SETUP_END || memcmp(p + SIGNATURE, "HdrS", 4) != 0)
		return err_set(err, ERR_INVALID,
			"kernel: neither a vmlinux nor a bzImage");
	if (extract_bzimage(p, n, &out, err))
		return -1;
	if (!is_elf((const unsigned char *)out.s, out.len))
		return err_set(err, ERR_INVALID,
			"kernel: there is no vmlinux in it");
	if (check_elf((const unsigned char *)out.s, out.len, err))
		return -1;
	buf_release(ret);
	*ret = out;
	out = BUF_INIT;
	return 0;
}

/* "Linux version 6.1.0-56-cloud-amd64 (..." stands in every vmlinux. */
static char *
banner_version(const struct buf *image)
{
	static const char lead[] = "Linux version ";
	const char *p = image->s, *end = image->s + image->len;
	size_t n = 0;

	p = memmem(p, image->len, lead, sizeof(lead) - 1);
	if (!p)
		return xstrdup("unknown");
	p += sizeof(lead) - 1;
	while (p + n < end && n < 64 && p[n] > ' ' && p[n] < 127)
		n++;
	return n ? xstrndup(p, n) : xstrdup("unknown");
}

int
kernel_from_files(const char *file, const char *modules, struct kernel *ret,
	struct err *err)
{
	CLEANUP_BUF struct buf raw = BUF_INIT;

	if (fs_read(AT_FDCWD, file, KERNEL_FILE_MAX, &raw, err))
		return -1;
	if (kernel_extract(raw.s, raw.len, &ret->image, err))
		return err_wrap(err, "'%s'", file);
	ret->version = banner_version(&ret->image);
	ret->source = xstrdup(basename(file));
	return modules ? modules_scan(&ret->modules, modules, err) : 0;
}
