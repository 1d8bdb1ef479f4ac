#include "lib/base/mask.h"

#include <stdbool.h>
#include <stdlib.h>

#include "lib/base/banned.h"

/*
 * U+0080 to U+009F are C2 80 to C2 9F: 80 to 9F alone is no character, and a
 * C2 at the end could be completed by what comes next.
 */
void
mask_text(char *s, size_t n)
{
	bool utf8 = MB_CUR_MAX > 1;
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		unsigned char next = i + 1 < n ? (unsigned char)s[i + 1] :
						 0x80;

		bool control = c == 0x7f ||
			(c < 0x20 && c != '\n' && c != '\t' && c != '\r');

		/* 0xc2 0x80 and on: the controls of ISO 6429 in UTF-8 */
		if (control || (c >= 0x80 && !utf8) ||
			(c == 0xc2 && next >= 0x80 && next < 0xa0))
			s[i] = '?';
	}
}
