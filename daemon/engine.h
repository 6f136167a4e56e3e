/* The path of a job through the daemon: what the store has ready is loaded into the scheduler's window, what the
 * scheduler picks gets an attempt in the store, what is committed goes to a worker, what a worker brings back is judged
 * by daemon/retry, recorded, and told to whoever watches. docs/ARCHITECTURE.md draws it.
 *
 * The only module that joins store, sched and pool. Holds no rule of its own: state is daemon/job, order is
 * daemon/sched, permission is daemon/limit, another try is daemon/retry. */
#ifndef FANOUT_DAEMON_ENGINE_H
#define FANOUT_DAEMON_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/sched.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "lib/err.h"
#include "lib/message.h"

struct engine;
struct event_base;
struct watch;

struct engine_settings {
	struct store_settings store;
	struct spec_defaults defaults;
	struct message_settings worker; /* copied, the strings by reference */
	unsigned workers;
	const char *worker_program;
	unsigned key_concurrency;
};

/* Opens the store, settles what the last daemon left open, starts the workers. `watch` is woken for batches that
 * changed. on_fatal: the store can't be trusted any more; the daemon has to end with a failure. */
struct engine *engine_create(struct event_base *base, const struct engine_settings *set, struct watch *watch,
			     void (*on_fatal)(void *arg, const struct err *e), void *arg, struct err *e);
void engine_free(struct engine *en);

/* For reads and for submission. */
struct store *engine_store(struct engine *en);

/* Marks that also concern what is loaded or running. The same structs and callbacks as the store's. */
void engine_batch_mark(struct engine *en, struct store_batch_mark *m);
void engine_job_mark(struct engine *en, struct store_job_mark *m);

/* SIGHUP: new defaults, for requests to come. */
void engine_set_defaults(struct engine *en, const struct spec_defaults *d, unsigned key_concurrency);

/* Stops starting attempts, waits for those in flight, then calls on_drained once. */
void engine_drain(struct engine *en, void (*on_drained)(void *arg), void *arg);

/* True when nothing is queued to run, nothing is in flight and nothing waits for a due time. */
bool engine_idle(const struct engine *en);

struct engine_stats {
	int64_t started_wall_us;
	uint64_t attempts, outcomes, lost_workers, retries;
	uint64_t by_state[JOB_STATES]; /* final states since the start */
	unsigned credit;
	unsigned staged; /* attempts that were opened ahead of their turn */
	struct sched_totals sched;
	bool storage_trouble;
	bool draining;
};
void engine_stats(const struct engine *en, struct engine_stats *s);
unsigned engine_workers(const struct engine *en);
struct pool_worker_info;
void engine_worker_info(const struct engine *en, unsigned i, struct pool_worker_info *info);

/* A job whose attempt was opened ahead of its turn: the store has it as running, to everybody else it still waits. */
bool engine_job_staged(const struct engine *en, uint64_t job);
unsigned engine_batch_staged(const struct engine *en, uint32_t batch);

#endif
