/* Whose turn on a processor is long, and whose comes soon. */
#ifndef FANOUT_DAEMON_TIMESLICE_H
#define FANOUT_DAEMON_TIMESLICE_H

#include <stdint.h>

#define TIMESLICE_SHORT_US 100 /* the least that Linux takes */

/* Asks for turns of this length for the calling thread, and those it starts from now on; 0: as long as everybody's.
 * One with a shorter turn than another's need not wait for the other's end. And steps back by so many steps of nice(2).
 * From Linux 6.12 on; before, and where it may not be had, only the steps, or nothing. Async-signal-safe. */
void timeslice_ask(int64_t us, int steps_back);

#endif
