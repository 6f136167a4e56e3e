/* Names of jobs, states and reasons; errors and log lines. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/err.h"
#include "lib/jobid.h"
#include "lib/log.h"
#include "lib/reals.h"
#include "lib/reason.h"

static void a_job_is_named_by_batch_and_number(void **arg)
{
	static const char *const names[] = {"1.1", "7.42", "2147483647.4294967295"};
	char out[JOBID_TEXT_SIZE];
	uint64_t id;

	(void)arg;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(jobid_parse(names[i], &id), 0);
		assert_string_equal(jobid_format(out, id), names[i]);
	}
	assert_int_equal(jobid_parse("7.42", &id), 0);
	assert_true(id == jobid_make(7, 42) && id == ((UINT64_C(7) << 32) | 42));
	assert_true(jobid_make(7, 41) < id && id < jobid_make(8, 1));
}

static void a_name_has_one_spelling(void **arg)
{
	static const char *const bad[] = {
	    "",
	    "7",
	    "7.",
	    ".42",
	    "0.1",
	    "1.0",
	    "-1.1",
	    "+1.1",
	    "1.+1",
	    " 1.1",
	    "1.1 ",
	    "1 .1",
	    "01.1",
	    "1.01",
	    "1.1.1",
	    "2147483648.1",
	    "1.4294967296",
	    "1,1",
	    "a.1",
	    "1.1a",
	    "99999999999999999999.1",
	};
	uint64_t id = 5;
	uint32_t batch = 5;

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (jobid_parse(bad[i], &id) == 0)
			fail_msg("\"%s\" is taken for a job", bad[i]);
	assert_int_equal(id, 5);
	assert_int_equal(jobid_parse_batch("0", &batch), -1);
	assert_int_equal(jobid_parse_batch("7.1", &batch), -1);
	assert_int_equal(jobid_parse_batch("2147483648", &batch), -1);
	assert_int_equal(batch, 5);
	assert_int_equal(jobid_parse_batch("2147483647", &batch), 0);
	assert_int_equal(batch, JOBID_BATCH_MAX);
}

static void a_body_has_one_place(void **arg)
{
	char out[JOBID_PATH_SIZE];

	(void)arg;
	assert_string_equal(jobid_body_path(out, jobid_make(7, 42), 1), "7/42.1");
	assert_string_equal(jobid_body_path(out, jobid_make(JOBID_BATCH_MAX, JOBID_SEQ_MAX), UINT32_MAX),
			    "2147483647/4294967295.4294967295");
}

static void the_names_of_states_and_reasons_are_fixed(void **arg)
{
	(void)arg;
	for (int s = 0; s < JOB_STATES; s++)
		assert_int_equal(job_state_parse(job_state_name((enum job_state)s)), s);
	assert_int_equal(job_state_parse("finished"), -1);
	assert_string_equal(job_state_name(JOB_BLOCKED), "blocked");
	assert_string_equal(job_state_name(JOB_CANCELLED), "cancelled");
	assert_string_equal(job_reason_name(REASON_NONE), "");
	assert_string_equal(job_reason_name(REASON_UNKNOWN_OUTCOME), "unknown_outcome");
	assert_string_equal(job_reason_name(REASON_EXPIRED), "expired");
	assert_string_equal(cause_name(CAUSE_RESPONSE), "response");
	assert_string_equal(cause_name(CAUSE_INTERNAL), "internal");
	assert_string_equal(cause_name((enum cause)999), "unknown");
	for (int c = 0; c < CAUSES; c++)
		assert_true(cause_name((enum cause)c)[0]);
}

static void statuses_have_the_registrys_phrases(void **arg)
{
	(void)arg;
	assert_string_equal(http_status_phrase(200), "OK");
	assert_string_equal(http_status_phrase(404), "Not Found");
	assert_string_equal(http_status_phrase(429), "Too Many Requests");
	assert_string_equal(http_status_phrase(511), "Network Authentication Required");
	assert_string_equal(http_status_phrase(299), "");
	assert_string_equal(http_status_phrase(0), "");
	assert_string_equal(http_status_phrase(-1), "");
	assert_string_equal(http_status_phrase(100000), "");
}

static void an_error_says_what_and_what_to_do(void **arg)
{
	struct err e = {.line = 9};

	(void)arg;
	errno = EIO;
	assert_int_equal(err_set(&e, ERR_NOT_FOUND, "look elsewhere", "batch %d does not exist", 7), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(e.line, 0);
	assert_string_equal(e.what, "batch 7 does not exist");
	assert_string_equal(e.hint, "look elsewhere");
	assert_int_equal(err_set(&e, ERR_BUSY, NULL, "%0500d", 1), -1);
	assert_int_equal(strlen(e.what), sizeof e.what - 1);
	assert_string_equal(e.hint, "");
	assert_int_equal(err_set(NULL, ERR_BUSY, NULL, "nobody listens"), -1);
	assert_string_equal(err_code_name(ERR_NOT_FOUND), "not_found");
	assert_string_equal(err_code_name(ERR_SYSTEM), "system");
}

static void what_came_from_outside_is_quoted_in_logs(void **arg)
{
	char out[64], small[12], tiny[4] = "zzz";

	(void)arg;
	assert_string_equal(log_quote(out, sizeof out, "plain text"), "\"plain text\"");
	assert_string_equal(log_quote(out, sizeof out, "a\"b\\c\nd\x1b"), "\"a\\x22b\\x5cc\\x0ad\\x1b\"");
	assert_string_equal(log_quote(out, sizeof out, ""), "\"\"");
	assert_string_equal(log_quote(small, sizeof small, "0123456789abcdef"), "\"012345...\"");
	assert_true(strlen(log_quote(small, sizeof small, "\n\n\n\n\n\n")) < sizeof small);
	assert_string_equal(log_quote(tiny, sizeof tiny, "x"), "");
}

/* Runs `log` with stderr in a file and returns what came out. */
static const char *logged(void (*log)(void))
{
	static char text[8192];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	assert_true(saved >= 0);
	dup2(fileno(file), STDERR_FILENO);
	log();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void log_three_levels(void)
{
	log_open("program", LOG_LEVEL_INFO);
	log_info("worker started", "pid=%d n=%d", 12, 0);
	log_debug("not", "seen=%d", 1);
	log_warn("alone", "%s", "");
}

static void log_for_the_journal(void)
{
	struct stat st;
	char stream[64];

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("program", LOG_LEVEL_INFO);
	log_error("broken", "n=1");
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open("program", LOG_LEVEL_INFO);
	log_error("elsewhere", "n=1");
	unsetenv("JOURNAL_STREAM");
}

static void log_too_much(void)
{
	static char text[5000];

	memset(text, 'x', sizeof text - 1);
	log_open("program", LOG_LEVEL_INFO);
	log_info("long", "text=%s", text);
}

/* In a file each line begins with its time. Takes it away, and insists on it. */
static const char *without_time(const char *text)
{
	static char out[8192];
	size_t n = 0;

	while (*text) {
		unsigned year, month, day, hour, minute, second, ms;
		int used = 0;
		sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day, &hour, &minute, &second, &ms,
		       &used);
		assert_int_equal(used, (int)strlen("2026-01-02T03:04:05.006Z "));
		for (text += used; *text && *text != '\n'; text++)
			out[n++] = *text;
		out[n++] = '\n';
		text += *text == '\n';
	}
	out[n] = '\0';
	return out;
}

