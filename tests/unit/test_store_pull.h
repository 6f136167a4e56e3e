/* What the tests of runs and pages share, on top of those of the store. */
#ifndef FANOUT_TESTS_UNIT_TEST_STORE_PULL_H
#define FANOUT_TESTS_UNIT_TEST_STORE_PULL_H

#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/store_pull.h"
#include "tests/unit/test_store.h"

#define RECIPE    "url = \"http://a.example/p/{page}\";\n"
#define PAGES_MAX 64

/* ---- runs ---- */

struct run_like {
	uint32_t uid; /* 0: 1000 */
	const char *pull, *scope;
	enum run_overlap overlap;
	bool conditional, apart;
	const char *pages; /* tokens, one letter each; NULL: "1" */
};

static inline const char *page_url(char out[64], const char *token)
{
	snprintf(out, 64, "http://a.example/p/%.40s", token);
	return out;
}

/* One page for each letter. The strings live as long as the caller's arrays. */
struct page_list {
	struct store_page_new page[PAGES_MAX];
	char token[PAGES_MAX][2], url[PAGES_MAX][64];
	size_t count;
};

static inline void page_list_make(struct page_list *l, const char *letters)
{
	l->count = strlen(letters);
	assert_true(l->count <= PAGES_MAX);
	for (size_t i = 0; i < l->count; i++) {
		l->token[i][0] = letters[i];
		l->token[i][1] = '\0';
		l->page[i] = (struct store_page_new){
		    .job = {.limit_key = "a.example:80", .url = page_url(l->url[i], l->token[i])},
		    .token = l->token[i],
		};
	}
}

static inline struct store_run_create run_try(struct room *r, struct run_like like)
{
	struct page_list l;
	struct store_run_create c = {
	    .op = op_of(r),
	    .uid = like.uid ? like.uid : 1000,
	    .pull = like.pull ? like.pull : "cats",
	    .scope = like.scope ? like.scope : "{}",
	    .recipe = RECIPE,
	    .options = "{\"since\":1}",
	    .name = "cats",
	    .batch_options = "{}",
	    .priority = 5,
	    .overlap = like.overlap,
	    .conditional = like.conditional,
	    .apart = like.apart,
	};

	page_list_make(&l, like.pages ? like.pages : "1");
	c.pages = l.page;
	c.page_count = l.count;
	store_run_create(r->st, &c);
	wait_done(r);
	c.pages = NULL;
	return c;
}

static inline uint32_t run_new(struct room *r, struct run_like like)
{
	struct store_run_create c = run_try(r, like);

	assert_fine(r);
	assert_true(c.run > 0);
	return c.run;
}

struct run_copy {
	struct store_run_get get;
	struct store_run row;
	char pull[32], scope[32], recipe[64], options[64], guard[64], receipt[64], error[64];
	bool found;
};

static inline void copy_run(struct store_run_get *g, const struct store_run *row)
{
	struct run_copy *c = (struct run_copy *)g;

	c->row = *row;
	c->found = true;
	snprintf(c->pull, sizeof c->pull, "%s", row->pull);
	snprintf(c->scope, sizeof c->scope, "%s", row->scope);
	snprintf(c->recipe, sizeof c->recipe, "%s", row->recipe);
	snprintf(c->options, sizeof c->options, "%s", row->options);
	snprintf(c->guard, sizeof c->guard, "%s", row->guard);
	snprintf(c->receipt, sizeof c->receipt, "%s", row->receipt);
	snprintf(c->error, sizeof c->error, "%s", row->error);
}

static inline struct run_copy run_of(struct room *r, uint32_t run)
{
	struct run_copy c = {.get = {.op = op_of(r), .run = run, .on_row = copy_run}};

	store_run_get(r->st, &c.get);
	wait_done(r);
	return c;
}

/* Names of runs, as "3 2 1". */
struct run_names {
	struct store_run_list list;
	char text[128];
};

static inline void name_run(struct store_run_list *l, const struct store_run *row)
{
	struct run_names *n = (struct run_names *)l;
	size_t at = strlen(n->text);

	snprintf(n->text + at, sizeof n->text - at, "%s%u", at ? " " : "", row->run);
}

