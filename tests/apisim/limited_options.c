/* What a limit server can be told: the table of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/limited.h"

/* ---- Kinds of values ---- */

static int read_number(const char *value, double *out)
{
	char *end;

	*out = strtod(value, &end);
	if (end != value && strcmp(end, "s") == 0)
		end++;
	return end == value || *end || !(*out >= 0 && *out < 1e12) ? -1 : 0;
}

static int read_count(const char *value, void *out)
{
	double number;

	if (read_number(value, &number) < 0)
		return -1;
	*(int64_t *)out = (int64_t)number;
	return 0;
}

static int read_seconds(const char *value, void *out)
{
	double number;

	if (read_number(value, &number) < 0)
		return -1;
	*(int64_t *)out = (int64_t)(number * 1e6 + 0.5);
	return 0;
}

static int read_code(const char *value, void *out)
{
	*(int *)out = atoi(value);
	return *(int *)out < 200 || *(int *)out > 999 ? -1 : 0;
}

static int read_seed(const char *value, void *out)
{
	char *end;

	*(uint64_t *)out = strtoull(value, &end, 10);
	return end == value || *end ? -1 : 0;
}

static int read_flag(const char *value, void *out)
{
	*(bool *)out = strcmp(value, "1") == 0;
	return *(bool *)out || strcmp(value, "0") == 0 ? 0 : -1;
}

static int read_jitter(const char *value, void *out)
{
	return jitter_parse(value, out);
}

static int read_word(const char *value, const char *const words[], int *out)
{
	for (*out = 0; words[*out]; ++*out)
		if (strcmp(words[*out], value) == 0)
			return 0;
	return -1;
}

static int read_kind(const char *value, void *out)
{
	for (int k = 0; k < WINDOW_KINDS; k++)
		if (strcmp(window_kind_name(k), value) == 0) {
			*(enum window_kind *)out = k;
			return 0;
		}
	return -1;
}

static int read_retry_after(const char *value, void *out)
{
	static const char *const words[] = {"seconds", "date", "none", "garbage", NULL};

	return read_word(value, words, out);
}

static int read_ratelimit(const char *value, void *out)
{
	static const char *const words[] = {"none", "draft", NULL};

	return read_word(value, words, out);
}

static int read_x_ratelimit(const char *value, void *out)
{
	static const char *const words[] = {"none", "epoch", "epoch-ms", "delta", NULL};

	return read_word(value, words, out);
}

/* ---- The table ---- */

static const struct {
	const char *name;
	int (*read)(const char *value, void *out);
	size_t at;
} table[] = {
    {"kind", read_kind, offsetof(struct limited_options, window.kind)},
    {"n", read_count, offsetof(struct limited_options, window.n)},
    {"window", read_seconds, offsetof(struct limited_options, window.length_us)},
    {"burst", read_count, offsetof(struct limited_options, window.burst)},
    {"count-refused", read_flag, offsetof(struct limited_options, window.count_refused)},
    {"jitter-in", read_jitter, offsetof(struct limited_options, in)},
    {"jitter-out", read_jitter, offsetof(struct limited_options, out)},
    {"seed", read_seed, offsetof(struct limited_options, seed)},
    {"code", read_code, offsetof(struct limited_options, code)},
    {"refuse-first", read_count, offsetof(struct limited_options, refuse_first)},
    {"tell", read_seconds, offsetof(struct limited_options, tell_us)},
    {"retry-after", read_retry_after, offsetof(struct limited_options, retry_after)},
    {"ratelimit", read_ratelimit, offsetof(struct limited_options, ratelimit)},
    {"x-ratelimit", read_x_ratelimit, offsetof(struct limited_options, x_ratelimit)},
};

static int read_option(const struct evkeyval *option, struct limited_options *out)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strcmp(table[i].name, option->key) == 0)
			return table[i].read(option->value, (char *)out + table[i].at);
	return -1;
}

int limited_read_options(const struct evkeyvalq *options, struct limited_options *out, char *why, size_t size)
{
	const struct evkeyval *option;

	*out =
	    (struct limited_options){.window = {.n = 1, .length_us = 1000000}, .seed = 1, .code = 429, .tell_us = -1};
	TAILQ_FOREACH (option, options, next)
		if (read_option(option, out) < 0) {
			snprintf(why, size, "%.50s=%.100s is no option of a limit", option->key, option->value);
			return -1;
		}
	if (out->window.n < 1 || out->window.length_us < 1) {
		snprintf(why, size, "n and window are to be more than 0");
		return -1;
	}
	if (out->window.burst == 0)
		out->window.burst = out->window.n;
	return 0;
}
