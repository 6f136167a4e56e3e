/* Which path leads to which handler. */
#ifndef FANOUT_APISIM_ROUTES_H
#define FANOUT_APISIM_ROUTES_H

#include "tests/apisim/server.h"

void routes_dispatch(struct request *req);
/* Answers as `path` would; false, and nothing done, when there is no such route. */
bool routes_answer(struct request *req, const char *path);
/* For the server's hook: everybody who wants to know that a request is over. */
void routes_done(struct request *req, bool answered);
/* The table as the list in README.md, on stdout. */
void routes_print(void);

#endif
