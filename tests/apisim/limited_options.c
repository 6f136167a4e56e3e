/* What a limit server can be told: the table of options. */
#include <stdio.h>

#include "tests/apisim/limited.h"
#include "tests/apisim/options.h"

static const char *const retry_after_words[] = {"seconds", "date", "none", "garbage", NULL};
static const char *const ratelimit_words[] = {"none", "draft", NULL};
static const char *const x_ratelimit_words[] = {"none", "epoch", "epoch-ms", "delta", NULL};

static int read_kind(const char *value, void *out, const char *const *words)
{
	const char *names[WINDOW_KINDS + 1] = {NULL};
	int kind;

	(void)words;
	for (int k = 0; k < WINDOW_KINDS; k++)
		names[k] = window_kind_name(k);
	if (option_word(value, &kind, names) < 0)
		return -1;
	*(enum window_kind *)out = kind;
	return 0;
}

#define AT(member) offsetof(struct limited_options, member)

static const struct option_row table[] = {
    {"kind", read_kind, AT(window.kind), NULL},
    {"n", option_count, AT(window.n), NULL},
    {"window", option_seconds, AT(window.length_us), NULL},
    {"burst", option_count, AT(window.burst), NULL},
    {"count-refused", option_flag, AT(window.count_refused), NULL},
    {"jitter-in", option_jitter, AT(in), NULL},
    {"jitter-out", option_jitter, AT(out), NULL},
    {"seed", option_seed, AT(seed), NULL},
    {"code", option_code, AT(code), NULL},
    {"refuse-first", option_count, AT(refuse_first), NULL},
    {"tell", option_seconds, AT(tell_us), NULL},
    {"retry-after", option_word, AT(retry_after), retry_after_words},
    {"ratelimit", option_word, AT(ratelimit), ratelimit_words},
    {"x-ratelimit", option_word, AT(x_ratelimit), x_ratelimit_words},
};

void limited_name_options(char *out, size_t size)
{
	options_name(table, sizeof table / sizeof table[0], out, size);
}

int limited_read_options(const struct evkeyvalq *options, struct limited_options *out, char *why, size_t size)
{
	*out =
	    (struct limited_options){.window = {.n = 1, .length_us = 1000000}, .seed = 1, .code = 429, .tell_us = -1};
	if (options_read(table, sizeof table / sizeof table[0], options, out, "a limit", why, size) < 0)
		return -1;
	if (out->window.n < 1 || out->window.length_us < 1) {
		snprintf(why, size, "n and window are to be more than 0");
		return -1;
	}
	if (out->window.burst == 0)
		out->window.burst = out->window.n;
	return 0;
}
