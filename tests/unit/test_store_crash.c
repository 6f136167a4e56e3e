/* A process that uses the store is killed at any moment, again and again on the same directory. What it was told is
 * done is there; all that is kept as a sum adds up; what was open is found and can be settled.
 *
 * The victim notes what it was told in memory that outlives it. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/test_store.h"

#define ROUNDS      15
#define BATCHES_MAX 4000
#define JOBS_MAX    400 /* of one batch that are watched */

/* What was acknowledged. */
struct told {
	uint32_t batches; /* the greatest number */
	struct {
		uint32_t jobs;
		bool closed, removed;
		bool touched;                /* marked as a whole: its jobs' states may change */
		uint8_t final[JOBS_MAX + 1]; /* 0: not known to have ended */
	} batch[BATCHES_MAX + 1];
};
static struct told *told;

/* ---- the victim ---- */

struct victim {
	struct room room;
	uint32_t random;
	struct store_batch_create create;
	struct store_jobs_add add;
	struct store_batch_mark mark;
	struct store_attempt_open open[8];
	struct store_attempt_end end[8];
	struct message_outcome outcome[8];
	bool create_busy, add_busy, mark_busy, attempt_busy[8];
};
static struct victim victim;

static uint32_t random_below(uint32_t n)
{
	victim.random = victim.random * 1664525 + 1013904223;
	return (victim.random >> 8) % n;
}

static void on_created(struct store_op *op, const struct err *e)
{
	(void)op;
	if (!e && victim.create.batch <= BATCHES_MAX)
		told->batches = victim.create.batch;
	victim.create_busy = false;
}

static void on_added(struct store_op *op, const struct err *e)
{
	(void)op;
	if (!e)
		told->batch[victim.add.batch].jobs = victim.add.first_seq + (uint32_t)victim.add.count - 1;
	victim.add_busy = false;
}

static void on_marked(struct store_op *op, const struct err *e)
{
	(void)op;
	if (!e && victim.mark.mark == STORE_MARK_CLOSE)
		told->batch[victim.mark.batch].closed = true;
	victim.mark_busy = false;
}

static void on_ended(struct store_op *op, const struct err *e)
{
	struct store_attempt_end *a = (struct store_attempt_end *)op;
	size_t i = (size_t)(a - victim.end);
	uint64_t job = victim.outcome[i].job;

	if (!e && job_state_final(a->next) && jobid_seq(job) <= JOBS_MAX)
		told->batch[jobid_batch(job)].final[jobid_seq(job)] = (uint8_t)a->next;
	victim.attempt_busy[i] = false;
}

static void write_body(uint64_t job, uint32_t n)
{
	int bodies = store_bodies_fd(victim.room.st);
	char path[JOBID_PATH_SIZE], dir[16];

	snprintf(dir, sizeof dir, "%u", jobid_batch(job));
	mkdirat(bodies, dir, 0700);
	int fd = openat(bodies, jobid_body_path(path, job, n), O_CREAT | O_WRONLY, 0600);
	if (write(fd, "x", 1) != 1)
		_exit(1);
	close(fd);
}

static void on_opened(struct store_op *op, const struct err *e)
{
	struct store_attempt_open *o = (struct store_attempt_open *)op;
	size_t i = (size_t)(o - victim.open);
	static const enum job_state nexts[] = {JOB_DONE, JOB_DONE, JOB_FAILED, JOB_QUEUED};
	static const enum job_event events[] = {JOB_EV_SUCCEED, JOB_EV_SUCCEED, JOB_EV_FAIL, JOB_EV_AGAIN};
	uint32_t how = random_below(4);

	if (e) {
		victim.attempt_busy[i] = false;
		return;
	}
	victim.outcome[i] = bare_outcome(o->job, o->n);
	victim.outcome[i].status = 200;
	victim.outcome[i].body_in_file = random_below(2);
	victim.outcome[i].size_bytes = 1;
	if (victim.outcome[i].body_in_file)
		write_body(o->job, o->n);
	victim.end[i] =
	    (struct store_attempt_end){.op.done = on_ended,
				       .outcome = &victim.outcome[i],
				       .method = "GET",
				       .next = nexts[how],
				       .reason = nexts[how] == JOB_FAILED ? REASON_HTTP_STATUS : REASON_NONE,
				       .due_us = 1,
				       .actions = job_step(JOB_RUNNING, events[how]).actions};
	store_attempt_end(victim.room.st, &victim.end[i]);
}

