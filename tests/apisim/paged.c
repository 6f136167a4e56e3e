/* /pages/NAME/...: an API that hands out its items page by page. What is answered is decided when a request arrives, so
 * that a test with requests one after the other always sees the same; it is sent when the latency is over. */
#include "tests/apisim/paged.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/handlers.h"
#include "tests/apisim/limited.h"

static struct paged *all;

/* ---- The APIs ---- */

static struct paged *paged_find(const char *name, size_t length)
{
	struct paged *p;

	HASH_FIND(hh, all, name, length, p);
	return p;
}

static void paged_forget(struct paged *p)
{
	paged_record_forget(p);
	paged_cursors_forget(p);
	p->random = p->set.seed;
}

static struct paged *paged_make(const char *name)
{
	struct paged *p = calloc(1, sizeof *p + strlen(name) + 1);

	memcpy(p->name, name, strlen(name));
	HASH_ADD_KEYPTR(hh, all, p->name, strlen(p->name), p);
	return p;
}

int paged_configure(const char *name, const struct evkeyvalq *options, bool anew, char *why, size_t size)
{
	struct paged *p = paged_find(name, strlen(name));
	struct paged_options set;

	if (anew || !p)
		paged_defaults(&set);
	else
		set = p->set;
	if (paged_read_options(options, &set, why, size) < 0)
		return -1;
	if (!p)
		p = paged_make(name);
	p->set = set;
	if (anew) {
		paged_forget(p);
		paged_record_unchange(p);
	}
	paged_record_change(p, &p->set.change);
	p->set.change.count = 0;
	return 0;
}

int paged_configure_text(const char *text, char *why, size_t size)
{
	struct evkeyvalq options;
	char *name = options_split(text, &options);
	const int result = paged_configure(name, &options, true, why, size);

	evhttp_clear_headers(&options);
	free(name);
	return result;
}

/* ---- One request ---- */

static bool token_fits(const struct paged_options *set, const struct request *req)
{
	const char *bearer = request_header(req, "Authorization"), *query = request_query(req, "token"),
		   *header = request_header(req, "X-Api-Key");
	const int in = set->token_in;

	if ((in == TOKEN_ANY || in == TOKEN_BEARER) && bearer && strncmp(bearer, "Bearer ", 7) == 0 &&
	    strcmp(bearer + 7, set->token) == 0)
		return true;
	return ((in == TOKEN_ANY || in == TOKEN_QUERY) && query && strcmp(query, set->token) == 0) ||
	       ((in == TOKEN_ANY || in == TOKEN_HEADER) && header && strcmp(header, set->token) == 0);
}

static const struct paged_fault *find_fault(const struct paged *p, int64_t page)
{
	const struct paged_faults *fail = &p->set.fail;
	const int64_t request = fail->count > 0 ? paged_record_requests(p, page) : 0;

	for (size_t i = 0; i < fail->count; i++) {
		const struct paged_fault *f = &fail->fault[i];

		if (page >= f->pages.from && page <= f->pages.to && request >= f->times.from && request <= f->times.to)
			return f;
	}
	return NULL;
}

/* What the request is to see: its own page, unless the API shows another one in its place. */
static void look(struct paged_turn *t)
{
	const struct paged *p = t->paged;
	struct paged_place seen = t->place;

	if (p->set.stuck > 0 && seen.page > p->set.stuck) {
		seen.at = (p->set.stuck - 1) * seen.size;
		paged_look(p, &seen, &t->view);
		return;
	}
	paged_look(p, &seen, &t->view);
	if (t->view.past && strcmp(p->set.end, "repeat") == 0) {
		seen.at = paged_last_at(&seen, &t->view);
		paged_look(p, &seen, &t->view);
	}
}

static void decide(struct paged_turn *t, const struct request *req)
{
	struct paged *p = t->paged;

	t->answer = paged_answer_wrong;
	if (p->set.token[0] && !token_fits(&p->set, req)) {
		t->answer = paged_answer_token;
		return;
	}
	if (t->place.wrong)
		return;
	look(t);
	t->fault = find_fault(p, t->place.page);
	if (t->fault) {
		t->answer = paged_answer_fault;
	} else if (t->place.position && p->set.by == BY_CURSOR && !paged_cursor_use(p, t->place.position)) {
		t->place.wrong = "cursor expired";
		t->place.wrong_code = (unsigned)p->set.cursor_code;
	} else if (t->view.past) {
		t->answer = paged_answer_past;
	} else {
		t->answer = paged_answer_page;
		p->served++;
	}
}

static void paged_done(struct request *req, bool answered)
{
	struct paged_turn *t = req->state;

	paged_record_end(t, answered);
	paged_place_clear(&t->place);
}

static void paged_answer(struct request *req)
{
	struct paged_turn *t = req->state;

	t->answer(req, t);
}

static void paged_serve(struct paged *p, struct request *req)
{
	const double latency_s = jitter_draw(&p->set.latency, &p->random);
	struct paged_turn *t = calloc(1, sizeof *t);

	t->paged = p;
	req->state = t;
	req->on_done = paged_done;
	paged_place_read(p, req, &t->place);
	if (strcmp(strchr(req->rest, '/'), "/decoy") == 0) {
		t->place.page = 0;
		t->place.wrong = "nobody was to come here";
		t->place.wrong_code = 404;
	}
	paged_record_begin(p, req, t);
	decide(t, req);
	if (latency_s > 0)
		request_after(req, latency_s, paged_answer);
	else
		paged_answer(req);
}

/* ---- Routes ---- */

static void paged_set(struct request *req, bool anew)
{
	char why[OPTION_WHY_BYTES];

	if (paged_configure(req->rest, &req->query, anew, why, sizeof why) < 0)
		reply_text(req, 400, "%s\n", why);
	else
		reply(req, 204, NULL, "", 0);
}

static void paged_control(struct request *req)
{
	struct paged *p = paged_find(req->rest, strlen(req->rest));

	if (strcmp(req->method, "PUT") == 0) {
		paged_set(req, true);
	} else if (!p) {
		reply_text(req, 404, "no pages %.100s: PUT them first\n", req->rest);
	} else if (strcmp(req->method, "PATCH") == 0) {
		paged_set(req, false);
	} else if (strcmp(req->method, "DELETE") == 0) {
		paged_forget(p);
		reply(req, 204, NULL, "", 0);
	} else {
		reply_json(req, 200, paged_statistics(p, request_query(req, "list") != NULL));
	}
}

void paged_handle(struct request *req)
{
	const char *slash = strchr(req->rest, '/');
	struct paged *p;

	if (!slash) {
		paged_control(req);
		return;
	}
	p = paged_find(req->rest, (size_t)(slash - req->rest));
	if (!p)
		reply_text(req, 404, "no such pages: PUT them first\n");
	else if (!p->set.limit[0] || req->flight)
		paged_serve(p, req);
	else if (!limited_pass(req, p->set.limit, req->path))
		reply_text(req, 404, "no limit %.100s: PUT it first\n", p->set.limit);
}
