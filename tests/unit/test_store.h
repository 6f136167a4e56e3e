/* What the tests of the store share: a store in a scratch directory, operations that are waited for, and attempts with
 * an outcome of one line. Each test gets an event base and a directory of its own. */
#ifndef FANOUT_TESTS_UNIT_TEST_STORE_H
#define FANOUT_TESTS_UNIT_TEST_STORE_H

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/job.h"
#include "daemon/schema.h"
#include "daemon/store.h"
#include "lib/clock.h"
#include "lib/log.h"

#define IDS_MAX    4096
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_setup, room_teardown)

struct heard {
	unsigned lanes, batches, removed, troubles, cleared;
	struct store_lane lane; /* the last */
	char key[64];
	struct store_batch_news batch;
	int64_t counts[JOB_STATES];
	uint32_t removed_batch;
	struct err trouble;
};

struct room {
	char dir[96];
	struct event_base *base;
	struct store *st;
	struct heard heard;
	struct store_settings set;
	unsigned pending; /* operations that were handed in and not done */
	struct err last;  /* of the last operation that was done; ERR_NONE: fine */
};

static inline void heard_lane(void *arg, const struct store_lane *lane)
{
	struct room *r = arg;

	r->heard.lanes++;
	r->heard.lane = *lane;
	snprintf(r->heard.key, sizeof r->heard.key, "%s", lane->key);
	r->heard.lane.key = r->heard.key;
}

static inline void heard_batch(void *arg, const struct store_batch_news *news)
{
	struct room *r = arg;

	r->heard.batches++;
	r->heard.batch = *news;
	memcpy(r->heard.counts, news->counts, sizeof r->heard.counts);
}

static inline void heard_removed(void *arg, uint32_t batch)
{
	struct room *r = arg;

	r->heard.removed++;
	r->heard.removed_batch = batch;
}

static inline void heard_trouble(void *arg, const struct err *e)
{
	struct room *r = arg;

	if (e) {
		r->heard.troubles++;
		r->heard.trouble = *e;
	} else {
		r->heard.cleared++;
	}
}

static inline int room_try(struct room *r, struct err *e)
{
	struct store_listener l = {.arg = r,
				   .on_lane = heard_lane,
				   .on_batch = heard_batch,
				   .on_removed = heard_removed,
				   .on_trouble = heard_trouble};

	r->set.state_dir = r->dir;
	return store_open(&r->st, &r->set, &l, r->base, e);
}

static inline void room_open(struct room *r)
{
	struct err e = {0};

	if (room_try(r, &e) < 0)
		fail_msg("store not opened: %s", e.what);
}

static inline void room_close(struct room *r)
{
	store_close(r->st);
	r->st = NULL;
}

static inline void room_reopen(struct room *r)
{
	room_close(r);
	room_open(r);
}

static inline void room_make(struct room *r)
{
	*r = (struct room){0};
	/* In memory where that can be had: SIGKILL and errors are tested here, not the disk. */
	snprintf(r->dir, sizeof r->dir, "%s/fanout-store.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(r->dir));
	r->base = event_base_new();
	assert_non_null(r->base);
	event_base_priority_init(r->base, 3);
	log_open("test", LOG_LEVEL_ERROR);
}

static inline void directory_remove(const char *dir)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

static inline int room_setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);

	room_make(r);
	room_open(r);
	*state = r;
	return 0;
}

/* What a test leaves has to add up. */
static inline int room_teardown(void **state)
{
	struct room *r = *state;
	struct err e = {0};

	if (r->st && store_check(r->st, &e) < 0)
		fail_msg("store_check: %s", e.what);
	store_close(r->st);
	event_base_free(r->base);
	directory_remove(r->dir);
	free(r);
	return 0;
}

/* The closed store's database, for a test to look at or to spoil. */
static inline sqlite3 *room_database(struct room *r)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/fanout.db", r->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

/* Time goes by, or something is broken. */
static inline void meddle(struct room *r, const char *sql)
{
	char *why = NULL;
	sqlite3 *db;

	room_close(r);
	db = room_database(r);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	sqlite3_close(db);
	room_open(r);
}

