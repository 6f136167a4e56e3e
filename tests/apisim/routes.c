/* The route table: the single place where a path is named. README.md's list is `apisim --routes`. */
#include "tests/apisim/routes.h"

#include <stdio.h>
#include <string.h>

#include "tests/apisim/handlers.h"

/* A path that ends in "/" takes whatever follows; any other is matched whole. `rest` is that, and the query, for
 * people. */
static const struct route {
	const char *path, *rest;
	void (*handle)(struct request *req);
	const char *help;
} routes[] = {
    {"/delay/", "SECONDS", plain_delay, "answers after so many seconds (0.25 is fine)"},
    {"/uuid", "", plain_uuid, "a fresh version 4 UUID"},
    {"/status/", "CODE", plain_status, "that status, 200 to 999"},
    {"/bytes/", "N[?chunked=1]", plain_bytes, "N bytes, byte i is i mod 251; streamed"},
    {"/echo", "", plain_echo, "the request as JSON, with its number in order of arrival and its connection's"},
    {"/json", "", plain_json, "a small JSON document"},
    {"/redirect/", "N", plain_redirect, "302 to /redirect/N-1; 0 answers 200"},
    {"/redirect-to", "?url=U[&code=302]", plain_redirect_to, "a redirect to U"},
    {"/basic/", "USER/PASSWORD", plain_basic, "401 without these credentials (basic)"},
    {"/bearer/", "TOKEN", plain_bearer, "401 without this token (Authorization: Bearer)"},
    {"/gzip", "", zipped_gzip, "a small JSON document, gzipped"},
    {"/bomb", "?mib=N", zipped_bomb, "N MiB of zeros, gzipped, streamed"},
    {"/gzip-broken", "", zipped_broken, "says gzip, and is not after the first bytes"},
    {"/drip", "?bytes=N&seconds=S", hostile_drip, "N bytes, evenly over S seconds"},
    {"/reset", "[?bytes=500]", hostile_reset, "a TCP reset after so many of 1000 bytes; 0: before any answer"},
    {"/empty", "", hostile_empty, "closes without a byte"},
    {"/close-early", "[?n=1000]", hostile_close_early, "announces n bytes, sends half, closes"},
    {"/chunk-cut", "", hostile_chunk_cut, "closes in the middle of a chunk"},
    {"/conflict", "", hostile_conflict, "two different Content-Lengths"},
    {"/hang", "", hostile_hang, "never answers"},
    {"/garbage", "", hostile_garbage, "something that is not HTTP"},
    {"/endless-header", "", hostile_endless_header, "a header line without an end"},
    {"/soft-error", "", hostile_soft_error, "an error that calls itself 200"},
    {"/flaky", "?id=X&fail=N[&code=503]", memory_flaky, "fails the first N requests for X"},
    {"/once/", "ID", memory_once, "counts requests for ID, at their arrival"},
    {"/once", "", memory_once, "the counts: how many ids, which more than once; DELETE forgets (also ?list=1)"},
    {"/log", "?channel=X[&code=200]", memory_log, "POST appends to X; GET the order of arrival; DELETE forgets"},
    {"/limit/", "NAME/...", limited_handle, "under that limit: as the route in ..., else a small JSON document"},
    {"/limit/", "NAME[?window=S][&list=1]", limited_handle,
     "PUT sets it (--help names its options); GET its statistics; DELETE forgets them"},
    {"/pages/", "NAME/...", paged_handle, "a page of those items; what follows NAME is at will"},
    {"/pages/", "NAME[?list=1]", paged_handle,
     "PUT sets it (--help names its options), PATCH alters it; GET what was asked for; DELETE forgets that"},
    {"/jitter/", "SPEC[?n=1000][&seed=1]", limited_jitter, "delays drawn from a distribution"},
    {"/stats", "", stats_show, "requests by path and host, connections, peaks; DELETE forgets"},
};

bool routes_answer(struct request *req, const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		const size_t n = strlen(routes[i].path);
		const bool prefix = routes[i].path[n - 1] == '/';

		if (strncmp(path, routes[i].path, n) != 0 || (!prefix && path[n]))
			continue;
		req->rest = path + n;
		routes[i].handle(req);
		return true;
	}
	return false;
}

void routes_dispatch(struct request *req)
{
	stats_on_request(req);
	if (!routes_answer(req, req->path))
		reply_text(req, 404, "no such route: %.200s\n", req->path);
}

void routes_done(struct request *req, bool answered)
{
	limited_on_done(req, answered);
	stats_on_done(req, answered);
}

void routes_print(void)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
		printf("- `%s%s`: %s\n", routes[i].path, routes[i].rest, routes[i].help);
}
