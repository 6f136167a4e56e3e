/* May one more request go to this key now, and if not, when: windows ("100 requests in any 60 s, as the server counts
 * them"), concurrency, pace, pauses.
 *
 * The rule, its proof and its assumptions are in docs/SCHEDULER.md. Pure: time is an argument (CLOCK_BOOTTIME, us), no
 * I/O, no globals. A grant is one wire request. A request counts against every rule it matches; the caller (sched) asks
 * each `struct limit` that applies and grants all or none. */
#ifndef FANOUT_DAEMON_LIMIT_H
#define FANOUT_DAEMON_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/units.h"

#define LIMIT_RATES_MAX 4

struct limit_rule {
	struct rate rates[LIMIT_RATES_MAX];
	unsigned rate_count;
	unsigned concurrency; /* 0: no bound */
	bool pace;            /* spread evenly: at least window/count between two grants */
};

struct limit;

struct limit *limit_create(const struct limit_rule *rule);
void limit_free(struct limit *l);

/* 0: a request may go now. Otherwise the earliest time at which one might (a window's slot frees, a pause ends);
 * CLOCK_NEVER when only the end of a request in flight can free a slot. Does not change anything. */
int64_t limit_ask(const struct limit *l, int64_t now_us);

/* The same, and which part of the rule says so: of several the one that ends last. */
enum limit_hold { LIMIT_FREE, LIMIT_CONCURRENCY, LIMIT_RATE, LIMIT_PACE, LIMIT_PAUSE };
int64_t limit_ask_why(const struct limit *l, int64_t now_us, enum limit_hold *why);

/* Takes one slot; only after limit_ask said 0 for the same `now_us`. */
void limit_grant(struct limit *l, int64_t now_us);

/* One granted request ended. `counted_us` is the latest time at which the server can have counted it: the first byte of
 * the final response, or, where none came, the end of the attempt plus the safety time. It holds its window slots until
 * counted_us + W; its concurrency slot is free at once. */
void limit_end(struct limit *l, int64_t now_us, int64_t counted_us);

/* A grant that was taken back before anything was sent (the commit failed). */
void limit_refund(struct limit *l, int64_t granted_us);

/* No request before `until_us`; the later of two pauses holds. */
void limit_pause(struct limit *l, int64_t until_us);

/* The rule changes; what is in flight, what was counted and a pause stay. What the longest of the old windows had
 * already forgotten stays forgotten: a longer one is exact once it has passed. */
void limit_change(struct limit *l, const struct limit_rule *rule);

/* `n` requests that it never granted are in flight (the rule came while they ran): they hold slots like any other. */
void limit_adopt(struct limit *l, unsigned n);

unsigned limit_in_flight(const struct limit *l);

#endif
