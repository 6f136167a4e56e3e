/* Link header fields (RFC 8288): where a response says that other pages are. Whatever a server wrote there is read as
 * far as it can be, in linear time; what breaks the grammar is passed over. Knows no page and no transfer. */
#ifndef FANOUT_LIB_LINK_H
#define FANOUT_LIB_LINK_H

#include <stddef.h>

#include "lib/err.h"

/* The target of the first link with the relation type `rel` in a response's head (lines ended by \n) to a request for
 * `url`. Links with another context (`anchor`) are not this response's and do not count. Returns 1 and sets *target, an
 * absolute http or https URL, to be freed; 0 where there is none; -1, with `e`, where it leads nowhere. */
int link_find(const char *head, const char *url, const char *rel, char **target, struct err *e);
/* The same for rel=next, where it matters that there is none: -2, with `e` what it is, where a part of the fields could
 * not be understood, and so may have been it. */
int link_find_next(const char *head, const char *url, char **target, struct err *e);

/* The reference ref[0..n) as an absolute http or https URL, seen from `url`; without a fragment, for that is not sent.
 * A new string; NULL, with `e`, where it is none. */
char *link_resolve(const char *url, const char *ref, size_t n, struct err *e);

#endif
