/*
 * mask: text from elsewhere, made harmless for a terminal.
 */
#ifndef FORGE_BASE_MASK_H
#define FORGE_BASE_MASK_H

#include <stddef.h>

/*
 * Replace in place what could steer a terminal by '?': control bytes but
 * newline, tab and carriage return, and the control characters that UTF-8
 * has beyond ASCII; in another locale all bytes beyond ASCII.
 */
void mask_text(char *s, size_t n);

#endif
