/* Hands an easy handle its URL, parsed already as far as it is like that handle's last one. Parsing a URL and writing
 * it out again is an eighth of what libcurl does for a small GET; jobs for one origin differ only behind it. What goes
 * over the wire is the same either way. Knows no jobs. */
#ifndef FANOUT_WORKER_TARGET_H
#define FANOUT_WORKER_TARGET_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

struct target {
	CURLU *parsed;       /* origin and path of the last plain URL; the handle refers to it while in_parts */
	char *url;           /* the last one */
	size_t cap;          /* of url */
	size_t origin_bytes; /* of url, that `parsed` has; 0: it has nothing */
	bool in_parts;       /* the handle has CURLOPT_CURLU */
	bool with_query;     /* and CURLOPT_REQUEST_TARGET */
};

/* Not while a transfer of the handle's lasts. The first time on a zeroed struct. */
CURLcode target_set(struct target *t, CURL *easy, const char *url);
/* The handle was reset: it has none of this any more. */
void target_forget(struct target *t);
void target_clear(struct target *t);

#endif
