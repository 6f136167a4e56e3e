/* What is asked for: jobs, batches, templates, and what they become together. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/spec.h"
#include "lib/base64.h"

static struct spec_jobs *jobs(const char *text)
{
	struct err e = {0};
	struct spec_jobs *j = spec_parse_jobs(text, strlen(text), &e);

	if (!j)
		fail_msg("refused: %s\n%s", e.what, text);
	return j;
}

static const struct store_job_new *only(struct spec_jobs *j)
{
	size_t n;
	const struct store_job_new *array = spec_jobs_array(j, &n);

	assert_int_equal(n, 1);
	return array;
}

static void refused_with(const char *text, enum err_code code, const char *why)
{
	struct err e = {0};
	struct spec_jobs *j = spec_parse_jobs(text, strlen(text), &e);

	if (j)
		fail_msg("taken: %.200s", text);
	if (e.code != code || !strstr(e.what, why))
		fail_msg("for %.200s\nexpected %s, got %s: %s", text, why, err_code_name(e.code), e.what);
}

static void refused(const char *text, const char *why)
{
	refused_with(text, ERR_INPUT, why);
}

/* ---- jobs ---- */

static void a_plain_job_is_its_url_and_key(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"https://Example.org/a?b=c\"}");
	const struct store_job_new *n = only(j);

	(void)state;
	assert_string_equal(n->url, "https://Example.org/a?b=c");
	assert_string_equal(n->limit_key, "example.org:443");
	assert_null(n->method);
	assert_null(n->headers);
	assert_null(n->user);
	assert_null(n->tag);
	assert_null(n->chain);
	assert_null(n->options);
	assert_false(n->has_body);
	spec_jobs_free(j);
}

static void every_member_of_a_job_is_read(void **state)
{
	struct spec_jobs *j =
	    jobs("{\"url\":\"http://h/\",\"method\":\"PUT\",\"headers\":{\"X-A\":\" b \",\"Accept\":null,\"E\":\"\"},"
		 "\"body\":\"text\",\"user\":\"me:it\",\"chain\":\"c\",\"tag\":\"t\",\"timeout\":\"2s\","
		 "\"connect_timeout\":1.5,\"max_attempts\":3,\"max_body\":\"1M\",\"idempotency_key\":\"k\","
		 "\"retry_unsafe\":true}");
	const struct store_job_new *n = only(j);

	(void)state;
	assert_string_equal(n->method, "PUT");
	assert_string_equal(n->headers, "X-A: b\nAccept:\nE;\n");
	assert_int_equal(n->body_bytes, 4);
	assert_memory_equal(n->body, "text", 4);
	assert_string_equal(n->user, "me:it");
	assert_string_equal(n->chain, "c");
	assert_string_equal(n->tag, "t");
	assert_string_equal(n->options,
			    "{\"timeout_us\":2000000,\"connect_timeout_us\":1500000,\"max_body_bytes\":1048576,"
			    "\"max_attempts\":3,\"retry_unsafe\":true,\"idempotency_key\":\"k\"}");
	spec_jobs_free(j);
}

static void headers_may_be_lines_as_for_curl(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"http://h/\",\"headers\":[\"A: b\",\"B:\",\"C;\",\"D:  x:y \"]}");

	(void)state;
	assert_string_equal(only(j)->headers, "A: b\nB:\nC;\nD: x:y\n");
	spec_jobs_free(j);
}

static void a_json_body_goes_out_as_it_was_written(void **state)
{
	static const char body[] = "{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}],\"d\":1e400 }";
	char line[300];
	struct spec_jobs *j;

	(void)state;
	/* 1e400 is beyond a double, and is refused by the reader of JSON: nothing is silently changed. */
	snprintf(line, sizeof line, "{\"url\":\"http://h/\",\"body\":%s}", body);
	refused(line, "not JSON");
	snprintf(line, sizeof line, "{ \"tag\" : \"body\" , \"body\" :  %s , \"url\":\"http://h/\"}",
		 "{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}] }");
	j = jobs(line);
	assert_int_equal(only(j)->body_bytes, strlen("{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}] }"));
	assert_memory_equal(only(j)->body, "{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}] }", only(j)->body_bytes);
	assert_string_equal(only(j)->options, "{\"json\":true}");
	spec_jobs_free(j);
}

static void a_member_inside_a_body_is_not_taken_for_the_body(void **state)
{
	struct spec_jobs *j = jobs("{\"headers\":{\"body\":\"x\"},\"body\":[1],\"url\":\"http://h/\"}");

	(void)state;
	assert_int_equal(only(j)->body_bytes, 3);
	assert_memory_equal(only(j)->body, "[1]", 3);
	spec_jobs_free(j);
}

