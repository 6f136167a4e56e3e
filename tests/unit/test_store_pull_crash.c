/* A process that pulls is killed at any moment, again and again on the same directory. Each begins with what it finds:
 * live runs go on where they were. Nothing that was acknowledged is lost; a page and what follows from it are there
 * together or not at all; a run and its batch end together; and the files that are there are those of the results.
 *
 * The victim notes what it was told in memory that outlives it. Half of the runs are followed (each page adds the
 * next), the others numbered (the first adds the rest). */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/test_store_pull.h"

#define ROUNDS   12
#define RUNS_MAX (12 * ROUNDS)
#define LAST     6 /* pages of a run */
#define LIVE_MAX 8

/* What was acknowledged. */
struct told {
	uint32_t runs; /* the greatest number */
	struct {
		bool made, removed;
		bool touched; /* marked as a whole: what has ended may begin again */
		uint8_t done[LAST + 1], verdict;
	} run[RUNS_MAX + 1];
};
static struct told *told;

/* ---- the victim ---- */

static uint32_t random_state;
static bool friendly;     /* everything works from now on */
static uint32_t runs_now; /* as many may be made by then */

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

static bool followed(uint32_t run)
{
	return run % 2;
}

struct live {
	struct store_run_list list;
	struct {
		uint32_t run, behind;
		enum run_state state;
		bool cancelled, unfinished;
	} run[LIVE_MAX];
	size_t count;
};

static void copy_live(struct store_run_list *l, const struct store_run *row)
{
	struct live *live = (struct live *)l;

	live->run[live->count].run = row->run;
	live->run[live->count].behind = row->behind;
	live->run[live->count].state = row->state;
	live->run[live->count].cancelled = row->cancelled;
	live->run[live->count++].unfinished =
	    row->counts[JOB_BLOCKED] + row->counts[JOB_QUEUED] + row->counts[JOB_RUNNING] > 0;
}

static struct live live_runs(struct room *r)
{
	struct live live = {.list = {.op = op_of(r), .uid = -1, .live = true, .limit = LIVE_MAX, .on_row = copy_live}};

	store_run_list(r->st, &live.list);
	wait_done(r);
	return live;
}

/* A page's way through its attempt; several are under way in the same turn. */
struct errand {
	struct store_attempt_open open;
	struct store_page_end end;
	struct message_outcome outcome;
	struct message_page page;
	struct page_list add;
	struct room *room;
	char body[16];
	uint64_t base_job;
	bool opened;
};
static struct errand errands[LIVE_MAX * LAST];
static size_t errand_count;

static bool on_request(struct store_attempt_open *o, const struct store_request *req)
{
	struct errand *x = (struct errand *)o;

	x->base_job = req->page->base_job;
	snprintf(x->body, sizeof x->body, "body of %.4s", req->page->token);
	return true;
}

static void on_opened(struct store_op *op, const struct err *e)
{
	struct errand *x = (struct errand *)op;

	x->opened = !e;
	x->room->pending--;
}

static void on_ended(struct store_op *op, const struct err *e)
{
	struct errand *x = (struct errand *)((char *)op - offsetof(struct errand, end));
	uint64_t job = x->outcome.job;

	if (!e && x->end.end.next == JOB_DONE)
		told->run[jobid_batch(job)].done[jobid_seq(job)] = 1;
	x->room->pending--;
}

static void errand_begin(struct room *r, uint64_t job)
{
	struct errand *x = &errands[errand_count++];

	*x = (struct errand){.room = r, .open = {.op.done = on_opened, .job = job, .on_request = on_request}};
	r->pending++;
	store_attempt_open(r->st, &x->open);
}

static const char *follows(uint32_t run, uint32_t seq)
{
	static const char *const next[LAST + 1] = {"", "2", "3", "4", "5", "6", ""};

	return followed(run) ? next[seq] : seq == 1 ? "23456" : "";
}

static void outcome_make(struct room *r, struct errand *x, bool reuse, bool done)
{
	bool in_file = done && !reuse && random_below(2);

	x->page = (struct message_page)PLAIN_PAGE;
	x->outcome = (struct message_outcome){.job = x->open.job,
					      .n = x->open.n,
					      .status = reuse ? 304 : 200,
					      .body_in_file = in_file,
					      .size_bytes = reuse ? 0 : (int64_t)strlen(x->body),
					      .content_type = "",
					      .remote_ip = "",
					      .error = "",
					      .headers = "",
					      .body = reuse || in_file ? NULL : x->body,
					      .body_bytes = reuse || in_file ? 0 : strlen(x->body)};
	if (in_file)
		write_body(r, x->open.job, x->open.n, x->body);
}

