/* Compiled jq programs, by least recent use: a batch's jobs all bring the same one. */
#ifndef FANOUT_LIB_PROGRAMS_H
#define FANOUT_LIB_PROGRAMS_H

#include <stdbool.h>

struct jq_state;

enum program_kind { PROGRAM_FAIL_IF, PROGRAM_PAGE };

struct program {
	struct jq_state *jq; /* NULL where it does not compile */
	const char *error;   /* why not */
	bool wants_headers;
};

struct programs;
struct programs *programs_create(void);
void programs_free(struct programs *all);

/* Stands until so many others as are kept were asked for (JUDGE_PROGRAMS_MAX). */
const struct program *programs_get(struct programs *all, enum program_kind kind, const char *text);

#endif
