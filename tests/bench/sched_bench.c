/* How fast the scheduler answers: cycles of pick, ended and push over many keys, with and without limits, and of a
 * batch whose lanes are mostly parked. Prints figures and judges nothing: a clock is no assertion. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/sched.h"
#include "lib/clock.h"

enum { KEYS = 1000, JOBS_PER_KEY = 8, IN_FLIGHT = 256, CYCLES = 2000000 };

struct bench {
	const char *name;
	unsigned concurrency; /* of the one batch; 0: its own default */
	unsigned lanes_per_key;
	const struct limit_rule *rule;
};

static const struct limit_rule wide_rule = {
    /* never refuses here, but remembers everything */
    .rates = {{1000000, 60000000}, {100000000, 3600000000}},
    .rate_count = 2,
    .concurrency = 1000,
};
static const struct limit_rule tight_rule = {.rates = {{100, 1000000}}, .rate_count = 1};

static const struct bench benches[] = {
    {"unlimited, 1 batch", 0, 1, NULL},
    {"unlimited, 10 batches", 0, 10, NULL},
    {"1 batch at its concurrency of 64", 64, 1, NULL},
    {"two windows and concurrency per key", 0, 1, &wide_rule},
    {"100/s per key, always limited", 0, 1, &tight_rule},
};

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
			if (b->rule) {
				struct sched_limit *limit = sched_limit_create(s, b->rule, NULL);

				sched_key_limits(s, key, &limit, 1, 0);
			}
			l = sched_lane_add(s, ++id, batch, key, key, NULL);
			for (unsigned j = 0; j < JOBS_PER_KEY; j++)
				sched_push(s, l, calloc(1, sizeof(struct sched_job)), 1);
		}
	}
	return s;
}

static void run(const struct bench *b)
{
	struct sched *s = fill(b);
	struct sched_job *flying[IN_FLIGHT] = {0};
	int64_t start_us, now_us = 1;
	unsigned picked = 0;
	double seconds;

	start_us = clock_boot_us();
	for (unsigned i = 0; picked < CYCLES; i = (i + 1) % IN_FLIGHT, now_us++) {
		struct sched_job *j = flying[i];

		if (j) {
			struct sched_lane *l = j->lane;

			sched_ended(s, j, now_us, now_us);
			sched_push(s, l, j, now_us);
		}
		flying[i] = sched_pick(s, now_us);
		if (flying[i])
			picked++;
		else if (sched_wake_us(s, now_us) != CLOCK_NEVER)
			now_us = sched_wake_us(s, now_us);
	}
	seconds = (double)(clock_boot_us() - start_us) / 1e6;
	printf("%-40s %6.2f M cycles/s\n", b->name, CYCLES / seconds / 1e6);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		free(flying[i]);
	sched_free(s);
}

int main(void)
{
	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
		run(&benches[i]);
	return 0;
}
