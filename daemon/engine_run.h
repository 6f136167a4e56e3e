/* Runs of pulls, as the API asks for them. docs/PULLS.md; the rooms behind it are engine_run_*.c and engine_page.c. */
#ifndef FANOUT_DAEMON_ENGINE_RUN_H
#define FANOUT_DAEMON_ENGINE_RUN_H

#include "daemon/engine.h"
#include "daemon/store_pull.h"
#include "daemon/tally.h"

struct json_t;

/* One run, asked for. Strings are borrowed until `done` is called. */
struct engine_run_ask {
	uint32_t uid;
	const char *pull;
	const struct json_t *vars; /* object of strings; NULL: none */
	const char *since;         /* instead of the state's; NULL */
	const char *recipe;        /* the text to run instead of a file; NULL. Of a test only */
	bool fresh, test;
	uint32_t max_pages; /* 0: the recipe's */
	enum run_overlap overlap;
	int64_t deadline_us; /* 0: the recipe's */
	int priority;        /* -1: as usual */
	void (*done)(struct engine_run_ask *ask, const struct err *e);
	uint32_t run;         /* out */
	bool skipped;         /* out: `run` is the one that has not ended */
	uint32_t waiting_for; /* out: 0, or the run that goes first */
};
/* Errors: ERR_NOT_FOUND (no such recipe), ERR_INPUT (the recipe, a var, a secret without value), those of the store.
 * May call back before it returns. */
void engine_run_submit(struct engine *en, struct engine_run_ask *ask);

/* How far a live run is. -1: not known, or not told. */
struct engine_run_live {
	bool more; /* only the sums, and not all of them yet: ask again in another turn */
	struct tally_sums sums;
	int64_t took_us; /* so far; -1: it has not begun */
	int64_t pages, items, expected_pages, expected_items;
};
/* False: there is no such run in memory, or `more`. */
bool engine_run_live(struct engine *en, const struct store_run *row, struct engine_run_live *out);
/* How many pages a live run asks for in all, as far as its API has told; -1: not known. */
int64_t engine_run_pages_told(const struct engine *en, uint32_t run);
/* It is under way, but its plan waits for memory, or is being read: it is shown as one that waits. */
bool engine_run_waits(const struct engine *en, uint32_t run);
/* As engine_explain_batch, for a run. `b` is its batch as it is shown; room for 2 at least. */
unsigned engine_explain_run(struct engine *en, const struct store_run *row, const struct store_batch *b,
			    struct engine_wait *out, unsigned room);
/* The name of the limit that all runs of a pull with this rate share: "pull cats 100/1min". */
#define ENGINE_PULL_LIMIT_SIZE 160
const char *engine_pull_limit_name(char *out, const char *pull, const struct rate *rate);
/* That of a batch's own rate: "batch 7". To as much room. */
const char *engine_batch_limit_name(char *out, uint32_t batch);

/* What state is kept under for these vars (NULL: none) of a pull; malloc'd. NULL with ERR_NOT_FOUND (no such recipe) or
 * ERR_INPUT: it does not parse, has no such var, or could not begin at `since` (a JSON text or number; NULL: not
 * asked). */
char *engine_pull_scope(const struct engine *en, const char *pull, const struct json_t *vars,
			const struct json_t *since, struct err *e);

/* Where recipes and secrets are. */
const char *engine_pulls_dir(const struct engine *en);
const char *engine_secrets_dir(const struct engine *en);
void engine_set_pulls(struct engine *en, const char *pulls_dir, const char *secrets_dir); /* copied */

#endif
