/* One commit a turn, its order, and what happens when the disk is full or fails. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/store_checkpoint.h"
#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

/* Stands in front of libc's: SQLite's fsync fails when the test says so. */
static volatile bool disk_fails;
int fdatasync(int fd)
{
	if (disk_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static uint64_t commits(struct room *r)
{
	struct store_totals t;

	store_totals(r->st, &t);
	return t.commits;
}

struct order {
	struct store_batch_create create;
	int number;
};
static int order_next;
static unsigned lanes_before_done, heard_batches;

static void in_order(struct store_op *op, const struct err *e)
{
	struct order *o = (struct order *)op;

	assert_null(e);
	assert_int_equal(o->number, order_next++);
	waiting_room->pending--;
}

static void what_one_turn_brings_is_one_commit_told_in_order(void **state)
{
	struct room *r = *state;
	struct order o[20] = {0};
	uint64_t before = commits(r);

	waiting_room = r;
	order_next = 0;
	for (int i = 0; i < 20; i++) {
		o[i] = (struct order){.create = {.op.done = in_order, .options = "{}"}, .number = i};
		r->pending++;
		store_batch_create(r->st, &o[i].create);
	}
	assert_int_equal(r->pending, 20);
	wait_done(r);
	assert_int_equal(order_next, 20);
	assert_int_equal(commits(r), before + 1);
	assert_int_equal(o[19].create.batch, 20);
}

/* With 32 attempts on disk: what is opened next, ahead of its turn, is in no hurry. */
static void a_commit_waits_for_more_only_while_nobody_waits_for_it(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false), seq = 1;
	struct store_attempt_open o[2] = {0};

	jobs_like(r, batch, plain_job(), STORE_TX_BUSY + 2);
	for (; seq < STORE_TX_BUSY; seq++)
		open_job(r, jobid_make(batch, seq));
	for (int i = 0; i < 2; i++) {
		o[i] = (struct store_attempt_open){.op = op_of(r), .job = jobid_make(batch, seq++)};
		o[i].op.patient = true;
		store_attempt_open(r->st, &o[i]);
		r->st->begun_boot_us = clock_boot_us() + 1000000;
		/* The first time there are too few, for what is being opened now does not count. */
		assert_int_equal(store_tx_can_wait(r->st), i > 0);
		if (i == 0)
			wait_done(r);
	}
	r->st->begun_boot_us = clock_boot_us() - STORE_TX_PATIENT_US;
	assert_false(store_tx_can_wait(r->st));
	r->st->begun_boot_us = clock_boot_us() + 1000000;
	assert_true(store_tx_can_wait(r->st));
	o[0] = (struct store_attempt_open){.op = op_of(r), .job = jobid_make(batch, seq)};
	store_attempt_open(r->st, &o[0]);
	assert_false(store_tx_can_wait(r->st));
	wait_done(r);
	assert_fine(r);
}

/* Ends the attempt patiently, and says whether the commit can wait. */
static bool end_can_wait(struct room *r, uint64_t job)
{
	struct message_outcome m = {
	    .job = job,
	    .n = 1,
	    .cause = CAUSE_RESPONSE,
	    .status = 200,
	    .content_type = "",
	    .remote_ip = "",
	    .redirect_url = "",
	    .error = "",
	    .headers = "",
	};
	struct store_attempt_end a = {
	    .op = op_of(r),
	    .outcome = &m,
	    .method = "GET",
	    .next = JOB_DONE,
	    .tries = 1,
	    .actions = job_step(JOB_RUNNING, JOB_EV_SUCCEED).actions,
	};
	bool can_wait;

	a.op.patient = true;
	store_attempt_end(r->st, &a);
	r->st->begun_boot_us = clock_boot_us() + 1000000;
	can_wait = store_tx_can_wait(r->st);
	wait_done(r);
	assert_fine(r);
	return can_wait;
}

static void the_next_of_a_chain_waits_for_the_commit(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), STORE_TX_BUSY + 2);
	chain_jobs(r, batch, "one", 2);
	for (uint32_t seq = 1; seq <= STORE_TX_BUSY + 3; seq++)
		open_job(r, jobid_make(batch, seq));
	assert_true(end_can_wait(r, jobid_make(batch, 1)));
	assert_false(end_can_wait(r, jobid_make(batch, STORE_TX_BUSY + 3)));
}

static void a_large_turn_commits_early_but_calls_back_later(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new *jobs = calloc(1500, sizeof *jobs);
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = jobs, .count = 1500};
	uint64_t before = commits(r);

	for (int i = 0; i < 1500; i++)
		jobs[i] = plain_job();
	store_jobs_add(r->st, &a);
	assert_int_equal(commits(r), before + 1);
	assert_int_equal(r->pending, 1);
	wait_done(r);
	assert_fine(r);
	free(jobs);
}

static void listener_first(struct store_op *op, const struct err *e)
{
	lanes_before_done = waiting_room->heard.lanes;
	heard_batches = waiting_room->heard.batches;
	op_done(op, e);
}

