/* How many name look-ups may be under way. libcurl starts a thread for every transfer whose host it does not know, also
 * for the hundredth to the same host; so the first transfer to a host goes alone, the others wait until it has an
 * address and find that in libcurl's cache, and in all only a few hosts are looked up at once.
 *
 * Knows neither libcurl nor what a transfer is: a ticket is embedded in it. */
#ifndef FANOUT_WORKER_LOOKUP_H
#define FANOUT_WORKER_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define LOOKUP_MAX 16u /* under way at once: a burst of queries is what small resolvers drop */

struct lookup_host;

enum lookup_state { LOOKUP_NONE, LOOKUP_WAITS, LOOKUP_GOES };

struct lookup_ticket {
	enum lookup_state state;
	struct lookup_host *host;
	TAILQ_ENTRY(lookup_ticket) entry;
};

struct lookups {
	struct lookup_host *hosts; /* uthash, by name */
	TAILQ_HEAD(lookup_queue, lookup_ticket) waiting;
	unsigned going;
	size_t sweep_at; /* hosts; then those nobody asks for are forgotten */
	bool changed;    /* since lookup_next() found nothing */
};

/* What a transfer has come to know of its host's name. */
enum lookup_answer {
	LOOKUP_RESOLVED, /* an address was found, and is in libcurl's cache for a while */
	LOOKUP_REUSED,   /* it did not need one: it goes over a connection that is there */
	LOOKUP_FAILED    /* it ended with neither */
};

void lookup_init(struct lookups *l);
void lookup_clear(struct lookups *l);

/* Asks to start a transfer to `url`. True: go now. False: the ticket waits for lookup_next(). */
bool lookup_ask(struct lookups *l, struct lookup_ticket *t, const char *url, int64_t now_us);
/* The transfer knows. May be called from anywhere, any number of times; only the first counts. */
void lookup_answer(struct lookups *l, struct lookup_ticket *t, enum lookup_answer answer, int64_t now_us);
/* A waiting ticket is given up. */
void lookup_forget(struct lookups *l, struct lookup_ticket *t);
/* Hosts remembered. */
size_t lookup_count(const struct lookups *l);
/* A waiting ticket that may go now, or NULL. */
struct lookup_ticket *lookup_next(struct lookups *l, int64_t now_us);

#endif
