/* The ring of turns, and the lines: keys that a limit or their host's concurrency holds up wait there, those that have
 * waited longest first. A key keeps its ticket while it moves from one line to another, until a job of it goes. It must
 * not know which limits a key has, nor what follows when it is served. */
#include "daemon/sched_private.h"
#include "lib/clock.h"

/* ---- the ring ---- */

void turn_over(struct sched *s, struct turn *t)
{
	if (t->ready)
		TAILQ_REMOVE(&s->ready, t, link);
	t->ready = false;
}

void turn_ready(struct sched *s, struct turn *t)
{
	turn_over(s, t);
	t->ready = true;
	TAILQ_INSERT_TAIL(&s->ready, t, link);
}

/* ---- lines ---- */

static bool lined_before(const struct heap_node *a, const struct heap_node *b)
{
	return HEAP_CONST_ENTRY(a, struct sched_key, lined)->ticket <
	       HEAP_CONST_ENTRY(b, struct sched_key, lined)->ticket;
}

static bool host_lined_before(const struct heap_node *a, const struct heap_node *b)
{
	return HEAP_CONST_ENTRY(a, struct sched_key, host_lined)->host_ticket <
	       HEAP_CONST_ENTRY(b, struct sched_key, host_lined)->host_ticket;
}

void line_init(struct line *l, enum turn_kind kind)
{
	l->turn.kind = kind;
	heap_init(&l->keys, kind == TURN_LIMIT ? lined_before : host_lined_before);
}

void line_clear(struct sched *s, struct line *l)
{
	turn_over(s, &l->turn);
	heap_clear(&l->keys);
}

static void draw_ticket(struct sched *s, uint64_t *ticket)
{
	if (*ticket == 0)
		*ticket = ++s->tickets;
}

/* ---- limits ---- */

bool limit_comes_before(const struct heap_node *a, const struct heap_node *b)
{
	return HEAP_CONST_ENTRY(a, struct sched_limit, node)->wake_us <
	       HEAP_CONST_ENTRY(b, struct sched_limit, node)->wake_us;
}

struct sched_key *limit_first_in_line(const struct sched_limit *l)
{
	struct heap_node *n = heap_top(&l->line.keys);

	return n ? HEAP_ENTRY(n, struct sched_key, lined) : NULL;
}

/* A limit's limited time ends when it would have let one go, even if nobody asked until later. */
static int64_t limited_us(const struct sched_limit *l, int64_t now_us)
{
	int64_t until_us = l->wake_us < now_us ? l->wake_us : now_us;

	return l->limited_us + (l->limited && until_us > l->limited_since_us ? until_us - l->limited_since_us : 0);
}

static void account(struct sched_limit *l, bool limited, int64_t now_us)
{
	l->limited_us = limited_us(l, now_us);
	l->limited_since_us = now_us;
	l->limited = limited;
}

static void stop_waiting(struct sched *s, struct sched_limit *l)
{
	if (heap_holds(&l->node))
		heap_remove(&s->waiting, &l->node);
}

void limit_held(struct sched *s, struct sched_limit *l, int64_t until_us, enum limit_hold why, int64_t now_us)
{
	account(l, why > LIMIT_CONCURRENCY, now_us);
	turn_over(s, &l->line.turn);
	stop_waiting(s, l);
	l->wake_us = until_us;
	if (until_us != CLOCK_NEVER)
		heap_insert(&s->waiting, &l->node);
}

void limit_free_again(struct sched_limit *l, int64_t now_us)
{
	account(l, false, now_us);
}

void limit_touched(struct sched *s, struct sched_limit *l)
{
	stop_waiting(s, l);
	if (limit_first_in_line(l) && !l->line.turn.ready)
		turn_ready(s, &l->line.turn);
}

void key_join_line(struct sched *s, struct sched_key *k, struct sched_limit *l, int64_t now_us)
{
	key_set_state(s, k, KEY_LINED);
	draw_ticket(s, &k->ticket);
	k->held_by = l;
	k->limited_us -= limited_us(l, now_us);
	heap_insert(&l->line.keys, &k->lined);
}

/* Out of the line; its next state is the caller's to set. */
void key_leave_line(struct sched *s, struct sched_key *k, int64_t now_us)
{
	struct sched_limit *l = k->held_by;

	heap_remove(&l->line.keys, &k->lined);
	k->limited_us += limited_us(l, now_us);
	k->held_by = NULL;
	k->state = KEY_IDLE;
	if (limit_first_in_line(l))
		return;
	turn_over(s, &l->line.turn);
	stop_waiting(s, l);
}

int64_t key_limited_us(const struct sched_key *k, int64_t now_us)
{
	return k->limited_us + (k->state == KEY_LINED ? limited_us(k->held_by, now_us) : 0);
}

/* ---- hosts ---- */

struct sched_key *host_first_in_line(const struct sched_host *h)
{
	struct heap_node *n = heap_top(&h->line.keys);

	return n ? HEAP_ENTRY(n, struct sched_key, host_lined) : NULL;
}

void host_touched(struct sched *s, struct sched_host *h)
{
	if (host_first_in_line(h) && !h->line.turn.ready)
		turn_ready(s, &h->line.turn);
}

void key_join_host_line(struct sched *s, struct sched_key *k)
{
	if (heap_holds(&k->host_lined))
		return;
	draw_ticket(s, &k->host_ticket);
	heap_insert(&k->host->line.keys, &k->host_lined);
}

void key_leave_host_line(struct sched *s, struct sched_key *k)
{
	if (!heap_holds(&k->host_lined))
		return;
	heap_remove(&k->host->line.keys, &k->host_lined);
	if (!host_first_in_line(k->host))
		turn_over(s, &k->host->line.turn);
}
