/* From options to JSON, and from operands and files to jobs. */
#define _GNU_SOURCE 1 /* getrandom */

#include "cli/request.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/feed.h"
#include "cli/glob.h"
#include "cli/headers.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/password.h"
#include "cli/text.h"
#include "lib/url.h"

#define MANY_JOBS      1000000    /* a slip of the pen in a pattern makes as many: it is said before they are there */
#define DATA_MAX_BYTES (1u << 20) /* what the daemon takes as a body */

/* ---- -d, --data-binary, --json ---- */

enum data_kind { DATA_FORM, DATA_BINARY, DATA_JSON };

static enum data_kind data_kind(const struct opt_value *v)
{
	return strcmp(v->opt->name, "json") == 0   ? DATA_JSON
	       : strcmp(v->opt->name, "data") == 0 ? DATA_FORM
						   : DATA_BINARY;
}

/* curl's -d @FILE drops line ends and NULs; --data-binary and --json keep every byte. */
static int add_file(struct text *body, const char *path, enum data_kind kind, struct err *e)
{
	size_t len;
	char *data = input_read_whole(path, DATA_MAX_BYTES, &len, e);

	if (!data)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (kind != DATA_FORM || (data[i] != '\r' && data[i] != '\n' && data[i] != '\0'))
			text_add_char(body, data[i]);
	free(data);
	return 0;
}

static int gather_data(const struct args *a, struct text *body, enum data_kind *kind, struct err *e)
{
	text_reserve(body, 0);
	for (size_t i = 0; i < a->data.count; i++) {
		const struct opt_value *v = &a->data.values[i];
		enum data_kind k = data_kind(v);

		if (i > 0 && (k == DATA_JSON) != (*kind == DATA_JSON))
			return err_set(e, ERR_USAGE, NULL, "--json and -d do not go together: one body is sent");
		if (i > 0 && k != DATA_JSON)
			text_add_char(body, '&');
		*kind = k;
		if (v->text[0] != '@')
			text_add_str(body, v->text);
		else if (add_file(body, v->text + 1, k, e) < 0)
			return -1;
	}
	return 0;
}

static int check_json(const struct args *a, enum data_kind kind, const struct text *body, struct err *e)
{
	json_error_t why;
	json_t *j;

	if (a->data.count == 0 || kind != DATA_JSON)
		return 0;
	j = json_loadb(body->data, body->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	if (!j)
		return err_set(e, ERR_USAGE, "--data-binary sends whatever it is", "--json: this is no JSON: %s",
			       why.text);
	json_decref(j);
	return 0;
}

static int set_body(json_t *batch, const struct text *body)
{
	json_t *text = memchr(body->data, '\0', body->len) ? NULL : json_stringn(body->data, body->len);
	struct text encoded = {0};

	if (text)
		return json_object_set_new(batch, "body", text);
	text_reserve(&encoded, 0);
	text_add_base64(&encoded, body->data, body->len);
	json_object_set_new(batch, "body_base64", json_stringn(encoded.data, encoded.len));
	text_clear(&encoded);
	return 0;
}

/* ---- the batch ---- */

static int set_text(json_t *batch, const char *member, const char *value, struct err *e)
{
	json_t *j;

	if (!value)
		return 0;
	j = json_string(value);
	if (!j)
		return err_set(e, ERR_USAGE, NULL, "the value of %s is not valid UTF-8", member);
	return json_object_set_new(batch, member, j);
}

static void set_number(json_t *batch, const char *member, const char *value)
{
	if (value)
		json_object_set_new(batch, member, json_integer(strtoll(value, NULL, 10)));
}

/* Every submission has a key, so that it can be repeated when its answer is lost. */
static int set_key(json_t *batch, const char *given, struct err *e)
{
	unsigned char random[16];
	char key[sizeof "auto-" + 2 * sizeof random];
	size_t n;

	if (given)
		return set_text(batch, "key", given, e);
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return err_set(e, ERR_SYSTEM, NULL, "no random bytes");
	n = (size_t)snprintf(key, sizeof key, "auto-");
	for (size_t i = 0; i < sizeof random; i++)
		n += (size_t)snprintf(key + n, sizeof key - n, "%02x", random[i]);
	return set_text(batch, "key", key, e);
}

/* Which member of the batch an option is. */
static const struct {
	const char *member;
	size_t offset; /* in struct args */
	enum { AS_TEXT, AS_NUMBER, AS_FLAG } kind;
} members[] = {
#define MEMBER(field, kind)                                \
	{                                                  \
#field, offsetof(struct args, field), kind \
	}
    MEMBER(name, AS_TEXT),           MEMBER(method, AS_TEXT),
    MEMBER(timeout, AS_TEXT),        MEMBER(connect_timeout, AS_TEXT),
    MEMBER(max_body, AS_TEXT),       MEMBER(rate, AS_TEXT),
    MEMBER(on_limit, AS_TEXT),       MEMBER(deadline, AS_TEXT),
    MEMBER(fail_if, AS_TEXT),        MEMBER(idempotency_key, AS_TEXT),
    MEMBER(concurrency, AS_NUMBER),  MEMBER(priority, AS_NUMBER),
    MEMBER(max_attempts, AS_NUMBER), MEMBER(max_redirects, AS_NUMBER),
    MEMBER(chain, AS_FLAG),          MEMBER(retry_unsafe, AS_FLAG),
};

static int set_members(json_t *batch, const struct args *a, struct err *e)
{
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		const void *field = (const char *)a + members[i].offset;

		if (members[i].kind == AS_FLAG && *(const bool *)field)
			json_object_set_new(batch, members[i].member, json_true());
		else if (members[i].kind == AS_NUMBER)
			set_number(batch, members[i].member, *(const char *const *)field);
		else if (members[i].kind == AS_TEXT &&
			 set_text(batch, members[i].member, *(const char *const *)field, e) < 0)
			return -1;
	}
	return 0;
}