static void bytes_come_as_base64(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"http://h/\",\"body_base64\":\"AAH/\"}");

	(void)state;
	assert_int_equal(only(j)->body_bytes, 3);
	assert_memory_equal(only(j)->body, "\x00\x01\xff", 3);
	spec_jobs_free(j);
	j = jobs("{\"url\":\"http://h/\",\"body\":\"\"}");
	assert_true(only(j)->has_body);
	assert_int_equal(only(j)->body_bytes, 0);
	spec_jobs_free(j);
}

static void credentials_move_out_of_the_url(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"http://me:s%40cret@h/x\"}");

	(void)state;
	assert_string_equal(only(j)->url, "http://h/x");
	assert_string_equal(only(j)->user, "me:s@cret");
	assert_string_equal(only(j)->limit_key, "h:80");
	spec_jobs_free(j);
	j = jobs("{\"user\":\"a:b\",\"url\":\"http://me:secret@h/x\"}");
	assert_string_equal(only(j)->url, "http://h/x");
	assert_string_equal(only(j)->user, "a:b");
	spec_jobs_free(j);
}

/* The commonest way to write a job is read without the JSON library: all others must lead to the same place. */
static void a_plain_line_is_read_as_any_other(void **state)
{
	static const char *const lines[] = {
	    "{\"url\":\"http://u:p@h:8080/a?b=%20#c\"}",
	    "{\"url\": \"http://u:p@h:8080/a?b=%20#c\"}",
	    "{\"\\u0075rl\":\"http://u:p@h:8080/a?b=%20#c\"}",
	    "{\"url\":\"http:\\/\\/u:p@h:8080\\/a?b=%20#c\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct spec_jobs *j = jobs(lines[i]);
		const struct store_job_new *n = only(j);

		assert_string_equal(n->url, "http://h:8080/a?b=%20#c");
		assert_string_equal(n->limit_key, "h:8080");
		assert_string_equal(n->user, "u:p");
		assert_null(n->method);
		assert_null(n->options);
		assert_null(n->headers);
		assert_false(n->has_body);
		spec_jobs_free(j);
	}
	refused("{\"url\":\"ftp://h/\"}", "\"url\": ");
	refused("{\"url\":\"\"}", "\"url\": ");
	refused("{\"url\":\"http://h/\",\"url\":\"http://h/\"}", "duplicate");
	refused("{\"url\":\"}", "JSON");
}

/* The second of two URLs with one authority takes a shorter way: it must lead to the same place. */
static void a_remembered_authority_changes_nothing(void **state)
{
	static const char *const keys[] = {"h:80",  "h:80", "h:80",         "h:8080", "h.x:80",
					   "h:443", "h:80", "127.0.0.1:80", "h:80",   "x:80"};
	struct spec_jobs *j =
	    jobs("{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/2\"}\n{\"url\":\"http://h?q\"}\n{\"url\":\"http://"
		 "h:8080/\"}\n"
		 "{\"url\":\"http://h.x/\"}\n{\"url\":\"https://h/\"}\n{\"url\":\"http://h\"}\n"
		 "{\"url\":\"http://2130706433/\"}\n{\"url\":\"http://u:p@h/\"}\n{\"url\":\"http://x/@h\"}\n");
	const struct store_job_new *array;
	size_t n;

	(void)state;
	array = spec_jobs_array(j, &n);
	assert_int_equal(n, 10);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(array[i].limit_key, keys[i]);
	assert_string_equal(array[9].url, "http://x/@h");
	assert_null(array[9].user);
	spec_jobs_free(j);
	refused("{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/a b\"}\n", "space or control byte");
	refused("{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/a\\u0007\"}\n", "space or control byte");
}