static inline struct run_names runs_of(struct room *r, struct store_run_list like)
{
	struct run_names n = {.list = like};

	n.list.op = op_of(r);
	n.list.on_row = name_run;
	store_run_list(r->st, &n.list);
	wait_done(r);
	assert_fine(r);
	return n;
}

static inline struct err run_end(struct room *r, uint32_t run, enum run_verdict verdict, const char *since)
{
	struct store_run_end e = {.op = op_of(r),
				  .run = run,
				  .verdict = verdict,
				  .receipt = "{\"items\":42}",
				  .moves = verdict == RUN_COMPLETE,
				  .since = since};

	store_run_end(r->st, &e);
	wait_done(r);
	return r->last;
}

/* ---- pages ---- */

struct page_how {
	enum job_state next; /* JOB_BLOCKED (nothing was said): done */
	int status;
	const char *add; /* letters */
	const char *guard;
	const char *body;
	bool in_file, past_end, reuse, goes_on, silent;
	const struct message_page *page; /* NULL: PLAIN_PAGE, unless it is silent, past the end, reused or not done */
};

#define PLAIN_PAGE                                                                                                 \
	{                                                                                                          \
		.items = 2, .next = "", .has_more = -1, .total_pages = -1, .total_items = -1, .since = "\"2026\"", \
		.etag = "\"e\"", .last_modified = "", .hash = {0xfedcba9876543210u, 2},                            \
	}

static inline void end_page(struct room *r, uint64_t job, uint32_t n, struct page_how how)
{
	static const struct message_page plain = PLAIN_PAGE;
	enum job_state next = how.goes_on ? JOB_QUEUED : how.next ? how.next : JOB_DONE;
	enum job_event event = next == JOB_DONE     ? JOB_EV_SUCCEED
			       : next == JOB_QUEUED ? JOB_EV_AGAIN
			       : next == JOB_FAILED ? JOB_EV_FAIL
						    : JOB_EV_CANCEL;
	bool says = next == JOB_DONE && !how.past_end && !how.reuse && !how.silent;
	int64_t now = clock_wall_us();
	struct page_list l;
	struct message_outcome m = {
	    .job = job,
	    .n = n,
	    .status = how.status ? how.status : 200,
	    .sent = true,
	    .body_in_file = how.in_file,
	    .size_bytes = how.body ? (int64_t)strlen(how.body) : 0,
	    .wire_bytes = 7,
	    .content_type = how.reuse ? "" : "application/json",
	    .remote_ip = "",
	    .redirect_url = "",
	    .error = "",
	    .headers = "",
	    .body = how.in_file ? NULL : how.body,
	    .body_bytes = how.body && !how.in_file ? strlen(how.body) : 0,
	};
	struct store_page_end p = {
	    .end = {.op = op_of(r),
		    .outcome = &m,
		    .started_wall_us = now - 1000,
		    .ended_wall_us = now,
		    .limited_us = 3,
		    .sent_boot_us = 1,
		    .counted_boot_us = 2,
		    .method = "GET",
		    .next = next,
		    .reason = next == JOB_FAILED ? REASON_HTTP_STATUS : REASON_NONE,
		    .due_us = 1,
		    .actions = job_step(JOB_RUNNING, event).actions},
	    .page_ended = !how.goes_on,
	    .page = how.page ? how.page
		    : says   ? &plain
			     : NULL,
	    .past_end = how.past_end,
	    .reuse = how.reuse,
	    .guard = how.guard,
	};

	page_list_make(&l, how.add ? how.add : "");
	p.add = l.page;
	p.add_count = l.count;
	store_page_end(r->st, &p);
	wait_done(r);
}

/* Opens and ends page `seq`. */
static inline void fetch_page(struct room *r, uint32_t run, uint32_t seq, struct page_how how)
{
	uint64_t job = jobid_make(run, seq);
	uint32_t n = open_job(r, job);

	assert_fine(r);
	end_page(r, job, n, how);
	assert_fine(r);
}

struct page_copy {
	struct store_page row;
	char token[32], url[64], error[32], next[32], since[32], etag[32];
	unsigned char keys[64];
};

