/* Where a recipe's placeholders stand and whether they may; where the page's token, `since` and the size go; to which
 * hosts secrets may go. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "lib/closest.h"
#include "lib/hostglob.h"
#include "lib/recipe_private.h"
#include "lib/url.h"

static const char *const place_hint =
    "placeholders are {page}, {offset}, {cursor}, {since}, {var:NAME} and {secret:NAME}";

/* One text of the recipe. */
struct source {
	const char *text, *name; /* "url" */
	unsigned line;
	bool strict; /* whatever looks like a placeholder is one */
};

/* ---- single placeholders ---- */

static int refuse_unknown(const struct recipe_reader *rd, const struct source *src, const struct place *p)
{
	char word[40];
	struct closest near = {.word = word};

	snprintf(word, sizeof word, "%.*s", (int)p->word_len, p->word);
	for (unsigned k = 0; k < PLACE_KINDS; k++)
		closest_offer(&near, place_kind_name((enum place_kind)k));
	if (near.name)
		return recipe_refuse(rd, src->line, place_hint, "%s: %.*s is no placeholder; did you mean {%s%s}?",
				     src->name, p->end - p->start > 60 ? 60 : (int)(p->end - p->start), p->start,
				     near.name,
				     strcmp(near.name, "var") == 0 || strcmp(near.name, "secret") == 0 ? ":NAME" : "");
	if (src->strict)
		return recipe_refuse(rd, src->line, place_hint, "%s: {%.*s} is no placeholder", src->name,
				     (int)p->word_len, p->word);
	return 0;
}

static const struct recipe_secret *find_secret(const struct recipe *r, const struct place *p)
{
	for (size_t i = 0; r->secrets && i < r->secret_count; i++)
		if (strlen(r->secrets[i].name) == p->name_len && memcmp(r->secrets[i].name, p->name, p->name_len) == 0)
			return &r->secrets[i];
	return NULL;
}

static int check_place(const struct recipe_reader *rd, const struct source *src, const struct place *p)
{
	const struct recipe *r = rd->r;
	enum place_kind token = place_of_token(r->page.type);

	if (p->kind == PLACE_KINDS)
		return refuse_unknown(rd, src, p);
	if (p->kind == PLACE_VAR && !(!r->vars && recipe_spoilt(rd, NULL, "vars")) &&
	    recipe_var_index(r, p->name, p->name_len) < 0)
		return recipe_refuse(rd, src->line, "add it to vars, as in vars = { name = \"value\"; }",
				     "%s: {var:%.*s} is not in vars", src->name, (int)p->name_len, p->name);
	if (p->kind == PLACE_SECRET && !(!r->secrets && recipe_spoilt(rd, NULL, "secrets")) && !find_secret(r, p))
		return recipe_refuse(rd, src->line,
				     "say which hosts it may go to, as in secrets = { token = "
				     "[\"api.example.org\"]; }",
				     "%s: {secret:%.*s} is not in secrets", src->name, (int)p->name_len, p->name);
	if (p->kind == PLACE_SINCE && !r->since.used && !recipe_spoilt(rd, NULL, "since"))
		return recipe_refuse(rd, src->line, NULL, "%s: {since} needs a group since", src->name);
	if (p->kind <= PLACE_OFFSET && p->kind != token && recipe_is_typed(rd))
		return recipe_refuse(rd, src->line,
				     src->strict ? NULL
						 : "where it is to stay as it is, write it with spaces, as in "
						   "{ cursor }",
				     "%s: {%s} means nothing with page.type = \"%s\"%s%s%s", src->name,
				     place_kind_name(p->kind), page_type_name(r->page.type),
				     token < PLACE_KINDS ? "; there it is {" : "",
				     token < PLACE_KINDS ? place_kind_name(token) : "", token < PLACE_KINDS ? "}" : "");
	return 0;
}

static int check_source(const struct recipe_reader *rd, const struct source *src)
{
	struct place p;
	int rc = 0;

	for (const char *text = src->text; text && place_next(text, &p); text = p.end)
		rc |= check_place(rd, src, &p);
	return rc;
}

