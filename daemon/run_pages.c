/* Pages that are to be added to a run: tokens become jobs. */
#include <stdlib.h>
#include <string.h>

#include "daemon/run_private.h"

static void make_room(struct run_pages *p)
{
	if (p->count < p->room)
		return;
	p->room = p->room ? 2 * p->room : 4;
	p->pages = realloc(p->pages, p->room * sizeof *p->pages);
	p->made = realloc(p->made, p->room * sizeof *p->made);
	p->keys = realloc(p->keys, p->room * sizeof *p->keys);
	p->tokens = realloc(p->tokens, p->room * sizeof *p->tokens);
	if (!p->pages || !p->made || !p->keys || !p->tokens)
		BUG("out of memory for pages");
}

/* A secret goes where the recipe lets it go, and nowhere else, also where a server supplied the URL. Seen before
 * anything is sent. */
static int check_secrets(const struct run_source *from, const struct recipe_request *q, const char *host, struct err *e)
{
	const struct {
		enum secret_where where;
		const char *text;
	} parts[] = {{SECRET_IN_URL, q->url},
		     {SECRET_IN_HEADER, q->headers},
		     {from->recipe->body_json ? SECRET_IN_JSON : SECRET_IN_TEXT, q->body}};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char *filled;

		if (!parts[i].text)
			continue;
		filled = secrets_fill(from->secrets, parts[i].text, parts[i].where, host, e);
		if (!filled)
			return -1;
		secrets_wipe(filled);
	}
	return 0;
}

int run_pages_add(struct run_pages *p, const struct run_source *from, const char *token, bool from_public,
		  struct err *e)
{
	struct recipe_page page = {.token = token, .since = from->since, .vars = from->vars};
	struct recipe_request *q;
	size_t i;

	make_room(p);
	i = p->count;
	q = &p->made[i];
	if (recipe_request(from->recipe, &page, q, e) < 0)
		return -1;
	if (url_key(q->url, p->keys[i], e) < 0 || check_secrets(from, q, p->keys[i], e) < 0) {
		recipe_request_clear(q);
		return -1;
	}
	p->tokens[i] = strdup(token);
	if (!p->tokens[i])
		BUG("out of memory for pages");
	p->count++;
	p->pages[i] = (struct store_page_new){.from_public = from_public};
	return 0;
}

int run_pages_number(struct run_pages *p, const struct run_source *from, const struct plan *plan, uint32_t index,
		     uint32_t count, struct err *e)
{
	char token[32];

	for (uint32_t i = 0; i < count; i++) {
		plan_token(plan, index + i, token, sizeof token);
		if (run_pages_add(p, from, token, false, e) < 0)
			return -1;
	}
	return 0;
}

/* The arrays may have moved while they grew: pointers into them are set when they are final. */
const struct store_page_new *run_pages_get(struct run_pages *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct recipe_request *q = &p->made[i];

		p->pages[i].token = p->tokens[i];
		p->pages[i].job = (struct store_job_new){
		    .limit_key = p->keys[i],
		    .url = q->url,
		    .headers = q->headers && *q->headers ? q->headers : NULL,
		    .body = q->body,
		    .body_bytes = q->body ? strlen(q->body) : 0,
		    .has_body = q->body != NULL,
		};
	}
	return p->pages;
}

void run_pages_clear(struct run_pages *p)
{
	for (size_t i = 0; i < p->count; i++) {
		recipe_request_clear(&p->made[i]);
		free(p->tokens[i]);
	}
	free(p->pages);
	free(p->made);
	free(p->keys);
	free(p->tokens);
	*p = (struct run_pages){0};
}