struct pages_copy {
	struct store_pages pages;
	struct page_copy page[PAGES_MAX];
	size_t count;
};

static inline void copy_page(struct store_pages *p, const struct store_page *row)
{
	struct pages_copy *all = (struct pages_copy *)p;
	struct page_copy *c = &all->page[all->count++];

	assert_true(all->count <= PAGES_MAX);
	c->row = *row;
	snprintf(c->token, sizeof c->token, "%s", row->token);
	snprintf(c->url, sizeof c->url, "%s", row->url);
	snprintf(c->error, sizeof c->error, "%s", row->error);
	if (!row->said)
		return;
	snprintf(c->next, sizeof c->next, "%s", row->page.next);
	snprintf(c->since, sizeof c->since, "%s", row->page.since);
	snprintf(c->etag, sizeof c->etag, "%s", row->page.etag);
	if (row->page.keys && row->page.keys_bytes <= sizeof c->keys)
		memcpy(c->keys, row->page.keys, row->page.keys_bytes);
}

static inline struct pages_copy pages_of(struct room *r, uint32_t run)
{
	struct pages_copy c = {
	    .pages = {.op = op_of(r), .run = run, .limit = PAGES_MAX, .with_keys = true, .on_row = copy_page}};

	store_pages(r->st, &c.pages);
	wait_done(r);
	return c;
}

static inline struct page_copy page_of(struct room *r, uint32_t run, uint32_t seq)
{
	struct pages_copy c = pages_of(r, run);

	assert_true(seq <= c.count);
	return c.page[seq - 1];
}

/* The tokens there are, in order: all of a letter. */
#define assert_tokens(r, run, wanted)                           \
	do {                                                    \
		struct pages_copy all_ = pages_of(r, run);      \
		char text_[PAGES_MAX + 1] = "";                 \
		for (size_t i_ = 0; i_ < all_.count; i_++)      \
			strncat(text_, all_.page[i_].token, 1); \
		assert_string_equal(text_, wanted);             \
	} while (0)

/* What an attempt is told of its page. */
struct asked {
	struct store_attempt_open open;
	bool page;
	char token[32], etag[32], last_modified[48];
	bool from_public;
	uint64_t base_job;
	int64_t base_items; /* what that page said; -2: nothing is told of it */
	char base_next[32];
};

static inline bool copy_request(struct store_attempt_open *o, const struct store_request *req)
{
	struct asked *a = (struct asked *)o;

	a->page = req->page != NULL;
	if (!req->page)
		return true;
	snprintf(a->token, sizeof a->token, "%s", req->page->token);
	snprintf(a->etag, sizeof a->etag, "%s", req->page->etag);
	snprintf(a->last_modified, sizeof a->last_modified, "%s", req->page->last_modified);
	a->from_public = req->page->from_public;
	a->base_job = req->page->base_job;
	a->base_items = req->page->base ? req->page->base->items : -2;
	if (req->page->base)
		snprintf(a->base_next, sizeof a->base_next, "%s", req->page->base->next);
	return true;
}

static inline struct asked ask_page(struct room *r, uint32_t run, uint32_t seq)
{
	struct asked a = {.open = {.op = op_of(r), .job = jobid_make(run, seq), .on_request = copy_request}};

	store_attempt_open(r->st, &a.open);
	wait_done(r);
	assert_fine(r);
	return a;
}

/* ---- files ---- */

/* As a worker leaves one. */
static inline void write_body(struct room *r, uint64_t job, uint32_t n, const char *text)
{
	char path[JOBID_PATH_SIZE], dir[16];
	int fd;

	snprintf(dir, sizeof dir, "%u", jobid_batch(job));
	mkdirat(store_bodies_fd(r->st), dir, 0700);
	fd = openat(store_bodies_fd(r->st), jobid_body_path(path, job, n), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline bool body_there(struct room *r, uint64_t job, uint32_t n)
{
	char path[JOBID_PATH_SIZE];

	return faccessat(store_bodies_fd(r->st), jobid_body_path(path, job, n), F_OK, 0) == 0;
}

#endif
