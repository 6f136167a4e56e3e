/* Secrets: from files, into requests, and out of whatever is shown. */
#define _GNU_SOURCE 1

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

#include "daemon/secrets.h"
#include "lib/base64.h"

#define DIR    "test_secrets.dir"
#define OTHERS "test_secrets.credentials"

static struct secrets *secrets;

static int enter(void **arg)
{
	(void)arg;
	unsetenv("CREDENTIALS_DIRECTORY");
	return mkdir(DIR, 0700) || mkdir(OTHERS, 0700);
}

static int leave(void **arg)
{
	(void)arg;
	return system("rm -rf " DIR " " OTHERS) != 0;
}

static int tear_down(void **arg)
{
	(void)arg;
	secrets_free(secrets);
	secrets = NULL;
	unsetenv("CREDENTIALS_DIRECTORY");
	return system("rm -rf " DIR "/* " OTHERS "/*") != 0;
}

static void put(const char *dir, const char *name, const void *data, size_t n)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static int load(const char *name, const char *host, struct err *e)
{
	struct secret_bind bind = {name, &host, 1};

	secrets_free(secrets);
	*e = (struct err){0};
	secrets = secrets_load(DIR, &bind, 1, e);
	return secrets ? 0 : -1;
}

/* One secret "tok" with that value, for a.example. */
static void have(const char *value)
{
	struct err e;

	put(DIR, "tok", value, strlen(value));
	if (load("tok", "a.example", &e) < 0)
		fail_msg("%s", e.what);
}

/* Secrets "one", "two"... */
static void have_all(const char *const *values, size_t n)
{
	static const char *const names[] = {"one", "two", "three"}, *host = "*.example";
	struct secret_bind binds[3];
	struct err e;

	for (size_t i = 0; i < n; i++) {
		put(DIR, names[i], values[i], strlen(values[i]));
		binds[i] = (struct secret_bind){names[i], &host, 1};
	}
	secrets_free(secrets);
	secrets = secrets_load(DIR, binds, n, &e);
	assert_non_null(secrets);
}

static void assert_filled(enum secret_where where, const char *text, const char *expected)
{
	struct err e;
	char *filled = secrets_fill(secrets, text, where, "a.example:443", &e);

	if (!filled)
		fail_msg("%s: %s", text, e.what);
	assert_string_equal(filled, expected);
	secrets_wipe(filled);
}

static void assert_not_filled(enum secret_where where, const char *text, const char *host, enum err_code code,
			      const char *why)
{
	struct err e = {0};

	assert_null(secrets_fill(secrets, text, where, host, &e));
	assert_int_equal(e.code, code);
	if (!strstr(e.what, why))
		fail_msg("expected ...%s..., got \"%s\"", why, e.what);
}

static void assert_hidden(const char *text, const char *expected)
{
	char *hidden = secrets_hide(secrets, text);

	if (!hidden)
		fail_msg("nothing was found in: %s", text);
	assert_string_equal(hidden, expected);
	free(hidden);
}

static void assert_nothing_in(const char *text)
{
	char *hidden = secrets_hide(secrets, text);

	if (hidden)
		fail_msg("%s became %s", text, hidden);
}

/* ---- files ---- */

static void a_value_is_its_file_without_one_newline(void **arg)
{
	(void)arg;
	have("abcd\n");
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", "abcd");
	have("abcd\r\n");
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", "abcd");
	have("abcd\n\n");
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", "abcd\n");
	have(" ab cd ");
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", " ab cd ");
}

