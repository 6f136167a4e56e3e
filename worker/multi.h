/* libcurl's multi handles driven by a libevent base: sockets and timers. Knows easy handles and no jobs. */
#ifndef FANOUT_WORKER_MULTI_H
#define FANOUT_WORKER_MULTI_H

#include <curl/curl.h>
#include <stdbool.h>

#include "lib/err.h"

struct event_base;
struct multi;

/* A transfer has ended. Called outside of libcurl's callbacks: the handle may be removed and others added here. */
typedef void multi_done_cb(CURL *easy, CURLcode rc, void *arg);

/* At most `connections` are kept open. NULL with an error where libcurl cannot. */
struct multi *multi_create(struct event_base *base, long connections, multi_done_cb *on_done, void *arg, struct err *e);
/* From now on so many are kept. */
void multi_keep(struct multi *m, long connections);
/* All handles have been removed. */
void multi_free(struct multi *m);

/* Where a URL's transfers go: connections are kept for those of one part. */
unsigned multi_part(const char *url);
/* Neither may be called from a callback of an easy handle. */
CURLMcode multi_add(struct multi *m, CURL *easy, unsigned part);
void multi_remove(struct multi *m, CURL *easy, unsigned part);
/* For CURLOPT_OPENSOCKETFUNCTION: has made a socket for libcurl. The only one that a callback may call. */
void multi_opened(struct multi *m, curl_socket_t fd);

/* Held, no transfer moves, until it is let go again. */
void multi_hold(struct multi *m, bool hold);

#endif
