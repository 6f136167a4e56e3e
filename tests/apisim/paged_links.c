/* URLs of other pages, and Link headers (RFC 8288) in every dress that is legal, and in some that are not. */
#define _GNU_SOURCE
#include <ctype.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/paged.h"

/* ---- URLs ---- */

/* The path a position is added to: the request's own, without its own position. As it came, escapes and all. */
static char *base_path(const struct paged *p, const struct request *req)
{
	char *path = strndup(req->target, strcspn(req->target, "?"));
	char *last = p->set.in == IN_PATH ? paged_segment(path) : NULL;

	if (last)
		*last = '\0';
	return path;
}

static bool pair_is(const char *pair, size_t n, const char *name)
{
	const size_t length = strlen(name);

	return length > 0 && n >= length && strncmp(pair, name, length) == 0 && (n == length || pair[length] == '=');
}

/* The request's query, without its own position: an API's next link keeps what was asked for. */
static void add_query(struct evbuffer *out, const struct paged *p, const struct request *req)
{
	const char *query = strchr(req->target, '?');
	size_t n;

	for (query = query ? query + 1 : ""; *query; query += n + (query[n] == '&')) {
		n = strcspn(query, "&");
		if (n > 0 && !pair_is(query, n, p->set.param) && !pair_is(query, n, p->set.next_drop))
			evbuffer_add_printf(out, "%s%.*s", evbuffer_get_length(out) ? "&" : "", (int)n, query);
	}
}

static char *take_text(struct evbuffer *b)
{
	const size_t n = evbuffer_get_length(b);
	char *text = calloc(1, n + 1);

	evbuffer_remove(b, text, n);
	evbuffer_free(b);
	return text;
}

/* A legal query that a careless reader of Link headers cuts to pieces. */
#define COMMA_QUERY "fields=id,name;all"

/* Path and query of that place. */
static char *local_url(struct paged *p, const struct request *req, const struct paged_place *place, int64_t at)
{
	struct evbuffer *out = evbuffer_new(), *query = evbuffer_new();
	char *path = base_path(p, req), *address = paged_address(p, place, at);
	char *escaped = evhttp_uriencode(address, -1, 0);

	add_query(query, p, req);
	if (strcmp(paged_link_words[p->set.link_form], "comma") == 0 && !strstr(req->target, COMMA_QUERY))
		evbuffer_add_printf(query, "%s" COMMA_QUERY, evbuffer_get_length(query) ? "&" : "");
	if (p->set.in != IN_PATH)
		evbuffer_add_printf(query, "%s%s=%s", evbuffer_get_length(query) ? "&" : "", p->set.param, escaped);
	evbuffer_add_printf(out, "%s%s%s", path, p->set.in == IN_PATH ? "/" : "", p->set.in == IN_PATH ? escaped : "");
	if (evbuffer_get_length(query) > 0)
		evbuffer_add(out, "?", 1);
	evbuffer_add_buffer(out, query);
	evbuffer_free(query);
	free(escaped);
	free(address);
	free(path);
	return take_text(out);
}

/* `local` as a reference from the request's own URL: what follows the last slash they share. */
static const char *relative_part(const struct request *req, const char *local)
{
	const size_t path = strcspn(req->target, "?");
	const char *slash = memrchr(req->target, '/', path);
	const size_t shared = (size_t)(slash - req->target) + 1;

	return strncmp(local, req->target, shared) == 0 ? local + shared : local;
}

static char *join(const char *a, const char *b, const char *c)
{
	struct evbuffer *out = evbuffer_new();

	evbuffer_add_printf(out, "%s%s%s", a, b, c);
	return take_text(out);
}

static char *url_of(const struct paged *p, const struct request *req, const char *local)
{
	const char *host = request_header(req, "Host");

	switch (p->set.url) {
	case URL_PATH:
		return strdup(local);
	case URL_QUERY:
		return strdup(strchr(local, '?') ? strchr(local, '?') : local);
	case URL_RELATIVE:
		return strdup(relative_part(req, local));
	case URL_SCHEME:
		return join("//", host ? host : "", local);
	default:
		return join("http://", host ? host : "", local);
	}
}

char *paged_url(struct paged *p, const struct request *req, const struct paged_place *place, int64_t at, bool next)
{
	const bool odd = next && place->page >= p->set.next_from;
	char *local, *out;

	if (odd && p->set.next_url[0])
		return strdup(p->set.next_url);
	local = local_url(p, req, place, at);
	out = odd && p->set.next_origin[0] ? join(p->set.next_origin, local, "") : url_of(p, req, local);
	free(local);
	return out;
}

/* ---- Link headers ---- */

