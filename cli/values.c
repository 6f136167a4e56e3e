/* The values of options: one check for each kind. What is refused here is never sent, and told in the words of the
 * command line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/closest.h"
#include "lib/jq.h"
#include "lib/reason.h"
#include "lib/units.h"

static const char *const format_names[] = {
    [FORMAT_TABLE] = "table",
    [FORMAT_JSON] = "json",
    [FORMAT_NDJSON] = "ndjson",
    [FORMAT_CSV] = "csv",
};
_Static_assert(sizeof format_names / sizeof format_names[0] == FORMATS, "every format has a name");

const char *format_name(enum format f)
{
	return format_names[f];
}

int options_number(const char *text, int64_t min, int64_t max, int64_t *value)
{
	char *end;
	long long v;

	if (*text < '0' || *text > '9') /* strtoll would take blanks and signs */
		return -1;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return -1;
	*value = v;
	return 0;
}

/* What all checks are given. */
struct value {
	struct args *args;
	const struct opt *opt;
	const char *prefix, *text;
};

static int check_number(const struct value *v, struct err *e)
{
	int64_t ignored;

	if (options_number(v->text, v->opt->min, v->opt->max, &ignored) == 0)
		return 0;
	return err_set(e, ERR_USAGE, NULL, "%s: --%s takes a whole number from %lld to %lld, not \"%.40s\"", v->prefix,
		       v->opt->name, (long long)v->opt->min, (long long)v->opt->max, v->text);
}

/* An error of lib/units or cli/when, told as one of this option. */
static int blame(const struct value *v, const struct err *why, struct err *e)
{
	return err_set(e, ERR_USAGE, why->hint, "%s: --%s: %.300s", v->prefix, v->opt->name, why->what);
}

static int check_duration(const struct value *v, struct err *e)
{
	char least[UNITS_TEXT_SIZE], most[UNITS_TEXT_SIZE];
	struct err why;
	int64_t us;

	if (units_parse_duration_us(v->text, &us, &why) < 0)
		return blame(v, &why, e);
	if (v->opt->max == 0 || (us >= v->opt->min && us <= v->opt->max))
		return 0;
	return err_set(e, ERR_USAGE, NULL, "%s: --%s takes a time from %s to %s, not \"%.40s\"", v->prefix,
		       v->opt->name, units_format_duration(least, v->opt->min),
		       units_format_duration(most, v->opt->max), v->text);
}

static int check_bytes(const struct value *v, struct err *e)
{
	struct err why;
	int64_t ignored;

	return units_parse_bytes(v->text, &ignored, &why) < 0 ? blame(v, &why, e) : 0;
}

static int check_rate(const struct value *v, struct err *e)
{
	struct rate ignored;
	struct err why;

	return units_parse_rate(v->text, &ignored, &why) < 0 ? blame(v, &why, e) : 0;
}

static int check_time(const struct value *v, struct err *e)
{
	struct err why;
	int64_t ignored;

	return when_parse_given(v->text, clock_wall_us(), &ignored, &why) < 0 ? blame(v, &why, e) : 0;
}

static int check_format(const struct value *v, struct err *e)
{
	for (int f = 0; f < FORMATS; f++) {
		if (strcmp(v->text, format_names[f]) == 0) {
			v->args->format = (enum format)f;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "-f takes table, json, ndjson or csv", "%s: there is no format \"%.40s\"",
		       v->prefix, v->text);
}

static int check_state(const char *prefix, const char *word, struct err *e)
{
	struct closest near = {.word = word};

	if (job_state_parse(word) >= 0)
		return 0;
	for (int s = 0; s < JOB_STATES; s++)
		closest_offer(&near, job_state_name((enum job_state)s));
	return err_set(e, ERR_USAGE,
		       "states are blocked, queued, running, done, failed and cancelled; several: done,failed",
		       "%s: there is no state \"%.40s\"%s%s%s", prefix, word, near.name ? "; did you mean " : "",
		       near.name ? near.name : "", near.name ? "?" : "");
}

static int check_states(const struct value *v, struct err *e)
{
	const char *text = v->text;
	char word[64];

	for (;; text++) {
		size_t len = strcspn(text, ",");

		snprintf(word, sizeof word, "%.*s", (int)len, text);
		if (check_state(v->prefix, word, e) < 0)
			return -1;
		text += len;
		if (!*text)
			return 0;
	}
}

static int check_choice(const struct value *v, struct err *e)
{
	char words[80], *rest = words, *word;
	struct closest near = {.word = v->text};

	snprintf(words, sizeof words, "%s", v->opt->choices);
	while ((word = strsep(&rest, " "))) {
		if (strcmp(word, v->text) == 0)
			return 0;
		closest_offer(&near, word);
	}
	return err_set(e, ERR_USAGE, NULL, "%s: --%s takes %s, not \"%.40s\"%s%s%s", v->prefix, v->opt->name,
		       v->opt->arg, v->text, near.name ? "; did you mean " : "", near.name ? near.name : "",
		       near.name ? "?" : "");
}

static int check_jq(const struct value *v, struct err *e)
{
	struct err why;

	if (strlen(v->text) > JQ_PROGRAM_MAX)
		return err_set(e, ERR_USAGE, NULL, "%s: --%s: the program is longer than %d bytes", v->prefix,
			       v->opt->name, JQ_PROGRAM_MAX);
	if (jq_program_check(v->text, &why) == 0)
		return 0;
	if (!why.hint[0])
		snprintf(why.hint, sizeof why.hint,
			 "jq(1) has the language, and jq 'EXPR' FILE tries it on a body: "
			 "fanoutctl get JOB -o FILE");
	return blame(v, &why, e);
}

static int (*const checks[OPT_KINDS])(const struct value *v, struct err *e) = {
    [OPT_NUMBER] = check_number, [OPT_DURATION] = check_duration, [OPT_BYTES] = check_bytes,
    [OPT_FORMAT] = check_format, [OPT_STATES] = check_states,     [OPT_CHOICE] = check_choice,
    [OPT_RATE] = check_rate,     [OPT_RATES] = check_rate,        [OPT_TIME] = check_time,
    [OPT_JQ] = check_jq,
};

int values_check(struct args *args, const struct opt *o, const char *prefix, const char *text, struct err *e)
{
	const struct value v = {args, o, prefix, text};

	return checks[o->kind] ? checks[o->kind](&v, e) : 0;
}