static int set_user(json_t *batch, const struct args *a, struct err *e)
{
	char *user = a->user ? password_complete(a->user, e) : NULL;
	int rc = a->user && !user ? -1 : set_text(batch, "user", user, e);

	free(user);
	return rc;
}

static int set_headers(json_t *batch, const struct args *a, enum data_kind kind, struct err *e)
{
	json_t *headers = headers_read(a, e);

	if (!headers)
		return -1;
	if (a->data.count && kind == DATA_JSON)
		headers_default(headers, "Accept", "application/json");
	if (a->data.count)
		headers_default(headers, "Content-Type",
				kind == DATA_JSON ? "application/json" : "application/x-www-form-urlencoded");
	if (json_array_size(headers))
		json_object_set(batch, "headers", headers);
	json_decref(headers);
	return 0;
}

char *request_options_json(const struct args *a, struct err *e)
{
	enum data_kind kind = DATA_FORM;
	struct text body = {0};
	json_t *batch = json_object();
	char *dumped = NULL;

	if (set_key(batch, a->key, e) < 0 || set_members(batch, a, e) < 0 || gather_data(a, &body, &kind, e) < 0 ||
	    check_json(a, kind, &body, e) < 0)
		goto out;
	if (a->data.count)
		set_body(batch, &body);
	if (set_headers(batch, a, kind, e) < 0 || set_user(batch, a, e) < 0)
		goto out;
	dumped = json_dumps(batch, JSON_COMPACT);
	if (!dumped)
		err_set(e, ERR_USAGE, NULL, "an option's value is not valid UTF-8");
out:
	json_decref(batch);
	text_clear(&body);
	return dumped;
}

/* ---- the jobs ---- */

uint64_t request_count(const struct args *a)
{
	uint64_t count = 0, one, repeat = a->repeat ? strtoull(a->repeat, NULL, 10) : 1;
	struct glob *g;

	if (a->input)
		return UINT64_MAX;
	for (size_t i = 0; i < a->operand_count; i++) {
		g = a->globoff ? NULL : glob_create(a->operands[i], NULL);
		one = g ? glob_count(g) : 1;
		glob_free(g);
		if (__builtin_mul_overflow(one, repeat, &one) || __builtin_add_overflow(count, one, &count))
			return UINT64_MAX;
	}
	return count;
}

