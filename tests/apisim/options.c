/* Kinds of option values, and the walk over a table of them. */
#include "tests/apisim/options.h"

#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "tests/apisim/jitter.h"

/* ---- Numbers ---- */

static int read_number(const char *value, double *out)
{
	char *end;

	*out = strtod(value, &end);
	if (end != value && strcmp(end, "s") == 0)
		end++;
	return end == value || *end || !(*out >= 0 && *out < 1e12) ? -1 : 0;
}

int option_count(const char *value, void *out, const char *const *words)
{
	double number;

	(void)words;
	if (read_number(value, &number) < 0)
		return -1;
	*(int64_t *)out = (int64_t)number;
	return 0;
}

int option_signed(const char *value, void *out, const char *const *words)
{
	char *end;

	(void)words;
	*(int64_t *)out = strtoll(value, &end, 10);
	return end == value || *end ? -1 : 0;
}

int option_seconds(const char *value, void *out, const char *const *words)
{
	double number;

	(void)words;
	if (read_number(value, &number) < 0)
		return -1;
	*(int64_t *)out = (int64_t)(number * 1e6 + 0.5);
	return 0;
}

int option_code(const char *value, void *out, const char *const *words)
{
	(void)words;
	*(int *)out = atoi(value);
	return *(int *)out < 200 || *(int *)out > 999 ? -1 : 0;
}

int option_seed(const char *value, void *out, const char *const *words)
{
	char *end;

	(void)words;
	*(uint64_t *)out = strtoull(value, &end, 10);
	return end == value || *end ? -1 : 0;
}

int option_flag(const char *value, void *out, const char *const *words)
{
	(void)words;
	*(bool *)out = strcmp(value, "1") == 0;
	return *(bool *)out || strcmp(value, "0") == 0 ? 0 : -1;
}

int option_jitter(const char *value, void *out, const char *const *words)
{
	char text[64];
	double number;

	(void)words;
	if (read_number(value, &number) < 0)
		return jitter_parse(value, out);
	snprintf(text, sizeof text, "const:%.9f", number);
	return jitter_parse(text, out);
}

/* ---- Words ---- */

int option_word(const char *value, void *out, const char *const *words)
{
	int i;

	for (i = 0; words[i]; i++)
		if (strcmp(words[i], value) == 0) {
			*(int *)out = i;
			return 0;
		}
	return -1;
}

struct word_set {
	const char *const *words;
	unsigned bits;
};

static int add_word(char *element, void *arg)
{
	struct word_set *set = arg;
	int i;

	if (option_word(element, &i, set->words) < 0)
		return -1;
	set->bits |= 1u << i;
	return 0;
}

int option_words(const char *value, void *out, const char *const *words)
{
	struct word_set set = {.words = words};

	if (option_list(value, add_word, &set) < 0)
		return -1;
	*(unsigned *)out = set.bits;
	return 0;
}

int option_text(const char *value, void *out, const char *const *words)
{
	const size_t n = strlen(value);

	(void)words;
	if (n >= OPTION_TEXT_BYTES)
		return -1;
	memcpy(out, value, n + 1);
	return 0;
}

/* ---- Lists ---- */

int option_list(const char *value, int (*take)(char *element, void *arg), void *arg)
{
	char *copy = strdup(value), *save = NULL;
	int result = 0;

	for (char *e = strtok_r(copy, ",; ", &save); e && result == 0; e = strtok_r(NULL, ",; ", &save))
		result = take(e, arg);
	free(copy);
	return result;
}

int option_span(const char *text, struct option_span *out)
{
	char *end;

	if (strcmp(text, "*") == 0) {
		*out = (struct option_span){1, INT64_MAX};
		return 0;
	}
	out->from = out->to = strtoll(text, &end, 10);
	if (end == text)
		return -1;
	if (*end == '-') {
		text = end + 1;
		out->to = strtoll(text, &end, 10);
	}
	return end == text || *end || out->from < 1 || out->to < out->from ? -1 : 0;
}

static int add_span(char *element, void *arg)
{
	struct option_spans *spans = arg;

	return spans->count == OPTION_LIST_MAX ? -1 : option_span(element, &spans->span[spans->count++]);
}

int option_spans(const char *value, void *out, const char *const *words)
{
	(void)words;
	*(struct option_spans *)out = (struct option_spans){0};
	return option_list(value, add_span, out);
}

bool option_spans_have(const struct option_spans *spans, int64_t n)
{
	for (size_t i = 0; i < spans->count; i++)
		if (n >= spans->span[i].from && n <= spans->span[i].to)
			return true;
	return false;
}

static int add_pair(char *element, void *arg)
{
	struct option_pairs *pairs = arg;
	struct option_pair *pair = &pairs->pair[pairs->count];
	int used = 0;

	if (pairs->count == OPTION_LIST_MAX)
		return -1;
	pairs->count++;
	return sscanf(element, "%" SCNd64 ":%" SCNd64 "%n", &pair->key, &pair->value, &used) == 2 && !element[used]
		   ? 0
		   : -1;
}

int option_pairs(const char *value, void *out, const char *const *words)
{
	(void)words;
	*(struct option_pairs *)out = (struct option_pairs){0};
	return option_list(value, add_pair, out);
}

/* ---- Tables ---- */

static int read_option(const struct option_row *table, size_t rows, const struct evkeyval *option, void *out)
{
	for (size_t i = 0; i < rows; i++)
		if (strcmp(table[i].name, option->key) == 0)
			return table[i].read(option->value, (char *)out + table[i].at, table[i].words);
	return -1;
}

void options_name(const struct option_row *table, size_t rows, char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < rows && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", table[i].name);
}

int options_read(const struct option_row *table, size_t rows, const struct evkeyvalq *options, void *out,
		 const char *what, char *why, size_t size)
{
	const struct evkeyval *option;
	char names[OPTION_WHY_BYTES - 256];

	TAILQ_FOREACH (option, options, next)
		if (read_option(table, rows, option, out) < 0) {
			options_name(table, rows, names, sizeof names);
			snprintf(why, size, "%.50s=%.100s is no option of %s, which has %s", option->key, option->value,
				 what, names);
			return -1;
		}
	return 0;
}

char *options_split(const char *text, struct evkeyvalq *options)
{
	char *name = strdup(text);
	char *rest = strchr(name, ',');

	TAILQ_INIT(options);
	for (char *comma = rest; comma; comma = strchr(comma, ','))
		*comma = '&';
	if (rest) {
		*rest++ = '\0';
		evhttp_parse_query_str(rest, options);
	}
	return name;
}
