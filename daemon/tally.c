/* Sums over attempts. Two bits a page tell a first request from a retry and from a redirect's hop; the times in which
 * limits held pages back are kept as disjoint spans, in order. It must not know where attempts come from. */
#include "daemon/tally.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

enum { PAGE_ASKED = 1, PAGE_LED = 2 }; /* a request was sent; its last one was redirected */

struct span {
	int64_t from_us, to_us;
};

struct tally {
	struct tally_sums sums; /* limited_us: of what is settled */
	uint8_t *pages;         /* PAGE_ bits, by number */
	uint32_t page_room;
	struct span *spans;
	size_t span_count, span_room;
	int64_t settled_us;     /* nothing before this is looked at again */
	int64_t boot, ahead_us; /* of the last one sent: by how much the wall clock is ahead of that boot's */
	bool down;              /* nothing gets through; both times less what the clock was set by */
	int64_t down_from_us, down_to_us;
	int64_t reached_us; /* the last request that was sent began, likewise */
	int64_t up_us;      /* and the one that ended the last outage, by the wall */
};

struct tally *tally_create(void)
{
	struct tally *t = calloc(1, sizeof *t);

	if (!t)
		BUG("out of memory for a receipt");
	t->settled_us = t->reached_us = t->up_us = INT64_MIN;
	return t;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	free(t->pages);
	free(t->spans);
	free(t);
}

/* ---- requests ---- */

static uint8_t *page_at(struct tally *t, uint32_t page)
{
	uint32_t room = t->page_room ? t->page_room : 256;

	while (room <= page && room < UINT32_MAX / 2)
		room *= 2;
	if (room <= page)
		room = UINT32_MAX;
	if (room > t->page_room) {
		t->pages = realloc(t->pages, room);
		if (!t->pages)
			BUG("out of memory for %u pages", room);
		memset(t->pages + t->page_room, 0, room - t->page_room);
		t->page_room = room;
	}
	return &t->pages[page];
}

static void count_request(struct tally *t, const struct tally_attempt *a)
{
	uint8_t *page = page_at(t, a->page);

	t->sums.requests++;
	t->sums.retries += (*page & (PAGE_ASKED | PAGE_LED)) == PAGE_ASKED;
	*page = (uint8_t)(PAGE_ASKED | (a->redirected ? PAGE_LED : 0));
}

/* ---- spans ---- */

/* The first that ends at or behind this moment. */
static size_t find_span(const struct tally *t, int64_t us)
{
	size_t low = 0, high = t->span_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->spans[mid].to_us < us)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void settle(struct tally *t)
{
	size_t half = t->span_count / 2;

	for (size_t i = 0; i < half; i++)
		t->sums.limited_us += t->spans[i].to_us - t->spans[i].from_us;
	t->settled_us = t->spans[half - 1].to_us;
	t->span_count -= half;
	memmove(t->spans, t->spans + half, t->span_count * sizeof *t->spans);
}

static void make_room(struct tally *t)
{
	if (t->span_count == TALLY_SPANS_MAX)
		settle(t);
	if (t->span_count < t->span_room)
		return;
	t->span_room = t->span_room ? 2 * t->span_room : 64;
	t->spans = reallocarray(t->spans, t->span_room, sizeof *t->spans);
	if (!t->spans)
		BUG("out of memory for %zu spans", t->span_room);
}

static void add_span(struct tally *t, int64_t from_us, int64_t to_us)
{
	size_t at, behind;

	make_room(t);
	if (from_us < t->settled_us)
		from_us = t->settled_us;
	if (from_us >= to_us)
		return;
	at = behind = find_span(t, from_us);
	/* All that it touches becomes one. */
	for (; behind < t->span_count && t->spans[behind].from_us <= to_us; behind++) {
		if (t->spans[behind].from_us < from_us)
			from_us = t->spans[behind].from_us;
		if (t->spans[behind].to_us > to_us)
			to_us = t->spans[behind].to_us;
	}
	memmove(t->spans + at + 1, t->spans + behind, (t->span_count - behind) * sizeof *t->spans);
	t->span_count += at + 1 - behind;
	t->spans[at] = (struct span){from_us, to_us};
}

/* ---- clocks ---- */

/* What a request's wall time and its time since the boot differ by changes only where the wall clock was set. */
static void see_clock(struct tally *t, const struct tally_attempt *a)
{
	int64_t ahead_us = a->started_us - a->sent_boot_us;

	if (a->boot == 0)
		return;
	if (a->boot == t->boot)
		t->sums.clock_us += ahead_us - t->ahead_us;
	t->boot = a->boot;
	t->ahead_us = ahead_us;
}

/* ---- no way to the host ---- */

static int64_t outage_us(const struct tally *t, int64_t to_us)
{
	return to_us > t->down_from_us ? to_us - t->down_from_us : 0;
}

/* Attempts come in the order of their ends: one that began before the outage may be told amid it, and one that failed
 * slowly after it. */
static void count_unreached(struct tally *t, const struct tally_attempt *a)
{
	int64_t from_us = a->started_us - t->sums.clock_us, to_us = a->ended_us - t->sums.clock_us;

	if (a->unreached) {
		t->sums.unreached++;
		if (!t->down && from_us >= t->reached_us) {
			t->down = true;
			t->down_from_us = t->down_to_us = from_us;
		}
		if (t->down && to_us > t->down_to_us)
			t->down_to_us = to_us;
	} else if (a->sent) {
		if (t->down && from_us >= t->down_from_us) {
			t->sums.unreached_us += outage_us(t, from_us);
			t->down = false;
			t->up_us = a->started_us;
		}
		if (from_us > t->reached_us)
			t->reached_us = from_us;
	}
}

/* ---- all ---- */

/* While there was no way to the host, it was not the limit that the run waited for. */
static void count_limited(struct tally *t, const struct tally_attempt *a)
{
	int64_t from_us;

	if (a->unreached || a->limited_us <= 0 || __builtin_sub_overflow(a->started_us, a->limited_us, &from_us))
		return;
	add_span(t, from_us < t->up_us ? t->up_us : from_us, a->started_us);
}

void tally_add(struct tally *t, const struct tally_attempt *a)
{
	if (a->sent)
		count_request(t, a);
	t->sums.refused += a->refused;
	t->sums.bytes += a->bytes;
	see_clock(t, a);
	count_unreached(t, a);
	count_limited(t, a);
}

/* Of an outage that has no end what lies before it counts. */
void tally_add_held(struct tally *t, int64_t limited_us, int64_t until_us)
{
	int64_t from_us, down_us = t->down_from_us + t->sums.clock_us;

	if (limited_us <= 0 || __builtin_sub_overflow(until_us, limited_us, &from_us))
		return;
	add_span(t, from_us < t->up_us ? t->up_us : from_us, t->down && down_us < until_us ? down_us : until_us);
}

struct tally_sums tally_read(const struct tally *t)
{
	struct tally_sums sums = t->sums;

	for (size_t i = 0; i < t->span_count; i++)
		sums.limited_us += t->spans[i].to_us - t->spans[i].from_us;
	if (t->down)
		sums.unreached_us += outage_us(t, t->down_to_us);
	return sums;
}
