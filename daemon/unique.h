/* How many different keys there are among any number of them, in bounded memory: a set of at most UNIQUE_SLOTS_MAX
 * keys, and as many passes over all of them as that takes, each for a range of the keys' hashes.
 *
 *     while (unique_pass_begin(u))
 *         for each page
 *             unique_add(u, its keys);     one step of bounded cost
 *     n = unique_count(u);
 *
 * Every pass must be given the same keys, in any order. Pure. */
#ifndef FANOUT_DAEMON_UNIQUE_H
#define FANOUT_DAEMON_UNIQUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNIQUE_SLOTS_MAX   (1u << 20) /* 8 MiB, and for moments twice that */
#define UNIQUE_KEYS_A_PASS (UNIQUE_SLOTS_MAX / 4 * 3)

struct unique;

/* `expected` keys, repeated ones included: a guess, which only decides how many passes are made. */
struct unique *unique_create(uint64_t expected);
void unique_free(struct unique *u);
/* How many passes there will be, as far as is known. */
unsigned unique_passes(const struct unique *u);
/* Ends the pass before, and begins the next; false: there is none. */
bool unique_pass_begin(struct unique *u);
/* 8 bytes a key, aligned or not; bytes beyond the last whole one do not count. */
void unique_add(struct unique *u, const void *keys, size_t bytes);
/* Once unique_pass_begin said false. */
uint64_t unique_count(const struct unique *u);

#endif
