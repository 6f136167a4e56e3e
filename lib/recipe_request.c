/* A page's token to a request: placeholders give way to values, each quoted for where it stands; what has no
 * placeholder is added by its param. {secret:NAME} stays, and no value may bring one in: secrets go where the recipe
 * says, not where a server's cursor or a caller's var says. */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_fill.h"
#include "lib/url.h"

/* ---- the URL ---- */

static void put_encoded_param(FILE *f, char *joint, const char *name, const char *value)
{
	if (*joint)
		putc(*joint, f);
	*joint = '&';
	value_put(f, name, PLACE_VAR, QUOTE_QUERY, NULL);
	putc('=', f);
	value_put(f, value, PLACE_VAR, QUOTE_QUERY, NULL);
}

static void put_params(const struct fill *m, FILE *f)
{
	const char *query = recipe_url_query(m->r->url), *last = query + strlen(query) - 1;
	char joint = !*query ? '?' : *last == '?' || *last == '&' ? '\0' : '&';
	char size[24];

	if (fill_adds_token(m, PAGE_IN_QUERY))
		put_encoded_param(f, &joint, m->r->page.param, m->p->token);
	if (fill_adds_size(m, PAGE_IN_QUERY))
		put_encoded_param(f, &joint, m->r->page.size_param, fill_size_text(m->r, size));
	if (fill_adds_since(m, PAGE_IN_QUERY))
		put_encoded_param(f, &joint, m->r->since.param, m->p->since);
}

/* "." and ".." would lead elsewhere in the path: a value may not do that. */
static bool has_dot_segment(const char *url)
{
	const char *p = recipe_url_path(url), *end = recipe_url_query(url);

	while (p < end) {
		unsigned dots = 0;

		for (p++; p < end && *p != '/'; dots++) {
			if (*p == '.')
				p++;
			else if (strncasecmp(p, "%2e", 3) == 0)
				p += 3;
			else
				break;
		}
		if ((dots == 1 || dots == 2) && (p == end || *p == '/'))
			return true;
		while (p < end && *p != '/')
			p++;
	}
	return false;
}

static int check_url(const struct fill *m, const char *url)
{
	char key[URL_KEY_SIZE];

	if (url_key(url, key, m->e))
		return -1;
	if (has_dot_segment(url) && url != m->p->token)
		return err_set(m->e, ERR_INPUT, NULL, "the URL's path has a \".\" or \"..\" in it: %.200s", url);
	return 0;
}

static char *filled_url(const struct fill *m)
{
	const char *url = m->r->url, *path = recipe_url_path(url), *query = recipe_url_query(url);
	struct fill_text t;
	int rc;

	fill_open(&t);
	rc = fill_put(m, t.f, url, path, QUOTE_HOST) || fill_put(m, t.f, path, query, QUOTE_PATH) ||
	     fill_put(m, t.f, query, query + strlen(query), QUOTE_QUERY);
	if (rc == 0)
		put_params(m, t.f);
	return fill_close(&t, rc);
}

static int make_url(const struct fill *m)
{
	bool given = (m->r->page.type == PAGE_LINK || m->r->page.type == PAGE_NEXT_URL) && m->p->token[0];

	if (given)
		m->out->url = strdup(m->p->token);
	else
		m->out->url = filled_url(m);
	if (given && !m->out->url)
		BUG("out of memory for a request");
	return m->out->url ? check_url(m, given ? m->p->token : m->out->url) : -1;
}

/* ---- headers ---- */

static bool has_header(const struct recipe *r, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < r->header_count; i++)
		if (strncasecmp(r->headers[i], name, n) == 0 && r->headers[i][n] == ':')
			return true;
	return false;
}

