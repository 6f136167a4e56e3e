/* Sorted by insertion: there are five. */
#include "cli/refusals.h"

#include <inttypes.h>
#include <string.h>

#include "cli/ctl.h"

void refusals_note(struct refusals *r, unsigned line, const struct err *e)
{
	size_t kept = r->count < REFUSALS_TOLD ? r->count : REFUSALS_TOLD, at = kept;

	if (r->count && line == r->last)
		return;
	r->last = line;
	r->count++;
	while (at > 0 && r->first[at - 1].line > line)
		at--;
	if (at == REFUSALS_TOLD)
		return;
	kept -= kept == REFUSALS_TOLD;
	memmove(r->first + at + 1, r->first + at, (kept - at) * sizeof *r->first);
	r->first[at] = *e;
	r->first[at].line = line;
}

/* As "urls.txt:5007: it is no URL". */
static void blame(const struct err *refusal, const char *source, struct err *e)
{
	unsigned line = refusal->line;

	err_set(e, refusal->code, refusal->hint, "%.100s:%u: %.280s", source, line, refusal->what);
	e->line = line;
}

int refusals_tell(const struct refusals *r, const char *source, struct err *e)
{
	struct err one;

	if (r->count == 1) {
		blame(&r->first[0], source, e);
		return -1;
	}
	for (size_t i = 0; i < r->count && i < REFUSALS_TOLD; i++) {
		blame(&r->first[i], source, &one);
		if (i > 0 && strcmp(one.hint, r->first[i - 1].hint) == 0)
			one.hint[0] = '\0'; /* has just been said */
		ctl_report(&one);
	}
	return r->count <= REFUSALS_TOLD
		   ? err_set(e, r->first[0].code, NULL, "%" PRIu64 " lines of %.200s are refused", r->count, source)
		   : err_set(e, r->first[0].code, NULL, "and %" PRIu64 " more: %" PRIu64 " lines of %.200s are refused",
			     r->count - REFUSALS_TOLD, r->count, source);
}
