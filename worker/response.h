/* The head of a response as its lines come in: finds the final status line, stamps it, keeps the header text, and sees
 * the contradictions that libcurl overlooks. Knows nothing of libcurl. */
#ifndef FANOUT_WORKER_RESPONSE_H
#define FANOUT_WORKER_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONSE_ENCODING_MAX 80     /* of all Content-Encoding headers */
#define RESPONSE_HEAD_MAX     65536u /* bytes of all header lines of an attempt, 1xx and trailers included */

enum response_at { RESPONSE_AT_STATUS, RESPONSE_IN_HEAD, RESPONSE_IN_BODY };

struct response {
	enum response_at at;
	int status;            /* of the final status line; 0 before it */
	int64_t first_byte_us; /* CLOCK_BOOTTIME at the final status line */
	bool has_length, has_coding;
	int64_t content_length;
	char encoding[RESPONSE_ENCODING_MAX]; /* all Content-Encoding headers, as one list; "" where none */
	bool framing_line;                    /* the last line told the body's length */
	const char *fault;                    /* why this is not HTTP; NULL while it is */
	size_t bytes;                         /* of header lines seen */
	char *text;                           /* the kept lines, ended by \n; NUL-terminated once begun */
	size_t len, cap;
};

/* Forgets the last response and keeps the memory. A zeroed struct is a valid one. */
void response_begin(struct response *r);
void response_clear(struct response *r);

/* Takes one header line with its line end. Returns 0, or -1 once there is a fault. */
int response_line(struct response *r, const char *line, size_t n);

/* The head, "" where there is none. */
const char *response_text(const struct response *r);
/* Leaves of it as many whole lines as a message takes: what is stored. */
void response_cut(struct response *r);

#endif
