/* A lane: where it waits (with its key or with its batch), and the window of jobs it has in memory. It must not know
 * limits. */
#include <stdlib.h>

#include "daemon/sched_private.h"

#define WINDOW_MIN 4 /* a lane keeps going while its next jobs are read */

/* ---- places ---- */

void lane_queue(struct sched *s, struct sched_lane *l)
{
	struct sched_key *k = l->key;

	/* whoever was away starts where the key is now: no credit from the time it did not ask */
	if (l->pass < k->pass)
		l->pass = k->pass;
	l->turn = ++k->turns;
	l->place = LANE_QUEUED;
	heap_insert(&k->queues[batch_queue(l->batch)], &l->node);
	/* a key in a limit's line goes on waiting: its limits hold for this lane too */
	if (k->state == KEY_IDLE || k->state == KEY_STUCK)
		key_set_state(s, k, KEY_READY);
}

void lane_park(struct sched *s, struct sched_lane *l)
{
	l->place = LANE_PARKED;
	TAILQ_INSERT_TAIL(&l->batch->parked, l, parked);
	batch_update_owed(s, l->batch);
}

void lane_enter(struct sched *s, struct sched_lane *l)
{
	if (batch_open(l->batch))
		lane_queue(s, l);
	else
		lane_park(s, l);
}

void lane_leave(struct sched *s, struct sched_lane *l)
{
	if (l->place == LANE_QUEUED)
		heap_remove(&l->key->queues[batch_queue(l->batch)], &l->node);
	else if (l->place == LANE_PARKED)
		TAILQ_REMOVE(&l->batch->parked, l, parked);
	l->place = LANE_OUT;
	batch_update_owed(s, l->batch);
}

/* Keeps sched.owed the list of just those batches that may go and have parked lanes. */
void batch_update_owed(struct sched *s, struct sched_batch *b)
{
	bool owed = !TAILQ_EMPTY(&b->parked) && batch_open(b);

	if (owed && !b->owed)
		TAILQ_INSERT_TAIL(&s->owed, b, owed_link);
	else if (!owed && b->owed)
		TAILQ_REMOVE(&s->owed, b, owed_link);
	b->owed = owed;
}

/* ---- the window ---- */

static unsigned window_size(const struct sched *s)
{
	unsigned size = s->set.window_total / (s->live > 0 ? s->live : 1);

	if (size > s->set.window_lane_max)
		size = s->set.window_lane_max;
	return size < WINDOW_MIN ? WINDOW_MIN : size;
}

static bool lane_has_room(const struct sched *s, const struct sched_lane *l)
{
	return l->more && l->loaded < window_size(s) / 2;
}

/* After any change of loaded, more or asked. */
void lane_update_window(struct sched *s, struct sched_lane *l)
{
	bool live = l->loaded > 0 || l->more || l->asked;

	if (live && !l->live)
		s->live++;
	else if (!live && l->live)
		s->live--;
	l->live = live;
	if (!l->hungry && lane_has_room(s, l)) {
		TAILQ_INSERT_TAIL(&s->hungry, l, hungry_link);
		l->hungry = true;
	}
}

struct sched_lane *sched_hungry(struct sched *s, unsigned *room)
{
	struct sched_lane *l;

	while ((l = TAILQ_FIRST(&s->hungry))) {
		TAILQ_REMOVE(&s->hungry, l, hungry_link);
		l->hungry = false;
		if (!lane_has_room(s, l))
			continue; /* windows shrank; its next pick brings it back */
		*room = window_size(s) - l->loaded;
		l->more = false;
		l->asked = true;
		return l;
	}
	return NULL;
}

void sched_lane_more(struct sched *s, struct sched_lane *l, bool more)
{
	l->more = more;
	l->asked = false;
	lane_update_window(s, l);
}

void sched_push(struct sched *s, struct sched_lane *l, struct sched_job *j, int64_t now_us)
{
	j->lane = l;
	j->next = NULL;
	if (j->ready_us == 0)
		j->ready_us = now_us;
	j->limited_us -= key_limited_us(l->key, now_us); /* made whole when it is picked */
	*l->end = j;
	l->end = &j->next;
	s->loaded++;
	l->loaded++;
	lane_update_window(s, l);
	if (l->place == LANE_OUT)
		lane_enter(s, l);
}

int64_t sched_job_limited_us(const struct sched_job *j, int64_t now_us)
{
	return j->limited_us + key_limited_us(j->lane->key, now_us);
}

/* Unlinks the job that `at` points to. */
static struct sched_job *unload(struct sched *s, struct sched_lane *l, struct sched_job **at)
{
	struct sched_job *j = *at;

	*at = j->next;
	if (!j->next)
		l->end = at;
	j->next = NULL;
	s->loaded--;
	l->loaded--;
	lane_update_window(s, l);
	return j;
}

struct sched_job *lane_shift(struct sched *s, struct sched_lane *l)
{
	return unload(s, l, &l->first);
}

struct sched_job *sched_take(struct sched *s, struct sched_lane *l, uint64_t id)
{
	struct sched_job **at = &l->first, *j;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	if (!*at)
		return NULL;
	j = unload(s, l, at);
	if (l->loaded == 0)
		lane_leave(s, l);
	return j;
}