static void errand_end(struct room *r, struct errand *x)
{
	uint32_t run = jobid_batch(x->open.job), how = friendly ? 0 : random_below(10);
	enum job_state next = how < 8 ? JOB_DONE : how < 9 ? JOB_QUEUED : JOB_FAILED;
	bool reuse = x->base_job && next == JOB_DONE;

	outcome_make(r, x, reuse, next == JOB_DONE);
	page_list_make(&x->add, next == JOB_DONE ? follows(run, jobid_seq(x->open.job)) : "");
	x->end = (struct store_page_end){.end = {.op.done = on_ended,
						 .outcome = &x->outcome,
						 .method = "GET",
						 .next = next,
						 .reason = next == JOB_FAILED ? REASON_HTTP_STATUS : REASON_NONE,
						 .due_us = 1},
					 .page_ended = next != JOB_QUEUED,
					 .page = next == JOB_DONE && !reuse ? &x->page : NULL,
					 .reuse = reuse,
					 .add = x->add.page,
					 .add_count = x->add.count};
	r->pending++;
	store_page_end(r->st, &x->end);
}

static void fetch_some(struct room *r, const struct live *live)
{
	errand_count = 0;
	for (size_t i = 0; i < live->count; i++) {
		struct pages_copy all;
		if (live->run[i].state != RUN_RUNNING)
			continue;
		all = pages_of(r, live->run[i].run);
		for (size_t k = 0; k < all.count; k++) {
			if (all.page[k].row.state == JOB_QUEUED)
				errand_begin(r, all.page[k].row.job);
		}
	}
	wait_done(r);
	for (size_t i = 0; i < errand_count; i++) {
		if (errands[i].opened)
			errand_end(r, &errands[i]);
	}
	wait_done(r);
}

static void conclude(struct room *r, uint32_t run, bool cancelled)
{
	struct pages_copy all = pages_of(r, run);
	size_t done = 0;
	enum run_verdict verdict;

	for (size_t i = 0; i < all.count; i++)
		done += all.page[i].row.state == JOB_DONE;
	verdict = done == LAST ? RUN_COMPLETE : cancelled ? RUN_CANCELLED : RUN_INCOMPLETE;
	if (run_end(r, run, verdict, "1").code == ERR_NONE)
		told->run[run].verdict = (uint8_t)verdict;
}

static void begin(struct room *r, uint32_t run)
{
	struct page_list l;
	struct store_run_start s = {.op = op_of(r), .run = run, .page_count = 1};

	page_list_make(&l, "1");
	s.pages = l.page;
	store_run_start(r->st, &s);
	wait_done(r);
}

static void make_one(struct room *r)
{
	static const char *const pulls[] = {"a", "b", "c"};
	struct store_run_create c = run_try(
	    r, (struct run_like){.pull = pulls[random_below(3)], .overlap = random_below(2), .conditional = true});

	if (r->last.code != ERR_NONE || !c.run)
		return;
	told->run[c.run].made = true;
	told->runs = c.run;
}

/* Noted before it is done: it may be done, and the word of it lost. */
static void mark_one(struct room *r)
{
	static const enum store_mark marks[] = {STORE_MARK_CANCEL, STORE_MARK_RETRY, STORE_MARK_REMOVE};
	enum store_mark what = marks[random_below(3)];
	uint32_t run = 1 + random_below(told->runs);

	if (what == STORE_MARK_REMOVE && run % 4)
		return;
	if (what == STORE_MARK_REMOVE)
		told->run[run].removed = true;
	else
		told->run[run].touched = true;
	mark(r, run, what);
}

/* False: there is nothing live any more. */
static bool turn(struct room *r)
{
	struct live live;

	if (!friendly && told->runs < runs_now)
		make_one(r);
	if (!friendly && told->runs && random_below(4) == 0)
		mark_one(r);
	store_step(r->st);
	live = live_runs(r);
	fetch_some(r, &live);
	for (size_t i = 0; i < live.count; i++) {
		if (live.run[i].state == RUN_WAITING && !live.run[i].cancelled && !live.run[i].behind)
			begin(r, live.run[i].run);
		else if (!live.run[i].unfinished && (live.run[i].state == RUN_RUNNING || live.run[i].cancelled))
			conclude(r, live.run[i].run, live.run[i].cancelled);
	}
	return live.count > 0;
}

static uint64_t left[LIVE_MAX * LAST];
static uint32_t left_n[LIVE_MAX * LAST];
static size_t left_count;

static void note_left(struct store_open_attempts *o, const struct store_request *req, int64_t granted_us)
{
	(void)o;
	(void)granted_us;
	assert_true(left_count < sizeof left / sizeof *left);
	left[left_count] = req->job;
	left_n[left_count++] = req->n;
}