/* ---- the URL ---- */

static int refuse_url(const struct recipe_reader *rd, const char *what)
{
	return recipe_refuse(rd, rd->r->url_line, NULL, "url %s", what);
}

static int check_authority(const struct recipe_reader *rd, const char *url)
{
	const char *path = recipe_url_path(url), *at = strchr(url, '@');
	struct place p;

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return refuse_url(rd, "has to begin with https:// or http://");
	if (at && at < path)
		return refuse_url(rd, "has a user in it: write an Authorization header, with {secret:NAME}");
	for (const char *text = url; place_next(text, &p) && p.start < path; text = p.end) {
		if (p.kind == PLACE_SECRET)
			return refuse_url(rd, "has a secret in its host");
		if (p.kind != PLACE_VAR)
			return refuse_url(rd, "has a placeholder other than {var:NAME} in its host");
	}
	return 0;
}

/* Every brace has to belong to a placeholder: one that does not is one that was not closed. */
static int check_braces(const struct recipe_reader *rd, const char *url)
{
	struct place p;

	for (const char *text = url; *text; text = p.end) {
		bool found = place_next(text, &p);
		size_t n = strcspn(text, "{}");

		if (text[n] && (!found || text + n != p.start))
			return recipe_refuse(rd, rd->r->url_line, place_hint,
					     "url has a brace that belongs to no placeholder, at \"%.30s\"", text + n);
		if (!found)
			break;
	}
	return 0;
}

/* Whether it can be fetched at all; what stands in for what in it is another matter. */
static int check_url(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;

	if (strpbrk(r->url, "#\\"))
		return refuse_url(rd, "has a \"#\" or a backslash: neither is ever sent");
	return check_authority(rd, r->url);
}

static int check_url_places(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;

	if (check_braces(rd, r->url))
		return -1;
	return check_source(rd, &(struct source){r->url, "url", r->url_line, true});
}

static int check_headers(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	const config_setting_t *s = recipe_setting(rd, NULL, "headers");
	char name[32];
	int rc = 0;

	for (size_t i = 0; i < r->header_count; i++) {
		snprintf(name, sizeof name, "headers[%zu]", i + 1);
		rc |= check_source(rd, &(struct source){r->headers[i], name, recipe_elem_line(s, (int)i), true});
	}
	return rc;
}

/* ---- where token and since go ---- */

struct where {
	const char *group; /* "page" or "since" */
	enum place_kind kind;
	enum page_in in;
	const char *param;
	/* where its placeholder stands */
	bool in_path, in_query, in_headers, in_body;
};

static void look(const struct recipe *r, struct where *w)
{
	const char *query = recipe_url_query(r->url);
	struct place p;

	for (const char *text = r->url; place_next(text, &p); text = p.end) {
		w->in_path = w->in_path || (p.kind == w->kind && p.start < query);
		w->in_query = w->in_query || (p.kind == w->kind && p.start > query);
	}
	for (size_t i = 0; i < r->header_count; i++)
		w->in_headers = w->in_headers || recipe_has_place(r->headers[i], w->kind);
	w->in_body = recipe_has_place(r->body, w->kind);
}

/* The parameter that a query has for the placeholder: "p" of "?x=1&p={page}". NULL: none, or with more around it. */
static const char *query_name(const struct recipe *r, enum place_kind kind, size_t *len)
{
	const char *text = recipe_url_query(r->url);
	struct place p;

	for (; place_next(text, &p); text = p.end) {
		const char *from = p.start;

		if (p.kind != kind || from[-1] != '=' || (*p.end && *p.end != '&'))
			continue;
		for (from--; from[-1] != '?' && from[-1] != '&'; from--)
			;
		*len = (size_t)(p.start - 1 - from);
		return *len && !memchr(from, '}', *len) ? from : NULL;
	}
	return NULL;
}

static bool query_has(const char *url, const char *name)
{
	const char *p = recipe_url_query(url);
	size_t n = strlen(name);

	for (; *p; p += strcspn(p, "&")) {
		p++;
		if (strncmp(p, name, n) == 0 && (p[n] == '=' || p[n] == '&' || p[n] == '\0'))
			return true;
	}
	return false;
}

