/* Delays drawn from a distribution. */
#include "tests/apisim/jitter.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXP_CAP_MEANS 10

static double draw_const(const struct jitter *j, double uniform)
{
	(void)uniform;
	return j->a;
}

static double draw_uniform(const struct jitter *j, double uniform)
{
	return j->a + (j->b - j->a) * uniform;
}

static double draw_exp(const struct jitter *j, double uniform)
{
	return -j->a * log1p(-uniform);
}

static double draw_pareto(const struct jitter *j, double uniform)
{
	return j->a / pow(1 - uniform, 1 / j->b);
}

static const struct {
	const char *name;
	int numbers_min, numbers_max;
	double (*draw)(const struct jitter *j, double uniform);
} kinds[] = {
    {"const", 1, 1, draw_const},
    {"uniform", 2, 2, draw_uniform},
    {"exp", 1, 2, draw_exp},
    {"pareto", 3, 3, draw_pareto},
};

/* ":1:2.5" into `out`; how many, or -1. */
static int parse_numbers(const char *text, double out[3])
{
	int n = 0;
	char *end;

	for (; *text; text = end) {
		if (*text != ':' || n == 3)
			return -1;
		out[n] = strtod(text + 1, &end);
		if (end == text + 1 || !(out[n] >= 0) || !isfinite(out[n]))
			return -1;
		n++;
	}
	return n;
}

int jitter_parse(const char *text, struct jitter *out)
{
	const size_t length = strcspn(text, ":");
	double numbers[3] = {0};
	const int n = parse_numbers(text + length, numbers);

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strlen(kinds[i].name) != length || strncmp(kinds[i].name, text, length) != 0)
			continue;
		if (n < kinds[i].numbers_min || n > kinds[i].numbers_max)
			return -1;
		*out = (struct jitter){.draw = kinds[i].draw, .a = numbers[0], .b = numbers[1], .cap = INFINITY};
		if (out->draw == draw_uniform && out->b < out->a)
			return -1;
		if (out->draw == draw_exp)
			out->cap = n == 2 ? numbers[1] : EXP_CAP_MEANS * numbers[0];
		if (out->draw == draw_pareto) {
			out->cap = numbers[2];
			if (!(out->b > 0))
				return -1;
		}
		return 0;
	}
	return -1;
}

/* splitmix64 (Steele, Lea, Flood 2014): any state will do, also 0. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

double jitter_draw(const struct jitter *j, uint64_t *state)
{
	const double uniform = (double)(next_random(state) >> 11) * 0x1p-53; /* [0, 1) */

	return j->draw ? fmin(j->draw(j, uniform), j->cap) : 0;
}
