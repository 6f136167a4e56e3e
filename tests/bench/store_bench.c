/* What the store costs a job, in one thread: submission, opening, ending, and then starting with what is there. Prints
 * microseconds a job. Usage: store_bench [JOBS [PER_COMMIT [DIRECTORY]]] */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/store.h"
#include "lib/clock.h"
#include "lib/log.h"

static struct event_base *base;
static struct store *st;
static size_t pending;
static size_t jobs = 200000, per_commit = 1000;
static struct store_lane lane;
static char dir[256] = "/tmp/fanout-bench.XXXXXX";

static void check(int rc, const struct err *e)
{
	if (rc == 0)
		return;
	fprintf(stderr, "store_bench: %s\n", e->what);
	exit(1);
}

static void on_done(struct store_op *op, const struct err *e)
{
	(void)op;
	if (e)
		check(-1, e);
	pending--;
}

static void settle(void)
{
	while (pending)
		event_base_loop(base, EVLOOP_ONCE);
}

static void on_lane(void *arg, const struct store_lane *l)
{
	(void)arg;
	lane = *l;
}

static double open_store(void)
{
	struct store_settings set = {.state_dir = dir};
	struct store_listener listener = {.on_lane = on_lane};
	struct err e = {0};
	int64_t from = clock_boot_us();

	check(store_open(&st, &set, &listener, base, &e), &e);
	return (double)(clock_boot_us() - from);
}

/* Both: time on the processor compares, also where others work too; time on the wall has the disk in it. */
struct span {
	int64_t cpu_ns, wall_us;
};

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void span_begin(struct span *s)
{
	s->cpu_ns -= cpu_ns();
	s->wall_us -= clock_boot_us();
}

static void span_end(struct span *s)
{
	s->cpu_ns += cpu_ns();
	s->wall_us += clock_boot_us();
}

static void report(const char *what, const struct span *s)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("%-14s %6.2f us cpu  %6.2f us wall  rss %ld MiB\n", what, (double)s->cpu_ns / 1e3 / (double)jobs,
	       (double)s->wall_us / (double)jobs, u.ru_maxrss / 1024);
}

static uint32_t add_jobs(const char *url, const char *headers)
{
	struct store_batch_create c = {.op.done = on_done, .options = "{}", .priority = 5};
	struct store_job_new *list = calloc(per_commit, sizeof *list);
	char(*urls)[128] = calloc(per_commit, sizeof *urls);
	struct span add = {0};

	pending++;
	store_batch_create(st, &c);
	settle();
	for (size_t done = 0; done < jobs; done += per_commit) {
		struct store_jobs_add a = {.op.done = on_done, .batch = c.batch, .jobs = list, .count = per_commit};
		for (size_t i = 0; i < per_commit; i++) {
			snprintf(urls[i], sizeof urls[i], "%s%zu", url, done + i);
			list[i] =
			    (struct store_job_new){.limit_key = "api.example:80", .url = urls[i], .headers = headers};
		}
		span_begin(&add);
		pending++;
		store_jobs_add(st, &a);
		settle();
		span_end(&add);
	}
	report("add", &add);
	free(list);
	free(urls);
	return c.batch;
}

static void open_some(uint32_t batch, size_t first, size_t count, struct store_attempt_open *ops)
{
	for (size_t i = 0; i < count; i++) {
		ops[i] = (struct store_attempt_open){
		    .op.done = on_done, .job = jobid_make(batch, (uint32_t)(first + i)), .granted_us = clock_wall_us()};
		pending++;
		store_attempt_open(st, &ops[i]);
	}
	settle();
}

