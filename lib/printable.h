/* Text that came from a server, made fit for a terminal, a log and JSON. */
#ifndef FANOUT_LIB_PRINTABLE_H
#define FANOUT_LIB_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Copies at most `chars` characters of p[0..n) into `out` (`size` bytes with the NUL; 4 * chars + 1 always suffice) as
 * valid UTF-8 on one line: white space becomes one space, control characters, those that turn the direction of writing
 * and invalid bytes become "?". Returns the length. */
size_t text_printable(char *out, size_t size, const void *p, size_t n, size_t chars);

/* The same without what stands between < and >. */
size_t text_printable_html(char *out, size_t size, const void *p, size_t n, size_t chars);

/* Whether p[0..n), possibly cut short, reads as UTF-8 text. */
bool text_is_text(const void *p, size_t n);

#endif
