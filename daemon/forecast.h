/* When a batch that waits for a rate may have made its last request. Pure: time is an argument. */
#ifndef FANOUT_DAEMON_FORECAST_H
#define FANOUT_DAEMON_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

struct forecast_window {
	int64_t count, window_us; /* count 0: none */
	int64_t used;             /* in flight, or counted less than a window ago */
	int64_t free_us;          /* when the next slot frees; 0 or CLOCK_NEVER: not known */
	bool pace;
};

/* The earliest time at which the last of `jobs` requests can begin, as far as this window has a say; 0 where it does
 * not hold any of them back. What a window holds was mostly sent together, so it frees together: `count` requests a
 * window, one window after the other. */
int64_t forecast_last_start_us(const struct forecast_window *w, int64_t jobs, int64_t now_us);

#endif
