/* Half a minute. */
#include "cli/patience.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "cli/client.h"
#include "cli/ctl.h"
#include "cli/local.h"
#include "lib/clock.h"
#include "lib/paths.h"

#define PATIENCE_US   INT64_C(30000000)
#define AWAY_SLEEP_MS 100

void patience_heard(struct patience *p)
{
	p->heard = true;
	p->away_us = 0;
}

/* A daemon that ends takes its socket away, one that was killed leaves it: what the user has stopped is not started
 * behind his back. */
static bool has_died(const struct client *c)
{
	return client_is_private(c) && client_probe(client_socket(c)) == ECONNREFUSED;
}

bool patience_again(struct patience *p, const struct client *c, struct err *e)
{
	int64_t now = clock_boot_us();
	char socket[PATHS_MAX];

	p->away_us = p->away_us ? p->away_us : now;
	if ((e->code != ERR_UNREACHABLE && e->code != ERR_BUSY) || !(p->heard || client_is_private(c)) ||
	    now - p->away_us > PATIENCE_US)
		return false;
	if (has_died(c) && local_start(socket, sizeof socket, e) < 0)
		return false;
	poll(NULL, 0, AWAY_SLEEP_MS);
	return !ctl_interrupted();
}

void patience_lost(const struct patience *p, const struct client *c, const char *what, uint32_t number, struct err *e)
{
	if ((p->heard || client_is_private(c)) && e->code == ERR_UNREACHABLE)
		snprintf(e->hint, sizeof e->hint, "%s %u is on its disk: fanoutctl wait %u goes on", what, number,
			 number);
}
