/* Strict: a total that is too small ends a run early, and one too large fails it. */
#define _GNU_SOURCE 1

#include "lib/totals.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/head.h"
#include "lib/link.h"

#define DIGITS_MAX 16
#define COUNT_MAX  (INT64_C(1) << 53) /* what JSON can have, too */

int64_t totals_count(const char *p, size_t n)
{
	int64_t v = 0;

	if (n == 0 || n > DIGITS_MAX)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v <= COUNT_MAX ? v : -1;
}

static int64_t count_of(const char *head, const char *name)
{
	struct head_value v;

	return head_only(head, name, &v) ? totals_count(v.p, v.n) : -1;
}

/* ---- Items ---- */

/* "0-99", all of it, within `total`; or "*". */
static bool is_range(const char *p, size_t n, int64_t total)
{
	const char *dash = memchr(p, '-', n);
	int64_t first, last;

	if (!dash)
		return n == 1 && *p == '*';
	first = totals_count(p, (size_t)(dash - p));
	last = totals_count(dash + 1, n - (size_t)(dash + 1 - p));
	return first >= 0 && first <= last && last < total;
}

/* RFC 9110, section 14.4: a unit, a space, a range, a slash, the total. Some leave out the unit. */
static int64_t total_of_range(const char *p, size_t n)
{
	const char *space = memchr(p, ' ', n), *range = space ? space + 1 : p, *end = p + n;
	const char *slash = memrchr(range, '/', (size_t)(end - range));
	int64_t total = slash ? totals_count(slash + 1, (size_t)(end - slash - 1)) : -1;

	if (total < 0 || (space && (size_t)(space - p) == 5 && strncasecmp(p, "bytes", 5) == 0))
		return -1;
	return is_range(range, (size_t)(slash - range), total) ? total : -1;
}

int64_t totals_items(const char *head)
{
	int64_t n = count_of(head, "X-Total-Count");
	struct head_value v;

	if (n >= 0 || !head_only(head, "Content-Range", &v))
		return n;
	return total_of_range(v.p, v.n);
}

/* ---- Pages ---- */

/* Whether a name as it stands in a query is `param`. */
static bool is_named(const char *p, size_t n, const char *param)
{
	int len = 0;
	char *name;
	bool same;

	if (n == strlen(param) && memcmp(p, param, n) == 0)
		return true;
	if (n == 0)
		return false;
	name = curl_easy_unescape(NULL, p, (int)n, &len);
	same = name && strlen(param) == (size_t)len && memcmp(name, param, (size_t)len) == 0;
	curl_free(name);
	return same;
}

/* The number of a parameter in a URL without a fragment; one that is there twice has none. */
static int64_t parameter(const char *url, const char *param)
{
	const char *p = strchr(url, '?');
	int64_t found = -1;
	bool told = false;

	for (; p && *p; p += strcspn(p, "&")) {
		const char *name = ++p, *end = p + strcspn(p, "&"), *is = memchr(p, '=', (size_t)(end - p));

		if (!is || !is_named(name, (size_t)(is - name), param))
			continue;
		if (told)
			return -1;
		told = true;
		found = totals_count(is + 1, (size_t)(end - is - 1));
	}
	return found;
}

int64_t totals_pages(const char *head, const char *url, const char *param, int64_t start)
{
	int64_t n = count_of(head, "X-Total-Pages");
	char *last;

	if (n >= 0 || !param[0] || link_find(head, url, "last", &last, NULL) != 1)
		return n;
	n = parameter(last, param);
	free(last);
	return n >= start && n - start < COUNT_MAX ? n - start + 1 : -1;
}
