/* Waiting for a run, with what is known of it meanwhile on stderr. */
#ifndef FANOUT_CLI_PULL_WAIT_H
#define FANOUT_CLI_PULL_WAIT_H

#include <jansson.h>
#include <stdint.h>

#include "cli/ctl.h"
#include "cli/progress.h"

/* Waits until the run has ended, also across a restart of the daemon. 0 with the run as it ended (a new reference), or
 * -1 with the exit status in *status; it was told then. */
int pull_wait(struct ctl *ctl, uint32_t run, const char *name, json_t **ended, int *status);

/* ---- for tests ---- */

struct pull_progress {
	struct progress p; /* first */
	const char *name;
	uint32_t settled; /* the pages up to this one have ended, and are counted */
	int64_t settled_items, ahead_items;
	bool gap;                         /* a page was seen that has not ended */
	bool items_told;                  /* the recipe counts them */
	int64_t total_pages, total_items; /* -1: not known */
	int64_t max_pages;                /* that were asked for; 0: not known */
};
/* Takes over what the API says of a page; in order. */
int pull_progress_page(void *progress, const json_t *page, struct err *e);
void pull_progress_format(const struct progress *p, unsigned width, struct text *line);

#endif