/* What was in flight is asked for once more. */
static void settle(struct room *r)
{
	struct store_open_attempts o = {.on_row = note_left};

	left_count = 0;
	o.op = op_of(r);
	store_open_attempts(r->st, &o);
	wait_done(r);
	for (size_t i = 0; i < left_count; i++) {
		end_page(r, left[i], left_n[i], (struct page_how){.goes_on = true});
		assert_fine(r);
	}
}

_Noreturn static void be_the_victim(const struct room *r, uint32_t seed)
{
	struct room mine = *r;
	struct err e;

	random_state = seed;
	mine.base = event_base_new();
	event_base_priority_init(mine.base, 3);
	if (room_try(&mine, &e) < 0) {
		fprintf(stderr, "victim: %s\n", e.what);
		_exit(1);
	}
	settle(&mine);
	for (;;)
		turn(&mine);
}

/* ---- the witness ---- */

static size_t body_witness(struct room *r, const struct page_copy *p)
{
	struct job_copy j = job_of(r, p->row.job);
	char body[16];

	snprintf(body, sizeof body, "body of %.4s", p->token);
	assert_int_equal(p->row.size_bytes, strlen(body));
	if (!j.row.body_in_file) {
		assert_string_equal(j.body, body);
		return 0;
	}
	assert_true(body_there(r, p->row.job, p->row.attempts));
	return 1;
}

/* Returns how many of its pages are in files. */
static size_t pages_witness(struct room *r, uint32_t run)
{
	struct pages_copy all = pages_of(r, run);
	size_t files = 0;

	for (uint32_t i = 0; i < all.count; i++) {
		const struct page_copy *p = &all.page[i];
		bool done = p->row.state == JOB_DONE;
		if (jobid_seq(p->row.job) != i + 1 || p->token[0] != (char)('1' + i))
			fail_msg("run %u: page %u has the token %s", run, i + 1, p->token);
		if (done != p->row.said)
			fail_msg("run %u: page %u is %s", run, i + 1, job_state_name(p->row.state));
		if (done && all.count < i + 1 + strlen(follows(run, i + 1)))
			fail_msg("run %u: page %u is done, and what follows from it is not there", run, i + 1);
		if (told->run[run].done[i + 1] && !done)
			fail_msg("run %u: page %u was told to be done", run, i + 1);
		if (done)
			files += body_witness(r, p);
	}
	return files;
}

static size_t run_witness(struct room *r, uint32_t run)
{
	struct run_copy c = run_of(r, run);
	bool ended = batch_of(r, run).row.ended_us > 0;

	if (!c.found && (told->run[run].removed || !told->run[run].made))
		return 0;
	if (!c.found)
		fail_msg("run %u was acknowledged", run);
	assert_int_equal(ended, c.row.state == RUN_ENDED);
	assert_int_equal(ended, *c.receipt != '\0');
	if (told->run[run].verdict && !told->run[run].touched)
		assert_int_equal(c.row.verdict, told->run[run].verdict);
	return pages_witness(r, run);
}

static size_t all_witness(struct room *r, const char *when)
{
	size_t files = 0;
	struct err e;

	if (store_check(r->st, &e) < 0)
		fail_msg("%s: %s", when, e.what);
	/* One more: it may have been made, and the word of it lost. */
	for (uint32_t run = 1; run <= told->runs + 1; run++)
		files += run_witness(r, run);
	return files;
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

/* What is live now is pulled to its end. */
static void finish_all(struct room *r)
{
	friendly = true;
	run_new(r, (struct run_like){.pull = "the last"});
	told->runs++;
	settle(r);
	for (int i = 0; turn(r); i++)
		assert_true(i < 1000);
	step_until_quiet(r);
}

static void a_pull_that_is_killed_at_any_moment_goes_on_without_a_gap(void **state)
{
	struct room *r = *state;
	size_t complete = 0;
	int status;

	room_close(r);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		runs_now = RUNS_MAX / ROUNDS * round;
		pid_t child = fork();
		if (child == 0)
			be_the_victim(r, round * 7919 + (uint32_t)getpid());
		/* Not a wait for something: the moment is to be any. */
		usleep((useconds_t)(20000 + (round * 7919u) % 90000u));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		room_open(r);
		all_witness(r, "killed");
		if (round < ROUNDS)
			room_close(r);
	}
	finish_all(r);
	assert_int_equal(files_below(r), all_witness(r, "finished"));
	for (uint32_t run = 1; run <= told->runs; run++) {
		struct run_copy c = run_of(r, run);
		if (!c.found)
			continue;
		assert_int_equal(c.row.state, RUN_ENDED);
		if (c.row.verdict == RUN_COMPLETE)
			assert_tokens(r, run, "123456");
		complete += c.row.verdict == RUN_COMPLETE;
	}
	print_message("%u runs, %zu complete\n", told->runs, complete);
	assert_true(complete > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_pull_that_is_killed_at_any_moment_goes_on_without_a_gap),
	};

	told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