static void add_some(void)
{
	static struct store_job_new jobs[20];
	uint32_t count = 1 + random_below(20);

	for (uint32_t i = 0; i < count; i++) {
		jobs[i] = plain_job();
		jobs[i].chain = random_below(3) ? NULL : random_below(2) ? "a" : "b";
		if (random_below(2))
			jobs[i].limit_key = "b.example:80";
	}
	victim.add = (struct store_jobs_add){
	    .op.done = on_added, .batch = 1 + random_below(told->batches), .jobs = jobs, .count = count};
	victim.add_busy = true;
	store_jobs_add(victim.room.st, &victim.add);
}

static void mark_some(void)
{
	static const enum store_mark marks[] = {STORE_MARK_CLOSE,  STORE_MARK_CLOSE, STORE_MARK_PAUSE,
						STORE_MARK_CANCEL, STORE_MARK_RETRY, STORE_MARK_REMOVE};
	enum store_mark what = marks[random_below(6)];
	uint32_t batch = 1 + random_below(told->batches);

	/* Before it is told: it may be done and the word of it lost. */
	if (what == STORE_MARK_CANCEL || what == STORE_MARK_RETRY)
		told->batch[batch].touched = true;
	if (what == STORE_MARK_REMOVE)
		told->batch[batch].removed = true;
	victim.mark = (struct store_batch_mark){.op.done = on_marked, .batch = batch, .mark = what};
	victim.mark_busy = true;
	store_batch_mark(victim.room.st, &victim.mark);
}

static void attempt_some(void)
{
	for (size_t i = 0; i < 8; i++) {
		uint32_t batch = 1 + random_below(told->batches);
		uint32_t jobs = told->batch[batch].jobs;
		if (victim.attempt_busy[i] || !jobs)
			continue;
		victim.open[i] = (struct store_attempt_open){.op.done = on_opened,
							     .job = jobid_make(batch, 1 + random_below(jobs)),
							     .granted_us = clock_wall_us()};
		victim.attempt_busy[i] = true;
		store_attempt_open(victim.room.st, &victim.open[i]);
	}
}

_Noreturn static void be_the_victim(const struct room *r, uint32_t seed)
{
	struct err e;

	victim = (struct victim){.room = *r, .random = seed};
	victim.room.base = event_base_new();
	event_base_priority_init(victim.room.base, 3);
	if (room_try(&victim.room, &e) < 0) {
		fprintf(stderr, "victim: %s\n", e.what);
		_exit(1);
	}
	for (;;) {
		if (!victim.create_busy && told->batches < BATCHES_MAX - 1 && random_below(8) == 0) {
			victim.create = (struct store_batch_create){.op.done = on_created, .options = "{}"};
			victim.create_busy = true;
			store_batch_create(victim.room.st, &victim.create);
		}
		if (told->batches) {
			if (!victim.add_busy)
				add_some();
			if (!victim.mark_busy && random_below(10) == 0)
				mark_some();
			attempt_some();
		}
		store_step(victim.room.st);
		event_base_loop(victim.room.base, EVLOOP_NONBLOCK);
	}
}

/* ---- the witness ---- */

struct seen {
	struct store_results results;
	uint32_t last;
	size_t files;
	bool wrong;
};
static struct room *witness;

