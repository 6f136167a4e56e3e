/* Paginated APIs, by name. A request stands at a *place* (paged_place.c); what is there is a *view* of the items; its
 * answer is made in a *turn*: decided at arrival (paged.c), sent after the latency (paged_reply.c). Places are counted
 * in items, `at`, from 0, holes of empty and short pages among them; pages from 1. */
#ifndef FANOUT_APISIM_PAGED_H
#define FANOUT_APISIM_PAGED_H

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <uthash.h>

#include "tests/apisim/jitter.h"
#include "tests/apisim/options.h"
#include "tests/apisim/server.h"

/* 2026-01-01T00:00:00Z */
#define PAGED_EPOCH_S 1767225600

enum paged_style { PAGED_PAGE, PAGED_OFFSET, PAGED_CURSOR, PAGED_LINK, PAGED_NEXT_URL, PAGED_KEYSET, PAGED_SINGLE };
enum paged_order { ORDER_OLDEST, ORDER_NEWEST };
enum paged_by { BY_PAGE, BY_OFFSET, BY_CURSOR, BY_KEYSET, BY_NOTHING };
enum paged_in { IN_QUERY, IN_PATH, IN_HEADER, IN_JSON };
enum paged_form { FORM_PLAIN, FORM_AWKWARD, FORM_NUMBER, FORM_LONG };
enum paged_last { LAST_NULL, LAST_EMPTY, LAST_ABSENT, LAST_MORE };
enum paged_url { URL_ABSOLUTE, URL_PATH, URL_QUERY, URL_RELATIVE, URL_SCHEME };
enum paged_total {
	TOTAL_ITEMS = 1,
	TOTAL_PAGES = 2,
	TOTAL_X_COUNT = 4,
	TOTAL_X_PAGES = 8,
	TOTAL_RANGE = 16,
	TOTAL_LAST = 32
};
enum paged_told { TOLD_ETAG = 1, TOLD_MODIFIED = 2, TOLD_WEAK = 4 };
enum paged_token { TOKEN_ANY, TOKEN_BEARER, TOKEN_QUERY, TOKEN_HEADER };
enum paged_rel { REL_NEXT = 1, REL_LAST = 2, REL_FIRST = 4, REL_PREV = 8 };

/* "PAGES:TIMES[:WHAT]": what happens to the TIMES-th requests for PAGES. */
struct paged_faults {
	size_t count;
	struct paged_fault {
		struct option_span pages, times;
		int code, what; /* `what`: which of paged_fault_words, where there is no code */
	} fault[OPTION_LIST_MAX];
};

struct paged_options {
	int style;
	/* the items */
	int64_t items, item_bytes, step_s;
	int order;
	struct option_pairs grow, remove;
	/* where a request says what it wants */
	int by, in;
	int64_t start, size, size_max;
	char param[OPTION_TEXT_BYTES], size_param[OPTION_TEXT_BYTES], since_param[OPTION_TEXT_BYTES];
	/* what an answer holds */
	char id_member[OPTION_TEXT_BYTES], items_member[OPTION_TEXT_BYTES], total_member[OPTION_TEXT_BYTES],
	    pages_member[OPTION_TEXT_BYTES], next_member[OPTION_TEXT_BYTES], more_member[OPTION_TEXT_BYTES],
	    cursor_header[OPTION_TEXT_BYTES];
	unsigned totals;
	int64_t tell_items; /* < 0: the truth */
	bool has_more, gzip;
	unsigned told; /* for conditional requests */
	struct jitter latency;
	uint64_t seed;
	/* the end, and what is odd on the way there */
	char end[OPTION_TEXT_BYTES];
	int last;
	struct option_spans empty, shorter, change;
	struct option_pairs loop;
	int64_t stuck;
	struct paged_faults fail;
	/* cursors */
	int cursor_form, cursor_code;
	bool cursor_fresh;
	int64_t cursor_uses, cursor_requests, cursor_life_us;
	/* links */
	int url, link_form;
	unsigned links;
	int64_t next_from;
	char next_origin[OPTION_TEXT_BYTES], next_url[OPTION_TEXT_BYTES], next_drop[OPTION_TEXT_BYTES];
	/* who may ask, and how often */
	char token[OPTION_TEXT_BYTES], limit[OPTION_TEXT_BYTES];
	int token_in, token_code;
};

struct paged_hit {
	int64_t arrived_us, answered_us; /* 0: not answered yet, or the client is gone */
	int64_t page, items;             /* page 0: none */
	int status;                      /* 0: none yet, or ever */
	char *target, *position;
};

struct paged_cursor;

