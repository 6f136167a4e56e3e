/* Many small strings that live and die together: bump allocation in blocks, one free for all. Running out of memory
 * ends the program: what is put in here is bounded by the caller. */
#ifndef FANOUT_DAEMON_ARENA_H
#define FANOUT_DAEMON_ARENA_H

#include <stddef.h>

struct arena_block;

/* A zeroed struct is a valid empty one. */
struct arena {
	struct arena_block *blocks;
	char *free;
	size_t left;
};

/* n bytes, aligned for anything but wide vectors. */
void *arena_take(struct arena *a, size_t n);
/* A copy of n bytes with a NUL behind them. */
char *arena_copy(struct arena *a, const void *data, size_t n);
void arena_clear(struct arena *a);

#endif
