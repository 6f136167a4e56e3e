/* Recipes that are refused, with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_recipe.h"

#define U      "url = \"https://a.example/\";\n"
#define UPAGE  "url = \"https://a.example/{page}\";\n"
#define CURSOR "type = \"cursor\"; next = \".n\"; "

static const struct {
	const char *text;
	unsigned line;
	const char *what; /* part of it */
} refused[] = {
    /* the file */
    {"", 1, "url is missing: what to fetch"},
    {"url = \"http://a.example/\"\nurl = \"x\";", 2, "duplicate setting name"},
    {"url = ", 1, "syntax error"},
    {"\n\nurl = {", 3, "syntax error"},
    {U "\n@include \"/etc/passwd\"\n", 3, "a recipe cannot include another file"},
    {U "items = \"a;\nkey = 1;\n", 2, "the text that begins here has no closing quote"},
    {U "items = \".a;\nkey = \".id\";\nmethod = \"GET\";\n", 2, "the text that begins here has no closing quote"},
    {U "items = \".a;\nkey = \"\";\nmethod = \"GET\";\n", 2, "the text that begins here has no closing quote"},
    {U "items = \"\n.a\n\";\nkey = \"\n.id\" # it\nmethod = \"GET;\n", 7, "the text that begins here has no"},
    {U "items = \"a\\x00b\";", 2, "a text has a NUL byte"},
    /* keys */
    {U "itmes = \".a\";", 2, "unknown key \"itmes\"; did you mean \"items\"?"},
    {U "zzz = 1;", 2, "unknown key \"zzz\"; known are: url method headers"},
    {U "page = {\n type = \"page\"; param = \"p\";\n sise = 3; };", 4,
     "unknown key \"page.sise\"; did you mean \"size\"?"},
    {U "since = { to = \"x\"; };", 2, "unknown key \"since.to\"; known are: param in from initial overlap"},
    {U "limit = { pace = true; };", 2, "unknown key \"limit.pace\""},
    {U "retry = { attempts = 3; };", 2, "unknown key \"retry.attempts\""},
    /* types */
    {"url = 5;", 1, "url has to be a text that is not empty"},
    {"url = \"\";", 1, "url has to be a text that is not empty"},
    {U "items = 1;", 2, "items has to be a jq expression in quotes"},
    {U "error = \" \\n\";", 2, "error has to be a jq expression in quotes"},
    {U "page = 1;", 2, "page has to be a group"},
    {U "page = { type = 1; };", 2, "page.type has to be one of \"single\", \"page\", \"offset\", \"cursor\""},
    {U "page = { type = \"curser\"; };", 2, "page.type = \"curser\" is not known; did you mean \"cursor\"?"},
    {U "page = { type = \"page\"; in = \"cookie\"; };", 2, "page.in has to be one of \"query\", \"path\""},
    {U "page = { type = \"page\"; size = \"100\"; };", 2, "page.size has to be a whole number"},
    {U "page = { type = \"page\"; size = 0; };", 2, "page.size = 0 is not within 1 and 1000000"},
    {U "page = { type = \"page\"; window = 65; };", 2, "page.window = 65 is not within 1 and 64"},
    {U "page = { type = \"page\"; max_pages = 0; };", 2, "page.max_pages = 0 is not within 1 and 1000000"},
    {U "page = { type = \"page\"; stop_short = 1; };", 2, "page.stop_short has to be true or false"},
    {U "page = { type = \"page\"; stop_empty = -1; };", 2, "page.stop_empty = -1 is not within"},
    {U "page = { type = \"page\"; stop_status = [200]; };", 2, "page.stop_status has to be statuses from 201 to 599"},
    {U "page = { type = \"page\"; stop_status = [ ]; };", 2, "page.stop_status has to be one to eight statuses"},
    {U "page = { type = \"page\"; stop_status = \"404\"; };", 2, "page.stop_status has to be statuses"},
    {U "page = { type = \"page\"; start = true; };", 2, "page.start has to be a text or a whole number"},
    {U "page = { type = \"page\"; param = \"p\"; start = \"1\"; };", 2,
     "page.start has to be a whole number from 0 on"},
    {U "page = { type = \"page\"; param = \"p\"; start = -1; };", 2, "page.start has to be a whole number from 0 on"},
    {U "page = { type = \"page\"; size = 5000000000; };", 2, "the number 5000000000 has no L behind it"},
    {U "page = { type = \"page\"; size = 99999999999999999999L; };", 2, "is out of range"},
    {U "conditional = \"true\";", 2, "conditional has to be true or false"},
    {U "timeout = \"30\u00b5s\";", 2, "timeout: \"30\u00b5s\" is not a duration"},
    {U "timeout = \"2d\";", 2, "timeout = \"2d\" is out of range"},
    {U "timeout = 0;", 2, "timeout = \"0\" is out of range"},
    {U "timeout = true;", 2, "timeout has to be a duration"},
    {U "deadline = \"abc\";", 2, "deadline: \"abc\" is not a duration"},
    {U "deadline = \"999ms\";", 2, "deadline = \"999ms\" is out of range"},
    {U "deadline = \"31d\";", 2, "deadline = \"31d\" is out of range"},
    {U "limit = { rate = \"100\"; };", 2, "limit.rate: \"100\" is not a rate"},
    {U "limit = { rate = 100; };", 2, "limit.rate has to be a text, as in \"100/min\""},
    {U "limit = { };", 2, "limit limits nothing"},
    {U "limit = { concurrency = 0; };", 2, "limit.concurrency = 0 is not within 1 and 10000"},
    {U "retry = { max_attempts = 101; };", 2, "retry.max_attempts = 101 is not within 1 and 100"},
    {U "method = \"get\";", 2, "method has to be a method in capital letters"},
    {U "method = \"HEAD\";", 2, "method = \"HEAD\" is not a way to fetch pages"},
    {U "method = \"CONNECT\";", 2, "is not a way to fetch pages"},
    {U "body = 5;", 2, "body has to be a text, or a group or list"},
    {U "body = { a = \"\\xff\"; };", 2, "body cannot be JSON"},
    /* headers */
    {U "headers = \"A: b\";", 2, "headers has to be an array of texts"},
    {U "\nheaders = [\"A: b\", \"nonsense\"];", 3, "headers[2] \"nonsense\" is not of the form"},
    {U "headers = [\"A\\nB: c\"];", 2, "has a name that no header can have"},
    {U "headers = [\"A: b\\r\\nC: d\"];", 2, "has a control byte"},
    {U "headers = [\": b\"];", 2, "has no name"},
    {U "headers = [\"content-length: 5\"];", 2, "is part of the message's framing"},
    {U "headers = [5];", 2, "headers[1] \"\" is no text"},
    {U "headers = [\"X: {var:x}\"];", 2, "headers[1]: {var:x} is not in vars"},
    {U "headers = [\"X: {id}\"];", 2, "headers[1]: {id} is no placeholder"},
    /* vars and secrets */
    {U "vars = [\"a\"];", 2, "vars has to be a group"},
    {U "vars = { a = true; };", 2, "vars.a has to be a text or a whole number"},
    {U "vars = { a* = \"\"; };", 2, "vars.a*: a name has 1 to 64 letters"},
    {U "secrets = { tok = \"a.example\"; };", 2, "secrets.tok has to be an array of the hosts"},
    {U "secrets = { tok = [ ]; };", 2, "secrets.tok has to be an array of the hosts"},
    {U "secrets = { tok = [\"a.example/x\"]; };", 2, "secrets.tok[1]: \"a.example/x\" names no hosts"},
    {U "secrets = { tok = [\"*\"]; };", 2, "secrets.tok[1]: \"*\" names no hosts"},
    {U "headers = [\"A: {secret:tok}\"];", 2, "headers[1]: {secret:tok} is not in secrets"},
    {U "secrets = {\n tok = [\"b.example\"]; };\nheaders = [\"A: {secret:tok}\"];", 3,
     "secrets.tok may not go to a.example:443, where the URL leads"},
    {"url = \"https://a.example/?t={secret:tok}\";\nsecrets = { tok = [\"a.example:80\"]; };", 2,
     "may not go to a.example:443"},
    {U "body = { t = \"{secret:tok}\"; };\nsecrets = { tok = [\"*.a.example\"]; };", 3, "may not go to a.example:443"},
    {"url = \"https://{secret:tok}.example/\";\nsecrets = { tok = [\"a.example\"]; };", 1, "has a secret in its host"},
    {"url = \"https://u:{secret:tok}@a.example/\";\nsecrets = { tok = [\"a.example\"]; };", 1, "has a user in it"},
    /* the URL */
    {"url = \"ftp://a.example/\";", 1, "url has to begin with https:// or http://"},
    {"url = \"{var:base}/x\"; vars = { base = \"http://a\"; };", 1, "url has to begin with"},
    {"url = \"https:///x\";", 1, "url: "},
    {"url = \"https://a.example/x y\";", 1, "has a space"},
    {"url = \"https://a.example/#x\";", 1, "url has a \"#\" or a backslash"},
    {"url = \"https://a.example/../x\";", 1, "has a \".\" or \"..\" in it"},
    {"url = \"https://a.example/{page\";\npage = { type = \"page\"; };", 1,
     "url has a brace that belongs to no placeholder"},
    {"url = \"https://a.example/page}\";", 1, "url has a brace that belongs to no placeholder"},
    {"url = \"https://a.example/{}\";", 1, "url has a brace that belongs to no placeholder"},
    {"url = \"https://a.example/{var:}\";", 1, "did you mean {var:NAME}?"},
    {"url = \"https://a.example/{foo}\";", 1, "url: {foo} is no placeholder"},
    {"url = \"https://a.example/{pag}\";", 1, "did you mean {page}?"},
    {"url = \"https://a.example/{vars:x}\";", 1, "did you mean {var:NAME}?"},
    {"url = \"https://a.example/{var:x}\";", 1, "url: {var:x} is not in vars"},
    {"url = \"https://a.{page}.example/\";\npage = { type = \"page\"; };", 1, "other than {var:NAME} in its host"},
    {"url = \"https://{var:h}/\"; vars = { h = \"a/b\"; };", 1, "cannot be part of a host"},
    {UPAGE, 1, "{page} means nothing with page.type = \"single\""},
    {UPAGE "page = { type = \"offset\"; size = 1; };", 1,
     "{page} means nothing with page.type = \"offset\"; there it is {offset}"},
    {"url = \"https://a.example/{since}\";", 1, "url: {since} needs a group since"},
    /* pages */
    {U "page = { };", 2, "page.type is missing"},
    {U "page = {\n size = 3; };", 2, "page.type is missing"},
    {U "page = { type = \"cursor\"; param = \"c\"; };", 2, "page.next is missing"},
    {U "page = { type = \"next_url\"; };", 2, "page.next is missing"},
    {U "page = { type = \"keyset\"; param = \"a\"; };", 2, "page.next is missing: it, or key,"},
    {U "page = { type = \"offset\"; param = \"o\"; };", 2, "page.size is missing"},
    {U "page = { type = \"page\"; };", 2, "page.param is missing: it, or {page} in the URL"},
    {U "page = { type = \"page\"; param = \"p\"; next = \".n\"; };", 2,
     "page.next means nothing with page.type = \"page\""},
    {U "page = { type = \"link\"; param = \"p\"; };", 2, "page.param means nothing with page.type = \"link\""},
    {U "page = { type = \"link\"; next = \".n\"; };", 2, "page.next means nothing with page.type = \"link\""},
    {U "page = { type = \"single\"; stop = \".n\"; };", 2, "page.stop means nothing with page.type = \"single\""},
    {U "page = { " CURSOR "param = \"c\"; window = 2; };", 2, "page.window = 2: with page.type = \"cursor\""},
    {U "page = { type = \"page\"; param = \"p\"; stop_short = true; };", 2, "page.stop_short needs page.size"},
    {U "page = { type = \"link\"; size_param = \"n\"; };", 2, "page.size_param needs page.size"},
    {U "page = { type = \"page\"; in = \"path\"; };", 2, "page.in = \"path\" needs {page} in the URL's path"},
    {"url = \"https://a.example/?p={page}\";\npage = { type = \"page\"; in = \"path\"; };", 2,
     "page.in = \"path\" needs {page} in the URL's path"},
    {UPAGE "page = { type = \"page\"; in = \"header\"; };", 2, "page.in = \"header\", but {page} stands elsewhere"},
    {UPAGE "page = { type = \"page\"; param = \"p\"; };", 2, "page.param and {page} both say where it goes"},
    {"url = \"https://a.example/?q={page}\";\npage = { type = \"page\"; param = \"p\"; };", 2,
     "both say where it goes"},
    {"url = \"https://a.example/?p=1\";\npage = { type = \"page\"; param = \"p\"; };", 2,
     "has a parameter \"p\" already"},
    {U "page = { " CURSOR "in = \"header\"; param = \"a b\"; };", 2, "has a name that no header can have"},
    {U "page = { " CURSOR "in = \"json\"; param = \"a..b\"; };", 2, "page.param = \"a..b\" is no path"},
    {U "page = { " CURSOR "in = \"json\"; param = \"a\"; };\nbody = \"{}\";", 3,
     "needs a body that is written as a group"},
    {U "page = { " CURSOR "start = \"x\"; in = \"json\"; param = \"a.b\"; };\nbody = { a = 1; };", 1,
     "the body has no object in which b could be set"},
    {U "page = { type = \"page\"; param = \"p\"; };\nbody = \"{curser}\";", 3,
     "{curser} is no placeholder; did you mean {cursor}?"},
    {U "page = { " CURSOR "param = \"p\"; };\nbody = { q = \"{ a{cursor} }\"; };", 2, "both say where it goes"},
    /* since */
    {U "since = { param = \"s\"; };", 2, "since.from is missing"},
    {U "since = { from = \".u\"; };", 2, "since.param is missing: it, or {since} in the URL"},
    {U "since = { from = \".u\"; param = \"s\"; initial = \"new\"; overlap = \"5m\"; };", 2,
     "since.overlap needs moments, and since.initial = \"new\" is none"},
    {U "since = { from = \".u\"; param = \"s\"; overlap = \"5 m\"; };", 2, "since.overlap: \"5 m\" is not a duration"},
    {U "since = { from = \".u\"; param = \"s\"; in = \"path\"; };", 2, "since.in = \"path\" needs {since}"},
    {U "since = { from = \".u\"; param = \"s\"; initial = 1767225600000; };", 2, "has no L behind it"},
    /* conditional */
    {U "conditional = true; method = \"POST\";", 2, "conditional = true works with method = \"GET\""},
    {U "body = \"x\";\nconditional = true; method = \"GET\";", 3, "and without a body only"},
};

