#include "lib/vm/kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdlib.h>

#include "lib/base/fs.h"
#include "tests/unit/tap.h"
#include "tests/unit/tmp.h"

enum { NOTE_AT = 256, ELF_SIZE = 4096, PVH = 18 };

static void
put32(char *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (char)(v >> (8 * i));
}

/* The least that counts as a kernel: one note segment with a PVH entry. */
static void
make_elf(struct buf *b, uint32_t note_type)
{
	Elf64_Ehdr eh = { .e_machine = EM_X86_64, .e_phoff = 64,
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2 };
	Elf64_Phdr ph[2] = { { .p_type = PT_LOAD, .p_filesz = ELF_SIZE },
		{ .p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 36 } };
	char note[36] = { 0 };
	size_t i;

	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	/* another note first, "GNU", to be stepped over */
	put32(note, 3);
	put32(note + 8, 1);
	memcpy(note + 12, "GN", 3);
	put32(note + 16, 4);
	put32(note + 20, 0);
	put32(note + 24, note_type);
	memcpy(note + 28, "Xen", 4);
	buf_add(b, &eh, sizeof(eh));
	buf_add(b, ph, sizeof(ph));
	while (b->len < NOTE_AT)
		buf_addc(b, '\0');
	buf_add(b, note, sizeof(note));
	buf_adds(b, "Linux version 9.8.7-test (me) #1");
	for (i = 0; b->len < ELF_SIZE; i++)
		buf_addc(b, (char)(i * 7 % 251));
}

static void
compress_with(const struct buf *in, int (*filter)(struct archive *),
	struct buf *out)
{
	static char space[1 << 20];
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t used = 0;

	archive_write_set_format_raw(a);
	archive_write_set_bytes_per_block(a, 1);
	if (filter(a) || archive_write_open_memory(a, space, sizeof(space),
		&used))
		printf("# %s\n", archive_error_string(a));
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_pathname(e, "data");
	archive_write_header(a, e);
	archive_write_data(a, in->s, in->len);
	archive_write_close(a);
	archive_write_free(a);
	archive_entry_free(e);
	buf_add(out, space, used);
}

/* lz4's oldest form, as the kernel's build makes it: literals only. */
static void
lz4_legacy(const struct buf *in, struct buf *out)
{
	CLEANUP_BUF struct buf block = BUF_INIT;
	size_t left = in->len - 15;
	char word[4];

	buf_addc(&block, (char)0xf0);
	for (; left >= 255; left -= 255)
		buf_addc(&block, (char)255);
	buf_addc(&block, (char)left);
	buf_add(&block, in->s, in->len);
	put32(word, 0x184c2102);
	buf_add(out, word, 4);
	put32(word, (uint32_t)block.len);
	buf_add(out, word, 4);
	buf_add(out, block.s, block.len);
}

/* A bzImage of 2 set-up sectors around the payload and its trailing size. */
static void
make_bzimage(const struct buf *payload, uint32_t size, bool trailer,
	struct buf *out)
{
	char head[1536 + 64] = { 0 }, word[4];

	head[0x1f1] = 2;
	memcpy(head + 0x202, "HdrS", 4);
	head[0x206] = 0x0f;
	head[0x207] = 0x02;
	put32(head + 0x248, 64);
	put32(head + 0x24c, (uint32_t)payload->len + (trailer ? 4 : 0));
	buf_add(out, head, sizeof(head));
	buf_add(out, payload->s, payload->len);
	put32(word, size);
	if (trailer)
		buf_add(out, word, 4);
	buf_adds(out, "what follows is not looked at");
}

static void
gives_elf(const struct buf *bz, const struct buf *elf, const char *name)
{
	CLEANUP_BUF struct buf got = BUF_INIT;
	struct err err = ERR_INIT;

	ok(!kernel_extract(bz->s, bz->len, &got, &err) &&
		got.len == elf->len && !memcmp(got.s, elf->s, got.len), name);
	if (err.code)
		printf("# %s\n", err.msg);
}

