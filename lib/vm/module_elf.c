#include "lib/vm/modules.h"

#include <elf.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define SIGNED "~Module signature appended~\n"

/* The section header i, when it and what it describes are inside. */
static bool
section(const char *p, size_t n, const Elf64_Ehdr *eh, size_t i,
	Elf64_Shdr *sh)
{
	if (eh->e_shoff > n || (n - eh->e_shoff) / sizeof(*sh) <= i)
		return false;
	memcpy(sh, p + eh->e_shoff + i * sizeof(*sh), sizeof(*sh));
	return sh->sh_type != SHT_NOBITS && sh->sh_offset <= n &&
		sh->sh_size <= n - sh->sh_offset;
}

/* In a section of NUL-terminated strings; the last must have its NUL. */
static const char *
find_info(const char *s, size_t n, const char *key)
{
	size_t k = strlen(key);

	while (n) {
		const char *nul = memchr(s, '\0', n);

		if (!nul)
			return NULL;
		if ((size_t)(nul - s) > k && !memcmp(s, key, k) && s[k] == '=')
			return s + k + 1;
		n -= (size_t)(nul - s) + 1;
		s = nul + 1;
	}
	return NULL;
}

/* The ELF header and that of the section names. */
static bool
open_elf(const void *p, size_t n, Elf64_Ehdr *eh, Elf64_Shdr *names)
{
	if (n < sizeof(*eh))
		return false;
	memcpy(eh, p, sizeof(*eh));
	return !memcmp(eh->e_ident, ELFMAG, SELFMAG) &&
		eh->e_ident[EI_CLASS] == ELFCLASS64 &&
		eh->e_shentsize == sizeof(*names) &&
		section(p, n, eh, eh->e_shstrndx, names);
}

/* name with its NUL is size bytes. */
static bool
is_named(const char *p, const Elf64_Shdr *names, const Elf64_Shdr *sh,
	const char *name, size_t size)
{
	return sh->sh_name <= names->sh_size &&
		names->sh_size - sh->sh_name >= size &&
		!memcmp(p + names->sh_offset + sh->sh_name, name, size);
}

const char *
module_info(const void *data, size_t n, const char *key)
{
	static const char name[] = ".modinfo";
	const char *p = data;
	Elf64_Shdr sh, names;
	Elf64_Ehdr eh;
	size_t i;

	if (!open_elf(p, n, &eh, &names))
		return NULL;
	for (i = 0; i < eh.e_shnum; i++)
		if (section(p, n, &eh, i, &sh) &&
			is_named(p, &names, &sh, name, sizeof(name)))
			return find_info(p + sh.sh_offset, sh.sh_size, key);
	return NULL;
}

/* The bytes of the appended signature with its trailer; 0 without one. */
static size_t
signature(const struct buf *b)
{
	const size_t magic = sizeof(SIGNED) - 1, info = 12;
	const unsigned char *p;
	size_t n;

	if (b->len < magic + info ||
		memcmp(b->s + b->len - magic, SIGNED, magic) != 0)
		return 0;
	p = (const unsigned char *)b->s + b->len - magic - 4;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return n <= b->len - magic - info ? n + magic + info : 0;
}

void
module_trim(struct buf *b)
{
	static const char name[] = ".BTF";
	Elf64_Shdr sh, names;
	Elf64_Ehdr eh;
	size_t i;

	buf_setlen(b, b->len - signature(b));
	if (!open_elf(b->s, b->len, &eh, &names))
		return;
	for (i = 0; i < eh.e_shnum; i++)
		if (section(b->s, b->len, &eh, i, &sh) &&
			is_named(b->s, &names, &sh, name, sizeof(name)))
			b->s[names.sh_offset + sh.sh_name + 1] = 'b';
}
