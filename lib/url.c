/* URLs by libcurl's own parser. A host is compared in the form in which it is looked up: lower case, punycode, numbers
 * as dotted quads ("http://2130706433/" is 127.0.0.1), so that no spelling of a host has a limit of its own. */
#define _GNU_SOURCE 1

#include "lib/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 255

static int refuse(struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, URL_HINT, "the URL %s", why);
}

/* libcurl would accept or silently repair some of these. */
static int check_bytes(const char *url, struct err *e)
{
	size_t n = strnlen(url, URL_MAX_BYTES + 1);

	if (n > URL_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "move data from the query into a request body",
			       "the URL is longer than %d bytes", URL_MAX_BYTES);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)url[i];

		if (c <= ' ' || c == 0x7f)
			return err_set(e, ERR_INPUT, URL_HINT,
				       "the URL has a space or control byte (0x%02x) at byte %zu", c, i + 1);
	}
	return 0;
}

/* The "://" behind a scheme, or NULL. */
static const char *scheme_end(const char *url)
{
	size_t n = 0;

	while (url[n] && (isalnum((unsigned char)url[n]) || strchr("+-.", url[n])))
		n++;
	return n && strncmp(url + n, "://", 3) == 0 ? url + n : NULL;
}

static int check_scheme(CURLU *u, struct err *e)
{
	char *scheme = NULL;
	bool known;

	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0))
		return refuse(e, "has no scheme");
	known = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
	if (!known)
		err_set(e, ERR_INPUT, URL_HINT, "the URL's scheme is \"%.20s\", and only http and https are fetched",
			scheme);
	curl_free(scheme);
	return known ? 0 : -1;
}

/* A parsed http or https URL, or NULL. */
static CURLU *parse(const char *url, struct err *e)
{
	const char *scheme = scheme_end(url);
	CURLU *u;
	CURLUcode rc;

	if (check_bytes(url, e))
		return NULL;
	if (!scheme) {
		url_refuse_bare(url, e);
		return NULL;
	}
	u = curl_url();
	if (!u) {
		err_set(e, ERR_SYSTEM, NULL, "out of memory for a URL");
		return NULL;
	}
	rc = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	if (rc) {
		err_set(e, ERR_INPUT, URL_HINT, "the URL cannot be used: %s", curl_url_strerror(rc));
		goto bad;
	}
	if (check_scheme(u, e))
		goto bad;
	/* libcurl takes it for http://x; RFC 3986, section 3.2 */
	if (strncmp(scheme, ":///", 4) == 0) {
		refuse(e, "has no host");
		goto bad;
	}
	return u;
bad:
	curl_url_cleanup(u);
	return NULL;
}

/* Lower case, and without the dot of a fully qualified name. Returns the length; 0 when nothing sensible is left. */
static size_t normalise_host(char *host)
{
	size_t n = strlen(host);

	if (n && host[n - 1] == '.')
		host[--n] = '\0';
	for (size_t i = 0; i < n; i++)
		host[i] = (char)tolower((unsigned char)host[i]);
	return n <= HOST_MAX ? n : 0;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* libcurl takes a host with bytes beyond ASCII to be in the locale's encoding, and a daemon has none: it is told UTF-8
 * for as long as it looks. */
static int get_punycode(CURLU *u, char **host)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before;
	CURLUcode rc;

	if (!utf8)
		return -1;
	before = uselocale(utf8);
	rc = curl_url_get(u, CURLUPART_HOST, host, CURLU_PUNYCODE);
	uselocale(before);
	freelocale(utf8);
	return rc ? -1 : 0;
}

/* The host as it is looked up. */
static int get_host(CURLU *u, char **host)
{
	if (curl_url_get(u, CURLUPART_HOST, host, 0))
		return -1;
	if (is_ascii(*host))
		return 0;
	curl_free(*host);
	*host = NULL;
	return get_punycode(u, host);
}