bool request_is_stream(const struct args *a)
{
	struct stat st;

	if (!a->input || a->hold)
		return false;
	if (strcmp(a->input, "-") == 0)
		return fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode);
	return stat(a->input, &st) == 0 && !S_ISREG(st.st_mode);
}

static int add_operand(struct feed *f, const struct args *a, const char *url, struct err *e)
{
	struct text one = {0};
	struct glob *g;
	int rc = 0;

	if (a->globoff)
		return feed_add_url(f, url, strlen(url), 0, e);
	g = glob_create(url, e);
	if (!g)
		return -1;
	while (rc == 0 && glob_next(g, &one))
		rc = ctl_interrupted() ? err_set(e, ERR_NONE, NULL, "interrupted")
				       : feed_add_url(f, one.data, one.len, 0, e);
	glob_free(g);
	text_clear(&one);
	return rc;
}

/* Each line stands alone: what is wrong with one is told, and the next is looked at. */
static int add_line(struct feed *f, const char *line, size_t len, unsigned number, struct err *e)
{
	struct err why;

	if (line[0] == '[')
		err_set(&why, ERR_INPUT, "one object a line, without brackets and commas around: jq -c '.[]'",
			"a JSON array begins here");
	else if (line[0] != '{')
		return feed_add_url(f, line, len, number, e);
	else if (line[len - 1] != '}')
		err_set(&why, ERR_INPUT, "one whole JSON object a line", "the JSON object does not end on its line");
	else
		return feed_add_json(f, line, len, number, e);
	return feed_refuse(f, number, &why, e);
}

static int refuse_long(struct feed *f, unsigned number, struct err *e)
{
	struct err why;

	err_set(&why, ERR_INPUT, NULL, "the line is longer than %u bytes", INPUT_LINE_MAX_BYTES);
	return feed_refuse(f, number, &why, e);
}

static bool is_gzip(const char *line, size_t len)
{
	return len >= 2 && memcmp(line, "\x1f\x8b", 2) == 0; /* RFC 1952, section 2.3.1 */
}

static int add_input(struct feed *f, struct input *in, struct err *e)
{
	const char *line;
	size_t len;
	int rc = 0;

	while (rc == 0) {
		switch (input_next(in, f->jobs > 0, &line, &len, e)) {
		case INPUT_LINE:
			if (input_line_number(in) == 1 && is_gzip(line, len))
				rc = err_set(e, ERR_INPUT, "zcat FILE | fanoutctl submit -i -",
					     "%.200s looks like gzip: it is read as text", input_name(in));
			else if (len && line[0] != '#')
				rc = add_line(f, line, len, input_line_number(in), e);
			break;
		case INPUT_TOO_LONG:
			rc = refuse_long(f, input_line_number(in), e);
			break;
		case INPUT_PAUSE:
			rc = feed_flush(f, e);
			break;
		case INPUT_END:
			return 0;
		case INPUT_ERROR:
			return -1;
		}
	}
	return rc;
}