static void the_listener_hears_before_the_callbacks(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new j = plain_job();
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = &j, .count = 1};

	r->heard.batches = 0;
	a.op.done = listener_first;
	store_jobs_add(r->st, &a);
	assert_int_equal(r->heard.lanes, 0);
	wait_done(r);
	assert_int_equal(lanes_before_done, 1);
	assert_int_equal(heard_batches, 1);
}

static void a_refused_operation_leaves_the_others_of_its_turn_alone(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new j = plain_job();
	struct store_jobs_add wrong = {.op = op_of(r), .batch = 99, .jobs = &j, .count = 1};
	struct store_jobs_add right = {.op = op_of(r), .batch = batch, .jobs = &j, .count = 1};

	store_jobs_add(r->st, &wrong);
	store_jobs_add(r->st, &right);
	wait_done(r);
	assert_fine(r); /* the last one told */
	assert_int_equal(right.first_seq, 1);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 1);
}

struct again {
	struct store_batch_create create;
	struct room *r;
	int left;
};

static void hand_in_more(struct store_op *op, const struct err *e)
{
	struct again *a = (struct again *)op;
	struct batch_copy b;

	assert_null(e);
	a->r->pending--;
	b = batch_of(a->r, a->create.batch);
	assert_true(b.found);
	if (a->left-- == 0)
		return;
	a->create = (struct store_batch_create){.op.done = hand_in_more, .options = "{}"};
	a->r->pending++;
	store_batch_create(a->r->st, &a->create);
}

static void a_callback_may_hand_in_more_and_read(void **state)
{
	struct room *r = *state;
	struct again a = {.create = {.op.done = hand_in_more, .options = "{}"}, .r = r, .left = 5};
	struct store_totals t;

	r->pending++;
	waiting_room = r;
	store_batch_create(r->st, &a.create);
	wait_done(r);
	store_totals(r->st, &t);
	assert_int_equal(t.batches, 6);
}

static void closing_commits_what_is_pending(void **state)
{
	struct room *r = *state;
	struct store_batch_create c = {.op = op_of(r), .options = "{}"};

	store_batch_create(r->st, &c);
	room_close(r);
	assert_int_equal(r->pending, 0);
	assert_fine(r);
	room_open(r);
	assert_true(batch_of(r, c.batch).found);
}

/* ---- a full disk ---- */

static void a_full_disk_takes_nothing_of_the_turn_and_is_told_once(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new big = plain_job();
	char *body = calloc(1, 400000);
	struct store_jobs_add small = {.batch = batch, .count = 1}, large = {.batch = batch, .count = 1};
	struct store_job_new one = plain_job();

	memset(body, 'x', 399999);
	big.body = body;
	big.body_bytes = 399999;
	big.has_body = true;
	jobs_like(r, batch, plain_job(), 10);
	open_job(r, jobid_make(batch, 1));
	limit_files(256 << 10);
	small.jobs = &one;
	large.jobs = &big;
	small.op = op_of(r);
	large.op = op_of(r);
	store_jobs_add(r->st, &small);
	store_jobs_add(r->st, &large);
	wait_done(r);
	assert_error(r, ERR_NO_SPACE);
	assert_true(*r->last.hint);
	assert_int_equal(r->heard.troubles, 1);
	assert_int_equal(r->heard.trouble.code, ERR_NO_SPACE);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 9);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_RUNNING], 1);
	large.op = op_of(r);
	store_jobs_add(r->st, &large);
	wait_done(r);
	assert_error(r, ERR_NO_SPACE);
	assert_int_equal(r->heard.troubles, 1);
	store_step(r->st);
	assert_int_equal(r->heard.cleared, 0);
	limit_files(RLIM_INFINITY);
	for (int i = 0; i < 60000 && !r->heard.cleared; i++) {
		store_step(r->st);
		usleep(1000);
	}
	assert_int_equal(r->heard.cleared, 1);
	assert_int_equal(jobs_like(r, batch, big, 1), 11);
	assert_fine(r);
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_DONE});
	assert_fine(r);
	free(body);
}

static void what_is_in_memory_is_right_after_a_rollback(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new jobs[3] = {plain_job(), plain_job(), plain_job()};
	struct store_jobs_add a = {.batch = batch, .jobs = jobs, .count = 3};
	struct store_attempt_open o = {.job = jobid_make(batch, 1)};
	char *body = calloc(1, 400000);

	/* A new lane, a chain, an attempt, counts: all of it in a transaction that fails. */
	chain_jobs(r, batch, "a", 2);
	jobs[0].limit_key = "new.example:80";
	jobs[1].chain = "a";
	jobs[2].chain = "b";
	jobs[2].body = memset(body, 'x', 399999);
	jobs[2].body_bytes = 399999;
	jobs[2].has_body = true;
	limit_files(256 << 10);
	o.op = op_of(r);
	store_attempt_open(r->st, &o);
	a.op = op_of(r);
	store_jobs_add(r->st, &a);
	wait_done(r);
	limit_files(RLIM_INFINITY);
	assert_error(r, ERR_NO_SPACE);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_BLOCKED], 1);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 1);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_RUNNING], 0);
	assert_int_equal(open_job(r, o.job), 1);
	assert_fine(r);
	end_job(r, o.job, 1, (struct end){.next = JOB_DONE});
	assert_int_equal(state_of(r, batch, 2), JOB_QUEUED);
	a.op = op_of(r);
	store_jobs_add(r->st, &a);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(a.first_seq, 3);
	assert_int_equal(state_of(r, batch, 3), JOB_QUEUED);
	assert_int_equal(state_of(r, batch, 4), JOB_BLOCKED);
	assert_int_equal(state_of(r, batch, 5), JOB_QUEUED);
	free(body);
}

