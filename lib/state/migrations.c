#include "lib/state/migrations.h"

#include <stddef.h>

#include "lib/base/mem.h"
#include "lib/base/banned.h"

/* The assembler reads the file, relative to the root of the source. */
#define SQL_FILE(name, file)                                                  \
	extern const char name[];                                             \
	__asm__(".pushsection .rodata\n"                                      \
		".global " #name "\n" #name ":\n"                             \
		".incbin \"share/migrations/" file "\"\n"                     \
		".byte 0\n"                                                   \
		".popsection\n")

SQL_FILE(migration_0001, "0001.sql");

const char *const migrations[] = { migration_0001, NULL };
const int migrations_count = ARRAY_SIZE(migrations) - 1;