int url_key(const char *url, char *key, struct err *e)
{
	CURLU *u = parse(url, e);
	char *host = NULL, *port = NULL;
	int rc = -1;

	if (!u)
		return -1;
	if (get_host(u, &host) || normalise_host(host) == 0) {
		refuse(e, "has no usable host");
		goto out;
	}
	if (curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) || strlen(port) > 5 || strcmp(port, "0") == 0) {
		refuse(e, "has no usable port");
		goto out;
	}
	snprintf(key, URL_KEY_SIZE, "%s:%s", host, port);
	rc = 0;
out:
	curl_free(port);
	curl_free(host);
	curl_url_cleanup(u);
	return rc;
}

/* "name:password" from the URL's parts, percent-decoded; NULL and an error where they can't be used. */
static char *join_user(CURLU *u, struct err *e)
{
	char *name = NULL, *password = NULL, *joined = NULL;
	CURLUcode rc = curl_url_get(u, CURLUPART_USER, &name, CURLU_URLDECODE);

	if (rc && rc != CURLUE_NO_USER) {
		refuse(e, "has a user name with control bytes");
		goto out;
	}
	rc = curl_url_get(u, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
	if (rc && rc != CURLUE_NO_PASSWORD) {
		refuse(e, "has a password with control bytes");
		goto out;
	}
	if (name && strchr(name, ':')) { /* RFC 7617, section 2 */
		refuse(e, "has a colon in its user name, which basic authentication cannot carry");
		goto out;
	}
	if (asprintf(&joined, "%s:%s", name ? name : "", password ? password : "") < 0) {
		joined = NULL;
		err_set(e, ERR_SYSTEM, NULL, "out of memory for a URL");
	}
out:
	curl_free(name);
	curl_free(password);
	return joined;
}

static bool has_user(CURLU *u)
{
	char *part = NULL;
	bool found = curl_url_get(u, CURLUPART_USER, &part, 0) == CURLUE_OK;

	curl_free(part);
	part = NULL;
	found = curl_url_get(u, CURLUPART_PASSWORD, &part, 0) == CURLUE_OK || found;
	curl_free(part);
	return found;
}

int url_split_user(const char *url, char **clean, char **user, struct err *e)
{
	CURLU *u;
	char *text = NULL;
	int rc = -1;

	*clean = *user = NULL;
	if (!strchr(url, '@'))
		return 0;
	u = parse(url, e);
	if (!u)
		return -1;
	if (!has_user(u)) {
		rc = 0;
		goto out;
	}
	*user = join_user(u, e);
	if (!*user)
		goto out;
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK)
		*clean = strdup(text); /* the caller frees with free(), not curl_free() */
	if (!*clean) {
		free(*user);
		*user = NULL;
		err_set(e, ERR_SYSTEM, NULL, "out of memory for a URL");
		goto out;
	}
	rc = 0;
out:
	curl_free(text);
	curl_url_cleanup(u);
	return rc;
}

/* ---- what is asked for ---- */

static char *take(const char *s, size_t n)
{
	char *c = strndup(s, n);

	if (!c)
		BUG("out of memory for a URL");
	return c;
}

/* Where nothing can be changed on the way, the text is the answer: nearly always. */
static bool is_sent_as_written(const char *target)
{
	return *target == '/' && !strpbrk(target, "#\\") && !strstr(target, "/.") && !strcasestr(target, "/%2e");
}

char *url_target(const char *url)
{
	const char *scheme_end = strstr(url, "://");
	const char *written = scheme_end ? strpbrk(scheme_end + 3, "/?#\\") : NULL;
	char *path = NULL, *query = NULL, *target = NULL;
	CURLU *u;

	if (written && is_sent_as_written(written))
		return take(written, strlen(written));
	u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK) {
		curl_url_get(u, CURLUPART_QUERY, &query, 0);
		if (asprintf(&target, "%s%s%s", path, query ? "?" : "", query ? query : "") < 0)
			BUG("out of memory for a URL");
	}
	curl_free(path);
	curl_free(query);
	curl_url_cleanup(u);
	return target ? target : take("/", 1);
}
