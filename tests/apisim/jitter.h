/* Delays drawn from a distribution, repeatably: the same seed gives the same delays. Pure.
 *
 *     const:X                 always X
 *     uniform:A:B             anything from A to B
 *     exp:MEAN[:CAP]          exponential, never above CAP (10 × MEAN)
 *     pareto:SCALE:SHAPE:CAP  at least SCALE, with a heavy tail that ends at CAP; the smaller SHAPE, the heavier
 *
 * All in seconds. */
#ifndef FANOUT_APISIM_JITTER_H
#define FANOUT_APISIM_JITTER_H

#include <stdint.h>

struct jitter {
	double (*draw)(const struct jitter *j, double uniform); /* NULL: 0 */
	double a, b, cap;
};

/* Returns 0, or -1 where `text` is none of the forms above. */
int jitter_parse(const char *text, struct jitter *out);
/* Seconds; `state` is any number at first, and moves on. */
double jitter_draw(const struct jitter *j, uint64_t *state);

#endif
