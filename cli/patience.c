/* Half a minute. */
#include "cli/patience.h"

#include <poll.h>

#include "cli/ctl.h"
#include "lib/clock.h"

#define PATIENCE_US   INT64_C(30000000)
#define AWAY_SLEEP_MS 100

void patience_heard(struct patience *p)
{
	p->heard = true;
	p->away_us = 0;
}

bool patience_again(struct patience *p, const struct err *e)
{
	int64_t now = clock_boot_us();

	p->away_us = p->away_us ? p->away_us : now;
	if ((e->code != ERR_UNREACHABLE && e->code != ERR_BUSY) || !p->heard || now - p->away_us > PATIENCE_US)
		return false;
	poll(NULL, 0, AWAY_SLEEP_MS);
	return !ctl_interrupted();
}
