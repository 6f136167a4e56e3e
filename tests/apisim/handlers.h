/* Every handler of the route table, by the file it lives in. */
#ifndef FANOUT_APISIM_HANDLERS_H
#define FANOUT_APISIM_HANDLERS_H

#include "tests/apisim/server.h"

/* plain.c: what an API ought to do */
void plain_delay(struct request *req);
void plain_uuid(struct request *req);
void plain_status(struct request *req);
void plain_bytes(struct request *req);
void plain_echo(struct request *req);
void plain_json(struct request *req);
void plain_redirect(struct request *req);
void plain_redirect_to(struct request *req);
void plain_basic(struct request *req);
void plain_bearer(struct request *req);

/* zipped.c: gzip, for better and for worse */
void zipped_gzip(struct request *req);
void zipped_bomb(struct request *req);
void zipped_broken(struct request *req);

/* hostile.c: what APIs do all the same */
void hostile_drip(struct request *req);
void hostile_reset(struct request *req);
void hostile_empty(struct request *req);
void hostile_close_early(struct request *req);
void hostile_chunk_cut(struct request *req);
void hostile_conflict(struct request *req);
void hostile_hang(struct request *req);
void hostile_garbage(struct request *req);
void hostile_endless_header(struct request *req);
void hostile_soft_error(struct request *req);

/* memory.c: what depends on the requests before */
void memory_flaky(struct request *req);
void memory_once(struct request *req);
void memory_log(struct request *req);

/* limited.c: a strict limit, counted at arrival behind a network of its own */
void limited_handle(struct request *req);
void limited_jitter(struct request *req);
void limited_on_done(struct request *req, bool answered);

/* paged.c: items, page by page */
void paged_handle(struct request *req);

/* stats.c */
void stats_show(struct request *req);
void stats_on_request(struct request *req);
void stats_on_done(struct request *req, bool answered);
void stats_on_conn(int change);

#endif