static void what_is_wrong_is_told_with_file_and_line(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct err e = {0};
		struct recipe *r = recipe_parse("t", "pulls.d/t.conf", refused[i].text, &e);
		char place[40];

		snprintf(place, sizeof place, "pulls.d/t.conf:%u: ", refused[i].line);
		if (r)
			fail_msg("it was taken: %s", refused[i].text);
		if (e.code != ERR_INPUT || e.line != refused[i].line || strncmp(e.what, place, strlen(place)) != 0 ||
		    !strstr(e.what, refused[i].what) || !e.hint[0])
			fail_msg("\"%s\" is told of\n%s\ninstead of line %u: %s (%s)", e.what, refused[i].text,
				 refused[i].line, refused[i].what, e.hint);
		assert_null(recipe_parse("t", "f", refused[i].text, NULL));
	}
}

/* One recipe each, and all that is said of it: line and part of the words. */
static const struct {
	const char *text;
	struct {
		unsigned line;
		const char *what;
	} said[9];
} many[] = {
    {"ulr = \"https://a.example/\";\n"
     "page = { type = \"page\"; parm = \"p\"; size = 0; stop_short = true; window = 99; };\n"
     "items = 5;\n"
     "headers = [\"nonsense\",\n \"A: b\",\n \": c\"];\n"
     "timeout = 5000000000;\n"
     "limit = { rate = \"x\"; };\n",
     {{1, "unknown key \"ulr\"; did you mean \"url\"?"},
      {2, "unknown key \"page.parm\"; did you mean \"param\"?"},
      {2, "page.size = 0 is not within"},
      {2, "page.window = 99 is not within"},
      {3, "items has to be a jq expression"},
      {4, "headers[1] \"nonsense\""},
      {6, "headers[3] \": c\" has no name"},
      {7, "the number 5000000000 has no L behind it"},
      {8, "limit.rate: \"x\" is not a rate"}}},
    /* what hangs on a type that is not known is not told */
    {U "page = { type = \"nosuch\"; next = \".n\"; window = 3; };\nmethod = \"get\";\nconditional = true;",
     {{2, "page.type has to be one of"}, {3, "method has to be a method in capital letters"}}},
    /* what does not go together is told of each */
    {"url = \"ftp://a.example/{pag}{var:x}\";\n"
     "page = { type = \"link\"; param = \"p\"; next = \".n\"; window = 2; size_param = \"n\"; };\n"
     "since = { param = \"s\"; };\n"
     "limit = { };",
     {{1, "url has to begin with"},
      {1, "{pag} is no placeholder; did you mean {page}?"},
      {1, "url: {var:x} is not in vars"},
      {2, "page.param means nothing"},
      {2, "page.next means nothing"},
      {2, "page.size_param needs page.size"},
      {2, "page.window = 2: with page.type = \"link\""},
      {3, "since.from is missing"},
      {4, "limit limits nothing"}}},
    {U "vars = { a = true;\n b = \"1\"; };\nsecrets = { t = [\"*\"];\n u = 5; };\n@include \"x\"\n"
       "body = \"{var:a} {secret:t} {curser}\";",
     {{2, "vars.a has to be a text"},
      {4, "secrets.t[1]: \"*\" names no hosts"},
      {5, "secrets.u has to be an array"},
      {6, "a recipe cannot include another file"},
      {7, "{curser} is no placeholder"}}},
    /* a syntax error ends it */
    {U "timeout = 5000000000;\nmethod = ;\nitems = 5;", {{2, "has no L behind it"}, {3, "syntax error"}}},
};

