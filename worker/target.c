/* A plain URL is one that libcurl takes as it is written: nothing in it is encoded, decoded, folded, or left out.
 * Whether its origin is plain libcurl itself is asked, once; of path and query the bytes tell. All other URLs go to
 * libcurl whole, as they are. */
#include "worker/target.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME_HTTP  "http://"
#define SCHEME_HTTPS "https://"

/* Where a plain URL's origin ends and its query begins (NULL where there is none). */
struct cuts {
	size_t origin_bytes;
	const char *query;
};

static size_t scheme_length(const char *url)
{
	if (strncmp(url, SCHEME_HTTP, sizeof SCHEME_HTTP - 1) == 0)
		return sizeof SCHEME_HTTP - 1;
	return strncmp(url, SCHEME_HTTPS, sizeof SCHEME_HTTPS - 1) == 0 ? sizeof SCHEME_HTTPS - 1 : 0;
}

static bool is_visible(char c)
{
	return c > ' ' && c < 0x7f;
}

/* A path with a dot segment would be shortened, and one that is set as a part has its escapes in lower case. */
static bool is_plain_path(const char *p, const char *end)
{
	for (; p < end; p++)
		if (!is_visible(*p) || *p == '%' || (*p == '/' && p[1] == '.'))
			return false;
	return true;
}

/* The last condition: an empty query is sent, but is not part of what libcurl calls the URL. */
static bool is_plain_query(const char *p)
{
	const char *first = p;

	for (; *p; p++)
		if (!is_visible(*p) || *p == '#')
			return false;
	return p > first;
}

/* No '%' in an origin: curl_url_dup() leaves out the zone of "[fe80::1%25eth0]" (7.88). */
static bool find_cuts(const char *url, struct cuts *cuts)
{
	size_t scheme = scheme_length(url);
	const char *path = url + scheme + strcspn(url + scheme, "/?#\\%");
	const char *end;

	if (scheme == 0 || *path != '/')
		return false;
	end = path + strcspn(path, "?#");
	cuts->origin_bytes = (size_t)(path - url);
	cuts->query = *end == '?' ? end + 1 : NULL;
	return *end != '#' && is_plain_path(path, end) && (!cuts->query || is_plain_query(cuts->query));
}

static bool is_known(const struct target *t, const char *url, const struct cuts *cuts)
{
	return t->origin_bytes == cuts->origin_bytes && memcmp(t->url, url, cuts->origin_bytes) == 0;
}

static bool keep_url(struct target *t, const char *url)
{
	size_t n = strlen(url) + 1;

	if (n > t->cap) {
		char *p = realloc(t->url, n);

		if (!p)
			return false;
		t->url = p;
		t->cap = n;
	}
	memcpy(t->url, url, n);
	return true;
}

/* Another origin. It is plain when libcurl writes the URL as it was. */
static bool learn(struct target *t, const char *url)
{
	char *written = NULL;
	bool same;

	if (!t->parsed)
		t->parsed = curl_url();
	if (!t->parsed || curl_url_set(t->parsed, CURLUPART_URL, url, 0) ||
	    curl_url_get(t->parsed, CURLUPART_URL, &written, 0))
		return false;
	same = strcmp(written, url) == 0;
	curl_free(written);
	return same && curl_url_set(t->parsed, CURLUPART_QUERY, NULL, 0) == CURLUE_OK;
}

static bool set_path(struct target *t, const struct cuts *cuts)
{
	char *path = t->url + cuts->origin_bytes;
	char *mark = cuts->query ? path + strcspn(path, "?") : NULL;
	bool done;

	if (mark)
		*mark = '\0';
	done = curl_url_set(t->parsed, CURLUPART_PATH, path, 0) == CURLUE_OK;
	if (mark)
		*mark = '?';
	return done;
}

/* Has `parsed` be the URL without its query: that is sent as a part of the target, which libcurl copies, while a query
 * of its own would be printed twice. */
static bool parse(struct target *t, const char *url, struct cuts *cuts)
{
	bool plain = find_cuts(url, cuts), known = plain && is_known(t, url, cuts);

	t->origin_bytes = 0;
	if (!plain || !keep_url(t, url) || !(known || learn(t, url)) || !set_path(t, cuts))
		return false;
	t->origin_bytes = cuts->origin_bytes;
	return true;
}

CURLcode target_set(struct target *t, CURL *easy, const char *url)
{
	struct cuts cuts;
	bool in_parts = parse(t, url, &cuts), with_query = in_parts && cuts.query;
	CURLcode rc = CURLE_OK;

	if (in_parts != t->in_parts)
		rc |= curl_easy_setopt(easy, CURLOPT_CURLU, in_parts ? t->parsed : NULL);
	if (with_query || t->with_query)
		rc |= curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, with_query ? t->url + cuts.origin_bytes : NULL);
	t->in_parts = in_parts;
	t->with_query = with_query;
	return rc | curl_easy_setopt(easy, CURLOPT_URL, url);
}

void target_forget(struct target *t)
{
	t->in_parts = t->with_query = false;
}

void target_clear(struct target *t)
{
	curl_url_cleanup(t->parsed);
	free(t->url);
	*t = (struct target){0};
}
