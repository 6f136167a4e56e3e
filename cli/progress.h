/* How far a batch is: one line, redrawn on a terminal, or written every ten seconds elsewhere. Time is an argument. */
#ifndef FANOUT_CLI_PROGRESS_H
#define FANOUT_CLI_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/text.h"
#include "lib/reason.h"

#define PROGRESS_SAMPLES 32

struct progress {
	bool run;         /* of a pull */
	int64_t expected; /* then: how many pages there will be; -1: not known */
	uint32_t batch;
	char state[16];
	bool stalled; /* the daemon's disk is full */
	int64_t counts[JOB_STATES];
	struct {
		int64_t at_us, ended; /* jobs that had been done or failed */
	} samples[PROGRESS_SAMPLES];
	unsigned count, next;
	int64_t left_us;      /* by the daemon's forecast, which knows of limits; 0: none */
	bool unforeseen;      /* it says that nothing can be said: all attempts at a host fail, say */
	int64_t shown_us;     /* when it was last drawn; 0: never */
	bool drawn;           /* there is a line on the terminal to be wiped */
	struct text waits;    /* what holds it up: a limit, or that attempts fail (cli/explain); "" */
	int64_t goes_on_us;   /* when that ends; not positive: not known */
	int64_t explained_us; /* when that was asked for */
	/* How the line is made, where it is not progress_format. */
	void (*format)(const struct progress *p, unsigned width, struct text *line);
};

void progress_clear(struct progress *p);
/* Takes over what the API says of a batch. */
void progress_update(struct progress *p, const json_t *batch, int64_t now_us);
int64_t progress_ended(const struct progress *p);
int64_t progress_worked(const struct progress *p); /* of these, what was done or failed: what the speed is counted by */
int64_t progress_total(const struct progress *p);
/* How many there will be in all; -1: of a run, where that is not known. */
int64_t progress_whole(const struct progress *p);
/* Jobs a second over the last few seconds; 0 where nothing can be said. */
double progress_rate(const struct progress *p);
/* The line, in at most `width` columns (0: any), most important first. */
void progress_format(const struct progress *p, unsigned width, struct text *line);
/* The pieces that it is made of: ", PART" where there is room for it, the width that is left for parts that matter less
 * than what holds it up (and `taken` more), "; WAITS" cut to the room, the time left in seconds (0: not known), and a
 * bar in front of what was said, where there is room for one. */
void progress_add_part(struct text *line, unsigned width, const char *part);
unsigned progress_beside_waits(const struct progress *p, unsigned width, size_t taken);
void progress_add_speed(const struct progress *p, unsigned width, double seconds_left, struct text *said);
void progress_add_waits(const struct progress *p, unsigned width, struct text *said);
double progress_seconds_left(const struct progress *p);
const char *progress_time_left(char *out, double seconds); /* UNITS_TEXT_SIZE */
void progress_add_bar(double share, unsigned width, const struct text *said, struct text *line);

/* Draws it on stderr when it is time to, and how long it is until then. */
int64_t progress_due_us(const struct progress *p, int64_t now_us);
void progress_draw(struct progress *p, int64_t now_us);
void progress_wipe(struct progress *p);
/* Whether it is drawn again and again: stderr is a terminal. */
bool progress_moves(void);

/* "98 done, 2 failed in 3.210 s", of an ended batch. */
/* For how long it was worked at: without the time between an end and the owner's retry. -1 where that is not known. */
int64_t progress_active_us(const json_t *batch);
void progress_summary(const json_t *batch, struct text *out);
/* The exit status that goes with a batch's final state, or the verdict of one that is a run; -1 while it has not ended.
 */
int progress_exit_status(const json_t *batch);

#endif
