/* What an audit finds for one rate, as a row of data, and how rows are shown. */
#ifndef FANOUT_CLI_AUDIT_H
#define FANOUT_CLI_AUDIT_H

#include <jansson.h>

#include "cli/record.h"
#include "cli/rows.h"

enum measure { MEASURE_SENT, MEASURE_COUNTED, MEASURE_WORST, MEASURES };

struct audited {
	const char *host;
	/* The rate and the limit it belongs to; a rate of the command line has no limit, and a host without limits has
	 * neither. */
	const char *rate_text, *limit, *source, *since;
	struct rate rate;
	uint32_t rule;  /* of the record; RECORD_ALL */
	const char *of; /* "of_run", "of_batch": the requests of this batch are counted besides; NULL: none's */
	uint32_t number;
	/* found */
	struct {
		struct fullest window;
		size_t from, to; /* the attempts of that boot */
	} fullest[MEASURES];
	int64_t used, allowed;
};

extern const struct layout layout_audit;
/* A new reference. */
json_t *audit_row(const struct record *r, const struct audited *a);
/* For a table: how much of what was allowed was used, in words. */
void audit_add_share(json_t *row);
/* Below a table: where a rate was not kept, when and by which jobs. Nothing for one that was. */
void audit_tell_break(const json_t *row);

#endif