static void end_some(uint32_t batch, size_t first, size_t count, struct store_attempt_end *ops, bool final)
{
	static char headers[251], body[201];

	memset(headers, 'h', sizeof headers - 1);
	memset(body, 'b', sizeof body - 1);
	for (size_t i = 0; i < count; i++) {
		int64_t now = clock_wall_us();
		struct message_outcome m = {
		    .job = jobid_make(batch, (uint32_t)(first + i)),
		    .n = 1,
		    .status = final ? 200 : 503,
		    .http_version = 11,
		    .timings = {1, 200, 3, 40, 5000, 60, 5304},
		    .size_bytes = 200,
		    .wire_bytes = 200,
		    .content_type = "application/json",
		    .remote_ip = "127.0.0.1",
		    .redirect_url = "",
		    .error = "",
		    .headers = headers,
		    .body = body,
		    .body_bytes = 200,
		};
		ops[i] = (struct store_attempt_end){
		    .op.done = on_done,
		    .outcome = &m,
		    .started_wall_us = now,
		    .first_byte_wall_us = now,
		    .ended_wall_us = now,
		    .queued_us = 1234567,
		    .method = "GET",
		    .next = final ? JOB_DONE : JOB_QUEUED,
		    .due_us = now + 1000000000,
		};
		pending++;
		store_attempt_end(st, &ops[i]);
	}
	settle();
}

static void run_jobs(uint32_t batch, bool final)
{
	struct store_attempt_open *opens = calloc(per_commit, sizeof *opens);
	struct store_attempt_end *ends = calloc(per_commit, sizeof *ends);
	struct span open = {0}, end = {0};

	for (size_t done = 0; done < jobs; done += per_commit) {
		span_begin(&open);
		open_some(batch, done + 1, per_commit, opens);
		span_end(&open);
		span_begin(&end);
		end_some(batch, done + 1, per_commit, ends, final);
		span_end(&end);
	}
	report("open", &open);
	report(final ? "end" : "end, put off", &end);
	free(opens);
	free(ends);
}

static void on_result(struct store_results *r, const struct store_result *row)
{
	(void)r;
	(void)row;
}

static void read_results(uint32_t batch)
{
	struct span read = {0};
	struct store_results r = {.op.done = on_done, .batch = batch, .limit = 500, .on_row = on_result, .more = true};

	span_begin(&read);
	while (r.more) {
		r.after_seq = r.last_seq;
		pending++;
		store_results(st, &r);
	}
	span_end(&read);
	report("results", &read);
}

static void start_again(void)
{
	static uint64_t ids[512];
	struct store_op op = {.done = on_done};
	struct store_lane_load l = {.op.done = on_done, .ids = ids, .room = 512};
	int64_t from;

	store_close(st);
	from = clock_boot_us();
	open_store();
	pending++;
	store_announce_lanes(st, &op);
	l.lane = lane.id;
	l.after = lane.head;
	pending++;
	store_lane_load(st, &l);
	printf("%-14s %7.1f ms for all, %zu loaded\n", "start", (double)(clock_boot_us() - from) / 1e3, l.count);
}

static void report_totals(void)
{
	struct store_totals t;
	struct stat s = {0};
	char path[300];

	store_totals(st, &t);
	snprintf(path, sizeof path, "%s/fanout.db", dir);
	stat(path, &s);
	printf("%-14s %7.2f ms mean, %.2f ms most; %.0f bytes a job in the file\n", "commits",
	       (double)t.commit_us_total / 1e3 / (double)t.commits, (double)t.commit_us_max / 1e3,
	       (double)s.st_size / (double)jobs);
}

int main(int argc, char **argv)
{
	char command[300];

	if (argc > 1)
		jobs = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		per_commit = strtoul(argv[2], NULL, 10);
	if (argc > 3)
		snprintf(dir, sizeof dir, "%s/fanout-bench.XXXXXX", argv[3]);
	if (jobs == 0 || per_commit == 0 || jobs % per_commit || !mkdtemp(dir)) {
		fprintf(stderr,
			"usage: store_bench [JOBS [PER_COMMIT [DIRECTORY]]]; JOBS is a multiple of PER_COMMIT\n");
		return 2;
	}
	log_open("store_bench", LOG_LEVEL_WARN);
	base = event_base_new();
	event_base_priority_init(base, 3);
	open_store();
	uint32_t batch = add_jobs("http://api.example/items/", NULL);
	start_again();
	run_jobs(batch, true);
	read_results(batch);
	report_totals();
	batch = add_jobs("http://api.example/other/items/", "Accept: application/json\nX-Client: bench\n");
	run_jobs(batch, false);
	store_close(st);
	event_base_free(base);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command) == 0 ? 0 : 1;
}
