/* What is asked for: batches and templates, and what they and a job become together. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_spec.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