static uint64_t ended(struct room *r, enum job_state state)
{
	struct store_totals t;

	store_totals(r->st, &t);
	return t.ended[state];
}

static void an_end_that_was_rolled_back_is_not_counted(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new big = plain_job();
	struct store_jobs_add a = {.batch = batch, .jobs = &big, .count = 1};
	struct store_job_mark m = {.mark = STORE_MARK_CANCEL};
	char *body = calloc(1, 400000);

	big.body = memset(body, 'x', 399999);
	big.body_bytes = 399999;
	big.has_body = true;
	jobs_like(r, batch, plain_job(), 2);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	limit_files(256 << 10);
	m.job = jobid_make(batch, 2);
	m.op = op_of(r);
	store_job_mark(r->st, &m);
	a.op = op_of(r);
	store_jobs_add(r->st, &a);
	wait_done(r);
	limit_files(RLIM_INFINITY);
	assert_error(r, ERR_NO_SPACE);
	assert_int_equal(ended(r, JOB_DONE), 1);
	assert_int_equal(ended(r, JOB_CANCELLED), 0);
	m.op = op_of(r);
	store_job_mark(r->st, &m);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(ended(r, JOB_CANCELLED), 1);
	free(body);
}

static void the_next_start_on_a_full_disk_says_so(void **state)
{
	struct room *r = *state, other = {.base = r->base};
	struct err e = {0};

	snprintf(other.dir, sizeof other.dir, "%.60s/other", r->dir);
	limit_files(4096);
	assert_int_equal(room_try(&other, &e), -1);
	limit_files(RLIM_INFINITY);
	if (e.code != ERR_NO_SPACE)
		fail_msg("%s: %s", err_code_name(e.code), e.what);
}

/* ---- a disk that fails ---- */

static void after_a_failed_fsync_the_outcome_is_unknown_and_nothing_is_tried_again(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct err e = {0};

	jobs_like(r, batch, plain_job(), 1);
	disk_fails = true;
	jobs_like(r, batch, plain_job(), 1);
	disk_fails = false;
	assert_int_equal(r->last.code, ERR_UNKNOWN);
	assert_int_equal(r->heard.troubles, 1);
	assert_int_equal(r->heard.trouble.code, ERR_UNKNOWN);
	jobs_like(r, batch, plain_job(), 1);
	assert_int_equal(r->last.code, ERR_UNKNOWN);
	assert_int_equal(r->heard.troubles, 1);
	assert_false(store_step(r->st));
	room_reopen(r);
	assert_int_equal(store_check(r->st, &e), 0);
	assert_in_range(batch_of(r, batch).row.counts[JOB_QUEUED], 1, 2);
}

static void under_constant_load_the_log_stays_bounded(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new big = plain_job();
	char *body = calloc(1, 200000), path[128];
	FILE *wal;
	long most = 0;

	memset(body, 'x', 199999);
	big.body = body;
	big.body_bytes = 199999;
	big.has_body = true;
	snprintf(path, sizeof path, "%s/fanout.db-wal", r->dir);
	for (int i = 0; i < 150; i++) {
		jobs_like(r, batch, big, 4);
		wal = fopen(path, "r");
		fseek(wal, 0, SEEK_END);
		most = ftell(wal) > most ? ftell(wal) : most;
		fclose(wal);
	}
	/* 120 MB were written; it is seen to after the commit that reaches the bound. */
	assert_in_range(most, STORE_PASS_PAGES * 8192, (STORE_LOG_PAGES_MAX + STORE_PASS_PAGES) * 8192);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_one_turn_brings_is_one_commit_told_in_order),
	    TEST(a_commit_waits_for_more_only_while_nobody_waits_for_it),
	    TEST(the_next_of_a_chain_waits_for_the_commit),
	    TEST(a_large_turn_commits_early_but_calls_back_later),
	    TEST(the_listener_hears_before_the_callbacks),
	    TEST(a_refused_operation_leaves_the_others_of_its_turn_alone),
	    TEST(a_callback_may_hand_in_more_and_read),
	    TEST(closing_commits_what_is_pending),
	    TEST(a_full_disk_takes_nothing_of_the_turn_and_is_told_once),
	    TEST(what_is_in_memory_is_right_after_a_rollback),
	    TEST(an_end_that_was_rolled_back_is_not_counted),
	    TEST(the_next_start_on_a_full_disk_says_so),
	    TEST(after_a_failed_fsync_the_outcome_is_unknown_and_nothing_is_tried_again),
	    TEST(under_constant_load_the_log_stays_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
