/* Runs in words: the receipt's line, progress, and what a page is followed by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/pull.h"
#include "cli/pull_page.h"
#include "cli/pull_recipe.h"
#include "cli/pull_wait.h"
#include "cli/receipt.h"

/* ---- receipts ---- */

static void expect_line(const char *members, const char *expected)
{
	char json[600];
	struct text t = {0};
	json_t *run;

	snprintf(json, sizeof json, "{\"run\":7,\"pull\":\"species\",%s}", members);
	run = json_loads(json, 0, NULL);
	assert_non_null(run);
	receipt_add_line(&t, run);
	assert_string_equal(t.data, expected);
	text_clear(&t);
	json_decref(run);
}

static void a_receipt_is_one_line(void **arg)
{
	(void)arg;
	expect_line(
	    "\"verdict\":\"complete\",\"pages\":16,\"items\":1600,\"unique\":1600,\"requests\":17,\"retries\":1,"
	    "\"seconds\":4.2,\"limited_seconds\":0.8,\"expected\":{\"pages\":16,\"items\":1600}",
	    "pull species: complete: 16 pages, 1600 items (1600 unique), 17 requests, 1 retry, 4.20 s, waited "
	    "800 ms for limits");
	expect_line(
	    "\"verdict\":\"incomplete\",\"pages\":1,\"items\":1,\"unique\":null,\"requests\":9,\"retries\":0,"
	    "\"not_modified\":1,\"seconds\":0.5,\"limited_seconds\":0.0,\"expected\":{\"pages\":3,\"items\":30}",
	    "pull species: incomplete: 1 of 3 pages, 1 of 30 items, 1 not modified, 9 requests, 500 ms");
	expect_line("\"verdict\":\"complete\",\"pages\":1,\"items\":null,\"requests\":1,\"seconds\":0.5",
		    "pull species: complete: 1 page, 1 request, 500 ms");
}

static void a_run_without_a_receipt_has_its_state(void **arg)
{
	(void)arg;
	expect_line("\"verdict\":null,\"state\":\"waiting\",\"pages\":null", "pull species: waiting");
}

static void verdicts_have_their_exit_statuses(void **arg)
{
	static const struct {
		const char *verdict;
		int status;
	} cases[] = {{"complete", 0}, {"partial", 0},   {"incomplete", 1},
		     {"failed", 1},   {"cancelled", 7}, {"unheard-of", 1}};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *run = json_pack("{s:s}", "verdict", cases[i].verdict);

		assert_int_equal(receipt_status(run), cases[i].status);
		json_decref(run);
	}
}

/* ---- progress ---- */

static void tell_page(struct pull_progress *p, int page, const char *state, int items, int total_pages)
{
	json_t *j = json_pack("{s:i, s:s}", "page", page, "state", state);

	if (items >= 0)
		json_object_set_new(j, "items", json_integer(items));
	if (total_pages >= 0)
		json_object_set_new(j, "total_pages", json_integer(total_pages));
	assert_int_equal(pull_progress_page(p, j, NULL), 0);
	json_decref(j);
}

static void expect_progress(const struct pull_progress *p, unsigned width, const char *expected)
{
	struct text t = {0};

	pull_progress_format(&p->p, width, &t);
	assert_string_equal(t.data, expected);
	text_clear(&t);
}

static void pages_that_have_ended_are_counted_once(void **arg)
{
	struct pull_progress p = {
	    .p.batch = 7, .p.expected = -1, .name = "species", .total_pages = -1, .total_items = -1};

	(void)arg;
	tell_page(&p, 1, "done", 100, 16);
	tell_page(&p, 2, "running", -1, -1);
	tell_page(&p, 3, "done", 100, 16);
	p.p.counts[JOB_DONE] = 2;
	assert_int_equal(p.settled, 1);
	expect_progress(&p, 0, "species, run 7: 2 of 16 pages, 200 items");
	/* the next look begins behind page 1 */
	p.gap = false;
	p.ahead_items = 0;
	tell_page(&p, 2, "done", 100, 16);
	tell_page(&p, 3, "done", 100, 16);
	p.p.counts[JOB_DONE] = 3;
	assert_int_equal(p.settled, 3);
	expect_progress(&p, 0, "species, run 7: 3 of 16 pages, 300 items");
}

static void where_no_total_is_known_none_is_told(void **arg)
{
	struct pull_progress p = {
	    .p.batch = 7, .p.expected = -1, .name = "species", .total_pages = -1, .total_items = -1};

	(void)arg;
	tell_page(&p, 1, "done", -1, -1);
	p.p.counts[JOB_DONE] = 1;
	p.p.counts[JOB_FAILED] = 1;
	expect_progress(&p, 0, "species, run 7: 2 pages, 1 failed");
}

static void the_limit_that_holds_it_is_told_and_the_line_fits(void **arg)
{
	struct pull_progress p = {
	    .p.batch = 7, .p.expected = -1, .name = "species", .total_pages = 16, .total_items = 1600};

	(void)arg;
	text_add_str(&p.p.waits, "as many requests as the rate allows were sent");
	p.p.counts[JOB_DONE] = 4;
	expect_progress(&p, 0, "species, run 7: 4 of 16 pages; as many requests as the rate allows were sent");
	expect_progress(&p, 40, "species, run 7: 4 of 16 pages");
	expect_progress(&p, 60, "species, run 7: 4 of 16 pages; as many requests as the...");
	p.p.waits.len = 0;
	text_add_str(&p.p.waits, "the rate of pull species 10/10s is used up");
	expect_progress(&p, 47, "species, run 7: 4 of 16 pages; the rate...");
	progress_clear(&p.p);
	expect_progress(&p, 60, "[###------------] species, run 7: 4 of 16 pages");
}

