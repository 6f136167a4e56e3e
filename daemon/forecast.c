/* Arithmetic of windows. It must not know batches, rules or clocks. */
#include "daemon/forecast.h"

#include "lib/clock.h"

#define FORECAST_MAX_US (INT64_C(100) * 365 * 86400 * 1000000)

/* n times the window, and not beyond what a time can be. */
static int64_t windows_us(const struct forecast_window *w, double n)
{
	double us = n * (double)w->window_us;

	return us < (double)FORECAST_MAX_US ? (int64_t)us : FORECAST_MAX_US;
}

int64_t forecast_last_start_us(const struct forecast_window *w, int64_t jobs, int64_t now_us)
{
	int64_t room = w->used < w->count ? w->count - w->used : 0, first, full;

	if (w->count <= 0 || jobs <= 0)
		return 0;
	if (w->pace) /* one by one, whatever room there is */
		return jobs == 1 ? 0 : now_us + windows_us(w, (double)(jobs - 1) / (double)w->count);
	if (jobs <= room)
		return 0;
	first = w->free_us > now_us && w->free_us != CLOCK_NEVER ? w->free_us : now_us + w->window_us;
	full = (jobs - room - 1) / w->count;
	return first + windows_us(w, (double)full);
}