static void what_is_wrong_is_told_with_the_member(void **state)
{
	(void)state;
	refused("[]", "a job has to be a JSON object");
	refused("{}", "no \"url\"");
	refused("{\"url\":1}", "\"url\": it has to be a string");
	refused("{\"url\":\"ftp://h/\"}", "\"url\": ");
	refused("{\"url\":\"http://\"}", "\"url\": ");
	refused("{\"url\":\"http://h/\",\"urll\":1}", "\"urll\" is no member of a job");
	refused("{\"url\":\"http://h/\",\"priority\":1}", "\"priority\" is no member of a job");
	refused("{\"url\":\"http://h/\",\"url\":\"http://i/\"}", "not JSON: duplicate");
	refused("{\"url\":\"http://h/\"", "not JSON");
	refused("{\"url\":\"http://h/\"} x", "not JSON");
	refused("{\"url\":\"\xff\"}", "not JSON");
	refused("{\"url\":\"http://h/\",\"method\":\"get\"}", "\"method\"");
	refused("{\"url\":\"http://h/\",\"method\":\"GET /\"}", "\"method\"");
	refused("{\"url\":\"http://h/\",\"method\":\"CONNECT\"}", "CONNECT is not a way");
	refused("{\"url\":\"http://h/\",\"method\":\"\"}", "\"method\"");
	refused("{\"url\":\"http://h/\",\"body\":7}", "\"body\"");
	refused("{\"url\":\"http://h/\",\"body\":\"a\",\"body_base64\":\"\"}", "not both");
	refused("{\"url\":\"http://h/\",\"body_base64\":\"a\"}", "not base64");
	refused("{\"url\":\"http://h/\",\"body_base64\":\"YR==\"}", "not base64");
	refused("{\"url\":\"http://h/\",\"user\":\"nobody\"}", "user:password");
	refused("{\"url\":\"http://h/\",\"chain\":\"\"}", "\"chain\": it is empty");
	refused("{\"url\":\"http://h/\",\"chain\":true}", "\"chain\"");
	refused("{\"url\":\"http://h/\",\"tag\":\"a\\nb\"}", "control byte");
	refused("{\"url\":\"http://h/\",\"timeout\":0}", "\"timeout\"");
	refused("{\"url\":\"http://h/\",\"timeout\":\"1 parsec\"}", "\"timeout\"");
	refused("{\"url\":\"http://h/\",\"timeout\":\"2d\"}", "at most a day");
	refused("{\"url\":\"http://h/\",\"max_attempts\":0}", "\"max_attempts\": 0 is not within 1 and 100");
	refused("{\"url\":\"http://h/\",\"max_body\":-1}", "\"max_body\"");
	refused("{\"url\":\"http://h/\",\"retry_unsafe\":1}", "true or false");
	refused("{\"url\":\"http://h/\",\"max_redirects\":-1}", "\"max_redirects\": -1 is not within 0 and 50");
	refused("{\"url\":\"http://h/\",\"fail_if\":7}", "\"fail_if\": it has to be a jq program");
	refused("{\"url\":\"http://h/\",\"idempotency_key\":\"\"}", "\"idempotency_key\": it is empty");
	refused("{\"url\":\"http://h/\",\"deadline\":\"1h\"}", "\"deadline\" is no member of a job");
	refused("{\"url\":\"http://h/\",\"rate\":\"1/s\"}", "\"rate\" is no member of a job");
}

