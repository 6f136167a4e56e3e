/* Lines of a file or a pipe, read in large pieces, with their numbers. Says when a pipe pauses, so that what came so
 * far can go on its way. */
#ifndef FANOUT_CLI_INPUT_H
#define FANOUT_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

struct input;

#define INPUT_LINE_MAX_BYTES (2u << 20) /* what the daemon takes as one job */

enum input_next { INPUT_LINE, INPUT_TOO_LONG, INPUT_PAUSE, INPUT_END, INPUT_ERROR };

/* `path` is kept by reference; "-" is stdin. */
struct input *input_open(const char *path, struct err *e);
void input_close(struct input *in);
/* True when it is a file that is there as a whole. */
bool input_is_file(const struct input *in);
/* How messages call it: "urls.txt", "standard input". */
const char *input_name(const struct input *in);

/* The next line, without its end and the blanks around it; *line lives until the next call. INPUT_PAUSE comes only when
 * `may_pause` is set, after 50 ms without input. INPUT_TOO_LONG: one that is, and is passed over. */
enum input_next input_next(struct input *in, bool may_pause, const char **line, size_t *len, struct err *e);
/* Of the line last returned, from 1. */
unsigned input_line_number(const struct input *in);

/* All of a file ("-": stdin), up to `max` bytes; the caller frees. */
char *input_read_whole(const char *path, size_t max, size_t *len, struct err *e);

#endif