/* There is one standard input. */
static int check_stdin(const struct args *a, struct err *e)
{
	unsigned readers = a->input && strcmp(a->input, "-") == 0;

	for (size_t i = 0; i < a->data.count; i++)
		readers += strcmp(a->data.values[i].text, "@-") == 0;
	for (size_t i = 0; i < a->headers.count; i++)
		readers += strcmp(a->headers.values[i].text, "@-") == 0;
	if (readers < 2)
		return 0;
	return err_set(e, ERR_USAGE, NULL,
		       "stdin can be one of them: the list (-i -), the data (-d @-), the headers (-H @-)");
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* A list was meant: of standard input, of a file, or of a file as -d and -H take it. */
static int refuse_list(const char *word, struct err *e)
{
	const char *path = word + (*word == '@');
	char hint[200];

	if (strcmp(word, "-") == 0)
		return err_set(e, ERR_USAGE, "nothing was submitted", "\"-\" is no URL; did you mean -i -?");
	if (!is_file(path))
		return 0;
	snprintf(hint, sizeof hint, "-i %.100s reads a list of jobs from the file; nothing was submitted", path);
	return err_set(e, ERR_USAGE, hint, "\"%.100s\" is no URL", word);
}

static int check_operands(const struct args *a, struct err *e)
{
	struct err why;
	struct glob *g;

	if (!a->input && a->operand_count == 0)
		return err_set(e, ERR_USAGE, "give URLs, or -i FILE with one URL a line", "no URLs");
	for (size_t i = 0; i < a->operand_count; i++)
		if (!strstr(a->operands[i], "://")) {
			if (refuse_list(a->operands[i], e) < 0)
				return -1;
			url_refuse_bare(a->operands[i], &why);
			return err_set(e, ERR_USAGE, "nothing was submitted", "%s", why.what);
		}
	/* A wrong pattern is told before anything is sent. */
	for (size_t i = 0; !a->globoff && i < a->operand_count; i++) {
		g = glob_create(a->operands[i], e);
		if (!g)
			return -1;
		glob_free(g);
	}
	return check_stdin(a, e);
}

static void tell_many(const struct ctl *ctl)
{
	uint64_t count = request_count(&ctl->args);

	if (!ctl->args.input && count >= MANY_JOBS)
		ctl_note(ctl,
			 "these are %" PRIu64 " jobs: ^C stops handing them over, fanoutctl cancel ends those that"
			 " were",
			 count);
}

static int feed_all(struct feed *f, const struct args *a, struct input *in, struct err *e)
{
	for (size_t i = 0; i < a->operand_count; i++)
		if (add_operand(f, a, a->operands[i], e) < 0)
			return -1;
	if (in && add_input(f, in, e) < 0)
		return -1;
	return feed_finish(f, e);
}

int request_submit(struct ctl *ctl, struct submission *s, void (*on_created)(void *arg, uint32_t batch), void *arg,
		   struct err *e)
{
	const struct args *a = &ctl->args;
	struct feed f = {.repeat = a->repeat ? strtoull(a->repeat, NULL, 10) : 1, .on_created = on_created, .arg = arg};
	json_t *tag = a->tag ? json_string(a->tag) : NULL;
	char *options = NULL, *tag_json = NULL;
	struct input *in = NULL;
	int rc = -1;

	if (check_operands(a, e) < 0 || (a->input && !(in = input_open(a->input, e))))
		goto out;
	options = request_options_json(a, e);
	if (!options || ctl_connect(ctl, e) < 0)
		goto out;
	tag_json = tag ? json_dumps(tag, JSON_ENCODE_ANY) : NULL;
	f.client = ctl->client;
	f.options = options;
	f.tag_json = tag_json;
	f.source = in ? input_name(in) : NULL;
	f.hold = a->hold || (in && input_is_file(in));
	tell_many(ctl);
	rc = feed_all(&f, a, in, e);
	if (rc < 0 && !f.existed)
		feed_abandon(&f, e);
	*s = (struct submission){.batch = f.batch,
				 .jobs = f.taken,
				 .existed = f.existed,
				 .there = f.there,
				 .offered = f.offered,
				 .other = f.other};
out:
	feed_clear(&f);
	input_close(in);
	free(options);
	free(tag_json);
	json_decref(tag);
	return rc;
}

void request_tell_existed(const struct submission *s, bool quiet)
{
	char differs[80] = "the URLs are others now";

	if (s->there != s->offered)
		snprintf(differs, sizeof differs, "%" PRIu64 " job%s then, %" PRIu64 " now", s->there,
			 s->there == 1 ? "" : "s", s->offered);
	if (s->other || s->there != s->offered)
		ctl_warn("submitted before with this key, as batch %" PRIu32 ", and it was another list (%s): nothing"
			 " was added; another list needs another key, as --key nightly-$(date +%%F)",
			 s->batch, differs);
	else if (!quiet)
		fprintf(stderr, "submitted before with this key, as batch %" PRIu32 ": nothing was added\n", s->batch);
}