static void headers_that_could_smuggle_are_refused(void **state)
{
	(void)state;
	refused("{\"url\":\"http://h/\",\"headers\":{\"A\":\"b\\r\\nC: d\"}}", "control byte (0x0d)");
	refused("{\"url\":\"http://h/\",\"headers\":{\"A\\n\":\"b\"}}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":{\"A B\":\"b\"}}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":{\"\":\"b\"}}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":[\"no colon\"]}", "Name: value");
	refused("{\"url\":\"http://h/\",\"headers\":[\": x\"]}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":[7]}", "not a string");
	refused("{\"url\":\"http://h/\",\"headers\":\"A: b\"}", "neither an object nor an array");
	refused("{\"url\":\"http://h/\",\"headers\":{\"content-LENGTH\":\"3\"}}",
		"Content-Length is part of the message");
	refused("{\"url\":\"http://h/\",\"headers\":[\"Transfer-Encoding: chunked\"]}", "Transfer-Encoding");
	refused("{\"url\":\"http://h/\",\"headers\":[\"Connection: close\"]}", "Connection");
	refused("{\"url\":\"http://h/\",\"headers\":[\"Expect: 100-continue\"]}", "Expect");
}

static void sizes_are_bounded(void **state)
{
	char *text = malloc(3 << 20);
	char *p;

	(void)state;
	assert_non_null(text);
	p = stpcpy(text, "{\"url\":\"http://h/");
	memset(p, 'a', 70000);
	strcpy(p + 70000, "\"}");
	refused_with(text, ERR_TOO_LARGE, "the URL is longer than 65536 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\"}\n{\"url\":\"http://h/"); /* the same on the shorter way */
	memset(p, 'a', 70000);
	strcpy(p + 70000, "\"}");
	refused_with(text, ERR_TOO_LARGE, "the URL is longer than 65536 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"body\":\"");
	memset(p, 'a', SPEC_BODY_MAX + 1);
	strcpy(p + SPEC_BODY_MAX + 1, "\"}");
	refused_with(text, ERR_TOO_LARGE, "a request's body at most");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"headers\":{\"A\":\"");
	memset(p, 'a', SPEC_HEADERS_MAX);
	strcpy(p + SPEC_HEADERS_MAX, "\"}}");
	refused_with(text, ERR_TOO_LARGE, "longer than 16384 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"tag\":\"");
	memset(p, 'a', 201);
	strcpy(p + 201, "\"}");
	refused(text, "\"tag\": it is longer than 200 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"fail_if\":\"");
	memset(p, 'a', 4097);
	strcpy(p + 4097, "\"}");
	refused(text, "\"fail_if\": it is longer than 4096 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"body\":");
	memset(p, '[', 5000);
	memset(p + 5000, ']', 5000);
	strcpy(p + 10000, "}");
	refused(text, "not JSON: maximum parsing depth");
	free(text);
}

/* ---- lines ---- */

static void the_line_at_fault_is_named_and_nothing_is_taken(void **state)
{
	static const char text[] =
	    "{\"url\":\"http://h/1\"}\r\n\n  \t\n{\"url\":\"http://h/2\"}\n{\"url\":}\n{\"url\":\"http://h/3\"}\n";
	struct err e = {0};

	(void)state;
	assert_null(spec_parse_jobs(text, strlen(text), &e));
	assert_int_equal(e.line, 5);
	assert_int_equal(e.code, ERR_INPUT);
}

static void blank_lines_and_a_missing_last_newline_are_fine(void **state)
{
	struct spec_jobs *j = jobs("\n{\"url\":\"http://h/1\"}\r\n\n\n{\"url\":\"http://h/2\"}");
	size_t n;

	(void)state;
	assert_string_equal(spec_jobs_array(j, &n)[1].url, "http://h/2");
	assert_int_equal(n, 2);
	spec_jobs_free(j);
	j = jobs("");
	spec_jobs_array(j, &n);
	assert_int_equal(n, 0);
	spec_jobs_free(j);
}

static void more_jobs_than_a_request_may_have_are_refused(void **state)
{
	static const char line[] = "{\"url\":\"http://h/\"}\n";
	size_t len = strlen(line), n;
	char *text = malloc(len * (SPEC_JOBS_MAX + 1) + 1);
	struct err e = {0};
	struct spec_jobs *j;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i <= SPEC_JOBS_MAX; i++)
		memcpy(text + i * len, line, len);
	assert_null(spec_parse_jobs(text, len * (SPEC_JOBS_MAX + 1), &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_int_equal(e.line, SPEC_JOBS_MAX + 1);
	j = spec_parse_jobs(text, len * SPEC_JOBS_MAX, &e);
	assert_non_null(j);
	spec_jobs_array(j, &n);
	assert_int_equal(n, SPEC_JOBS_MAX);
	spec_jobs_free(j);
	free(text);
}

/* ---- batches ---- */

static struct spec_batch batch(const char *text)
{
	struct spec_batch b;
	struct err e = {0};

	if (spec_parse_batch(&b, text, strlen(text), &e))
		fail_msg("refused: %s\n%s", e.what, text);
	return b;
}

static void batch_refused(const char *text, const char *why)
{
	struct spec_batch b;
	struct err e = {0};

	if (spec_parse_batch(&b, text, strlen(text), &e) == 0)
		fail_msg("taken: %s", text);
	if (!strstr(e.what, why))
		fail_msg("for %s\nexpected %s, got %s", text, why, e.what);
}

static void an_empty_batch_is_open_and_ordinary(void **state)
{
	struct spec_batch b = batch("{}");

	(void)state;
	assert_null(b.name);
	assert_null(b.key);
	assert_int_equal(b.priority, 5);
	assert_int_equal(b.concurrency, 0);
	assert_false(b.held);
	assert_false(b.close);
	assert_null(b.jobs);
	assert_string_equal(b.options, "{}");
	spec_batch_clear(&b);
}

static void every_member_of_a_batch_is_read(void **state)
{
	struct spec_batch b =
	    batch("{\"name\":\"n\",\"key\":\"k\",\"priority\":9,\"concurrency\":3,\"hold\":true,\"close\":false,"
		  "\"method\":\"POST\",\"headers\":[\"A: b\"],\"user\":\"u:p\",\"body\":{\"x\":0.1},"
		  "\"timeout\":5,\"jobs\":[{\"url\":\"http://h/\",\"body\":[0.1]}]}");
	size_t n;

	(void)state;
	assert_string_equal(b.name, "n");
	assert_string_equal(b.key, "k");
	assert_int_equal(b.priority, 9);
	assert_int_equal(b.concurrency, 3);
	assert_true(b.held);
	assert_false(b.close);
	assert_string_equal(b.options,
			    "{\"timeout_us\":5000000,\"json\":true,\"method\":\"POST\",\"headers\":\"A: b\\n\","
			    "\"user\":\"u:p\",\"body\":\"{\\\"x\\\":0.1}\"}");
	assert_memory_equal(spec_jobs_array(b.jobs, &n)[0].body, "[0.1]", 5);
	assert_int_equal(n, 1);
	spec_batch_clear(&b);
}

static void jobs_in_a_batch_close_it(void **state)
{
	struct spec_batch b = batch("{\"jobs\":[]}");

	(void)state;
	assert_true(b.close);
	spec_batch_clear(&b);
	b = batch("{\"close\":true}");
	assert_true(b.close);
	spec_batch_clear(&b);
}

static void a_batch_can_be_one_chain(void **state)
{
	struct spec_batch b =
	    batch("{\"chain\":true,\"jobs\":[{\"url\":\"http://h/\"},{\"url\":\"http://h/\",\"chain\":\"own\"}]}");
	size_t n;
	const struct store_job_new *array = spec_jobs_array(b.jobs, &n);

	(void)state;
	assert_string_equal(array[0].chain, SPEC_CHAIN_ALL);
	assert_string_equal(array[1].chain, "own");
	assert_true(spec_options_chain(b.options));
	assert_false(spec_options_chain("{}"));
	assert_false(spec_options_chain("{\"headers\":\"\\\"chain\\\"\"}"));
	spec_batch_clear(&b);
}

static void a_wrong_batch_is_refused(void **state)
{
	(void)state;
	batch_refused("", "not JSON");
	batch_refused("[]", "a batch has to be a JSON object");
	batch_refused("{\"url\":\"http://h/\"}", "\"url\" is no member of a batch");
	batch_refused("{\"idempotency_key\":\"k\"}", "\"idempotency_key\": it has to be \"auto\" for a batch");
	batch_refused("{\"priority\":10}", "\"priority\"");
	batch_refused("{\"rate\":100}", "\"rate\": it has to be a rate");
	batch_refused("{\"rate\":\"100\"}", "\"rate\": ");
	batch_refused("{\"rate\":\"0/min\"}", "\"rate\": ");
	batch_refused("{\"on_limit\":\"retry\"}", "\"on_limit\": it has to be \"wait\", \"drop\" or \"fail\"");
	batch_refused("{\"on_limit\":true}", "\"on_limit\"");
	batch_refused("{\"deadline\":\"999ms\"}", "\"deadline\": it has to be at least 1 s and at most 30 days");
	batch_refused("{\"deadline\":\"31d\"}", "\"deadline\": it has to be at least 1 s");
	batch_refused("{\"deadline\":2592001}", "\"deadline\": it has to be at least 1 s");
	batch_refused("{\"max_redirects\":51}", "\"max_redirects\": 51 is not within 0 and 50");
	batch_refused("{\"fail_if\":{}}", "\"fail_if\": it has to be a jq program");
	batch_refused("{\"concurrency\":0}", "\"concurrency\"");
	batch_refused("{\"chain\":\"a\"}", "\"chain\": it has to be true or false");
	batch_refused("{\"key\":\"\"}", "\"key\": it is empty");
	batch_refused("{\"jobs\":{}}", "\"jobs\"");
	batch_refused("{\"jobs\":[{\"url\":\"http://h/\"},{\"url\":\"h\"}]}", "job 2: \"url\"");
	batch_refused("{\"jobs\":[{\"url\":\"http://h/\"},7]}", "job 2: ");
}

/* ---- merging ---- */

static const struct spec_defaults defaults = {
    .max_attempts = 5, .timeout_us = 30000000, .connect_timeout_us = 10000000, .max_body_bytes = 1000};

struct merged {
	struct spec_batch batch;
	struct spec_jobs *jobs;
	struct spec_template *template;
	struct spec_request r;
};

static void merge_as(struct merged *m, const char *template, const char *job, struct store_request req)
{
	struct err e;

	req.job = jobid_make(7, 42);
	req.n = 3;
	req.submitted_us = 0x1234abcd;

	m->batch = batch(template);
	m->jobs = jobs(job);
	m->template = spec_template_create(m->batch.options, &e);
	assert_non_null(m->template);
	req.spec = *only(m->jobs);
	spec_merge(&m->r, m->template, &req, &defaults);
}

static void merge(struct merged *m, const char *template, const char *job)
{
	merge_as(m, template, job, (struct store_request){0});
}

static void clear(struct merged *m)
{
	spec_request_clear(&m->r);
	spec_template_free(m->template);
	spec_jobs_free(m->jobs);
	spec_batch_clear(&m->batch);
}

static void a_plain_job_gets_the_defaults(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{}", "{\"url\":\"http://h/\"}");
	assert_int_equal(m.r.job.job, jobid_make(7, 42));
	assert_int_equal(m.r.job.n, 3);
	assert_string_equal(m.r.job.method, "GET");
	assert_string_equal(m.r.job.url, "http://h/");
	assert_string_equal(m.r.job.headers, "");
	assert_string_equal(m.r.job.user, "");
	assert_false(m.r.job.has_body);
	assert_int_equal(m.r.job.timeout_ms, 30000);
	assert_int_equal(m.r.job.connect_timeout_ms, 10000);
	assert_int_equal(m.r.job.max_body_bytes, 1000);
	assert_int_equal(m.r.max_attempts, 5);
	assert_int_equal(m.r.max_redirects, 10);
	assert_string_equal(m.r.job.fail_if, "");
	assert_false(m.r.repeatable);
	clear(&m);
}

static void the_template_says_what_the_job_does_not(void **state)
{
	struct merged m;

	(void)state;
	merge(&m,
	      "{\"method\":\"PATCH\",\"user\":\"a:b\",\"body\":\"t\",\"timeout\":\"1s\",\"max_attempts\":2,\"retry_"
	      "unsafe\":true}",
	      "{\"url\":\"http://h/\",\"connect_timeout\":2,\"max_body\":7}");
	assert_string_equal(m.r.job.method, "PATCH");
	assert_string_equal(m.r.job.user, "a:b");
	assert_memory_equal(m.r.job.body, "t", 1);
	assert_int_equal(m.r.job.timeout_ms, 1000);
	assert_int_equal(m.r.job.connect_timeout_ms, 2000);
	assert_int_equal(m.r.job.max_body_bytes, 7);
	assert_int_equal(m.r.max_attempts, 2);
	assert_true(m.r.repeatable);
	clear(&m);
	merge(&m, "{\"method\":\"PATCH\",\"user\":\"a:b\",\"body\":\"t\",\"retry_unsafe\":true}",
	      "{\"url\":\"http://h/\",\"method\":\"PUT\",\"user\":\"c:d\",\"body\":\"\",\"retry_unsafe\":false}");
	assert_string_equal(m.r.job.method, "PUT");
	assert_string_equal(m.r.job.user, "c:d");
	assert_true(m.r.job.has_body);
	assert_int_equal(m.r.job.body_bytes, 0);
	assert_false(m.r.repeatable);
	clear(&m);
}

static void a_body_makes_it_a_post(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{}", "{\"url\":\"http://h/\",\"body\":\"x\"}");
	assert_string_equal(m.r.job.method, "POST");
	assert_string_equal(m.r.job.headers, "");
	clear(&m);
	merge(&m, "{\"body_base64\":\"AP8=\"}", "{\"url\":\"http://h/\"}");
	assert_string_equal(m.r.job.method, "POST");
	assert_int_equal(m.r.job.body_bytes, 2);
	assert_memory_equal(m.r.job.body, "\x00\xff", 2);
	clear(&m);
}

static void headers_are_joined_and_the_jobs_win(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{\"headers\":{\"Accept\":\"a\",\"X-One\":\"1\",\"X-Two\":\"2\",\"X\":\"short\"}}",
	      "{\"url\":\"http://h/\",\"headers\":{\"x-one\":\"own\",\"X-TWO\":null}}");
	assert_string_equal(m.r.job.headers, "x-one: own\nX-TWO:\nAccept: a\nX: short\n");
	clear(&m);
	merge(&m, "{\"headers\":{\"A\":\"1\",\"B\":\"\"}}", "{\"url\":\"http://h/\",\"headers\":{\"a\":\"\"}}");
	assert_string_equal(m.r.job.headers, "a;\nB;\n");
	clear(&m);
	merge(&m, "{\"headers\":{\"A\":\"1\"}}", "{\"url\":\"http://h/\"}");
	assert_string_equal(m.r.job.headers, "A: 1\n");
	clear(&m);
}

static void a_json_body_brings_its_content_type_unless_one_is_given(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{}", "{\"url\":\"http://h/\",\"body\":{}}");
	assert_string_equal(m.r.job.headers, "Content-Type: application/json\n");
	clear(&m);
	merge(&m, "{\"headers\":{\"content-type\":\"application/x\"}}", "{\"url\":\"http://h/\",\"body\":{}}");
	assert_string_equal(m.r.job.headers, "content-type: application/x\n");
	clear(&m);
	merge(&m, "{\"body\":[1]}", "{\"url\":\"http://h/\",\"headers\":{\"A\":\"b\"}}");
	assert_string_equal(m.r.job.headers, "A: b\nContent-Type: application/json\n");
	clear(&m);
	merge(&m, "{\"body\":[1]}", "{\"url\":\"http://h/\",\"body\":\"plain\"}");
	assert_string_equal(m.r.job.headers, "");
	clear(&m);
}

static void an_idempotency_key_is_sent_and_lets_it_be_repeated(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{}", "{\"url\":\"http://h/\",\"body\":{},\"idempotency_key\":\"k1\"}");
	assert_string_equal(m.r.job.headers, "Content-Type: application/json\nIdempotency-Key: k1\n");
	assert_true(m.r.repeatable);
	clear(&m);
}

static void a_key_is_made_for_each_job_and_is_the_same_for_all_attempts(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{\"idempotency_key\":\"auto\"}", "{\"url\":\"http://h/\",\"body\":\"x\"}");
	assert_string_equal(m.batch.options, "{\"idempotency_key\":\"auto\"}");
	assert_string_equal(m.r.job.headers, "Idempotency-Key: fanout-1234abcd-7.42\n");
	assert_true(m.r.repeatable);
	clear(&m);
	merge(&m, "{}", "{\"url\":\"http://h/\",\"body\":\"x\",\"idempotency_key\":\"auto\"}");
	assert_string_equal(m.r.job.headers, "Idempotency-Key: fanout-1234abcd-7.42\n");
	clear(&m);
	merge(&m, "{\"idempotency_key\":\"auto\"}", "{\"url\":\"http://h/\",\"idempotency_key\":\"own\"}");
	assert_string_equal(m.r.job.headers, "Idempotency-Key: own\n");
	clear(&m);
}

static void a_key_that_is_not_sent_lets_nothing_be_repeated(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{\"idempotency_key\":\"auto\"}",
	      "{\"url\":\"http://h/\",\"body\":\"x\",\"headers\":{\"idempotency-key\":null}}");
	assert_string_equal(m.r.job.headers, "idempotency-key:\n");
	assert_false(m.r.repeatable);
	clear(&m);
	merge(&m, "{\"idempotency_key\":\"auto\"}",
	      "{\"url\":\"http://h/\",\"body\":\"x\",\"headers\":{\"Idempotency-Key\":\"mine\"}}");
	assert_string_equal(m.r.job.headers, "Idempotency-Key: mine\n");
	assert_true(m.r.repeatable);
	clear(&m);
}

static void what_is_an_error_may_be_told_by_the_batch_or_the_job(void **state)
{
	struct merged m;

	(void)state;
	merge(&m, "{\"fail_if\":\".error\",\"max_redirects\":3}", "{\"url\":\"http://h/\"}");
	assert_string_equal(m.r.job.fail_if, ".error");
	assert_int_equal(m.r.max_redirects, 3);
	clear(&m);
	merge(&m, "{\"fail_if\":\".error\",\"max_redirects\":3}",
	      "{\"url\":\"http://h/\",\"fail_if\":\".message\",\"max_redirects\":0}");
	assert_string_equal(m.r.job.fail_if, ".message");
	assert_int_equal(m.r.max_redirects, 0);
	clear(&m);
	merge(&m, "{\"fail_if\":\".error\"}", "{\"url\":\"http://h/\",\"fail_if\":\"\"}");
	assert_string_equal(m.r.job.fail_if, "");
	clear(&m);
}

static void a_batchs_policy_is_kept_in_its_template(void **state)
{
	struct spec_batch b = batch("{\"rate\":\"100/min\",\"on_limit\":\"drop\",\"deadline\":\"2h\"}");
	struct spec_policy p;
	struct spec_template *t = spec_template_create(b.options, NULL);

	(void)state;
	assert_string_equal(b.options, "{\"rate\":[100,60000000],\"on_limit\":\"drop\",\"deadline_us\":7200000000}");
	spec_template_policy(t, &p);
	assert_int_equal(p.rate.count, 100);
	assert_int_equal(p.rate.window_us, 60000000);
	assert_int_equal(p.on_limit, SPEC_LIMIT_DROP);
	assert_int_equal(p.deadline_us, INT64_C(7200000000));
	spec_template_free(t);
	spec_batch_clear(&b);

	b = batch("{\"on_limit\":\"wait\",\"deadline\":30}");
	assert_string_equal(b.options, "{\"deadline_us\":30000000}");
	t = spec_template_create(b.options, NULL);
	spec_template_policy(t, &p);
	assert_int_equal(p.rate.count, 0);
	assert_int_equal(p.on_limit, SPEC_LIMIT_WAIT);
	assert_int_equal(p.deadline_us, 30000000);
	spec_template_free(t);
	spec_batch_clear(&b);
}

/* ---- redirects ---- */

static void a_redirect_to_a_get_leaves_the_body_behind(void **state)
{
	struct merged m;

	(void)state;
	merge_as(&m, "{\"headers\":{\"Content-Encoding\":\"x\",\"X-Api-Key\":\"s\"},\"idempotency_key\":\"auto\"}",
		 "{\"url\":\"http://h/\",\"user\":\"a:b\",\"body\":{}}",
		 (struct store_request){.hops = 1, .as_get = true});
	assert_string_equal(m.r.job.method, "GET");
	assert_false(m.r.job.has_body);
	assert_int_equal(m.r.job.body_bytes, 0);
	assert_string_equal(m.r.job.user, "a:b");
	assert_string_equal(m.r.job.headers, "X-Api-Key: s\n");
	clear(&m);
	merge_as(&m, "{}", "{\"url\":\"http://h/\",\"method\":\"HEAD\"}",
		 (struct store_request){.hops = 1, .as_get = true});
	assert_string_equal(m.r.job.method, "HEAD");
	clear(&m);
}

static void a_redirect_elsewhere_takes_no_credentials_along(void **state)
{
	struct merged m;

	(void)state;
	merge_as(&m, "{\"user\":\"a:b\",\"headers\":{\"accept\":null,\"User-Agent\":\"u\",\"X-Custom\":\"c\"}}",
		 "{\"url\":\"http://h/\",\"method\":\"PUT\",\"body\":[1],\"headers\":{\"Authorization\":\"Bearer t\","
		 "\"Cookie\":\"c=d\",\"X-Api-Key\":\"s\",\"Accept-Language\":\"de\",\"Acceptable\":\"x\"}}",
		 (struct store_request){.hops = 1, .stripped = true});
	assert_string_equal(m.r.job.user, "");
	assert_string_equal(m.r.job.method, "PUT");
	assert_memory_equal(m.r.job.body, "[1]", 3);
	assert_string_equal(m.r.job.headers,
			    "Accept-Language: de\naccept:\nUser-Agent: u\nContent-Type: application/json\n");
	clear(&m);
}

static void a_job_without_a_template_can_be_merged(void **state)
{
	struct store_request req = {.job = 1, .n = 1, .spec = {.url = "http://h/", .options = "not json"}};
	struct spec_request r;
	struct err e;

	(void)state;
	spec_merge(&r, NULL, &req, &defaults);
	assert_string_equal(r.job.method, "GET");
	assert_int_equal(r.max_attempts, 5);
	spec_request_clear(&r);
	assert_null(spec_template_create("{", &e));
	assert_null(spec_template_create("{\"body_base64\":\"?\"}", &e));
}

/* ---- base64 ---- */

static void base64_goes_both_ways(void **state)
{
	static const char *const vectors[][2] = {{"", ""},
						 {"f", "Zg=="},
						 {"fo", "Zm8="},
						 {"foo", "Zm9v"},
						 {"foob", "Zm9vYg=="},
						 {"fooba", "Zm9vYmE="},
						 {"foobar", "Zm9vYmFy"}};
	char text[20], back[20];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		assert_int_equal(base64_encode(text, vectors[i][0], strlen(vectors[i][0])), strlen(vectors[i][1]));
		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(base64_decode(back, &n, text, strlen(text)), 0);
		assert_int_equal(n, strlen(vectors[i][0]));
		assert_memory_equal(back, vectors[i][0], n);
	}
}

static void what_is_not_base64_is_refused(void **state)
{
	static const char *const wrong[] = {
	    "Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zm-v", "Zg==Zg=="};
	char back[20];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (base64_decode(back, &n, wrong[i], strlen(wrong[i])) == 0)
			fail_msg("taken: %s", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_job_is_its_url_and_key),
	    cmocka_unit_test(every_member_of_a_job_is_read),
	    cmocka_unit_test(headers_may_be_lines_as_for_curl),
	    cmocka_unit_test(a_json_body_goes_out_as_it_was_written),
	    cmocka_unit_test(a_member_inside_a_body_is_not_taken_for_the_body),
	    cmocka_unit_test(bytes_come_as_base64),
	    cmocka_unit_test(credentials_move_out_of_the_url),
	    cmocka_unit_test(a_plain_line_is_read_as_any_other),
	    cmocka_unit_test(a_remembered_authority_changes_nothing),
	    cmocka_unit_test(what_is_wrong_is_told_with_the_member),
	    cmocka_unit_test(headers_that_could_smuggle_are_refused),
	    cmocka_unit_test(sizes_are_bounded),
	    cmocka_unit_test(the_line_at_fault_is_named_and_nothing_is_taken),
	    cmocka_unit_test(blank_lines_and_a_missing_last_newline_are_fine),
	    cmocka_unit_test(more_jobs_than_a_request_may_have_are_refused),
	    cmocka_unit_test(an_empty_batch_is_open_and_ordinary),
	    cmocka_unit_test(every_member_of_a_batch_is_read),
	    cmocka_unit_test(jobs_in_a_batch_close_it),
	    cmocka_unit_test(a_batch_can_be_one_chain),
	    cmocka_unit_test(a_wrong_batch_is_refused),
	    cmocka_unit_test(a_plain_job_gets_the_defaults),
	    cmocka_unit_test(the_template_says_what_the_job_does_not),
	    cmocka_unit_test(a_body_makes_it_a_post),
	    cmocka_unit_test(headers_are_joined_and_the_jobs_win),
	    cmocka_unit_test(a_json_body_brings_its_content_type_unless_one_is_given),
	    cmocka_unit_test(an_idempotency_key_is_sent_and_lets_it_be_repeated),
	    cmocka_unit_test(a_key_is_made_for_each_job_and_is_the_same_for_all_attempts),
	    cmocka_unit_test(a_key_that_is_not_sent_lets_nothing_be_repeated),
	    cmocka_unit_test(what_is_an_error_may_be_told_by_the_batch_or_the_job),
	    cmocka_unit_test(a_batchs_policy_is_kept_in_its_template),
	    cmocka_unit_test(a_redirect_to_a_get_leaves_the_body_behind),
	    cmocka_unit_test(a_redirect_elsewhere_takes_no_credentials_along),
	    cmocka_unit_test(a_job_without_a_template_can_be_merged),
	    cmocka_unit_test(base64_goes_both_ways),
	    cmocka_unit_test(what_is_not_base64_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