/* "Name:" alone takes away what would be sent by itself; one that came out empty is not sent. */
static int put_header(const struct fill *m, FILE *f, const char *line)
{
	const char *value = strchr(line, ':') + 1, *filled;
	struct fill_text t;
	struct place p;
	size_t n;
	int rc;

	value += strspn(value, " \t");
	fill_open(&t);
	rc = fill_put(m, t.f, value, value + strlen(value), QUOTE_HEADER);
	if (!fill_close(&t, rc))
		return -1;
	filled = t.p + strspn(t.p, " \t");
	n = strlen(filled);
	while (n && strchr(" \t", filled[n - 1]))
		n--;
	if (fill_secrets_in(t.p) != fill_secrets_in(value))
		rc = fill_refuse_secret(m->e, "headers");
	else if (n)
		fprintf(f, "%.*s: %.*s\n", (int)(strchr(line, ':') - line), line, (int)n, filled);
	else if (!place_next(value, &p))
		fprintf(f, "%.*s:\n", (int)(strchr(line, ':') - line), line);
	free(t.p);
	return rc;
}

static int put_added_header(const struct fill *m, FILE *f, const char *name, const char *value, enum place_kind kind)
{
	if (fill_secrets_in(value))
		return fill_refuse_secret(m->e, "headers");
	fprintf(f, "%s: ", name);
	if (value_put(f, value, kind, QUOTE_HEADER, m->e))
		return -1;
	putc('\n', f);
	return 0;
}

static int put_headers(const struct fill *m, FILE *f)
{
	const struct recipe *r = m->r;
	char size[24];

	for (size_t i = 0; i < r->header_count; i++)
		if (put_header(m, f, r->headers[i]))
			return -1;
	if (fill_adds_token(m, PAGE_IN_HEADER) &&
	    put_added_header(m, f, r->page.param, m->p->token, place_of_token(r->page.type)))
		return -1;
	if (fill_adds_size(m, PAGE_IN_HEADER))
		fprintf(f, "%s: %s\n", r->page.size_param, fill_size_text(r, size));
	if (fill_adds_since(m, PAGE_IN_HEADER) && put_added_header(m, f, r->since.param, m->p->since, PLACE_SINCE))
		return -1;
	if (m->out->body && (!r->body || r->body_json) && !has_header(r, "Content-Type"))
		fputs("Content-Type: application/json\n", f);
	return 0;
}

static int make_headers(const struct fill *m)
{
	struct fill_text t;

	fill_open(&t);
	m->out->headers = fill_close(&t, put_headers(m, t.f));
	return m->out->headers ? 0 : -1;
}

/* ---- the whole ---- */

static int check_token(const struct fill *m)
{
	enum place_kind kind = place_of_token(m->r->page.type);
	size_t n = strlen(m->p->token);

	if ((kind == PLACE_PAGE || kind == PLACE_OFFSET) &&
	    (n == 0 || n > 18 || strspn(m->p->token, "0123456789") != n))
		return err_set(m->e, ERR_INPUT, NULL, "\"%.40s\" is no number of a page", m->p->token);
	return 0;
}

/* One without a value of its own is each run's to give: a URL with nothing in its place would be another one. */
static int check_vars(const struct fill *m)
{
	for (size_t i = 0; i < m->r->var_count; i++)
		if (!m->r->vars[i].value[0] && !(m->p->vars && m->p->vars[i][0]))
			return err_set(m->e, ERR_INPUT, "give it with the run, as in --var name=value",
				       "the var \"%s\" has no value", m->r->vars[i].name);
	return 0;
}

int recipe_request(const struct recipe *r, const struct recipe_page *p, struct recipe_request *out, struct err *e)
{
	/* cppcheck-suppress ctuuninitvar; they are written, not read */
	const struct fill m = {r, p, out, e};

	*out = (struct recipe_request){0};
	if (check_vars(&m) == 0 && check_token(&m) == 0 && make_url(&m) == 0 && recipe_fill_body(&m) == 0 &&
	    make_headers(&m) == 0)
		return 0;
	recipe_request_clear(out);
	return -1;
}

void recipe_request_clear(struct recipe_request *q)
{
	free(q->url);
	free(q->headers);
	free(q->body);
	*q = (struct recipe_request){0};
}
