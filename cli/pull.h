/* What the verbs of pulls share: what an operand names, what --var gives, and asking the daemon for recipes, runs and
 * pages. Knows the API; no recipe and no jq (cli/pull_recipe.h). */
#ifndef FANOUT_CLI_PULL_H
#define FANOUT_CLI_PULL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/ctl.h"
#include "cli/text.h"

/* "pulls.d/cats.conf" or "./cats" is a file, "cats" a recipe of the daemon's. */
bool pull_is_file(const char *operand);

/* NAME or RUN: `run` is 0 where it is a name. "last" asks the daemon for the caller's newest run. */
struct pull_target {
	uint32_t run;
	const char *name;
};
int pull_parse(struct ctl *ctl, const char *operand, struct pull_target *t, struct err *e);
/* The same where only a name is meant. */
int pull_check_name(const struct ctl *ctl, const char *name, struct err *e);

/* What --var gave, as an object (a new reference); NULL with ERR_USAGE. */
json_t *pull_vars(const struct ctl *ctl, struct err *e);
/* What it gave for one var; NULL: nothing. */
const char *pull_var(const struct ctl *ctl, const char *name);

/* GET /v1/pulls/NAME, and /v1/runs/RUN. New references; NULL with `e`. */
json_t *pull_get(struct ctl *ctl, const char *name, struct err *e);
json_t *run_get(struct ctl *ctl, uint32_t run, struct err *e);
/* Whether a run or a state is one of these vars, of which those that are not named may be any. */
bool pull_vars_fit(const json_t *row, const json_t *vars);
/* The newest run of a pull, with the vars of the options; ERR_NOT_FOUND where there is none. */
json_t *run_newest(struct ctl *ctl, const char *name, struct err *e);
/* Its number, where the word may be something else: 0 where there is no such pull. -1 with ERR_NOT_FOUND: it has no
 * run. The daemon is connected. */
int pull_newest(struct ctl *ctl, const char *name, uint32_t *run, struct err *e);

/* Calls on_page for the pages behind `after`, in order, `limit` at most (0: all). -1 from it breaks off. */
typedef int run_page_fn(void *arg, const json_t *page, struct err *e);
struct client;
int run_pages(struct client *c, uint32_t run, uint32_t after, unsigned limit, run_page_fn *on_page, void *arg,
	      struct err *e);

/* A run's receipt in the chosen form; what it has only for tables is added to it. */
int pull_print_run(const struct ctl *ctl, json_t *run, struct err *e);
/* States or runs, likewise. */
struct layout;
int pull_print_list(const json_t *list, enum format format, const struct layout *layout, struct err *e);
/* What is said where GET /v1/pulls has no recipes. */
void pull_note_none(const struct ctl *ctl, const json_t *answer);

/* Members: a text, "" where there is none; a whole number, -1 where there is none. */
const char *pull_text(const json_t *object, const char *path);
json_int_t pull_number(const json_t *object, const char *path);

#endif
