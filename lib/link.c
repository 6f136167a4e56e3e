/* The algorithm is the one of RFC 8288, appendix B.3, with two departures, for it takes in what the grammar forbids: a
 * value without quotes ends at white space too, and a link that has rubbish behind it is passed over together with
 * that, up to the next comma outside of <> and quotes. So `<a> rel=next, <b>; rel=next` has one link.
 *
 * A field is copied, so that quoted strings are unescaped where they stand. */
#include "lib/link.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/head.h"
#include "lib/printable.h"
#include "lib/url.h"

#define LINK_SHOWN 60 /* characters of what is not understood */

struct span {
	const char *p;
	size_t n;
};

struct link {
	struct span target, rel, anchor;
	bool has_rel, has_anchor;
};

struct reader {
	char *p, *end;
	const char *unclear; /* the first that is not in the grammar; NULL */
};

/* ---- References ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span trim(struct span s)
{
	while (s.n && is_space(*s.p))
		s.p++, s.n--;
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

static struct span without_fragment(struct span s)
{
	const char *hash = memchr(s.p, '#', s.n);

	return hash ? (struct span){.p = s.p, .n = (size_t)(hash - s.p)} : s;
}

static char *copy(struct span s)
{
	char *text = strndup(s.p, s.n);

	if (!text)
		BUG("out of memory for %zu bytes of a header", s.n);
	return text;
}

/* The whole URL as libcurl would send it. It writes bytes beyond ASCII and spaces as percent signs, as it does with
 * those of a redirect. */
static char *get_whole(CURLU *u, struct err *e)
{
	char key[URL_KEY_SIZE], *whole = NULL, *url = NULL;

	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &whole, 0)) {
		err_set(e, ERR_INPUT, NULL, "the URL cannot be used");
		return NULL;
	}
	if (url_key(whole, key, e) == 0)
		url = copy((struct span){.p = whole, .n = strlen(whole)});
	curl_free(whole);
	return url;
}

char *link_resolve(const char *url, const char *ref, size_t n, struct err *e)
{
	const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE | CURLU_ALLOW_SPACE;
	char *text = copy(without_fragment(trim((struct span){.p = ref, .n = n})));
	CURLU *u = curl_url();
	char *whole = NULL;
	CURLUcode rc;

	if (!u)
		BUG("out of memory for a URL");
	rc = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	/* libcurl would take an empty one to be the directory. */
	if (!rc && text[0])
		rc = curl_url_set(u, CURLUPART_URL, text, flags);
	if (rc)
		err_set(e, ERR_INPUT, NULL, "the URL cannot be used: %s", curl_url_strerror(rc));
	else
		whole = get_whole(u, e);
	curl_url_cleanup(u);
	free(text);
	return whole;
}

/* ---- Reading ---- */

static bool take(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && is_space(*r->p))
		r->p++;
}

/* Up to white space or one of `stops`. */
static struct span read_run(struct reader *r, const char *stops)
{
	const char *from = r->p;

	while (r->p < r->end && !is_space(*r->p) && !strchr(stops, *r->p))
		r->p++;
	return (struct span){.p = from, .n = (size_t)(r->p - from)};
}

static void note_unclear(struct reader *r, const char *from)
{
	if (!r->unclear)
		r->unclear = from;
}

/* After its opening quote. One that is not closed has all of the rest. */
static struct span read_quoted(struct reader *r)
{
	char *from = r->p, *to = r->p;

	while (r->p < r->end && *r->p != '"') {
		if (*r->p == '\\' && r->p + 1 < r->end)
			r->p++;
		*to++ = *r->p++;
	}
	if (!take(r, '"'))
		note_unclear(r, from - 1);
	return (struct span){.p = from, .n = (size_t)(to - from)};
}

/* After the opening <. False where no > follows: then nothing does. */
static bool read_target(struct reader *r, struct span *target)
{
	char *close = memchr(r->p, '>', (size_t)(r->end - r->p));

	*target = (struct span){.p = r->p, .n = (size_t)((close ? close : r->end) - r->p)};
	r->p = close ? close + 1 : r->end;
	return close != NULL;
}

