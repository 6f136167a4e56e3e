/* Words that people try as a verb, or behind one: those that other programs have, and slips of the pen. */
#ifndef FANOUT_CLI_WORDS_H
#define FANOUT_CLI_WORDS_H

#include <stdbool.h>

#include "lib/err.h"

struct verb;

/* Refuses a word that is no verb, with the one that was probably meant. */
int words_refuse_verb(const char *word, struct err *e);
/* Whether `word`, which is no second word of `v`, was meant as one: then `e` says what there is. `alone`: nothing but a
 * verb can have been meant by what follows it. */
bool words_refuse(const struct verb *v, const char *word, bool alone, struct err *e);
/* A word that other programs have for what goes by another name here: refused wherever it stands second. */
bool words_refuse_foreign(const struct verb *v, const char *word, struct err *e);

#endif
