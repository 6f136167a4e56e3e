/* What the rooms of runs share: run_ask.c (what a run is asked with), engine_run.c (a live run), engine_run_read.c
 * (its plan, from the store), engine_run_live.c (how far it is), engine_page.c (one page's request and outcome),
 * engine_run_begin.c (making and starting runs), engine_run_end.c (their conclusion), engine_run_recover.c (both, after
 * a restart), receipt.c. */
#ifndef FANOUT_DAEMON_RUN_PRIVATE_H
#define FANOUT_DAEMON_RUN_PRIVATE_H

#include <jansson.h>

#include "daemon/engine_private.h"
#include "daemon/engine_run.h"
#include "daemon/plan.h"
#include "daemon/secrets.h"
#include "daemon/tally.h"
#include "lib/recipe.h"

/* ---- run_ask.c: what a run was asked with; kept as JSON with the run ---- */

struct run_ask {
	json_t *vars;     /* those that differ from the recipe's */
	char *since;      /* the owner's own; NULL */
	char *sent_since; /* what pages are asked with; NULL: nothing, or not known yet */
	bool fresh, test;
	bool replaces; /* those before it are to be cancelled: what a crash has left of that is done at the start */
	uint32_t max_pages; /* 0: the recipe's */
	/* The owner's last retry: when, behind which event, and how long the run had taken until its end before that.
	 * The store writes it. */
	struct {
		int64_t at_us; /* wall; 0: none */
		uint32_t event;
		int64_t took_us;
	} again;
};
char *run_ask_write(const struct run_ask *a); /* JSON, malloc'd */
void run_ask_read(struct run_ask *a, const char *json);
void run_ask_clear(struct run_ask *a);
/* How long a run that began at `started_us` was under way until `now_us`: without the time between an end and a retry.
 * Wall times. */
int64_t run_took_us(const struct run_ask *a, int64_t started_us, int64_t now_us);
/* The recipe's vars with those asked for: malloc'd array of borrowed strings, in the recipe's order. NULL with
 * ERR_INPUT. */
const char **run_vars(const struct recipe *r, const json_t *asked, struct err *e);
/* All of them with their values; sorted, compact JSON of it is the run's scope: a recipe whose own values change begins
 * anew. */
json_t *run_vars_object(const struct recipe *r, const json_t *asked);
/* What to send, given what the state has (JSON text; NULL or "": nothing). NULL with e->code 0: nothing is sent. */
char *run_since(const struct recipe *r, const struct run_ask *a, const char *state, struct err *e);
/* By its owner's word it began later than the state (or, without one, the recipe's own begin): were its newest to
 * become the state, what lies between would never be fetched. */
bool run_leaves_gap(const struct recipe *r, const struct run_ask *a, const char *state);
/* Whether the greatest value that a complete run saw becomes the state (both JSON text; "" none). Never back: what was
 * seen before may have been overlapped, or asked for from an earlier moment. What the API told stands above a value of
 * another form, which somebody set. */
bool run_since_moves(const char *seen, const char *state);
struct plan_rules run_rules(const struct recipe *r, const struct run_ask *a);
struct secrets *run_secrets(const struct recipe *r, const char *dir, struct err *e);

/* ---- pages to be added ---- */

struct run_pages {
	struct store_page_new *pages;
	size_t count, room;
	struct recipe_request *made; /* own the strings */
	char (*keys)[URL_KEY_SIZE];
	char **tokens;
};
struct run_source {
	const struct recipe *recipe;
	const char *const *vars;
	const char *since;
	const struct secrets *secrets;
};
int run_pages_add(struct run_pages *p, const struct run_source *from, const char *token, bool from_public,
		  struct err *e);
/* `count` numbered pages from `index` on. */
int run_pages_number(struct run_pages *p, const struct run_source *from, const struct plan *plan, uint32_t index,
		     uint32_t count, struct err *e);
const struct store_page_new *run_pages_get(struct run_pages *p); /* count of them, until it changes */
void run_pages_clear(struct run_pages *p);

/* ---- a live run ---- */

/* In this order: where its plan is. Nothing of the run starts before it is ready. */
enum run_plan {
	RUN_PLAN_NONE,    /* there is none, and none will come: its batch is being cancelled */
	RUN_PLAN_WAITS,   /* for memory: the plans of others have it */
	RUN_PLAN_READING, /* in slices */
	RUN_PLAN_READY,   /* as the store has it */
};

