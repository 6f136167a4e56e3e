/* What a status promises of the request that it answers: may it be sent again, and was it carried out. */
#ifndef FANOUT_LIB_STATUS_H
#define FANOUT_LIB_STATUS_H

#include <stdbool.h>

/* Worth another attempt. All others are final, a 3xx that leads nowhere (300, or without Location) too. */
bool status_transient(int status);

/* Of these the ones that come when the request was carried out half, or in full: 500, 502, 504. To send it again is
 * safe only if doing it twice is doing it once (lib/method.h), or its owner says so. */
bool status_may_be_done(int status);

#endif
