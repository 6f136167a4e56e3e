/* Log lines. Each is put together in one buffer and written with one write(2), so that the lines of the daemon and its
 * workers, which share a stderr, never run into each other. */
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048

static const struct {
	const char *name;
	const char *journal; /* sd-daemon(3) */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", SD_ERR},
    [LOG_LEVEL_WARN] = {"warn", SD_WARNING},
    [LOG_LEVEL_INFO] = {"info", SD_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", SD_DEBUG},
};
_Static_assert(sizeof levels / sizeof levels[0] == LOG_LEVELS, "every level has a name");

static const char *log_program = "fanout";
static enum log_level log_level = LOG_LEVEL_INFO;
static bool log_journal, log_file;

/* systemd.exec(5): JOURNAL_STREAM names the device and inode of the stream it gave. The variable is inherited by
 * processes whose stderr leads elsewhere, hence the comparison. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2 || fstat(STDERR_FILENO, &st))
		return false;
	return st.st_dev == dev && st.st_ino == ino;
}

static bool stderr_is_file(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

void log_open(const char *program, enum log_level level)
{
	log_program = program;
	log_level = level;
	log_journal = stderr_is_journal();
	log_file = !log_journal && stderr_is_file();
}

void log_set_level(enum log_level level)
{
	log_level = level;
}

enum log_level log_get_level(void)
{
	return log_level;
}

int log_level_parse(const char *name)
{
	for (int i = 0; i < LOG_LEVELS; i++)
		if (strcmp(levels[i].name, name) == 0)
			return i;
	return -1;
}

/* What snprintf returns, as bytes that are really there. */
static size_t clamp(int n, size_t room)
{
	if (n < 0)
		return 0;
	return (size_t)n < room ? (size_t)n : room - 1;
}

/* "2026-01-02T03:04:05.006Z " */
static size_t put_time(char *out, size_t room)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!gmtime_r(&now.tv_sec, &tm))
		return 0;
	n = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + clamp(snprintf(out + n, room - n, ".%03ldZ ", now.tv_nsec / 1000000), room - n);
}

void log_write(enum log_level level, const char *what, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	const size_t room = sizeof line - 1; /* the newline always fits */
	size_t len = 0;
	va_list ap;
	int saved = errno;

	if (level > log_level)
		return;
	if (log_file)
		len = put_time(line, room);
	len += clamp(
	    snprintf(line + len, room - len, "%s%s: %s", log_journal ? levels[level].journal : "", log_program, what),
	    room - len);
	if (fmt[0] && len + 1 < room) {
		line[len++] = ' ';
		va_start(ap, fmt);
		len += clamp(vsnprintf(line + len, room - len, fmt, ap), room - len);
		va_end(ap);
	}
	line[len++] = '\n';
	/* A log that cannot be written has nobody to be told to. */
	if (write(STDERR_FILENO, line, len) < 0)
		errno = saved;
	errno = saved;
}

const char *log_quote(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const size_t tail = sizeof "...\""; /* kept free for the cut, the quote and the NUL */
	size_t n = 0;

	if (size < tail + 1) {
		if (size)
			out[0] = '\0';
		return out;
	}
	out[n++] = '"';
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

		if (n + (plain ? 1 : 4) + tail > size) {
			n += (size_t)(stpcpy(out + n, "...") - (out + n));
			break;
		}
		if (plain) {
			out[n++] = (char)c;
		} else {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