struct engine_run {
	struct engine_batch *batch;
	struct recipe *recipe;
	struct run_ask ask;
	const char **vars;
	json_t *var_object; /* for jq */
	char *program;
	struct secrets *secrets;
	struct plan *plan; /* NULL before it is being read */
	enum run_plan plan_is;
	uint32_t read_to;     /* while it is being read: the last page that was */
	size_t need_bytes;    /* and what it will need at least */
	size_t seen_bytes;    /* what it held when it was last looked whether it has grown */
	bool over;            /* all its pages ended meanwhile: it is to be concluded, unless more follow */
	uint32_t added;       /* pages there are; read so far */
	bool next_public;     /* of a followed run: a server at a public address supplied the URL of the page to come */
	bool guarded;         /* it has to fail: nothing is added any more */
	uint32_t replaced_by; /* the run whose overlap = replace cancelled it; 0. Not known after a restart */
	int64_t held_us;      /* so long a limit had held back pages that were ended without a request; 0. Likewise */
	int64_t held_to_us;   /* wall */
	struct tally *tally;  /* of its attempts up to event `tallied`; NULL: nobody has asked yet */
	uint32_t tallied;
	TAILQ_ENTRY(engine_run) read; /* `plans_wait` or `plans_read` */
};

/* What the opening of a page's attempt leaves for its outcome. */
struct engine_page {
	uint64_t base_job; /* whose ETag was sent; 0: none */
	struct plan_seen base;
	char *base_next;
};

/* engine_page.c */
void engine_page_seen(struct plan_seen *seen, const struct message_page *p);

/* engine_run.c */
void engine_run_source(const struct engine_run *run, struct run_source *out);
/* They are to be committed: the plan has them from now on. */
void engine_run_added(struct engine_run *run, const struct run_pages *pages);
void engine_run_add_more(struct engine_run *run);
void engine_run_cancel_from(struct engine_run *run, uint32_t index);
void engine_run_cancel_needless(struct engine_run *run); /* what the plan says is */
/* The figures of a run that ends: those of its attempts, and what is known of pages that had none. */
struct tally_sums engine_run_sums(const struct engine *en, uint32_t number, struct tally *attempts);

/* engine_run_read.c */
/* Begins to read the plan, or puts the run among those that wait for memory. */
void engine_run_read(struct engine_run *run);
/* What was read does not hold any more, for a commit failed, or the owner retries: once more from the beginning. */
void engine_run_unready(struct engine_run *run);
/* The plan is as the store has it. False: it is being read, or waits to be; nothing can be asked of it. Not for runs
 * that are being cancelled: their plan may never come. */
bool engine_run_ready(struct engine_run *run);
/* The next turn brings its plan, or says that it takes longer. */
bool engine_run_soon_ready(const struct engine_run *run);
/* It is not wanted any more: its batch is being cancelled, or freed. */
void engine_run_read_stop(struct engine_run *run);
/* To be asked when its plan may have grown. True: there is no memory for that, and it is not ready any more. */
bool engine_run_grown(struct engine_run *run);
/* A page ended while the plan was being read. */
void engine_run_tell_late(struct engine_run *run, uint32_t index, const struct plan_seen *seen);
/* Tells the plan what is stored; a page that has not ended is told as added only. */
void engine_run_tell(struct plan *plan, const struct store_page *row);

/* engine_run_begin.c */
/* The oldest run that waits for (uid, pull, scope) starts. */
void engine_run_next(struct engine *en, uint32_t uid, const char *pull, const char *scope);

/* ---- receipt.c ---- */

struct receipt {
	const struct plan_conclusion *conclusion;
	enum run_verdict verdict;
	struct tally_sums sums;
	int64_t unique, not_modified;
	int64_t took_us;
	int64_t items_before;   /* of the last complete run; -1 */
	bool keys_rounded;      /* keys of some pages cannot be compared: numbers that jq has rounded */
	bool since_wanted;      /* the recipe has a since */
	const char *since_seen; /* the greatest value on its pages, JSON text; NULL */
	const char *since_from; /* as sent; NULL */
	bool since_of_state;    /* and so that the state had it, not who started the run, nor the recipe */
	const char *since_to;   /* JSON text; NULL */
	bool since_kept;        /* the state stays where it was, for the run began behind it */
	const char *doubt;      /* plan_doubt(); "" */
	const char *error;
};
char *receipt_write(const struct receipt *r);
void run_tally_add(struct tally *t, const struct store_run_attempt *row);
/* Whether the JSON text `a` is greater than `b`: numbers by value, texts byte by byte, a text above any number. "" is
 * below all. */
bool receipt_since_greater(const char *a, const char *b);

#endif
