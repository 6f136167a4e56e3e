/* How fast the scheduler answers: cycles of pick, ended and push over many keys, with and without limits. A cycle with
 * limits is a grant decision: every limit of the key is asked, all grant, and all are told of the end. Prints figures
 * and judges nothing: a clock is no assertion. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/sched.h"
#include "lib/clock.h"

enum { KEYS = 1000, JOBS_PER_KEY = 8, IN_FLIGHT = 256, CYCLES = 2000000, RULES = 10 };

struct bench {
	const char *name;
	unsigned concurrency; /* of each batch; 0: its own default */
	unsigned lanes_per_key;
	unsigned rules;          /* on each key */
	unsigned keys_per_limit; /* that share what a rule counts; 0: all of them share one */
	struct limit_rule rule;
};

#define WIDE                                                                                                   \
	{                                                                                                      \
		.rates = {{1000000, 60000000}, {100000000, 3600000000}}, .rate_count = 2, .concurrency = 1000, \
	}
#define TIGHT(n)                                          \
	{                                                 \
		.rates = {{n, 1000000}}, .rate_count = 1, \
	}

/* A wide rule never refuses here, but remembers everything: some seconds' worth of requests. */
static const struct bench benches[] = {
    {"no rule, 1 batch", 0, 1, 0, 1, {.rate_count = 0}},
    {"no rule, 10 batches", 0, 10, 0, 1, {.rate_count = 0}},
    {"no rule, a batch at its concurrency of 64", 64, 1, 0, 1, {.rate_count = 0}},
    {"1 rule, two windows and concurrency", 0, 1, 1, 1, WIDE},
    {"1 rule, always at its rate", 0, 1, 1, 1, TIGHT(100)},
    {"10 rules, 2 of them on each key", 0, 1, 2, 1, TIGHT(1000000)},
    {"the same, always at their rate", 0, 1, 2, 1, TIGHT(100)},
    {"10 rules on each key", 0, 1, RULES, 1, TIGHT(1000000)},
    {"the same, always at their rate", 0, 1, RULES, 1, TIGHT(100)},
    {"10 rules on each host of 10 keys", 0, 1, RULES, 10, TIGHT(1000000)},
    {"a rate that all keys share, always reached", 0, 1, 1, 0, TIGHT(100000)},
    {"the same beside 9 other rules on each key", 0, 1, RULES, 0, TIGHT(100000)},
};

/* Of the processor, so that what else the machine does counts less. */
static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void give_limits(struct sched *s, const struct bench *b, unsigned k, const char *key)
{
	static struct sched_limit *limits[RULES];
	unsigned share = b->keys_per_limit ? b->keys_per_limit : KEYS;

	if (b->rules == 0)
		return;
	for (unsigned r = 0; r < b->rules; r++)
		if (k % share == 0 || (b->keys_per_limit == 0 && r > 0))
			limits[r] = sched_limit_create(s, &b->rule, NULL);
	sched_key_limits(s, key, limits, b->rules, 0);
}

static struct sched *fill(const struct bench *b)
{
	struct sched *s = sched_create(&(struct sched_settings){64, 1000000, 1000});
	int64_t id = 0;

	for (unsigned lane = 0; lane < b->lanes_per_key; lane++) {
		struct sched_batch_options opt = {.concurrency = b->concurrency, .priority = lane % 10};
		struct sched_batch *batch = sched_batch_add(s, lane + 1, &opt);

		for (unsigned k = 0; k < KEYS; k++) {
			char key[32];
			struct sched_lane *l;

			snprintf(key, sizeof(key), "host%u.example:443", k);
			if (lane == 0)
				give_limits(s, b, k, key);
			l = sched_lane_add(s, ++id, batch, key, key, NULL);
			for (unsigned j = 0; j < JOBS_PER_KEY; j++)
				sched_push(s, l, calloc(1, sizeof(struct sched_job)), 1);
		}
	}
	return s;
}

/* Each turn of the clock ends one request and asks for one; where none may go, the clock goes on to when one may. */
static void run(const struct bench *b)
{
	struct sched *s = fill(b);
	struct sched_job *flying[IN_FLIGHT] = {0};
	int64_t now_us = 1;
	unsigned picked = 0;
	double seconds = -cpu_seconds();

	for (unsigned i = 0; picked < CYCLES; i = (i + 1) % IN_FLIGHT, now_us++) {
		struct sched_job *j = flying[i];

		if (j) {
			struct sched_lane *l = j->lane;

			sched_ended(s, j, now_us, now_us);
			sched_push(s, l, j, now_us);
		}
		flying[i] = sched_pick(s, now_us);
		picked += flying[i] != NULL;
		if (!flying[i] && sched_wake_us(s, now_us) != CLOCK_NEVER)
			now_us = sched_wake_us(s, now_us);
	}
	seconds += cpu_seconds();
	printf("%-46s %6.2f M granted/s  %6.2f M by single limits/s\n", b->name, CYCLES / seconds / 1e6,
	       CYCLES / seconds / 1e6 * b->rules);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		free(flying[i]);
	sched_free(s);
}

int main(void)
{
	printf("%d keys, %d in flight, cycles of pick, end and push, per second of processor time:\n", KEYS, IN_FLIGHT);
	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
		run(&benches[i]);
	return 0;
}
