/* Which path leads to which handler. */
#ifndef FANOUT_APISIM_ROUTES_H
#define FANOUT_APISIM_ROUTES_H

#include "tests/apisim/server.h"

void routes_dispatch(struct request *req);
/* The table as the list in README.md, on stdout. */
void routes_print(void);

#endif