static bool is_path(const char *dotted)
{
	return *dotted && *dotted != '.' && dotted[strlen(dotted) - 1] != '.' && !strstr(dotted, "..");
}

/* Whether `param` can be what `in` says. */
static int check_param(const struct recipe_reader *rd, const char *group, const char *key, const char *param,
		       enum page_in in)
{
	unsigned line = recipe_line(rd, group, key);
	const char *fault = in == PAGE_IN_HEADER ? recipe_header_name_fault(param, strlen(param)) : NULL;

	if (fault)
		return recipe_refuse(rd, line, NULL, "%s.%s: the header \"%.40s\" %s", group, key, param, fault);
	if (in == PAGE_IN_JSON && !is_path(param))
		return recipe_refuse(rd, line, "write a path into the body, as in \"variables.after\"",
				     "%s.%s = \"%.60s\" is no path", group, key, param);
	if (in == PAGE_IN_JSON && rd->r->body && !rd->r->store->body_made)
		return recipe_refuse(rd, recipe_line(rd, NULL, "body"), NULL,
				     "%s.in = \"json\" needs a body that is written as a group, as in body = { ... }",
				     group);
	if (in == PAGE_IN_QUERY && query_has(rd->r->url, param))
		return recipe_refuse(rd, line, NULL, "%s.%s: the URL has a parameter \"%.60s\" already", group, key,
				     param);
	return 0;
}

static int check_placed(const struct recipe_reader *rd, const struct where *w)
{
	const char *own = NULL, *word = place_kind_name(w->kind);
	unsigned line = recipe_line(rd, w->group, "in");
	size_t len = 0;

	if (w->in == PAGE_IN_PATH && !w->in_path)
		return recipe_refuse(rd, line, NULL, "%s.in = \"path\" needs {%s} in the URL's path", w->group, word);
	if ((w->in == PAGE_IN_HEADER && !w->in_headers) || (w->in == PAGE_IN_JSON && !w->in_body))
		return recipe_refuse(rd, line, NULL, "%s.in = \"%s\", but {%s} stands elsewhere", w->group,
				     page_in_name(w->in), word);
	if (!w->param)
		return 0;
	own = w->in == PAGE_IN_QUERY ? query_name(rd->r, w->kind, &len) : NULL;
	if (!own || strlen(w->param) != len || memcmp(own, w->param, len) != 0)
		return recipe_refuse(rd, recipe_line(rd, w->group, "param"),
				     "leave one of them out; where a body is to keep it as it is, write it with "
				     "spaces, as in { cursor }",
				     "%s.param and {%s} both say where it goes", w->group, word);
	return 0;
}

static int check_where(const struct recipe_reader *rd, struct where *w, bool *placed)
{
	if (recipe_spoilt(rd, w->group, "param") || recipe_spoilt(rd, w->group, "in"))
		return -1;
	look(rd->r, w);
	*placed = w->in_path || w->in_query || w->in_headers || w->in_body;
	if (*placed)
		return check_placed(rd, w);
	if (w->in == PAGE_IN_PATH)
		return recipe_refuse(rd, recipe_line(rd, w->group, "in"), NULL,
				     "%s.in = \"path\" needs {%s} in the URL's path", w->group,
				     place_kind_name(w->kind));
	if (!w->param)
		return recipe_refuse(rd, recipe_line(rd, w->group, "param"), NULL,
				     "%s.param is missing: it, or {%s} in the URL, a header or the body, tells where "
				     "it goes",
				     w->group, place_kind_name(w->kind));
	return check_param(rd, w->group, "param", w->param, w->in);
}

static void check_size_param(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;

	if (r->page.size_param && !recipe_spoilt(rd, "page", "in"))
		check_param(rd, "page", "size_param", r->page.size_param,
			    r->page.in == PAGE_IN_PATH ? PAGE_IN_QUERY : r->page.in);
}