/* A database as the first `version` schemas left it, with these rows; the room is closed. */
static inline void room_make_version(struct room *r, unsigned version, const char *rows)
{
	char *why = NULL, number[80];
	sqlite3 *db;

	directory_remove(r->dir);
	assert_int_equal(mkdir(r->dir, 0700), 0);
	db = room_database(r);
	snprintf(number, sizeof number, "PRAGMA application_id = 0x66616e6f; PRAGMA user_version = %u", version);
	if (sqlite3_exec(db, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL", NULL, NULL, &why))
		fail_msg("%s", why);
	for (unsigned i = 0; i < version; i++) {
		assert_int_equal(schema_migrations[i].version, i + 1);
		if (sqlite3_exec(db, schema_migrations[i].sql, NULL, NULL, &why))
			fail_msg("%s", why);
	}
	if (sqlite3_exec(db, number, NULL, NULL, &why) || sqlite3_exec(db, rows, NULL, NULL, &why))
		fail_msg("%s", why);
	sqlite3_close(db);
}

/* An outcome that tells nothing but of which attempt it is. */
static inline struct message_outcome bare_outcome(uint64_t job, uint32_t n)
{
	return (struct message_outcome){
	    .job = job,
	    .n = n,
	    .content_type = "",
	    .remote_ip = "",
	    .redirect_url = "",
	    .error = "",
	    .headers = "",
	};
}

/* ---- operations, waited for ---- */

static struct room *waiting_room;

static inline void op_done(struct store_op *op, const struct err *e)
{
	(void)op;
	waiting_room->pending--;
	waiting_room->last = e ? *e : (struct err){0};
}

static inline void alarm_rings(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("%u operations were never done", waiting_room->pending);
}

/* Turns of the loop until all is done. A commit waits for the disk, and that can take long. */
static inline void wait_done(struct room *r)
{
	struct timeval patience = {.tv_sec = 300};
	struct event *alarm = evtimer_new(r->base, alarm_rings, NULL);

	waiting_room = r;
	event_add(alarm, &patience);
	while (r->pending)
		event_base_loop(r->base, EVLOOP_ONCE);
	event_free(alarm);
}

static inline struct store_op op_of(struct room *r)
{
	waiting_room = r;
	r->pending++;
	return (struct store_op){.done = op_done};
}

#define assert_fine(r)                                                                     \
	do {                                                                               \
		if ((r)->last.code != ERR_NONE)                                            \
			fail_msg("%s: %s", err_code_name((r)->last.code), (r)->last.what); \
	} while (0)

#define assert_error(r, wanted)                                                            \
	do {                                                                               \
		if ((r)->last.code != (wanted))                                            \
			fail_msg("%s: %s", err_code_name((r)->last.code), (r)->last.what); \
	} while (0)

static inline uint32_t batch_new(struct room *r, bool held)
{
	struct store_batch_create c = {
	    .op = op_of(r), .uid = 1000, .name = "n", .options = "{}", .priority = 5, .held = held};

	store_batch_create(r->st, &c);
	wait_done(r);
	assert_fine(r);
	return c.batch;
}

static inline struct store_job_new plain_job(void)
{
	return (struct store_job_new){.limit_key = "a.example:80", .url = "http://a.example/x"};
}

/* Adds `count` jobs like `like`; returns the first one's number. */
static inline uint32_t jobs_like(struct room *r, uint32_t batch, struct store_job_new like, size_t count)
{
	struct store_job_new *jobs = calloc(count, sizeof *jobs);
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = jobs, .count = count};

	for (size_t i = 0; i < count; i++)
		jobs[i] = like;
	store_jobs_add(r->st, &a);
	free(jobs);
	wait_done(r);
	return a.first_seq;
}

static inline uint32_t chain_jobs(struct room *r, uint32_t batch, const char *chain, size_t count)
{
	struct store_job_new j = plain_job();

	j.chain = chain;
	return jobs_like(r, batch, j, count);
}

static inline struct err mark(struct room *r, uint32_t batch, enum store_mark what)
{
	struct store_batch_mark m = {.op = op_of(r), .batch = batch, .mark = what};

	store_batch_mark(r->st, &m);
	wait_done(r);
	return r->last;
}

/* Everything that was handed in before is committed and told: an operation that is refused comes after it. */
static inline void wait_told(struct room *r)
{
	struct err last = r->last;

	assert_int_equal(mark(r, UINT32_MAX, STORE_MARK_CLOSE).code, ERR_NOT_FOUND);
	r->last = last;
}

static inline struct err mark_job(struct room *r, uint64_t job, enum store_mark what)
{
	struct store_job_mark m = {.op = op_of(r), .job = job, .mark = what};

	store_job_mark(r->st, &m);
	wait_done(r);
	return r->last;
}

static inline uint32_t open_job(struct room *r, uint64_t job)
{
	struct store_attempt_open o = {.op = op_of(r), .job = job, .granted_us = clock_wall_us()};

	store_attempt_open(r->st, &o);
	wait_done(r);
	return o.n;
}

struct end {
	enum job_state next;
	enum job_reason reason;
	int status;
	const char *body;
	bool in_file;
	int64_t due_us;
	const char *error;
};

/* Ends attempt n as daemon/engine would. */
static inline void end_job(struct room *r, uint64_t job, uint32_t n, struct end how)
{
	enum job_event event = how.next == JOB_DONE     ? JOB_EV_SUCCEED
			       : how.next == JOB_QUEUED ? JOB_EV_AGAIN
			       : how.next == JOB_FAILED ? JOB_EV_FAIL
							: JOB_EV_CANCEL;
	int64_t now = clock_wall_us();
	struct message_outcome m = {
	    .job = job,
	    .n = n,
	    .cause = CAUSE_RESPONSE,
	    .status = how.status ? how.status : 200,
	    .sent = true,
	    .body_in_file = how.in_file,
	    .http_version = 11,
	    .timings = {.wait_us = 900, .total_us = 1000},
	    .size_bytes = how.body ? (int64_t)strlen(how.body) : 0,
	    .content_type = "text/plain",
	    .remote_ip = "192.0.2.1",
	    .redirect_url = "",
	    .error = how.error ? how.error : "",
	    .headers = "HTTP/1.1 200 OK\n",
	    .body = how.in_file ? NULL : how.body,
	    .body_bytes = how.body && !how.in_file ? strlen(how.body) : 0,
	};
	struct store_attempt_end a = {
	    .op = op_of(r),
	    .outcome = &m,
	    .started_wall_us = now - 1000,
	    .first_byte_wall_us = now - 100,
	    .ended_wall_us = now,
	    .queued_us = 7,
	    .method = "GET",
	    .next = how.next,
	    .reason = how.reason,
	    .due_us = how.due_us,
	    .tries = n,
	    .actions = job_step(JOB_RUNNING, event).actions,
	};

	store_attempt_end(r->st, &a);
	wait_done(r);
}

static inline void run_job(struct room *r, uint64_t job, enum job_state next)
{
	uint32_t n = open_job(r, job);

	assert_fine(r);
	end_job(r, job, n, (struct end){.next = next, .reason = next == JOB_FAILED ? REASON_HTTP_STATUS : REASON_NONE});
	assert_fine(r);
}

/* ---- reading ---- */

struct batch_copy {
	struct store_batch_get get;
	struct store_batch row;
	char name[64], key[64], options[128];
	bool found;
};

static inline void copy_batch(struct store_batch_get *g, const struct store_batch *b)
{
	struct batch_copy *c = (struct batch_copy *)g;

	c->row = *b;
	c->found = true;
	snprintf(c->name, sizeof c->name, "%s", b->name);
	snprintf(c->key, sizeof c->key, "%s", b->key);
	snprintf(c->options, sizeof c->options, "%s", b->options);
}

static inline struct batch_copy batch_of(struct room *r, uint32_t batch)
{
	struct batch_copy c = {.get = {.op = op_of(r), .batch = batch, .on_row = copy_batch}};

	store_batch_get(r->st, &c.get);
	wait_done(r);
	return c;
}

struct job_copy {
	struct store_job_get get;
	struct store_result row;
	char error[128], body[256], url[128], method[16];
	unsigned attempts, newest_n;
	bool newest_has_body;
	int64_t newest_ended_us;
	bool found;
};

static inline void copy_job(struct store_job_get *g, const struct store_result *row)
{
	struct job_copy *c = (struct job_copy *)g;

	c->row = *row;
	c->found = true;
	snprintf(c->error, sizeof c->error, "%s", row->error);
	snprintf(c->url, sizeof c->url, "%s", row->url);
	snprintf(c->method, sizeof c->method, "%s", row->method);
	snprintf(c->body, sizeof c->body, "%.*s", (int)row->body_bytes, row->body ? (const char *)row->body : "");
}

static inline void copy_attempt(struct store_job_get *g, const struct store_attempt *a)
{
	struct job_copy *c = (struct job_copy *)g;

	if (c->attempts++ == 0) {
		c->newest_n = a->n;
		c->newest_has_body = a->has_body;
		c->newest_ended_us = a->ended_us;
	}
}

static inline struct job_copy job_of(struct room *r, uint64_t job)
{
	struct job_copy c = {
	    .get = {.op = op_of(r), .job = job, .with_body = true, .on_row = copy_job, .on_attempt = copy_attempt}};

	store_job_get(r->st, &c.get);
	wait_done(r);
	return c;
}

static inline enum job_state state_of(struct room *r, uint32_t batch, uint32_t seq)
{
	return job_of(r, jobid_make(batch, seq)).row.state;
}

/* Ids of a lane that wait: fresh ones after `after`, or due ones. */
struct ids {
	uint64_t id[IDS_MAX];
	size_t count;
	bool more;
	uint64_t last;
	int64_t next_due_us;
};

static inline struct ids load(struct room *r, int64_t lane, bool due, uint64_t after, size_t room)
{
	struct ids ids = {0};
	struct store_lane_load l = {.op = op_of(r),
				    .lane = lane,
				    .due = due,
				    .now_us = clock_wall_us(),
				    .after = after,
				    .ids = ids.id,
				    .room = room};

	store_lane_load(r->st, &l);
	wait_done(r);
	ids.count = l.count;
	ids.more = l.more;
	ids.last = l.last;
	ids.next_due_us = l.next_due_us;
	return ids;
}

/* Steps until there is nothing more to do at once. */
static inline void step_all(struct room *r)
{
	for (int i = 0; store_step(r->st); i++) {
		wait_told(r);
		assert_true(i < 10000);
	}
	wait_told(r);
}

/* Like the daemon's timer: until the store has nothing to do for a second. */
static inline void step_until_quiet(struct room *r)
{
	for (int i = 0; i < 10000; i++) {
		step_all(r);
		int64_t in_us = store_step_due_us(r->st) - clock_wall_us();
		if (in_us > 1000000)
			return;
		if (in_us > 0)
			usleep((useconds_t)in_us);
	}
	fail_msg("the store never rests");
}

/* A full disk: no file grows beyond this. */
static inline void limit_files(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
	signal(SIGXFSZ, SIG_IGN);
}

#endif