static bool is_named(struct span s, const char *name)
{
	return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

/* The first of a name counts (sections 3.2 and 3.3). */
static void note_parameter(struct link *l, struct span name, struct span value)
{
	if (is_named(name, "rel") && !l->has_rel) {
		l->rel = value;
		l->has_rel = true;
	} else if (is_named(name, "anchor") && !l->has_anchor) {
		l->anchor = value;
		l->has_anchor = true;
	}
}

/* Up to the comma behind them, or the end. False at what is no parameter. */
static bool read_parameters(struct reader *r, struct link *l)
{
	for (;;) {
		struct span name, value = {.p = ""};

		skip_space(r);
		if (r->p == r->end || *r->p == ',')
			return true;
		if (!take(r, ';'))
			return false;
		skip_space(r);
		name = read_run(r, "=;,");
		skip_space(r);
		if (take(r, '=')) {
			skip_space(r);
			value = take(r, '"') ? read_quoted(r) : read_run(r, ";,");
		}
		note_parameter(l, name, value);
	}
}

/* To the next comma that is none of a URI's or string's. */
static void skip_rest(struct reader *r)
{
	struct span target;

	while (r->p < r->end && *r->p != ',') {
		if (take(r, '<'))
			read_target(r, &target);
		else if (take(r, '"'))
			read_quoted(r);
		else
			r->p++;
	}
}

static bool read_link(struct reader *r, struct link *l)
{
	while (r->p < r->end) {
		const char *from;

		*l = (struct link){.rel.p = ""};
		skip_space(r);
		from = r->p;
		if (r->p == r->end || take(r, ','))
			continue;
		if (take(r, '<') && read_target(r, &l->target) && read_parameters(r, l)) {
			take(r, ',');
			return true;
		}
		note_unclear(r, from);
		skip_rest(r);
		take(r, ',');
	}
	return false;
}

/* ---- Choosing ---- */

/* Takes a word off the front. False where there is none. */
static bool next_word(struct span *s, struct span *word)
{
	*s = trim(*s);
	word->p = s->p;
	while (s->n && !is_space(*s->p))
		s->p++, s->n--;
	word->n = (size_t)(s->p - word->p);
	return word->n > 0;
}

static bool has_relation(const struct link *l, const char *rel)
{
	struct span rest = l->rel, type;

	while (next_word(&rest, &type))
		if (is_named(type, rel))
			return true;
	return false;
}

/* Whether what links is what was asked for; a part of it is something else. */
static bool has_our_context(const struct link *l, const char *url)
{
	char *ours, *context;
	bool same;

	if (!l->has_anchor)
		return true;
	if (memchr(l->anchor.p, '#', l->anchor.n))
		return false;
	ours = link_resolve(url, "", 0, NULL);
	context = link_resolve(url, l->anchor.p, l->anchor.n, NULL);
	same = ours && context && strcmp(ours, context) == 0;
	free(ours);
	free(context);
	return same;
}

static bool find_in(struct reader *r, const char *url, const char *rel, struct span *target)
{
	struct link l;

	while (read_link(r, &l)) {
		if (has_relation(&l, rel) && has_our_context(&l, url)) {
			*target = l.target;
			return true;
		}
	}
	return false;
}

/* As link_find. Where there is none, and something of the fields is not in the grammar, `unclear` is that. */
static int find(const char *head, const char *url, const char *rel, char **target, char *unclear, size_t size,
		struct err *e)
{
	struct head_value v;
	int found = 0;

	*unclear = '\0';
	while (!found && head_next(&head, "Link", &v)) {
		char *field = copy((struct span){.p = v.p, .n = v.n});
		struct reader r = {.p = field, .end = field + v.n};
		struct span s;

		if (find_in(&r, url, rel, &s)) {
			*target = link_resolve(url, s.p, s.n, e);
			found = *target ? 1 : -1;
		} else if (r.unclear && !*unclear) {
			/* From the header itself: the copy may be unescaped by now. */
			text_printable(unclear, size, v.p + (r.unclear - field), v.n - (size_t)(r.unclear - field),
				       LINK_SHOWN);
		}
		free(field);
	}
	return found;
}

int link_find(const char *head, const char *url, const char *rel, char **target, struct err *e)
{
	char unclear[4 * LINK_SHOWN + 1];

	return find(head, url, rel, target, unclear, sizeof unclear, e);
}

int link_find_next(const char *head, const char *url, char **target, struct err *e)
{
	char unclear[4 * LINK_SHOWN + 1];
	int found = find(head, url, "next", target, unclear, sizeof unclear, e);

	if (found || !*unclear)
		return found;
	err_set(e, ERR_INPUT, NULL, "%s", unclear);
	return -2;
}
