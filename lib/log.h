/* One line per event, key=value, on stderr; under systemd with the journal's priority prefix (sd-daemon(3)), and where
 * stderr is a file with the time (RFC 3339, in UTC): nobody else puts it there.
 *
 * A line begins with what happened, then its pairs: `log_info("worker started", "pid=%d n=%d", pid, n)` writes
 * "fanoutd: worker started pid=12 n=0". Values that came from outside go through log_quote(). */
#ifndef FANOUT_LIB_LOG_H
#define FANOUT_LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVELS };

/* `program` is kept by reference. */
void log_open(const char *program, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug"; -1 when `name` is none of them. */
int log_level_parse(const char *name);

void log_write(enum log_level level, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(what, ...) log_write(LOG_LEVEL_ERROR, what, __VA_ARGS__)
#define log_warn(what, ...)  log_write(LOG_LEVEL_WARN, what, __VA_ARGS__)
#define log_info(what, ...)  log_write(LOG_LEVEL_INFO, what, __VA_ARGS__)
#define log_debug(what, ...)                                           \
	do {                                                           \
		if (log_get_level() >= LOG_LEVEL_DEBUG)                \
			log_write(LOG_LEVEL_DEBUG, what, __VA_ARGS__); \
	} while (0)

/* Copies `text` into `out` as one printable, quoted token: control bytes, quotes and backslashes become \xNN, long text
 * is cut with "...". Returns `out`. */
const char *log_quote(char *out, size_t size, const char *text);

#endif
