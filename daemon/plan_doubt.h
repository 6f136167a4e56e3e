/* Whether what came looks like a recipe that names the wrong members. Pure. */
#ifndef FANOUT_DAEMON_PLAN_DOUBT_H
#define FANOUT_DAEMON_PLAN_DOUBT_H

#include "daemon/plan.h"

#define PLAN_DOUBT_SIZE 200

/* What the recipe has expressions for, and how it was run. */
struct plan_named {
	bool items, next, total_pages, total_items;
	bool news;   /* it asked for what is new since a moment: nothing may be */
	bool reused; /* some pages had not changed since an earlier run, and are its */
	bool first;  /* a test, or no run of it with these vars was complete before: nobody has looked at it yet */
};

/* Of a run that is complete or partial, with so many different keys (-1: not counted). Writes a sentence to `text` and
 * is true, or writes "". */
bool plan_doubt(const struct plan *p, const struct plan_conclusion *c, const struct plan_named *named, int64_t unique,
		char *text, size_t size);

#endif