static void check_token(const struct recipe_reader *rd)
{
	struct recipe *r = rd->r;
	struct where w = {"page", place_of_token(r->page.type), r->page.in, r->page.param, false, false, false, false};
	size_t len = 0;
	const char *own;

	check_size_param(rd);
	if (w.kind == PLACE_KINDS || check_where(rd, &w, &r->store->token_placed))
		return;
	own = r->page.in == PAGE_IN_QUERY && !r->page.param ? query_name(r, w.kind, &len) : NULL;
	if (own) {
		char *name = recipe_alloc(r, len + 1);

		r->page.param = memcpy(name, own, len);
	}
}

static void check_since(const struct recipe_reader *rd)
{
	struct recipe *r = rd->r;
	struct where w = {"since", PLACE_SINCE, r->since.in, r->since.param, false, false, false, false};

	if (r->since.used && config_setting_is_group(recipe_setting(rd, NULL, "since")))
		check_where(rd, &w, &r->store->since_placed);
}

/* ---- secrets and the host ---- */

struct binding {
	const struct recipe_reader *rd;
	const char *key; /* where the URL leads; "" where a var without a value decides */
};

static int check_binding(void *arg, const char *name, size_t len)
{
	const struct binding *b = arg;
	const struct recipe *r = b->rd->r;
	const struct recipe_secret *s = find_secret(r, &(struct place){.name = name, .name_len = len});

	if (!s || !b->key[0]) /* the first was told already */
		return 0;
	for (size_t i = 0; i < s->host_count; i++)
		if (hostglob_match(s->hosts[i], b->key))
			return 0;
	return recipe_refuse(b->rd, s->line, NULL, "secrets.%s may not go to %.100s, where the URL leads", s->name,
			     b->key);
}

/* The limit key of the URL's host, with the vars' own values; "" where one of them has none. */
static int find_host(const struct recipe_reader *rd, char *key)
{
	const struct recipe *r = rd->r;
	const char *path = recipe_url_path(r->url), *text = r->url;
	char origin[1024];
	size_t n = 0;
	struct place p;
	struct err why;

	for (; place_next(text, &p) && p.start < path; text = p.end) {
		const char *value = r->vars[recipe_var_index(r, p.name, p.name_len)].value;

		key[0] = '\0';
		if (!*value)
			return 0;
		if (n < sizeof origin)
			n += (size_t)snprintf(origin + n, sizeof origin - n, "%.*s%s", (int)(p.start - text), text,
					      value);
	}
	if (n < sizeof origin)
		n += (size_t)snprintf(origin + n, sizeof origin - n, "%.*s/", (int)(path - text), text);
	if (n >= sizeof origin)
		return refuse_url(rd, "has too long a host");
	return url_key(origin, key, &why) ? recipe_refuse(rd, r->url_line, why.hint, "url: %s", why.what) : 0;
}

static void check_secrets(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	char key[URL_KEY_SIZE];
	struct binding b = {rd, key};

	if (find_host(rd, key) || recipe_secrets_in(r->url, check_binding, &b) ||
	    (r->body && recipe_secrets_in(r->body, check_binding, &b)))
		return;
	for (size_t i = 0; i < r->header_count; i++)
		if (recipe_secrets_in(r->headers[i], check_binding, &b))
			return;
}

/* Where a placeholder is none, or stands in for nothing, it is not known where token and since go. */
void recipe_check_places(struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	const struct source body = {r->body, "body", recipe_line(rd, NULL, "body"), false};
	int sources = check_headers(rd) | check_source(rd, &body), url = -1;

	if (r->url) {
		url = check_url(rd);
		sources |= check_url_places(rd);
	}
	if (!r->url || sources || recipe_spoilt(rd, NULL, "headers") || recipe_spoilt(rd, NULL, "body"))
		return;
	if (recipe_is_typed(rd))
		check_token(rd);
	check_since(rd);
	if (url == 0 && !recipe_spoilt(rd, NULL, "vars") && !recipe_spoilt(rd, NULL, "secrets"))
		check_secrets(rd);
}
