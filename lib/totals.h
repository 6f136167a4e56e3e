/* How many pages or items there are, as responses tell it in their heads. -1: not told, or nonsense. At most 2^53,
 * which is what messages take. */
#ifndef FANOUT_LIB_TOTALS_H
#define FANOUT_LIB_TOTALS_H

#include <stddef.h>
#include <stdint.h>

/* X-Total-Count, or else Content-Range ("items 0-99/1600"), unless that counts bytes. */
int64_t totals_items(const char *head);
/* X-Total-Pages, or else the number that Link rel="last" has in its query parameter `param` ("": none), `start` being
 * the first page's number. `url` is what was asked for. */
int64_t totals_pages(const char *head, const char *url, const char *param, int64_t start);

/* The whole of p[0..n) as a count: digits, up to 2^53. */
int64_t totals_count(const char *p, size_t n);

#endif