static void all_that_is_wrong_is_told_in_the_order_of_lines(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
		struct recipe_faults f;
		struct recipe *r = recipe_examine("t", "t.conf", many[i].text, &f);
		size_t n = 0;

		for (; n < 9 && many[i].said[n].what; n++)
			if (n >= f.count || f.list[n].line != many[i].said[n].line ||
			    !strstr(f.list[n].what, many[i].said[n].what) || !f.list[n].hint[0])
				fail_msg("\"%s\" is told instead of \"%s\" of\n%s", n < f.count ? f.list[n].what : "",
					 many[i].said[n].what, many[i].text);
		if (f.count > n)
			fail_msg("\"%s\" is told besides of\n%s", f.list[n].what, many[i].text);
		assert_false(f.more);
		recipe_faults_clear(&f);
		recipe_free(r);
	}
}

static void a_hundred_mistakes_are_told_and_no_more(void **arg)
{
	char *all = calloc(151, sizeof U);
	struct recipe_faults f;
	struct recipe *r;

	(void)arg;
	strcpy(all, U);
	for (int i = 0; i < 150; i++)
		sprintf(all + strlen(all), "zz%03d = 1;\n", i);
	r = recipe_examine("t", "t.conf", all, &f);
	assert_int_equal(f.count, RECIPE_FAULTS_MAX);
	assert_true(f.more);
	assert_int_equal(f.list[99].line, 101);
	recipe_faults_clear(&f);
	recipe_free(r);
	free(all);
}

