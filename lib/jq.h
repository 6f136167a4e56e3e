/* The jq programs that users write, compiled by libjq: by the worker to run them, by the client to check them before
 * they are submitted. Only programs that use this link libjq; the daemon does not.
 *
 * fail_if runs on the JSON body of a response with status 2xx, with $status (a number) and $headers (an object, names
 * in lower case) at hand. Its first output decides: none, false or null is fine; a string is the error's text; true is
 * an error without a text; a number, object or array is an error whose text is its JSON. `.message` so finds
 * {"message":"Token not valid!"}. Nothing is read but what the program is given: no files, modules, environment or
 * further input, and what it says to stderr or debug is dropped. Where memory is short the process ends: libjq cannot
 * go on then. */
#ifndef FANOUT_LIB_JQ_H
#define FANOUT_LIB_JQ_H

#include "lib/err.h"

#define JQ_PROGRAM_MAX 4096 /* bytes; nested to that depth compiling takes 0.25 s, to twice as much four times that */
#define JQ_PAGE_MAX    (64u << 10) /* of a whole recipe's expressions, each within JQ_PROGRAM_MAX */

struct jq_state;

/* Compiles a program whose input is to be an object of body, status and headers. It has one output at most, and is run
 * until it has no more (jq_next() gives an invalid value). Takes some 40 ms and 1.2 MB; to be freed with jq_teardown().
 * NULL with ERR_INPUT and jq's own words for what is wrong with it. */
struct jq_state *jq_program_compile(const char *text, struct err *e);
/* Only looks whether it compiles. */
int jq_program_check(const char *text, struct err *e);

/* The same for the program of a page (recipe_program() in lib/recipe.h), whose input is an object of body, headers,
 * status, page and vars as it stands. Its expressions have been checked by themselves. */
struct jq_state *jq_page_compile(const char *text, struct err *e);
/* recipe_items_program(): the same, with any number of outputs, the items. What is raised ends them: an invalid value
 * with a message. A run is to be continued until it has no more: dropped within a path expression, libjq aborts. */
struct jq_state *jq_items_compile(const char *text, struct err *e);
/* Whether one expression of a recipe compiles. What is wrong with it is told as "FILE:LINE: NAME: what", LINE (also
 * e->line) that of the fault, where the expression begins at `line`. */
int jq_expr_check(const char *text, const char *file, unsigned line, const char *name, struct err *e);

#endif
