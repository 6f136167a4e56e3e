/* May one more request go now, and if not, when: windows ("100 requests in any 60 s, as the server counts them"),
 * concurrency, pace, what a server told, pauses and the probe after them.
 *
 * The rule, its proof and its assumptions are in docs/SCHEDULER.md. Pure: time is an argument (CLOCK_BOOTTIME, us), no
 * I/O, no globals. A grant is one wire request. A request counts against every rule it matches; the caller (sched) asks
 * each `struct limit` that applies and grants all or none. Asking and granting are O(1), an end is O(log n); a window
 * remembers at most as many requests as its rule allows, or LIMIT_SEEN_MAX where it was told of more. */
#ifndef FANOUT_DAEMON_LIMIT_H
#define FANOUT_DAEMON_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/units.h"

#define LIMIT_RATES_MAX 4
#define LIMIT_SEEN_MAX  100000
#define LIMIT_LINE      64 /* bytes of a processor's cache line */
/* A request that was given up without an answer may still arrive at the server: for this long it is taken to. */
#define LIMIT_SAFETY_US 10000000

struct limit_rule {
	struct rate rates[LIMIT_RATES_MAX];
	unsigned rate_count;
	unsigned concurrency; /* 0: no bound */
	bool pace;            /* spread evenly: at least window/count between two grants */
};

struct limit;

/* A rule may be empty (no rates, no concurrency): it says no only while paused, probing, or by a learned rate. */
struct limit *limit_create(const struct limit_rule *rule);
void limit_free(struct limit *l);

/* 0: a request may go now. Otherwise the earliest time at which one might (a window's slot frees, a pause ends);
 * CLOCK_NEVER when only the end of a request in flight can free a slot. Does not change anything. */
int64_t limit_ask(const struct limit *l, int64_t now_us);

/* The same, and which part of the rule says so: of several the one that ends last. */
enum limit_hold {
	LIMIT_FREE,
	LIMIT_CONCURRENCY,
	LIMIT_RATE,
	LIMIT_LEARNED, /* a rate that the server told */
	LIMIT_PACE,
	LIMIT_PROBE, /* a pause is over, and one request is out to see whether it is true */
	LIMIT_PAUSE,
	LIMIT_HOLDS
};
int64_t limit_ask_why(const struct limit *l, int64_t now_us, enum limit_hold *why);
const char *limit_hold_name(enum limit_hold h); /* "free", "concurrency", "rate", ... */

/* It will be asked soon: has it brought from memory meanwhile. */
static inline void limit_prefetch(const struct limit *l)
{
	__builtin_prefetch(l, 1);
	__builtin_prefetch((const char *)l + LIMIT_LINE, 1);
}

/* The same for what it remembers, where asking or ending will look at that; the limit itself has to be here. */
void limit_prefetch_ask(const struct limit *l);
void limit_prefetch_end(const struct limit *l);

/* Takes one slot; only after limit_ask said 0 for the same `now_us`. */
void limit_grant(struct limit *l, int64_t now_us);

/* One request, granted at `granted_us`, ended. `counted_us` is the latest time at which the server can have counted it:
 * the first byte of the final response, or, where none came, the end of the attempt plus LIMIT_SAFETY_US. It holds its
 * window slots until counted_us + W; its concurrency slot is free at once. */
void limit_end(struct limit *l, int64_t now_us, int64_t granted_us, int64_t counted_us);

/* A grant that was taken back before anything was sent (the commit failed). */
void limit_refund(struct limit *l, int64_t granted_us);

/* ---- requests that it did not grant ---- */

/* `n` requests are in flight that it never granted (the rule came while they ran): they hold slots like any other, and
 * end by limit_end. */
void limit_adopt(struct limit *l, unsigned n);

/* A request was counted at `counted_us` at the latest, and is not in flight: one from the record after a restart, or
 * one that ended (or was given up: end + LIMIT_SAFETY_US) before this rule came. In any order; those that no window
 * covers any more are forgotten by themselves. Pace knows nothing of them. */
void limit_seen(struct limit *l, int64_t counted_us);

/* The record is going to be told anew, since the rule covers other requests now, or looks further back: what is seen
 * until limit_recall_end takes the place of what was counted before. Nothing is granted or ends in between; what is in
 * flight stays, and is not to be told. Where the record could not be read to its end (`whole` is false) what was
 * counted before stays too: rather twice than not at all. Ending what was not begun does nothing. */
void limit_recall_begin(struct limit *l);
void limit_recall_end(struct limit *l, bool whole);

/* A time that was noted on CLOCK_BOOTTIME in an earlier boot, as a time of the boot after that: the latest that it can
 * be. `last_us` is the latest moment that boot is known to have reached (the time of a
 * grant or of an end, and not a counted time that lay ahead). Nothing is known of how long the machine was
 * down, so it is taken to have booted again at that very moment, when the new clock began at 0. For a time from before
 * the boot before this one, apply it once for each boot between. Wall time, which may have been stepped, has no part.
 */
static inline int64_t limit_after_reboot_us(int64_t noted_us, int64_t last_us)
{
	return noted_us - last_us;
}

/* ---- what a server says ---- */

/* No request before `until_us`, and then one at a time (probes) until one of them has recovered. The later of two
 * pauses holds; an earlier or equal one changes nothing. `until_us` = now: probe first. */
void limit_pause(struct limit *l, int64_t until_us);
/* A request granted at `granted_us` was answered, and not with a refusal. True when that ends the probing: it had been
 * granted after the pause ended. */
bool limit_recovered(struct limit *l, int64_t granted_us);
/* The pause ends now (the operator's word), and what follows is what follows every pause: probes. Where there is none,
 * nothing changes. */
void limit_resume(struct limit *l, int64_t now_us);

/* A rate that the server told, besides those of the rule: it can only tighten. A newer one replaces it (and knows what
 * it knew); at `expires_us` it is gone. NULL forgets it now; a rate without a count or a window is ignored. It counts
 * what is in flight and what the longest other window remembers. */
void limit_learn_rate(struct limit *l, const struct rate *rate, int64_t now_us, int64_t expires_us);

/* The rule changes; what is in flight, what was counted, a pause and what was learned stay. What the longest of the old
 * windows had already forgotten stays forgotten: a longer one is exact once it has passed, or when the record was told
 * anew. */
void limit_change(struct limit *l, const struct limit_rule *rule);

/* ---- looking at it ---- */

const struct limit_rule *limit_get_rule(const struct limit *l);
unsigned limit_in_flight(const struct limit *l);
int64_t limit_paused_until_us(const struct limit *l, int64_t now_us); /* 0: not paused */
/* When the learned rate expires, and what it is; 0: none is learned. */
int64_t limit_learned_until_us(const struct limit *l, int64_t now_us, struct rate *rate);
bool limit_probing(const struct limit *l); /* also while the pause still lasts */

struct limit_window {
	struct rate rate;
	int64_t used;    /* in flight, or counted less than a window ago */
	int64_t free_us; /* 0: has room now; else as limit_ask */
	bool learned;
	int64_t expires_us; /* of a learned one; else CLOCK_NEVER */
};
#define LIMIT_WINDOWS_MAX (LIMIT_RATES_MAX + 1)
/* Fills out[LIMIT_WINDOWS_MAX], the rule's own first, and returns how many. */
unsigned limit_windows(const struct limit *l, int64_t now_us, struct limit_window *out);

/* True when it knows nothing that a new one would not: nothing in flight or counted, no pause, nothing learned. */
bool limit_blank(const struct limit *l, int64_t now_us);

#endif