static void a_log_line_is_what_happened_and_its_pairs(void **arg)
{
	(void)arg;
	assert_string_equal(without_time(logged(log_three_levels)),
			    "program: worker started pid=12 n=0\nprogram: alone \n");
}

static void the_journal_gets_priorities_and_nobody_else_does(void **arg)
{
	(void)arg;
	const char *text = logged(log_for_the_journal), *second = strchr(text, '\n');

	assert_non_null(second);
	assert_memory_equal(text, "<3>program: broken n=1\n", (size_t)(second + 1 - text));
	assert_string_equal(without_time(second + 1), "program: elsewhere n=1\n");
}

static void a_long_line_is_cut_and_still_one_line(void **arg)
{
	const char *text = logged(log_too_much);

	(void)arg;
	assert_true(strlen(text) > 1000 && strlen(text) <= 2048);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void levels_are_known_by_name(void **arg)
{
	(void)arg;
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("Debug"), -1);
}

static void assert_dumped(double value, const char *text)
{
	json_t *o = json_pack("{s:[{s:f}]}", "a", "b", value);
	char *dumped = json_dumps(o, JSON_COMPACT | reals_precision(o)), wanted[64];

	snprintf(wanted, sizeof wanted, "{\"a\":[{\"b\":%s}]}", text);
	assert_string_equal(dumped, wanted);
	free(dumped);
	json_decref(o);
}

static void seconds_read_as_they_were_meant(void **arg)
{
	(void)arg;
	assert_dumped(6290000 / 1e6, "6.29");
	assert_dumped(0.1, "0.1");
	assert_dumped(100000 / 1e6 + 200000 / 1e6 - 0.1, "0.20000000000000004");
	assert_dumped(4102444800.123456, "4102444800.123456");
	for (int us = 1; us < 3000000; us += 997) {
		json_t *j = json_real(us / 1e6);
		char *text = json_dumps(j, JSON_ENCODE_ANY | reals_precision(j));

		if (strlen(text) > strlen("2.999999") && !strchr(text, 'e'))
			fail_msg("%d us are %s", us, text);
		free(text);
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_job_is_named_by_batch_and_number),
	    cmocka_unit_test(a_name_has_one_spelling),
	    cmocka_unit_test(a_body_has_one_place),
	    cmocka_unit_test(seconds_read_as_they_were_meant),
	    cmocka_unit_test(the_names_of_states_and_reasons_are_fixed),
	    cmocka_unit_test(statuses_have_the_registrys_phrases),
	    cmocka_unit_test(an_error_says_what_and_what_to_do),
	    cmocka_unit_test(what_came_from_outside_is_quoted_in_logs),
	    cmocka_unit_test(a_log_line_is_what_happened_and_its_pairs),
	    cmocka_unit_test(the_journal_gets_priorities_and_nobody_else_does),
	    cmocka_unit_test(a_long_line_is_cut_and_still_one_line),
	    cmocka_unit_test(levels_are_known_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