static void a_run_that_stops_before_the_total_is_over_sooner(void **arg)
{
	struct pull_progress p = {
	    .p = {.batch = 7, .expected = 5}, .name = "species", .total_pages = 16, .total_items = -1};

	(void)arg;
	p.p.counts[JOB_DONE] = 4;
	expect_progress(&p, 0, "species, run 7: 4 of 5 pages");
	p.p.left_us = 3000000;
	expect_progress(&p, 0, "species, run 7: 4 of 5 pages, 3 s left");
	/* where only items are told, and the next page by the one before */
	p = (struct pull_progress){.p = {.batch = 7, .expected = -1},
				   .name = "species",
				   .total_pages = -1,
				   .total_items = 600,
				   .max_pages = 30,
				   .settled_items = 250,
				   .items_told = true};
	p.p.counts[JOB_DONE] = 25;
	p.p.samples[0].ended = 20;
	p.p.samples[1].at_us = 1000000;
	p.p.samples[1].ended = 25;
	p.p.count = p.p.next = 2;
	expect_progress(&p, 0, "species, run 7: 25 pages, 250 of 600 items, 5.0/s, 1 s left");
}

/* ---- what a page says ---- */

static const char page_recipe[] = "page = { type = \"page\"; param = \"page\"; size = 10; total_pages = \".pages\"; };";
static const char cursor_recipe[] = "page = { type = \"cursor\"; param = \"cursor\"; next = \".next\"; };";

static void expect_next(const char *settings, const struct pull_said *said, const char *expected)
{
	struct pull_keys keys = {.first = jv_invalid(), .last = jv_invalid()};
	char text[400], token[64];
	struct err e = {0};
	struct text out = {0};
	struct recipe_page page = {0};
	struct recipe *r;

	snprintf(text, sizeof text, "url = \"http://a.example/x\"; items = \".r[]\";\n%s", settings);
	r = recipe_parse("t", "t.conf", text, &e);
	if (!r)
		fail_msg("%s", e.what);
	page.token = pull_first_token(r, token);
	pull_add_said(&out, r, &page, said, jv_invalid(), &keys);
	if (!strstr(out.data, expected))
		fail_msg("no \"%s\" in:\n%s", expected, out.data);
	text_clear(&out);
	recipe_free(r);
}

#define SAID .status = 200, .items = 10, .next = "", .has_more = -1, .total_pages = -1, .total_items = -1, .since = ""

static void the_page_after_a_number_is_the_next_number(void **arg)
{
	(void)arg;
	expect_next(page_recipe, &(struct pull_said){SAID}, "asked next: GET http://a.example/x?page=2\n");
	expect_next("page = { type = \"offset\"; param = \"o\"; size = 50; };", &(struct pull_said){SAID},
		    "asked next: GET http://a.example/x?o=50\n");
}

static void the_page_after_a_cursor_is_that_of_the_next_one(void **arg)
{
	struct pull_said s = {SAID};

	(void)arg;
	s.next = "a b";
	expect_next(cursor_recipe, &s, "asked next: GET http://a.example/x?cursor=a%20b\n");
}

static void the_end_is_told_with_its_reason(void **arg)
{
	struct pull_said last = {SAID}, more = {SAID}, empty = {SAID}, stop = {SAID};

	(void)arg;
	last.total_pages = 1;
	more.has_more = 0;
	empty.items = 0;
	stop.stop = true;
	expect_next("", &(struct pull_said){SAID}, "asked next: nothing, for it is the only page\n");
	expect_next(page_recipe, &last, "asked next: nothing, for there is one page in all\n");
	expect_next(page_recipe, &more, "asked next: nothing, for has_more is false\n");
	expect_next(page_recipe, &empty, "asked next: nothing, for it is empty\n");
	expect_next(page_recipe, &stop, "asked next: nothing, for page.stop holds\n");
	expect_next(cursor_recipe, &(struct pull_said){SAID}, "asked next: nothing, for there is no next\n");
}

static void an_error_is_told_alone(void **arg)
{
	struct pull_said s = {SAID};

	(void)arg;
	s.error = "Token not \033valid!";
	expect_next(page_recipe, &s, "status: 200\nerror: Token not \\x1bvalid!\n");
}

/* ---- operands ---- */

static void a_path_is_told_from_a_name(void **arg)
{
	(void)arg;
	assert_true(pull_is_file("./cats"));
	assert_true(pull_is_file("cats.conf"));
	assert_false(pull_is_file("cats"));
	assert_false(pull_is_file(".conf"));
	assert_false(pull_is_file("cats.v2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_receipt_is_one_line),
	    cmocka_unit_test(a_run_without_a_receipt_has_its_state),
	    cmocka_unit_test(verdicts_have_their_exit_statuses),
	    cmocka_unit_test(pages_that_have_ended_are_counted_once),
	    cmocka_unit_test(where_no_total_is_known_none_is_told),
	    cmocka_unit_test(the_limit_that_holds_it_is_told_and_the_line_fits),
	    cmocka_unit_test(a_run_that_stops_before_the_total_is_over_sooner),
	    cmocka_unit_test(the_page_after_a_number_is_the_next_number),
	    cmocka_unit_test(the_page_after_a_cursor_is_that_of_the_next_one),
	    cmocka_unit_test(the_end_is_told_with_its_reason),
	    cmocka_unit_test(an_error_is_told_alone),
	    cmocka_unit_test(a_path_is_told_from_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
