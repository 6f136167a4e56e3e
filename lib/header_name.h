/* What a request header may be called: for those who read jobs and recipes, and for the worker, which trusts neither.
 */
#ifndef FANOUT_LIB_HEADER_NAME_H
#define FANOUT_LIB_HEADER_NAME_H

#include <stddef.h>

/* How many bytes the token (RFC 9110, section 5.6.2) has that `s` begins with. */
size_t header_token_length(const char *s);
/* The header that makes up the message itself, and so is libcurl's alone, that name[0..n) is in whatever case; NULL: it
 * is none of these. Static. */
const char *header_framing(const char *name, size_t n);

#endif
