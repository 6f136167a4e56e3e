/* A lane is known here while one of its jobs is in flight or stands by. One that has room and jobs is in `ready`. */
#include "worker/standby.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/err.h"
#include "lib/hash.h"

struct held {
	STAILQ_ENTRY(held) entry;
	uint64_t job;
	uint32_t n;
	size_t bytes;
	uint8_t payload[];
};

struct lane {
	uint64_t id;
	uint32_t in_flight, slots;
	uint32_t unanswered; /* ends that told of limits */
	STAILQ_HEAD(, held) held;
	bool ready;
	TAILQ_ENTRY(lane) of_ready;
	UT_hash_handle hh;
};

struct standby {
	struct standby_events events;
	struct lane *lanes;
	TAILQ_HEAD(, lane) ready;
	size_t count;
};

static struct lane *lane_find(const struct standby *s, uint64_t id)
{
	struct lane *l;

	HASH_FIND(hh, s->lanes, &id, sizeof id, l);
	return l;
}

static struct lane *lane_get(struct standby *s, uint64_t id)
{
	struct lane *l = lane_find(s, id);

	if (l)
		return l;
	l = calloc(1, sizeof *l);
	if (!l)
		BUG("out of memory");
	l->id = id;
	STAILQ_INIT(&l->held);
	HASH_ADD(hh, s->lanes, id, sizeof l->id, l);
	return l;
}

/* After any change of it; it may be gone. */
static void lane_update(struct standby *s, struct lane *l)
{
	bool ready = !STAILQ_EMPTY(&l->held) && l->in_flight < l->slots;

	if (ready && !l->ready)
		TAILQ_INSERT_TAIL(&s->ready, l, of_ready);
	else if (!ready && l->ready)
		TAILQ_REMOVE(&s->ready, l, of_ready);
	l->ready = ready;
	if (l->in_flight > 0 || l->unanswered > 0 || !STAILQ_EMPTY(&l->held))
		return;
	HASH_DEL(s->lanes, l);
	free(l);
}

struct standby *standby_create(const struct standby_events *events)
{
	struct standby *s = calloc(1, sizeof *s);

	if (!s)
		BUG("out of memory");
	s->events = *events;
	TAILQ_INIT(&s->ready);
	return s;
}

void standby_free(struct standby *s)
{
	struct lane *l, *next;
	struct held *h;

	HASH_ITER (hh, s->lanes, l, next) {
		while ((h = STAILQ_FIRST(&l->held))) {
			STAILQ_REMOVE_HEAD(&l->held, entry);
			free(h);
		}
		HASH_DEL(s->lanes, l);
		free(l);
	}
	free(s);
}

static void hold(struct standby *s, struct lane *l, const struct message_job *job, const struct wire_in *frame)
{
	size_t bytes = (size_t)(frame->end - frame->p);
	struct held *h = malloc(sizeof *h + bytes);

	if (!h)
		BUG("out of memory for a request of %zu bytes", bytes);
	h->job = job->job;
	h->n = job->n;
	h->bytes = bytes;
	memcpy(h->payload, frame->p, bytes);
	STAILQ_INSERT_TAIL(&l->held, h, entry);
	s->count++;
}

static void give_back(struct standby *s, struct held *h)
{
	const struct message_returned m = {.job = h->job, .n = h->n};

	s->count--;
	free(h);
	s->events.on_returned(&m, s->events.arg);
}

static void lane_recall(struct standby *s, struct lane *l)
{
	struct held *h;

	while ((h = STAILQ_FIRST(&l->held))) {
		STAILQ_REMOVE_HEAD(&l->held, entry);
		give_back(s, h);
	}
	lane_update(s, l);
}

int standby_take(struct standby *s, const struct message_job *job, const struct wire_in *frame)
{
	struct lane *l = lane_get(s, job->lane);

	if (job->slots > 0) {
		l->slots = job->slots;
		hold(s, l, job, frame);
		if (l->unanswered > 0)
			lane_recall(s, l);
		else
			lane_update(s, l);
		return 0;
	}
	l->in_flight++;
	return s->events.on_begin(job, s->events.arg);
}

void standby_ended(struct standby *s, uint64_t lane)
{
	struct lane *l = lane_find(s, lane);

	if (!l || l->in_flight == 0)
		BUG("an end in lane %llu, where nothing is in flight", (unsigned long long)lane);
	l->in_flight--;
	lane_update(s, l);
}

static int begin_first(struct standby *s, struct lane *l)
{
	struct held *h = STAILQ_FIRST(&l->held);
	struct wire_in in = {.p = h->payload, .end = h->payload + h->bytes};
	struct message_job job;
	int rc;

	STAILQ_REMOVE_HEAD(&l->held, entry);
	s->count--;
	l->in_flight++;
	lane_update(s, l);
	rc = message_get_job(&in, &job);
	if (rc == 0)
		rc = s->events.on_begin(&job, s->events.arg);
	free(h);
	return rc;
}

int standby_begin(struct standby *s)
{
	struct lane *l;

	while ((l = TAILQ_FIRST(&s->ready)) && s->events.may_begin(s->events.arg))
		if (begin_first(s, l))
			return -1;
	return 0;
}

void standby_slots(struct standby *s, const struct message_slots *m)
{
	struct lane *l = lane_find(s, m->lane);

	if (!l)
		return; /* all of it has ended meanwhile */
	l->slots = m->slots;
	lane_update(s, l);
}

bool standby_cancel(struct standby *s, const struct message_cancel *m)
{
	struct lane *l, *next;
	struct held *h;

	if (s->count == 0)
		return false;
	HASH_ITER (hh, s->lanes, l, next) {
		STAILQ_FOREACH (h, &l->held, entry) {
			if (h->job != m->job || h->n != m->n)
				continue;
			STAILQ_REMOVE(&l->held, h, held, entry);
			lane_update(s, l);
			give_back(s, h);
			return true;
		}
	}
	return false;
}

void standby_told(struct standby *s, uint64_t lane)
{
	struct lane *l = lane_find(s, lane);

	if (!l)
		BUG("an end in lane %llu, where nothing is in flight", (unsigned long long)lane);
	l->unanswered++;
	lane_recall(s, l);
}

void standby_recall(struct standby *s, const struct message_recall *m)
{
	struct lane *l = lane_find(s, m->lane);

	if (!l)
		return;
	if (m->answers && l->unanswered > 0)
		l->unanswered--;
	lane_recall(s, l);
}

void standby_recall_all(struct standby *s)
{
	struct lane *l, *next;

	HASH_ITER (hh, s->lanes, l, next) {
		lane_recall(s, l);
	}
}

size_t standby_count(const struct standby *s)
{
	return s->count;
}
