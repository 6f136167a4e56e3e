/* Whose turn on a processor is long, and whose comes soon. */
#ifndef FANOUT_DAEMON_TIMESLICE_H
#define FANOUT_DAEMON_TIMESLICE_H

#include <stdint.h>

#define TIMESLICE_SHORT_US 100 /* the least that Linux takes */

/* Asks for turns of this length for the calling thread, and those it starts from now on; 0: as long as everybody's.
 * One with a shorter turn than another's need not wait for the other's end. From Linux 6.12 on; before, nothing.
 * Async-signal-safe, as the others. */
void timeslice_ask(int64_t us);
/* Steps forward by so many steps of nice(2), where nobody has chosen a place for it and it may. */
void timeslice_step_forward(int steps);
/* Steps back by so many. */
void timeslice_step_back(int steps);

#endif