static void compare(struct store_results *res, const struct store_result *row)
{
	struct seen *s = (struct seen *)res;
	uint32_t seq = jobid_seq(row->job);
	char path[JOBID_PATH_SIZE];

	s->last = seq;
	if (row->body_in_file) {
		s->files++;
		if (faccessat(store_bodies_fd(witness->st), jobid_body_path(path, row->job, row->attempts), F_OK, 0) <
		    0) {
			print_error("the file %s is not there\n", path);
			s->wrong = true;
		}
	}
	if (seq > JOBS_MAX || told->batch[res->batch].touched)
		return;
	uint8_t final = told->batch[res->batch].final[seq];
	if (final && final != row->state) {
		print_error("job %u.%u was told to be %s, is %s\n", res->batch, seq, job_state_name(final),
			    job_state_name(row->state));
		s->wrong = true;
	}
}

static size_t files_below(const struct room *r)
{
	char command[160], text[32] = "";

	snprintf(command, sizeof command, "find %s/bodies -type f | wc -l", r->dir);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(text, sizeof text, pipe));
	pclose(pipe);
	return strtoul(text, NULL, 10);
}

/* Returns how many of its results are in files. */
static size_t witness_batch(struct room *r, uint32_t batch)
{
	struct seen s = {.results = {.op = op_of(r), .batch = batch, .limit = 1000000, .on_row = compare}};
	struct batch_copy b;

	store_results(r->st, &s.results);
	wait_done(r);
	if (r->last.code == ERR_NOT_FOUND && told->batch[batch].removed)
		return 0;
	if (r->last.code != ERR_NONE)
		fail_msg("batch %u was acknowledged: %s", batch, r->last.what);
	if (s.last < told->batch[batch].jobs)
		fail_msg("batch %u: %u jobs were acknowledged, %u are there", batch, told->batch[batch].jobs, s.last);
	assert_false(s.wrong);
	b = batch_of(r, batch);
	assert_true(b.row.closed || !told->batch[batch].closed);
	return s.files;
}

static uint64_t left[64];
static uint32_t left_n[64];
static size_t left_count;

static void note_left(struct store_open_attempts *o, const struct store_request *req, int64_t granted_us)
{
	(void)o;
	(void)granted_us;
	assert_true(left_count < 64);
	left[left_count] = req->job;
	left_n[left_count++] = req->n;
}

static void settle(struct room *r)
{
	struct store_open_attempts o = {.on_row = note_left};

	left_count = 0;
	o.op = op_of(r);
	store_open_attempts(r->st, &o);
	wait_done(r);
	for (size_t i = 0; i < left_count; i++) {
		end_job(r, left[i], left_n[i], (struct end){.next = JOB_QUEUED, .due_us = 1});
		assert_fine(r);
	}
}

static void nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(void **state)
{
	struct room *r = *state;
	struct err e;
	size_t files = 0;

	witness = r;
	/* On a slow machine a victim gets little done before it is killed: then there are more of them. */
	for (uint32_t round = 1; round <= ROUNDS || told->batches <= 5 || files <= 5; round++) {
		pid_t child;
		room_close(r);
		child = fork();
		if (child == 0)
			be_the_victim(r, round * 7919 + (uint32_t)getpid());
		/* Not a wait for something: the moment is to be any. */
		usleep((useconds_t)(5000 + (round * 7919u) % 90000u));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		room_open(r);
		if (store_check(r->st, &e) < 0)
			fail_msg("round %u: %s", round, e.what);
		for (uint32_t batch = 1; batch <= told->batches; batch++)
			witness_batch(r, batch);
		settle(r);
		step_until_quiet(r);
		if (store_check(r->st, &e) < 0)
			fail_msg("round %u, settled: %s", round, e.what);
		for (uint32_t batch = files = 0; batch++ < told->batches;)
			files += witness_batch(r, batch);
		assert_int_equal(files_below(r), files);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_that_was_acknowledged_is_lost_when_the_process_is_killed),
	};

	told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
