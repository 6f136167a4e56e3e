/* Base64 (RFC 4648, section 4), strict: padding is required, and nothing but the alphabet is taken. */
#ifndef FANOUT_LIB_BASE64_H
#define FANOUT_LIB_BASE64_H

#include <stddef.h>

/* With the NUL. */
#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1)

/* Writes BASE64_SIZE(n) bytes, the NUL included. Returns the length of the text. */
size_t base64_encode(char *out, const void *data, size_t n);

/* `out` has room for len / 4 * 3 bytes. Returns 0, or -1 for text that is not base64. */
int base64_decode(void *out, size_t *n, const char *text, size_t len);

#endif