static void what_only_looks_wrong_is_taken(void **arg)
{
	static const char *const fine[] = {
	    U "# @include \"x\" and 99999999999\n// 99999999999\n/* @include 99999999999 */",
	    U "items = \"@include 99999999999 \\\" @include\";",
	    U "vars = { n = 5000000000L; h = 0x7fffffff; };",
	    U "body = \"query { repo { id } } {id} { cursor }\";",
	    U "body = { query = \"{a{id}}\"; };",
	    U "page = { type = \"single\"; };",
	    U "page = { type = \"single\"; total_items = \".n\"; };",
	    U "page = { type = \"link\"; size = 100; size_param = \"per_page\"; max_pages = 5; window = 1; };",
	    U "page = { type = \"page\"; param = \"page[number]\"; stop_status = 404; };",
	    U "page = { type = \"next_url\"; next = \".n\"; };",
	    U "headers = (\"A: b\", \"Accept:\", \"X:y\");",
	    U "headers = [];",
	    "url = \"https://{var:host}/\"; vars = { host = \"\"; };",
	    "url = \"https://{var:host}:8443/?t={secret:t}\"; vars = { host = \"\"; }; secrets = { t = "
	    "[\"a.example\"]; };",
	    "url = \"https://{var:host}/?t={secret:t}\"; vars = { host = \"A.example\"; }; secrets = { t = "
	    "[\"a.example\"]; };",
	    "url = \"https://a.example/?t={secret:t}\"; secrets = { t = [\"b.example\", \"A.EXAMPLE:443\"]; };",
	    "url = \"http://[::1]:80/?t={secret:t}\"; secrets = { t = [\"[::1]\"]; };",
	    "url = \"http://127.0.0.1:80/?t={secret:t}\"; secrets = { t = [\"127.*\"]; };",
	    "url = \"https://a.example?x={since}\"; since = { from = \".u\"; initial = 0; };",
	    U "since = { from = \".u\"; param = \"If-Modified-Since\"; in = \"header\"; };",
	    U "body = { s = \"{since}\"; }; since = { from = \".u\"; };",
	    U "method = \"REPORT\"; timeout = 5; conditional = false;",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
		recipe_free(parse(fine[i]));
}

static void a_long_text_and_a_long_expression_are_refused(void **arg)
{
	char *text = malloc(RECIPE_TEXT_MAX + 100);
	struct err e;

	(void)arg;
	memset(text, ' ', RECIPE_TEXT_MAX + 1);
	text[RECIPE_TEXT_MAX + 1] = '\0';
	assert_null(recipe_parse("t", "f", text, &e));
	assert_string_equal(e.what, "f:1: the recipe is longer than 256 KiB");
	memset(text, 'a', 5000);
	memcpy(text, "items = \"", 9);
	strcpy(text + 5000, "\";");
	assert_null(recipe_parse("t", "f", text, &e));
	assert_string_equal(e.what, "f:1: items is longer than 4096 bytes");
	free(text);
}

static void a_long_file_name_keeps_its_end(void **arg)
{
	char file[400];
	struct err e;

	(void)arg;
	memset(file, 'x', sizeof file);
	strcpy(file + 380, "/pulls.d/cats.conf");
	assert_null(recipe_parse("cats", file, "a = 1;", &e));
	assert_non_null(strstr(e.what, "/pulls.d/cats.conf:1: unknown key \"a\""));
}

static void deep_nesting_is_no_trouble(void **arg)
{
	char text[RECIPE_TEXT_MAX / 8];
	const char *opens[] = {"(", "{a="};

	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		size_t n = (size_t)sprintf(text, "%s", "url = \"http://a.example/\"; body = ");
		struct err e;

		while (n + 8 < sizeof text)
			n += (size_t)sprintf(text + n, "%s", opens[k]);
		assert_null(recipe_parse("t", "f", text, &e));
	}
	strcpy(text, "url = \"http://a.example/\"; body = ");
	for (int i = 0; i < 100; i++)
		strcat(text, "(");
	for (int i = 0; i < 100; i++)
		strcat(text, ")");
	strcat(text, ";");
	struct err e;

	assert_null(recipe_parse("t", "f", text, &e));
	assert_non_null(strstr(e.what, "body cannot be JSON: it is deeper than 64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_wrong_is_told_with_file_and_line),
	    cmocka_unit_test(all_that_is_wrong_is_told_in_the_order_of_lines),
	    cmocka_unit_test(a_hundred_mistakes_are_told_and_no_more),
	    cmocka_unit_test(what_only_looks_wrong_is_taken),
	    cmocka_unit_test(a_long_text_and_a_long_expression_are_refused),
	    cmocka_unit_test(a_long_file_name_keeps_its_end),
	    cmocka_unit_test(deep_nesting_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