static void
is_refused(const struct buf *bz, const char *why, const char *name)
{
	CLEANUP_BUF struct buf got = BUF_INIT;
	struct err err = ERR_INIT;

	if (!ok(kernel_extract(bz->s, bz->len, &got, &err) &&
		err.code == ERR_INVALID && strstr(err.msg, why), name))
		printf("# %s\n", err.msg);
}

static void
test_forms(void)
{
	static const struct {
		const char *name;
		int (*filter)(struct archive *);
		bool trailer;
	} forms[] = { { "gzip", archive_write_add_filter_gzip, false },
		{ "xz", archive_write_add_filter_xz, true },
		{ "lzma", archive_write_add_filter_lzma, true },
		{ "bzip2", archive_write_add_filter_bzip2, true },
		{ "lz4", archive_write_add_filter_lz4, true },
		{ "zstd", archive_write_add_filter_zstd, true } };
	CLEANUP_BUF struct buf elf = BUF_INIT;
	size_t i;

	make_elf(&elf, PVH);
	gives_elf(&elf, &elf, "a vmlinux is taken as it is");
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		CLEANUP_BUF struct buf packed = BUF_INIT, bz = BUF_INIT;

		compress_with(&elf, forms[i].filter, &packed);
		make_bzimage(&packed, ELF_SIZE, forms[i].trailer, &bz);
		gives_elf(&bz, &elf, forms[i].name);
	}
}

static void
test_legacy(void)
{
	CLEANUP_BUF struct buf elf = BUF_INIT, packed = BUF_INIT,
		bz = BUF_INIT;

	make_elf(&elf, PVH);
	lz4_legacy(&elf, &packed);
	make_bzimage(&packed, ELF_SIZE, true, &bz);
	gives_elf(&bz, &elf, "lz4 legacy, as Debian's");
	put32(bz.s + 0x248, 0x7fffffff);
	is_refused(&bz, "beyond its end", "a payload that begins beyond");
	put32(bz.s + 0x248, 64);
	put32(bz.s + 0x24c, 0xffffffff);
	is_refused(&bz, "beyond its end", "a payload that ends beyond");
	put32(bz.s + 0x24c, 3);
	is_refused(&bz, "empty payload", "a payload of 3 bytes");
	bz.s[0x207] = 1;
	is_refused(&bz, "older than", "an old protocol");
}

static void
test_lies(void)
{
	CLEANUP_BUF struct buf elf = BUF_INIT, packed = BUF_INIT,
		more = BUF_INIT, less = BUF_INIT, huge = BUF_INIT,
		none = BUF_INIT;

	make_elf(&elf, PVH);
	compress_with(&elf, archive_write_add_filter_zstd, &packed);
	make_bzimage(&packed, ELF_SIZE + 1, true, &more);
	is_refused(&more, "unpacks to 4096 bytes instead of 4097",
		"less comes out than it says");
	make_bzimage(&packed, ELF_SIZE - 1, true, &less);
	is_refused(&less, "a segment lies beyond its end",
		"more would come out than it says: cut there");
	make_bzimage(&packed, 0xfffffff0, true, &huge);
	is_refused(&huge, "says that it unpacks to 4294967280 bytes",
		"4 GiB are not even begun");
	make_elf(&none, 7);
	is_refused(&none, "no PVH entry", "a kernel without PVH");
}

/* A bomb: a small file that unpacks to more than anybody wants. */
static void
test_bomb(void)
{
	CLEANUP_BUF struct buf zeros = BUF_INIT, packed = BUF_INIT,
		bz = BUF_INIT, got = BUF_INIT;
	struct err err = ERR_INIT;

	buf_grow(&zeros, (size_t)64 << 20);
	memset(zeros.s, 0, (size_t)64 << 20);
	buf_setlen(&zeros, (size_t)64 << 20);
	compress_with(&zeros, archive_write_add_filter_zstd, &packed);
	make_bzimage(&packed, 8192, true, &bz);
	ok(packed.len < 65536 && kernel_extract(bz.s, bz.len, &got, &err) &&
		!got.len && strstr(err.msg, "there is no vmlinux in it"),
		"64 MiB of zeros, said to be 8 KiB: stops there");
}

