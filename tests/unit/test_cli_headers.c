/* -H, also out of a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/headers.h"

static void headers_of_a_file_come_line_by_line(void **arg)
{
	struct opt_value values[] = {{NULL, "First: 1"}, {NULL, "@headers.txt"}, {NULL, "Last: 2"}};
	struct args args = {.headers = {values, 3}};
	FILE *f = fopen("headers.txt", "w");
	struct err e = {0};
	json_t *got, *expected;

	(void)arg;
	assert_non_null(f);
	fputs("\r\nX-A: a b\r\n\nX-B;\ncontent-TYPE: x\n", f);
	fclose(f);
	got = headers_read(&args, &e);
	assert_non_null(got);
	headers_default(got, "Content-Type", "y");
	headers_default(got, "X-B", "y");
	headers_default(got, "Accept", "z");
	expected =
	    json_pack("[s,s,s,s,s,s]", "Accept: z", "First: 1", "X-A: a b", "X-B;", "content-TYPE: x", "Last: 2");
	assert_true(json_equal(got, expected));
	json_decref(got);
	json_decref(expected);
	values[1].text = "@none.txt";
	assert_null(headers_read(&args, &e));
	assert_int_equal(e.code, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(headers_of_a_file_come_line_by_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