/* In a form, {u} is the URL, {r} the relation, {R} the same in capitals, {d} a URL that nobody should follow. */
static const struct {
	const char *one;
	const char *between; /* NULL: every link has a header of its own */
} forms[] = {
    {"<{u}>; rel=\"{r}\"", ", "},                                /* plain */
    {"<{u}>; rel=\"{r}\"", ", "},                                /* comma: in the URL */
    {"<{u}>; rel=\"{r}\"", NULL},                                /* headers */
    {"<{u}>; rel=\"prefetch  {r} http://rel.example/x\"", ", "}, /* list */
    {"<{u}>; rel={r}", ","},                                     /* unquoted */
    {"<{u}>; REL=\"{R}\"", ", "},                                /* upper */
    {"<{u}>; type=\"application/json\"; hreflang=de; title*=UTF-8''n%C3%A4chste; rel=\"{r}\"; rel=\"up\"; flag",
     ", "},                                                                /* params */
    {"<{u}>; title=\"a, b; <{d}>; rel=\\\"next\\\"\"; rel=\"{r}\"", ", "}, /* title */
    {"  <{u}>\t ;  rel  =  \"{r}\"  ", " ,\t"},                            /* space */
    {"<{u}>; rel=\"\\{r}\"", ", "},                                        /* escaped */
    {", ,<{u}>; rel=\"{r}\", ,", ","},                                     /* gaps */
    {"<{u}>;; rel=\"{r}\";", ", "},                                        /* semicolon */
    {"<{d}>; rel=\"{r}-archive\", <{d}>; rev=\"{r}\", <{d}>; anchor=\"http://elsewhere.example/\"; rel=\"{r}\", <{u}>; "
     "rel=\"{r}\"",
     ", "},                           /* decoys */
    {"<{u}; rel=\"{r}\"", ", "},      /* bad-open */
    {"{u}; rel=\"{r}\"", ", "},       /* bad-bare */
    {"<{u}>; rel=\"{r}", ", "},       /* bad-quote */
    {"<{u}>", ", "},                  /* bad-norel */
    {"<{u}>: rel=\"{r}\"", ", "},     /* bad-colon */
    {"the {r} page is {u}", " and "}, /* bad-words */
};

const char *const paged_link_words[] = {"plain",     "comma",     "headers",   "list",      "unquoted",
					"upper",     "params",    "title",     "space",     "escaped",
					"gaps",      "semicolon", "decoys",    "bad-open",  "bad-bare",
					"bad-quote", "bad-norel", "bad-colon", "bad-words", NULL};

_Static_assert(sizeof paged_link_words / sizeof paged_link_words[0] == sizeof forms / sizeof forms[0] + 1,
	       "every form has its word");

static char *capitals(const char *text)
{
	char *out = strdup(text);

	for (char *c = out; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return out;
}

static void add_form(struct evbuffer *out, const char *form, const char *url, const char *rel, const char *decoy)
{
	char *shout = capitals(rel);

	for (; *form; form++) {
		const char *part = form[0] != '{'   ? NULL
				   : form[1] == 'u' ? url
				   : form[1] == 'r' ? rel
				   : form[1] == 'R' ? shout
						    : decoy;

		if (part) {
			evbuffer_add(out, part, strlen(part));
			form += 2;
		} else {
			evbuffer_add(out, form, 1);
		}
	}
	free(shout);
}

struct link {
	const char *rel;
	int64_t at;
};

/* Next first; in the form "list" a next page that is the last one is one link with both relations. */
static size_t collect_links(const struct paged_turn *t, struct link out[4])
{
	const struct paged *p = t->paged;
	const unsigned told = p->set.links | (p->set.totals & TOTAL_LAST ? REL_LAST : 0);
	const int64_t next = paged_next_at(p, &t->place, &t->view);
	const int64_t last = paged_last_at(&t->place, &t->view);
	const bool merged =
	    strcmp(paged_link_words[p->set.link_form], "list") == 0 && next == last && (told & REL_LAST);
	size_t n = 0;

	if ((told & REL_NEXT) && next >= 0)
		out[n++] = (struct link){merged ? "last next" : "next", next};
	if ((told & REL_LAST) && !(n > 0 && merged))
		out[n++] = (struct link){"last", last};
	if (told & REL_FIRST)
		out[n++] = (struct link){"first", 0};
	if ((told & REL_PREV) && t->place.at >= t->place.size)
		out[n++] = (struct link){"prev", t->place.at - t->place.size};
	return n;
}

static char *decoy_url(const struct paged_turn *t, const struct request *req)
{
	const char *host = request_header(req, "Host");
	struct evbuffer *out = evbuffer_new();

	evbuffer_add_printf(out, "http://%s/pages/%s/decoy", host ? host : "", t->paged->name);
	return take_text(out);
}

static void send_links(struct request *req, struct evbuffer *line)
{
	char *text = take_text(line);

	reply_header(req, "Link: %s", text);
	free(text);
}

void paged_links_add(struct request *req, struct paged_turn *t)
{
	const int form = t->paged->set.link_form;
	struct link links[4];
	const size_t n = collect_links(t, links);
	struct evbuffer *line = evbuffer_new();
	char *decoy = decoy_url(t, req);

	for (size_t i = 0; i < n; i++) {
		char *url = paged_url(t->paged, req, &t->place, links[i].at, strstr(links[i].rel, "next"));

		if (i > 0 && forms[form].between)
			evbuffer_add(line, forms[form].between, strlen(forms[form].between));
		add_form(line, forms[form].one, url, links[i].rel, decoy);
		free(url);
		if (!forms[form].between || i + 1 == n) {
			send_links(req, line);
			line = evbuffer_new();
		}
	}
	free(decoy);
	evbuffer_free(line);
}
