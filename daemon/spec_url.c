/* A job's URL and its limit key. Most URLs of a submission share their authority with one before: those cost one
 * comparison instead of a look by lib/url. */
#include <stdlib.h>
#include <string.h>

#include "daemon/spec_private.h"

/* "https://host:port" of a URL whose key may be remembered by these bytes alone; 0 where it may not. */
static size_t authority_length(const char *url)
{
	const char *p = strstr(url, "://");
	size_t n;

	if (!p || p - url > 5)
		return 0;
	p += 3;
	n = strcspn(p, "/?#");
	if (n == 0 || memchr(p, '@', n) || memchr(p, '\\', n))
		return 0;
	return (size_t)(p - url) + n;
}

static struct spec_authority *authority_slot(struct spec_draft *d, const char *url, size_t len)
{
	unsigned h = 5381;

	for (size_t i = 0; i < len; i++)
		h = h * 33 + (unsigned char)url[i];
	return &d->authorities[h % SPEC_AUTHORITIES];
}

/* What url_key() says of the rest of a URL whose authority it has accepted. */
static bool rest_is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

/* d->job.url is set. Takes credentials out of it. */
static int split_user(struct spec_draft *d, struct err *e)
{
	char *clean, *user;

	if (url_split_user(d->job.url, &clean, &user, e))
		return -1;
	if (clean) {
		d->job.url = arena_copy(d->arena, clean, strlen(clean));
		if (!d->job.user) /* the member says it better */
			d->job.user = arena_copy(d->arena, user, strlen(user));
	}
	free(clean);
	free(user);
	return 0;
}

int spec_take_url(struct spec_draft *d, const char *s, size_t n, struct err *e)
{
	size_t len = authority_length(s);
	struct spec_authority *known = authority_slot(d, s, len);
	char key[URL_KEY_SIZE];

	d->job.url = arena_copy(d->arena, s, n);
	d->authority = len ? known : NULL;
	if (len && known->len == len && memcmp(known->prefix, s, len) == 0 && n <= URL_MAX_BYTES &&
	    rest_is_plain(s + len)) {
		d->job.limit_key = known->key;
		return 0;
	}
	if (url_key(s, key, e))
		return -1;
	d->job.limit_key = arena_copy(d->arena, key, strlen(key));
	if (len)
		*known = (struct spec_authority){.prefix = d->job.url, .len = len, .key = d->job.limit_key};
	return split_user(d, e);
}