static void
test_cut(void)
{
	CLEANUP_BUF struct buf elf = BUF_INIT, packed = BUF_INIT,
		bz = BUF_INIT;
	size_t n, end, passed = 0;

	make_elf(&elf, PVH);
	lz4_legacy(&elf, &packed);
	make_bzimage(&packed, ELF_SIZE, true, &bz);
	end = bz.len - strlen("what follows is not looked at");
	for (n = 0; n < end; n += n < 2000 ? 1 : 37) {
		CLEANUP_BUF struct buf got = BUF_INIT;
		/* its own block, so that a read beyond it is seen */
		char *copy = malloc(n ? n : 1);
		struct err err = ERR_INIT;

		memcpy(copy, bz.s, n);
		passed += !kernel_extract(copy, n, &got, &err);
		free(copy);
	}
	is_int((int64_t)passed, 0, "a bzImage cut anywhere is refused");
	for (n = 0; n < elf.len; n++) {
		CLEANUP_BUF struct buf got = BUF_INIT;
		char *copy = malloc(n ? n : 1);
		struct err err = ERR_INIT;

		memcpy(copy, elf.s, n);
		passed += !kernel_extract(copy, n, &got, &err);
		free(copy);
	}
	is_int((int64_t)passed, 0, "a vmlinux cut anywhere is refused");
}

/* A module with the given .modinfo (NUL-separated, n bytes). */
static void
make_module(const char *info, size_t n, struct buf *b)
{
	static const char names[] = "\0.shstrtab\0.modinfo";
	Elf64_Ehdr eh = { .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3,
		.e_shstrndx = 1 };
	Elf64_Shdr sh[3] = { { .sh_type = SHT_NULL },
		{ .sh_name = 1, .sh_type = SHT_STRTAB,
			.sh_offset = sizeof(eh), .sh_size = sizeof(names) },
		{ .sh_name = 11, .sh_type = SHT_PROGBITS,
			.sh_offset = sizeof(eh) + sizeof(names),
			.sh_size = n } };

	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_shoff = sizeof(eh) + sizeof(names) + n;
	buf_add(b, &eh, sizeof(eh));
	buf_add(b, names, sizeof(names));
	buf_add(b, info, n);
	buf_add(b, sh, sizeof(sh));
}

static void
test_modinfo(void)
{
	static const char info[] = "license=GPL\0depends=virtio,virtio_ring\0"
				   "x=";
	CLEANUP_BUF struct buf m = BUF_INIT, open = BUF_INIT;
	size_t n, passed = 0;

	make_module(info, sizeof(info), &m);
	is_str(module_info(m.s, m.len, "depends"), "virtio,virtio_ring",
		"depends");
	is_str(module_info(m.s, m.len, "x"), "", "an empty value");
	ok(!module_info(m.s, m.len, "depend"), "a key is matched whole");
	for (n = 0; n < m.len; n++) {
		char *copy = malloc(n ? n : 1);

		memcpy(copy, m.s, n);
		passed += module_info(copy, n, "depends") != NULL;
		free(copy);
	}
	is_int((int64_t)passed, 0, "a module cut anywhere has none");
	make_module("depends=a", 9, &open);
	ok(!module_info(open.s, open.len, "depends"),
		"a value without its NUL is none");
}

static void
sign(struct buf *b, uint32_t says, size_t really)
{
	char info[12] = { 0 };
	size_t i;

	for (i = 0; i < really; i++)
		buf_addc(b, 's');
	for (i = 0; i < 4; i++)
		info[8 + i] = (char)(says >> (24 - 8 * i));
	buf_add(b, info, sizeof(info));
	buf_adds(b, "~Module signature appended~\n");
}