static void what_is_not_in_the_directory_is_one_of_systemds_credentials(void **arg)
{
	struct err e;

	(void)arg;
	put(OTHERS, "tok", "theirs", 6);
	assert_int_equal(load("tok", "a.example", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.what, "there is no secret \"tok\": " DIR "/tok does not exist");
	setenv("CREDENTIALS_DIRECTORY", OTHERS, 1);
	assert_int_equal(load("tok", "a.example", &e), 0);
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", "theirs");
	put(DIR, "tok", "ours", 4);
	assert_int_equal(load("tok", "a.example", &e), 0);
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", "ours");
	assert_int_equal(load("other", "a.example", &e), -1);
	assert_non_null(strstr(e.what, "(nor one of systemd's credentials)"));
}

static void a_bad_file_is_refused(void **arg)
{
	static char large[SECRET_MAX_BYTES + 1];
	struct err e;

	(void)arg;
	put(DIR, "empty", "\n", 1);
	assert_int_equal(load("empty", "a.example", &e), -1);
	assert_string_equal(e.what, "the secret " DIR "/empty is empty");
	put(DIR, "nul", "ab\0cd", 5);
	assert_int_equal(load("nul", "a.example", &e), -1);
	assert_string_equal(e.what, "the secret " DIR "/nul has a NUL byte");
	memset(large, 'x', sizeof(large));
	put(DIR, "large", large, sizeof(large));
	assert_int_equal(load("large", "a.example", &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	put(DIR, "large", large, sizeof(large) - 1);
	assert_int_equal(load("large", "a.example", &e), 0);
	assert_int_equal(mkdir(DIR "/dir", 0700), 0);
	assert_int_equal(load("dir", "a.example", &e), -1);
	assert_string_equal(e.what, "the secret " DIR "/dir is no plain file");
	assert_int_equal(mkfifo(DIR "/pipe", 0600), 0); /* must not wait for a writer */
	assert_int_equal(load("pipe", "a.example", &e), -1);
	assert_string_equal(e.what, "the secret " DIR "/pipe is no plain file");
}

static void a_link_is_followed(void **arg)
{
	struct err e;

	(void)arg;
	put(OTHERS, "real", "value", 5);
	assert_int_equal(symlink("../" OTHERS "/real", DIR "/tok"), 0);
	assert_int_equal(load("tok", "a.example", &e), 0);
	assert_filled(SECRET_IN_TEXT, "{secret:tok}", "value");
}

static void names_lead_nowhere_else(void **arg)
{
	static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a}", "\xc3\xa4", "a\n"};
	char longest[SECRET_NAME_MAX + 2];
	struct err e;

	(void)arg;
	put(OTHERS, "x", "value", 5);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(load(bad[i], "a.example", &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
	}
	memset(longest, 'n', sizeof(longest));
	longest[SECRET_NAME_MAX + 1] = '\0';
	assert_int_equal(load(longest, "a.example", &e), -1);
	longest[SECRET_NAME_MAX] = '\0';
	put(DIR, longest, "value", 5);
	assert_int_equal(load(longest, "a.example", &e), 0);
}

/* ---- hosts ---- */

static void a_secret_goes_to_its_hosts_only(void **arg)
{
	static const char *const hosts[] = {"api.example.org", "*.example.net:8443", "[::1]"};
	struct secret_bind bind = {"tok", hosts, 3};
	static const char *const may[] = {"api.example.org:443", "api.example.org:80", "x.example.net:8443", "[::1]:1"};
	static const char *const not [] = {"example.org:443",   "api.example.org.evil.example:443",
					   "x.example.net:443", "example.net:8443",
					   "127.0.0.1:80",      "",
					   "nonsense"};
	struct err e;

	(void)arg;
	put(DIR, "tok", "value", 5);
	secrets = secrets_load(DIR, &bind, 1, &e);
	assert_non_null(secrets);
	for (size_t i = 0; i < sizeof may / sizeof *may; i++) {
		char *filled = secrets_fill(secrets, "a {secret:tok}", SECRET_IN_HEADER, may[i], &e);

		if (!filled)
			fail_msg("%s: %s", may[i], e.what);
		secrets_wipe(filled);
	}
	for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
		assert_not_filled(SECRET_IN_URL, "{secret:tok}", not [i], ERR_PERMISSION,
				  "may go to api.example.org, *.example.net:8443, [::1] only, and not to ");
}

static void a_secret_without_a_host_is_refused(void **arg)
{
	struct secret_bind bind = {"tok", NULL, 0};
	struct err e;

	(void)arg;
	put(DIR, "tok", "value", 5);
	assert_null(secrets_load(DIR, &bind, 1, &e));
	assert_string_equal(e.what, "the secret \"tok\" is bound to no host");
	assert_int_equal(load("tok", "a.example/path", &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(load("tok", "https://a.example", &e), -1);
	assert_int_equal(load("tok", "", &e), -1);
	assert_int_equal(load("tok", "*", &e), -1); /* anywhere is no binding */
}

/* ---- filling in ---- */

static void a_value_is_written_as_its_place_wants_it(void **arg)
{
	(void)arg;
	have("a-b_c.d~9 &=%+/\"\\\xc3\xa4");
	assert_filled(SECRET_IN_URL, "https://a.example/x?t={secret:tok}&u=1",
		      "https://a.example/x?t=a-b_c.d~9%20%26%3D%25%2B%2F%22%5C%C3%A4&u=1");
	assert_filled(SECRET_IN_HEADER, "Authorization: Bearer {secret:tok}",
		      "Authorization: Bearer a-b_c.d~9 &=%+/\"\\\xc3\xa4");
	assert_filled(SECRET_IN_JSON, "{\"t\":\"{secret:tok}\"}", "{\"t\":\"a-b_c.d~9 &=%+/\\\"\\\\\xc3\xa4\"}");
	have("x\ty\nz");
	assert_filled(SECRET_IN_JSON, "\"{secret:tok}\"", "\"x\\u0009y\\u000az\"");
	assert_filled(SECRET_IN_TEXT, "{secret:tok}{secret:tok}", "x\ty\nzx\ty\nz");
}

static void a_header_is_not_split(void **arg)
{
	(void)arg;
	have("x\r\nEvil: 1");
	assert_not_filled(SECRET_IN_HEADER, "A: {secret:tok}", "a.example:80", ERR_INPUT, "control bytes");
	assert_filled(SECRET_IN_URL, "{secret:tok}", "x%0D%0AEvil%3A%201");
	have("x\ty");
	assert_filled(SECRET_IN_HEADER, "A: {secret:tok}", "A: x\ty");
}

static void json_is_utf8(void **arg)
{
	static const char *const bad[] = {
	    "\xff", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		have(bad[i]);
		assert_not_filled(SECRET_IN_JSON, "{secret:tok}", "a.example:80", ERR_INPUT, "not UTF-8");
	}
	have("\xf0\x9f\x90\x88\xe2\x82\xac");
	assert_filled(SECRET_IN_JSON, "{secret:tok}", "\xf0\x9f\x90\x88\xe2\x82\xac");
}

static void other_text_stays_as_it_is(void **arg)
{
	(void)arg;
	have("value");
	assert_filled(SECRET_IN_URL, "", "");
	assert_filled(SECRET_IN_URL, "no secret, {page} {secret} {secret:} {secret:a b} {secret:tok",
		      "no secret, {page} {secret} {secret:} {secret:a b} {secret:tok");
	assert_not_filled(SECRET_IN_URL, "{secret:tik}", "a.example:80", ERR_INPUT,
			  "the secret \"tik\" is not one of the recipe's");
	secrets_free(secrets);
	secrets = secrets_load(DIR, NULL, 0, NULL);
	assert_filled(SECRET_IN_URL, "plain", "plain");
	assert_nothing_in("value");
}

/* ---- hiding ---- */

static void a_value_is_hidden_wherever_it_stands(void **arg)
{
	(void)arg;
	have("s3cr3t");
	assert_hidden("s3cr3t", "{secret:tok}");
	assert_hidden("Location: /x?t=s3cr3t&u=s3cr3t", "Location: /x?t={secret:tok}&u={secret:tok}");
	assert_hidden("xs3cr3ty", "x{secret:tok}y");
	assert_nothing_in("");
	assert_nothing_in("s3cr3 t S3CR3T");
}

static void a_value_is_hidden_however_it_is_written(void **arg)
{
	(void)arg;
	have("a b/c+\xc3\xa4\"d");
	assert_hidden("t=a%20b%2Fc%2B%C3%A4%22d&", "t={secret:tok}&");
	assert_hidden("t=a%20b%2fc%2b%c3%a4%22d&", "t={secret:tok}&");
	assert_hidden("t=a+b/c%2B%C3%a4\"d&", "t={secret:tok}&");
	assert_hidden("{\"t\":\"a b/c+\xc3\xa4\\\"d\"}", "{\"t\":\"{secret:tok}\"}");
	assert_hidden("{\"t\":\"a b\\/c\\u002b\xc3\xa4\\u0022d\"}", "{\"t\":\"{secret:tok}\"}");
	assert_hidden("a b/c+\xc3\xa4\"d", "{secret:tok}");
	have("100%25\\u0041");
	assert_hidden("<100%25\\u0041>", "<{secret:tok}>");
	assert_hidden("<100%2525%5Cu0041>", "<{secret:tok}>");
	assert_nothing_in("100%");
	assert_nothing_in("100%2");
	assert_nothing_in("100%25\\");
}

static void a_value_is_hidden_in_base64(void **arg)
{
	static const char *const before[] = {"", "u:", "us:", "use:", "user:"}, *const after[] = {"", "x", ":y", "zzz"};
	static const char value[] = "p4ssw\xffrd>?";

	(void)arg;
	have(value);
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 4; k++) {
			char plain[64], text[128], *hidden;
			size_t n = (size_t)snprintf(plain, sizeof(plain), "%s%s%s", before[i], value, after[k]);

			base64_encode(text, plain, n);
			for (int url = 0; url < 2; url++) {
				hidden = secrets_hide(secrets, text);
				assert_non_null(hidden);
				assert_non_null(strstr(hidden, "{secret:tok}"));
				/* not a character is left that has a bit of it */
				assert_int_equal(strcspn(hidden, "{"), strlen(before[i]) * 8 / 6);
				assert_true(strlen(strchr(hidden, '}') + 1) <=
					    (strlen(after[k]) * 8 + 5) / 6 + strlen("=="));
				free(hidden);
				for (char *c = text; *c; c++)
					*c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
			}
		}
	have("user:password");
	assert_hidden("Basic dXNlcjpwYXNzd29yZA==", "Basic {secret:tok}==");
	have("password");
	assert_hidden("Basic dXNlcjpwYXNzd29yZA== x", "Basic dXNlcj{secret:tok}== x");
}

static void the_longest_value_is_hidden_first(void **arg)
{
	static const char *const values[] = {"abcd", "abcdefgh", "xabcd"};

	(void)arg;
	have_all(values, 3);
	assert_hidden("abcdefgh", "{secret:two}");
	assert_hidden("xabcdefgh abcd", "{secret:three}{secret:two} {secret:one}");
	assert_hidden("abcdabcd", "{secret:one}");
}

static void short_values_are_hidden_where_they_stand_alone(void **arg)
{
	(void)arg;
	have("7x");
	assert_hidden("?k=7x&l=7xx", "?k={secret:tok}&l=7xx");
	assert_nothing_in("17x 7x-1 _7x");
	assert_hidden("7x", "{secret:tok}");
	have(" a");
	assert_hidden("k=%20a", "k={secret:tok}");
	have("e");
	assert_nothing_in("the rest of the sentence");
}

static void names_that_are_there_stay(void **arg)
{
	static const char *const values[] = {"secret", "three"};

	(void)arg;
	have_all(values, 2);
	assert_nothing_in("https://a.example/?t={secret:one}&u={secret:two}");
	assert_hidden("{secret:one} secret {secret:four}", "{secret:one} {secret:one} {{secret:one}:four}");
}

static void what_was_hidden_is_filled_in_again(void **arg)
{
	struct err e;
	char *hidden, *filled;

	(void)arg;
	have("t0k/en+");
	hidden = secrets_hide(secrets, "https://a.example/?t=t0k%2fen%2B&page=2");
	assert_string_equal(hidden, "https://a.example/?t={secret:tok}&page=2");
	filled = secrets_fill(secrets, hidden, SECRET_IN_URL, "a.example:443", &e);
	assert_string_equal(filled, "https://a.example/?t=t0k%2Fen%2B&page=2");
	free(hidden);
	secrets_wipe(filled);
}

static void is_hidden_in_a_message(const char *text, const char *expected)
{
	char *hidden = secrets_hide_cut(secrets, text);

	assert_string_equal(hidden ? hidden : text, expected);
	free(hidden);
}

static void what_begins_as_a_value_is_hidden_in_messages(void **state)
{
	(void)state;
	have("t0k/en+long value");
	is_hidden_in_a_message("string (\"t0k/en+lon...) cannot be parsed",
			       "string (\"{secret:tok}...) cannot be parsed");
	is_hidden_in_a_message("string (\"a=t0k/...) cannot be parsed",
			       "string (\"a={secret:tok}...) cannot be parsed");
	is_hidden_in_a_message("at t0k%2fen%2Blo", "at {secret:tok}");
	is_hidden_in_a_message("page.next: t0k/en+long is no URL", "page.next: {secret:tok}is no URL");
	is_hidden_in_a_message("t0k/ is none", "t0k/ is none");
	is_hidden_in_a_message("t0k/en+long value", "{secret:tok}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_value_is_its_file_without_one_newline, tear_down),
	    cmocka_unit_test_teardown(what_is_not_in_the_directory_is_one_of_systemds_credentials, tear_down),
	    cmocka_unit_test_teardown(a_bad_file_is_refused, tear_down),
	    cmocka_unit_test_teardown(a_link_is_followed, tear_down),
	    cmocka_unit_test_teardown(names_lead_nowhere_else, tear_down),
	    cmocka_unit_test_teardown(a_secret_goes_to_its_hosts_only, tear_down),
	    cmocka_unit_test_teardown(a_secret_without_a_host_is_refused, tear_down),
	    cmocka_unit_test_teardown(a_value_is_written_as_its_place_wants_it, tear_down),
	    cmocka_unit_test_teardown(a_header_is_not_split, tear_down),
	    cmocka_unit_test_teardown(json_is_utf8, tear_down),
	    cmocka_unit_test_teardown(other_text_stays_as_it_is, tear_down),
	    cmocka_unit_test_teardown(a_value_is_hidden_wherever_it_stands, tear_down),
	    cmocka_unit_test_teardown(a_value_is_hidden_however_it_is_written, tear_down),
	    cmocka_unit_test_teardown(a_value_is_hidden_in_base64, tear_down),
	    cmocka_unit_test_teardown(the_longest_value_is_hidden_first, tear_down),
	    cmocka_unit_test_teardown(short_values_are_hidden_where_they_stand_alone, tear_down),
	    cmocka_unit_test_teardown(names_that_are_there_stay, tear_down),
	    cmocka_unit_test_teardown(what_begins_as_a_value_is_hidden_in_messages, tear_down),
	    cmocka_unit_test_teardown(what_was_hidden_is_filled_in_again, tear_down),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