struct paged {
	struct paged_options set;
	uint64_t random;
	struct paged_hit *seen; /* in order of arrival */
	size_t count, room;
	int64_t served; /* pages, with 200 */
	int64_t open, peak;
	struct paged_cursor *cursors;
	int64_t *changed; /* by page - 1: the tick of its last change; 0: none */
	size_t changed_room;
	int64_t tick;        /* one more with each change */
	unsigned generation; /* one more with every paged_forget() */
	UT_hash_handle hh;
	char name[];
};

struct paged_place {
	int64_t at, size, page;
	int64_t low;         /* the first id that `since` lets through */
	char *position;      /* what the request said; NULL: nothing */
	const char *wrong;   /* or this is wrong with it */
	unsigned wrong_code; /* and answered so */
};

struct paged_view {
	int64_t low, high;    /* the ids there are now */
	int64_t items, pages; /* in all, for this size */
	int64_t end;          /* the place behind the last page */
	int64_t from, count;  /* this page's, among those */
	bool past;            /* behind the last page */
};

/* One request; in req->state. */
struct paged_turn {
	struct paged *paged;
	struct paged_place place;
	struct paged_view view;
	void (*answer)(struct request *req, struct paged_turn *t);
	const struct paged_fault *fault;
	int status; /* set by whoever answers */
	size_t hit;
	unsigned generation;
};

/* paged_options.c */
extern const char *const paged_style_words[];
extern const char *const paged_fault_words[];
void paged_defaults(struct paged_options *out);
/* Changes `out`, which paged_defaults() or an earlier call has set. */
int paged_read_options(const struct evkeyvalq *options, struct paged_options *out, char *why, size_t size);

/* paged.c: as limited_configure() */
int paged_configure(const char *name, const struct evkeyvalq *options, bool anew, char *why, size_t size);
int paged_configure_text(const char *text, char *why, size_t size);
/* The names of its options, with commas. */
void paged_name_options(char *out, size_t size);

/* paged_place.c. `out` is to be cleared. */
void paged_place_read(struct paged *p, const struct request *req, struct paged_place *out);
void paged_place_clear(struct paged_place *place);
/* The slash before the last segment of a raw path, where two or more follow NAME: /pages/NAME/items/3. NULL: fewer. */
char *paged_segment(char *path);
void paged_look(const struct paged *p, const struct paged_place *place, struct paged_view *out);
int64_t paged_total(const struct paged *p);
/* Where the page after this one is; -1: there is none, or none is told. */
int64_t paged_next_at(const struct paged *p, const struct paged_place *place, const struct paged_view *view);
/* Where the last page begins. */
int64_t paged_last_at(const struct paged_place *place, const struct paged_view *view);
/* How a request names that place, for free(): a number, or a cursor, which is issued thereby. */
char *paged_address(struct paged *p, const struct paged_place *place, int64_t at);

/* What an answer says of all items and pages; the truth, or not. */
int64_t paged_told_items(const struct paged_turn *t);
int64_t paged_told_pages(const struct paged_turn *t);

/* paged_cursor.c */
char *paged_cursor_issue(struct paged *p, int64_t at);
/* -1: not one of ours. */
int64_t paged_cursor_read(const struct paged *p, const char *text);
/* Counts a use; false: it has expired. */
bool paged_cursor_use(struct paged *p, const char *text);
void paged_cursors_forget(struct paged *p);

/* paged_links.c */
extern const char *const paged_link_words[];
/* The URL of that place, in the form asked for; for free(). `next`: it is that of the next page, which may be odd. */
char *paged_url(struct paged *p, const struct request *req, const struct paged_place *place, int64_t at, bool next);
void paged_links_add(struct request *req, struct paged_turn *t);

/* paged_body.c: a page's body, for free(). */
char *paged_body(const struct request *req, struct paged_turn *t, size_t *bytes);

/* paged_reply.c: the answers there are. One that is cut or reset sets no status. */
void paged_answer_page(struct request *req, struct paged_turn *t);
void paged_answer_past(struct request *req, struct paged_turn *t);
void paged_answer_wrong(struct request *req, struct paged_turn *t);
void paged_answer_token(struct request *req, struct paged_turn *t);
void paged_answer_fault(struct request *req, struct paged_turn *t);

/* paged_record.c */
void paged_record_begin(struct paged *p, const struct request *req, struct paged_turn *t);
void paged_record_end(const struct paged_turn *t, bool answered);
void paged_record_forget(struct paged *p);
/* How often that page was asked for, this request among them. */
int64_t paged_record_requests(const struct paged *p, int64_t page);
/* When the page was changed last, in ticks. */
int64_t paged_record_changed(const struct paged *p, int64_t page);
void paged_record_change(struct paged *p, const struct option_spans *pages);
void paged_record_unchange(struct paged *p);
json_t *paged_statistics(const struct paged *p, bool list);

#endif
