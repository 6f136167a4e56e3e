/* Which host a URL leads to: one key for all spellings, and no key for what must not be fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/url.h"

static void all_spellings_of_a_host_have_one_key(void **arg)
{
	static const struct {
		const char *url, *key;
	} same[] = {
	    {"http://a.example", "a.example:80"},
	    {"http://A.EXAMPLE:80/x?y#z", "a.example:80"},
	    {"HTTP://a.example./", "a.example:80"},
	    {"http://a.example:/", "a.example:80"},
	    {"http://a.example:00080/", "a.example:80"},
	    {"http://user:pw@a.example/", "a.example:80"},
	    {"http://%61.example/", "a.example:80"},
	    {"https://a.example", "a.example:443"},
	    {"https://a.example:8443/", "a.example:8443"},
	    {"http://127.0.0.1/", "127.0.0.1:80"},
	    {"http://2130706433/", "127.0.0.1:80"},
	    {"http://0x7f.1/", "127.0.0.1:80"},
	    {"http://[::1]:8080/", "[::1]:8080"},
	    {"http://[0:0:0:0:0:0:0:1]:8080/", "[::1]:8080"},
	    {"https://bücher.example/", "xn--bcher-kva.example:443"},
	    {"https://BÜCHER.example/", "xn--bcher-kva.example:443"},
	    {"https://b%C3%BCcher.example/", "xn--bcher-kva.example:443"},
	    {"https://xn--bcher-kva.example/", "xn--bcher-kva.example:443"},
	    {"http://a.example?q=@b.example", "a.example:80"},
	    {"http://a.example#@b.example", "a.example:80"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		char key[URL_KEY_SIZE] = "";
		struct err e;

		if (url_key(same[i].url, key, &e))
			fail_msg("%s is refused: %s", same[i].url, e.what);
		assert_string_equal(key, same[i].key);
	}
}

static void what_must_not_be_fetched_has_no_key(void **arg)
{
	static const char *const bad[] = {
	    "",
	    "a.example",
	    "//a.example/",
	    "/path",
	    "http://",
	    "http://./",
	    "http:a.example",
	    "http:/a.example",
	    "http:///json",
	    "https:////a.example/",
	    "ftp://a.example/",
	    "file:///etc/passwd",
	    "gopher://a.example/",
	    "javascript:alert(1)",
	    "http://a.example:0/",
	    "http://a.example:65536/",
	    "http://a.example:80x/",
	    "http://a b.example/",
	    "http://a.example/ x",
	    "http://a.example/\r\nHost: b",
	    "http://a.example/\x7f",
	    "\thttp://a.example/",
	    "http://[::1/",
	    "http://[zz]/",
	    "http://b\xfc"
	    "cher.example/",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char key[URL_KEY_SIZE] = "";
		struct err e = {0};

		if (url_key(bad[i], key, &e) == 0)
			fail_msg("\"%s\" has the key %s", bad[i], key);
		assert_int_equal(e.code, ERR_INPUT);
		if (strncmp(e.what, "the URL", 7) != 0 && !strstr(e.what, " is no URL"))
			fail_msg("\"%s\": %s", bad[i], e.what);
	}
}

static void without_a_scheme_it_is_told_what_was_meant(void **arg)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
	    {"127.0.0.1:8942/json", "\"127.0.0.1:8942/json\" is no URL; did you mean http://127.0.0.1:8942/json?"},
	    {"www.example.org", "\"www.example.org\" is no URL; did you mean https://www.example.org?"},
	    {"a.example/?u=http://b",
	     "\"a.example/?u=http://b\" is no URL; did you mean https://a.example/?u=http://b?"},
	    {"[::1]:81/x", "\"[::1]:81/x\" is no URL; did you mean http://[::1]:81/x?"},
	    {"bücher.example", "\"bücher.example\" is no URL; did you mean https://bücher.example?"},
	    {"/path", "\"/path\" is no URL: it does not begin with http:// or https://"},
	    {"http:/json", "\"http:/json\" is no URL: it does not begin with http:// or https://"},
	    {"javascript:alert(1)", "\"javascript:alert(1)\" is no URL: it does not begin with http:// or https://"},
	    {"http:///json", "the URL has no host"},
	    {"file:///etc/passwd", "the URL's scheme is \"file\", and only http and https are fetched"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char key[URL_KEY_SIZE];
		struct err e = {0};

		assert_int_equal(url_key(cases[i].text, key, &e), -1);
		assert_string_equal(e.what, cases[i].said);
	}
}

static void a_long_text_without_a_scheme_is_not_repeated(void **arg)
{
	char text[600], key[URL_KEY_SIZE];
	struct err e = {0};

	(void)arg;
	memset(text, 'a', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(url_key(text, key, &e), -1);
	assert_string_equal(e.what, "the URL has no scheme");
}

static void a_url_may_be_64_kib_long_and_no_longer(void **arg)
{
	char *url = malloc(URL_MAX_BYTES + 2), key[URL_KEY_SIZE];
	struct err e = {0};

	(void)arg;
	assert_non_null(url);
	memset(url, 'x', URL_MAX_BYTES + 1);
	memcpy(url, "http://a/", 9);
	url[URL_MAX_BYTES + 1] = '\0';
	assert_int_equal(url_key(url, key, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	url[URL_MAX_BYTES] = '\0';
	assert_int_equal(url_key(url, key, &e), 0);
	assert_string_equal(key, "a:80");
	free(url);
}

static void a_host_longer_than_a_name_can_be_is_refused(void **arg)
{
	char url[400] = "http://", key[URL_KEY_SIZE];

	(void)arg;
	memset(url + 7, 'h', 256);
	assert_int_equal(url_key(url, key, NULL), -1);
	url[7 + 255] = '\0';
	assert_int_equal(url_key(url, key, NULL), 0);
}

static void user_and_password_are_taken_out_and_decoded(void **arg)
{
	static const struct {
		const char *url, *clean, *user;
	} cases[] = {
	    {"http://me:pw@a.example/x?y#z", "http://a.example/x?y#z", "me:pw"},
	    {"http://me@a.example:81/", "http://a.example:81/", "me:"},
	    {"http://:pw@a.example/", "http://a.example/", ":pw"},
	    {"http://m%40e:p%3Aw:x@a.example/", "http://a.example/", "m@e:p:w:x"},
	    {"http://a.example/?mail=a@b", NULL, NULL},
	    {"http://a.example/", NULL, NULL},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *clean, *user;

		assert_int_equal(url_split_user(cases[i].url, &clean, &user, NULL), 0);
		if (cases[i].clean) {
			assert_non_null(clean);
			assert_string_equal(clean, cases[i].clean);
			assert_string_equal(user, cases[i].user);
		} else {
			assert_null(clean);
			assert_null(user);
		}
		free(clean);
		free(user);
	}
}

static void a_user_that_basic_authentication_cannot_carry_is_refused(void **arg)
{
	static const char *const bad[] = {"http://a%3Ab:pw@h/", "http://a%00:pw@h/", "http://a:p%0Aw@h/",
					  "ftp://a:b@h/"};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char *clean, *user;
		struct err e;

		assert_int_equal(url_split_user(bad[i], &clean, &user, &e), -1);
		assert_null(clean);
		assert_null(user);
	}
}

static void what_a_request_asks_for_is_what_is_sent(void **arg)
{
	static const char *const cases[][2] = {
	    {"http://h", "/"},
	    {"http://h/", "/"},
	    {"http://h/a/b?c=/d", "/a/b?c=/d"},
	    {"http://h?q=1", "/?q=1"},
	    {"http://h/a#b?c", "/a"},
	    {"http://h#frag/ment", "/"},
	    {"http://h/a/../b/./c?d=../e", "/b/c?d=../e"},
	    {"http://h/a/.hidden", "/a/.hidden"},
	    {"http://u:p@h/%73earch", "/%73earch"},
	    {"not a url", "/"},
	    {"", "/"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *target = url_target(cases[i][0]);

		assert_string_equal(target, cases[i][1]);
		free(target);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_spellings_of_a_host_have_one_key),
	    cmocka_unit_test(what_must_not_be_fetched_has_no_key),
	    cmocka_unit_test(without_a_scheme_it_is_told_what_was_meant),
	    cmocka_unit_test(a_long_text_without_a_scheme_is_not_repeated),
	    cmocka_unit_test(a_url_may_be_64_kib_long_and_no_longer),
	    cmocka_unit_test(a_host_longer_than_a_name_can_be_is_refused),
	    cmocka_unit_test(user_and_password_are_taken_out_and_decoded),
	    cmocka_unit_test(a_user_that_basic_authentication_cannot_carry_is_refused),
	    cmocka_unit_test(what_a_request_asks_for_is_what_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
