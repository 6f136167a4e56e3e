/* The record of one host as the daemon tells it: which requests were sent, when, and which limits they count against.
 *
 * Memory: 40 bytes an attempt, and RECORD_MAX attempts at most: 160 MB; what is measured of them takes 24 bytes an
 * attempt more. A longer record is measured in parts. */
#ifndef FANOUT_CLI_RECORD_H
#define FANOUT_CLI_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/windows.h"
#include "lib/err.h"

#define RECORD_MAX       4000000u
#define RECORD_RULES_MAX 1024u /* limits of one host */
#define RECORD_ALL       UINT32_MAX

struct attempt {
	int64_t sent_us, counted_us; /* of one clock where `boot` is equal */
	int64_t wall_us;             /* sent_us for people */
	uint64_t job;
	uint32_t boot;
	uint16_t set; /* which limits */
	bool open, refused;
};
_Static_assert(sizeof(struct attempt) == 40, "as much as is said above");

struct record {
	struct attempt *attempts;
	size_t count, room;
	size_t unsent;            /* attempts that were granted, and whose connection failed */
	size_t open_count;        /* the first so many were open when they were read */
	bool open_sorted;         /* these, by job: an ended one was read */
	const char *const *names; /* of the limits, by index; those it does not name are passed over */
	size_t name_count;
	const int64_t *since_us; /* of the limits: what was sent before does not count against them; 0: not known */
	struct record_set *sets; /* of limits that came together */
	size_t set_count;
};

/* `names` and `since_us` (wall) are kept by reference. */
void record_init(struct record *r, const char *const *names, const int64_t *since_us, size_t count);
void record_clear(struct record *r);
/* One line of /v1/audit. */
int record_add(struct record *r, const char *line, size_t len, struct err *e);
/* When all are in: attempts in order of boot and time of sending; those still open are in flight up to now_us. */
void record_sort(struct record *r, int64_t now_us);

/* How many that match limit `rule` were sent before it held. */
uint64_t record_before(const struct record *r, uint32_t rule);
/* Whether that attempt counts against limit `rule` (RECORD_ALL: any). */
bool record_counts(const struct record *r, const struct attempt *a, uint32_t rule);
/* The end (an index) of the boot that begins at `from`. */
size_t record_boot_end(const struct record *r, size_t from);
/* The times of those in [from, to) that count against `rule`, into `w`, whose arrays have room for them. */
void record_select(const struct record *r, size_t from, size_t to, uint32_t rule, struct windows *w);

#endif