static void
test_trim(void)
{
	CLEANUP_BUF struct buf m = BUF_INIT, lie = BUF_INIT, tiny = BUF_INIT;
	size_t plain;

	make_module("depends=", 9, &m);
	/* the second section's name becomes the one to be hidden */
	memcpy(m.s + 64 + 1, ".BTF", 5);
	plain = m.len;
	sign(&m, 300, 300);
	module_trim(&m);
	is_int((int64_t)m.len, (int64_t)plain, "the signature is cut off");
	ok(!memcmp(m.s + 64 + 1, ".bTF", 5), "type information is hidden");
	is_str(module_info(m.s, m.len, "depends"), "", "the rest is as it was");
	module_trim(&m);
	is_int((int64_t)m.len, (int64_t)plain, "what has none stays whole");
	make_module("depends=", 9, &lie);
	plain = lie.len;
	sign(&lie, 0xffffffff, 3);
	module_trim(&lie);
	is_int((int64_t)lie.len, (int64_t)plain + 3 + 40,
		"a signature longer than the file is none");
	buf_adds(&tiny, "~Module signature appended~\n");
	module_trim(&tiny);
	is_int((int64_t)tiny.len, 28, "nor is one without its trailer");
}

static void
write_module(const char *path, const char *depends)
{
	CLEANUP_BUF struct buf info = BUF_INIT, m = BUF_INIT;
	FILE *f = fopen(path, "we");

	buf_addf(&info, "depends=%s", depends);
	make_module(info.s, info.len + 1, &m);
	if (!f || fwrite(m.s, 1, m.len, f) != m.len || fclose(f))
		printf("Bail out! %s\n", path);
}

static int
note_name(const struct module *mod, void *arg)
{
	buf_addf(arg, "%s ", mod->name);
	return 0;
}

static void
order_is(const char *want, const char *error, const char *name)
{
	struct modules m = MODULES_INIT;
	CLEANUP_BUF struct buf got = BUF_INIT;
	struct err err = ERR_INIT;
	int rc = modules_scan(&m, "m", &err) ||
		modules_order(&m, note_name, &got, &err);

	if (error)
		ok(rc && strstr(err.msg, error), name);
	else
		ok(!rc && !strcmp(got.s, want), name);
	printf("# %s%s\n", got.s, err.msg);
	modules_release(&m);
}

static void
test_order(void)
{
	CLEANUP_BUF struct buf plain = BUF_INIT, packed = BUF_INIT;
	FILE *f;

	order_is(NULL, "cannot read the modules", "no directory");
	(void)mkdir("m", 0755);
	order_is(NULL, "no 'virtio_console' among them", "an empty one");
	write_module("m/virtio_console.ko", "virtio,virtio-ring");
	write_module("m/virtio.ko", "virtio_ring");
	write_module("m/virtio-ring.ko", "");
	write_module("m/overlay.ko", "");
	tmp_write("m/modules.builtin", "kernel/fs/erofs/erofs.ko\n"
		"kernel/drivers/block/virtio_blk.ko\n");
	order_is("virtio_ring virtio virtio_console overlay ", NULL,
		"what is needed comes first, once; what is built in, never");
	make_module("depends=virtio", 15, &plain);
	compress_with(&plain, archive_write_add_filter_xz, &packed);
	f = fopen("m/virtio_net.ko.xz", "we");
	ok(f && fwrite(packed.s, 1, packed.len, f) == packed.len &&
		!fclose(f), "a compressed one");
	order_is("virtio_ring virtio virtio_console virtio_net overlay ",
		NULL, "is taken too");
	write_module("m/virtio-ring.ko", "virtio");
	order_is(NULL, "depends on itself", "a circle");
	write_module("m/virtio-ring.ko", "gone");
	order_is(NULL, "'gone' is missing", "a missing one");
}

static void
test_files(void)
{
	CLEANUP_KERNEL struct kernel k = KERNEL_INIT;
	CLEANUP_BUF struct buf elf = BUF_INIT;
	struct err err = ERR_INIT;
	FILE *f = fopen("vmlinux", "we");

	make_elf(&elf, PVH);
	ok(f && fwrite(elf.s, 1, elf.len, f) == elf.len && !fclose(f) &&
		!kernel_from_files("vmlinux", NULL, &k, &err), "from a file");
	is_str(k.version, "9.8.7-test", "its version");
	is_str(k.source, "vmlinux", "its source");
	ok(!k.modules.known, "no modules: all is built in");
}

int
main(void)
{
	tmp_enter();
	test_forms();
	test_legacy();
	test_lies();
	test_bomb();
	test_cut();
	test_modinfo();
	test_trim();
	test_order();
	test_files();
	tmp_leave();
	return done();
}
