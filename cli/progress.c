/* The progress line. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/units.h"

#define REDRAW_US   INT64_C(100000)
#define SAY_US      INT64_C(10000000)
#define WINDOW_US   INT64_C(5000000) /* that the rate is taken over */
#define BAR_LEAST   12u
#define BAR_MOST    40u
#define WAITS_LEAST 8 /* of a reason that is cut: "the rate" */

void progress_update(struct progress *p, const json_t *batch, int64_t now_us)
{
	const json_t *counts = json_object_get(batch, "counts"), *expected = json_object_get(batch, "expected");
	const char *state = json_string_value(json_object_get(batch, "state"));
	int64_t eta_us = when_parse_us(json_string_value(json_object_get(batch, "eta"))), wall_us = clock_wall_us();

	p->left_us = eta_us > wall_us ? eta_us - wall_us : 0;
	p->unforeseen = json_is_null(json_object_get(batch, "eta"));
	p->batch = (uint32_t)json_integer_value(json_object_get(batch, "batch"));
	p->run = json_is_true(json_object_get(batch, "run"));
	p->stalled = json_is_string(json_object_get(batch, "stalled"));
	p->expected = json_is_integer(expected) ? json_integer_value(expected) : -1;
	snprintf(p->state, sizeof p->state, "%s", state ? state : "");
	for (int s = 0; s < JOB_STATES; s++)
		p->counts[s] = json_integer_value(json_object_get(counts, job_state_name((enum job_state)s)));
	/* Spread over the window: a sample that comes sooner takes the last one's place. */
	if (p->count) {
		unsigned last = (p->next + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;
		unsigned before = (last + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;

		if (p->count > 1 && now_us - p->samples[before].at_us < WINDOW_US / PROGRESS_SAMPLES) {
			p->next = last;
			p->count--;
		}
	}
	p->samples[p->next].at_us = now_us;
	p->samples[p->next].ended = progress_worked(p);
	p->next = (p->next + 1) % PROGRESS_SAMPLES;
	if (p->count < PROGRESS_SAMPLES)
		p->count++;
}

int64_t progress_ended(const struct progress *p)
{
	return p->counts[JOB_DONE] + p->counts[JOB_FAILED] + p->counts[JOB_CANCELLED];
}

int64_t progress_worked(const struct progress *p)
{
	return p->counts[JOB_DONE] + p->counts[JOB_FAILED];
}

int64_t progress_total(const struct progress *p)
{
	int64_t n = 0;

	for (int s = 0; s < JOB_STATES; s++)
		n += p->counts[s];
	return n;
}

int64_t progress_whole(const struct progress *p)
{
	int64_t jobs = progress_total(p);

	if (!p->run)
		return jobs;
	return p->expected < 0 ? -1 : p->expected > jobs ? p->expected : jobs;
}

double progress_rate(const struct progress *p)
{
	unsigned last = (p->next + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;

	/* From the oldest sample that is still within the window. */
	for (unsigned n = p->count; n > 1; n--) {
		unsigned i = (p->next + PROGRESS_SAMPLES - n) % PROGRESS_SAMPLES;
		int64_t us = p->samples[last].at_us - p->samples[i].at_us;

		if (us > 0 && (us <= WINDOW_US || n == 2)) {
			int64_t jobs = p->samples[last].ended - p->samples[i].ended;

			return jobs > 0 ? (double)jobs * 1e6 / (double)us : 0;
		}
	}
	return 0;
}

/* Always as long on the same terminal: it moves as the work does, and not as the words behind it come and go. */
void progress_add_bar(double share, unsigned width, const struct text *said, struct text *line)
{
	unsigned bar = width / 4 < BAR_LEAST ? BAR_LEAST : width / 4 > BAR_MOST ? BAR_MOST : width / 4;
	unsigned full = (unsigned)((double)bar * share + 1e-9);

	if (width < said->len + bar + 3)
		return;
	text_add_char(line, '[');
	for (unsigned i = 0; i < bar; i++)
		text_add_char(line, i < full ? '#' : '-');
	text_add_str(line, "] ");
}

void progress_add_part(struct text *line, unsigned width, const char *part)
{
	if (!width || line->len + 2 + strlen(part) <= width) {
		text_add_str(line, ", ");
		text_add_str(line, part);
	}
}

unsigned progress_beside_waits(const struct progress *p, unsigned width, size_t taken)
{
	size_t needed = taken + (p->waits.len ? p->waits.len + 2 : 0);

	return !width ? 0 : width > needed ? width - (unsigned)needed : 1;
}

/* As many words as fit; too few of them say nothing. */
static size_t cut_words(const char *text, size_t n, size_t room)
{
	if (n <= room)
		return n;
	n = room > 3 ? room - 3 : 0;
	while (n > 0 && text[n] != ' ')
		n--;
	while (n > 0 && strchr(" (,:;", text[n - 1]))
		n--;
	if (n > 3 && memcmp(text + n - 3, " of", 3) == 0)
		n -= 3;
	return n < WAITS_LEAST ? 0 : n;
}

/* "12 attempts failed: ...Connection refused": the peer in the middle says less than the end, where there is one. */
static bool add_ends(const char *text, size_t room, struct text *said)
{
	const char *first = strstr(text, ": "), *last = first;

	if (!first || (first[2] >= '0' && first[2] <= '9')) /* a status says most itself */
		return false;
	for (const char *next; (next = strstr(last + 2, ": "));)
		last = next;
	if (last == first || (size_t)(first - text) + strlen(last) + 3 > room)
		return false;
	text_printf(said, "; %.*s: ...%s", (int)(first - text), text, last + 2);
	return true;
}

static void add_goes_on(const struct progress *p, unsigned width, struct text *said)
{
	int64_t left_us = p->goes_on_us > 0 ? p->goes_on_us - clock_wall_us() : 0;
	char part[80], left[UNITS_TEXT_SIZE];

	if (left_us <= 0)
		return;
	snprintf(part, sizeof part, "goes on in %s", progress_time_left(left, (double)left_us / 1e6));
	progress_add_part(said, width, part);
}

void progress_add_waits(const struct progress *p, unsigned width, struct text *said)
{
	size_t room = !width ? p->waits.len : width > said->len + 2 ? width - said->len - 2 : 0, n;

	if (!p->waits.len || p->stalled) /* which was said, and is nearer */
		return;
	n = cut_words(p->waits.data, p->waits.len, room);
	if (n == p->waits.len || !add_ends(p->waits.data, room, said)) {
		if (!n)
			return;
		text_add_str(said, "; ");
		text_add(said, p->waits.data, n);
		text_add_str(said, n < p->waits.len ? "..." : "");
	}
	add_goes_on(p, width, said);
}

/* An estimate has no decimals. */
const char *progress_time_left(char *out, double seconds)
{
	int64_t s = (int64_t)(seconds + 0.999);

	if (s >= 60)
		return units_format_duration(out, s * 1000000);
	snprintf(out, UNITS_TEXT_SIZE, "%d s", (int)s);
	return out;
}

/* All that is left is changed at one stroke, without being fetched. */
static bool is_swept(const struct progress *p)
{
	static const char *const words[] = {"cancelling", "failing", "retrying", "removing"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(p->state, words[i]) == 0)
			return true;
	return false;
}

/* At the speed of the last seconds, or by the forecast, whichever is later: under a limit, a burst is soon over, and
 * what other hosts do says nothing of one where all attempts fail. */
double progress_seconds_left(const struct progress *p)
{
	int64_t whole = progress_whole(p), jobs = (whole < 0 ? progress_total(p) : whole) - progress_ended(p);
	double rate = progress_rate(p);
	double by_rate = rate > 0 ? (double)jobs / rate : 0, by_forecast = (double)p->left_us / 1e6;

	if (jobs == 0 || p->unforeseen || p->stalled || is_swept(p))
		return 0;
	return by_rate > by_forecast ? by_rate : by_forecast;
}

void progress_add_speed(const struct progress *p, unsigned width, double seconds, struct text *said)
{
	char speed[40], left[UNITS_TEXT_SIZE], done_in[UNITS_TEXT_SIZE + sizeof " left"] = "";
	double rate = progress_rate(p);

	if (seconds > 0)
		snprintf(done_in, sizeof done_in, "%s left", progress_time_left(left, seconds));
	if (rate > 0) {
		snprintf(speed, sizeof speed, rate < 10 ? "%.1f/s" : "%.0f/s", rate);
		progress_add_part(said, progress_beside_waits(p, width, *done_in ? strlen(done_in) + 2 : 0), speed);
	}
	if (*done_in)
		progress_add_part(said, width, done_in);
}

void progress_format(const struct progress *p, unsigned width, struct text *line)
{
	int64_t total = progress_whole(p), ended = progress_ended(p);
	char part[80];
	struct text said = {0};

	text_printf(&said, "%s %u: %lld", p->run ? "run" : "batch", p->batch, (long long)ended);
	if (total >= 0)
		text_printf(&said, " of %lld", (long long)total);
	if (p->run)
		text_add_str(&said, (total < 0 ? ended : total) == 1 ? " page" : " pages");
	else if (strcmp(p->state, "open") == 0)
		text_add_str(&said, " or more");
	if (p->counts[JOB_FAILED]) {
		snprintf(part, sizeof part, "%lld failed", (long long)p->counts[JOB_FAILED]);
		progress_add_part(&said, width, part);
	}
	if (strcmp(p->state, "running") != 0 && strcmp(p->state, "open") != 0)
		progress_add_part(&said, width, p->state);
	if (p->stalled)
		progress_add_part(&said, width, "the disk is full");
	progress_add_speed(p, width, total < 0 ? 0 : progress_seconds_left(p), &said);
	if (p->counts[JOB_RUNNING] && !p->stalled) { /* else they have ended, and cannot be stored */
		snprintf(part, sizeof part, "%lld running", (long long)p->counts[JOB_RUNNING]);
		progress_add_part(&said, progress_beside_waits(p, width, 0), part);
	}
	progress_add_waits(p, width, &said);
	if (total >= 0)
		progress_add_bar(total ? (double)ended / (double)total : 0, width, &said, line);
	text_add(line, said.data, width && said.len > width ? width : said.len);
	text_clear(&said);
}

bool progress_moves(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

int64_t progress_due_us(const struct progress *p, int64_t now_us)
{
	int64_t left = p->shown_us + (progress_moves() ? REDRAW_US : SAY_US) - now_us;

	return !p->shown_us || left < 0 ? 0 : left;
}

/* Of the terminal, less one; where it does not know, of the environment. */
static unsigned terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long n;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1u;
	n = columns ? strtol(columns, NULL, 10) : 0;
	return n > 1 && n < 10000 ? (unsigned)n - 1 : 79;
}

void progress_draw(struct progress *p, int64_t now_us)
{
	bool moves = progress_moves();
	struct text line = {0};

	if (p->shown_us == 0 && !moves)
		p->shown_us = now_us; /* the first line comes after ten seconds: what ends sooner needs none */
	if (p->shown_us && now_us - p->shown_us < (moves ? REDRAW_US : SAY_US))
		return;
	p->shown_us = now_us;
	(p->format ? p->format : progress_format)(p, moves ? terminal_width() : 0, &line);
	fprintf(stderr, moves ? "\r%s\033[K" : "%s\n", line.data);
	fflush(stderr);
	p->drawn = moves;
	text_clear(&line);
}

void progress_wipe(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}

void progress_clear(struct progress *p)
{
	text_clear(&p->waits);
}

int64_t progress_active_us(const json_t *batch)
{
	const json_t *active = json_object_get(batch, "active_us");
	int64_t from = when_parse_us(json_string_value(json_object_get(batch, "submitted_at")));
	int64_t to = when_parse_us(json_string_value(json_object_get(batch, "ended_at")));

	if (json_is_integer(active))
		return json_integer_value(active);
	to = to < 0 ? clock_wall_us() : to; /* an older daemon */
	return from >= 0 && to >= from ? to - from : -1;
}

void progress_summary(const json_t *batch, struct text *out)
{
	static const enum job_state order[] = {JOB_DONE, JOB_FAILED, JOB_CANCELLED};
	const json_t *counts = json_object_get(batch, "counts");
	int64_t active = progress_active_us(batch);
	char took[UNITS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		const char *name = job_state_name(order[i]);
		json_int_t n = json_integer_value(json_object_get(counts, name));

		if (n || i == 0)
			text_printf(out, "%s%lld %s", i ? ", " : "", (long long)n, name);
	}
	if (active >= 0 && json_is_string(json_object_get(batch, "ended_at")))
		text_printf(out, " in %s", units_format_duration(took, active));
}

int progress_exit_status(const json_t *batch)
{
	static const struct {
		const char *word;
		int status;
	} ends[] = {{"done", STATUS_FINE},     {"failed", STATUS_FAILED}, {"cancelled", STATUS_CANCELLED},
		    {"complete", STATUS_FINE}, {"partial", STATUS_FINE},  {"incomplete", STATUS_FAILED}};
	const char *verdict = json_string_value(json_object_get(batch, "verdict"));
	const char *word = verdict ? verdict : json_string_value(json_object_get(batch, "state"));

	for (size_t i = 0; word && i < sizeof ends / sizeof ends[0]; i++)
		if (strcmp(word, ends[i].word) == 0)
			return ends[i].status;
	return -1;
}
