/* Watchers by batch. Knows nothing of what is watched: no store, no sockets. */
#define _GNU_SOURCE 1

#include "daemon/watch.h"

#include <stdlib.h>
#include <uthash.h>

#include "lib/err.h"

struct watched {
	uint32_t batch;
	struct watcher *first;
	UT_hash_handle hh;
};

struct watch {
	struct watched *by_batch;
	unsigned count;
};

struct watch *watch_create(void)
{
	return calloc(1, sizeof(struct watch));
}

void watch_free(struct watch *w)
{
	struct watched *b, *next;

	if (!w)
		return;
	HASH_ITER (hh, w->by_batch, b, next) {
		HASH_DEL(w->by_batch, b);
		free(b);
	}
	free(w);
}

static struct watched *find(const struct watch *w, uint32_t batch)
{
	struct watched *b;

	HASH_FIND(hh, w->by_batch, &batch, sizeof batch, b);
	return b;
}

void watch_add(struct watch *w, struct watcher *who)
{
	struct watched *b = find(w, who->batch);

	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b)
			BUG("out of memory for a watcher");
		b->batch = who->batch;
		HASH_ADD(hh, w->by_batch, batch, sizeof b->batch, b);
	}
	who->prev = NULL;
	who->next = b->first;
	if (b->first)
		b->first->prev = who;
	b->first = who;
	w->count++;
}

void watch_remove(struct watch *w, struct watcher *who)
{
	struct watched *b = find(w, who->batch);

	if (!b)
		BUG("watcher of batch %u removed twice", who->batch);
	if (who->next)
		who->next->prev = who->prev;
	if (who->prev)
		who->prev->next = who->next;
	else
		b->first = who->next;
	who->next = who->prev = NULL;
	w->count--;
	if (!b->first) {
		HASH_DEL(w->by_batch, b);
		free(b);
	}
}

void watch_wake(struct watch *w, uint32_t batch, bool ended)
{
	struct watched *b = find(w, batch);
	struct watcher *next;

	/* The last one may take `b` with it. */
	for (struct watcher *who = b ? b->first : NULL; who; who = next) {
		next = who->next;
		who->wake(who, ended);
	}
}

unsigned watch_count(const struct watch *w)
{
	return w->count;
}
