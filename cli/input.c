/* One buffer, read(2) and memchr. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "cli/text.h"

#define BUFFER_BYTES (INPUT_LINE_MAX_BYTES + (1u << 20))
#define PAUSE_MS     50

struct input {
	const char *name;
	int fd;
	bool file, ended;
	bool skipping; /* the rest of a line that is too long */
	unsigned line;
	char *buffer;
	size_t begin, end; /* of what is not yet handed out */
	size_t scanned;    /* no newline before this */
};

static int open_path(const char *path, const char *hint, struct err *e)
{
	int fd;

	if (strcmp(path, "-") == 0)
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err_set(e, ERR_USAGE, hint, "cannot read %.200s: %s", path, strerror(errno));
	return fd;
}

struct input *input_open(const char *path, struct err *e)
{
	struct input *in;
	struct stat st;
	bool url = strstr(path, "://") != NULL; /* curl's -i takes no value */
	int fd = open_path(path,
			   url ? "-i names a list: without it, this is a URL; fanoutctl show JOB prints the header"
			       : "name a file that is there, or - for standard input",
			   e);

	if (fd < 0)
		return NULL;
	in = calloc(1, sizeof *in);
	if (!in || !(in->buffer = malloc(BUFFER_BYTES)))
		BUG("out of memory");
	in->fd = fd;
	in->name = fd == STDIN_FILENO ? "standard input" : path;
	in->file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	return in;
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->fd != STDIN_FILENO)
		close(in->fd);
	free(in->buffer);
	free(in);
}

bool input_is_file(const struct input *in)
{
	return in->file;
}

const char *input_name(const struct input *in)
{
	return in->name;
}

unsigned input_line_number(const struct input *in)
{
	return in->line;
}

/* Reads more behind what is there. 1: something came, or the end; 0: a pause; -1: an error. */
static int fill(struct input *in, bool may_pause, struct err *e)
{
	struct pollfd pfd = {.fd = in->fd, .events = POLLIN};
	ssize_t n;

	if (in->begin > 0) {
		memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
		in->end -= in->begin;
		in->scanned -= in->begin;
		in->begin = 0;
	}
	if (may_pause && !in->file && poll(&pfd, 1, PAUSE_MS) == 0)
		return 0;
	do
		n = ctl_interrupted() ? 0 : read(in->fd, in->buffer + in->end, BUFFER_BYTES - in->end);
	while (n < 0 && errno == EINTR);
	if (ctl_interrupted())
		return err_set(e, ERR_NONE, NULL, "interrupted");
	if (n < 0)
		return err_set(e, ERR_USAGE, NULL, "cannot read %.200s: %s", in->name, strerror(errno));
	in->ended = n == 0;
	in->end += (size_t)n;
	return 1;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static enum input_next hand_out(struct input *in, size_t stop, size_t next, const char **line, size_t *len)
{
	const char *p = in->buffer + in->begin, *end = in->buffer + stop;

	if (++in->line == 1 && end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3; /* a byte order mark */
	while (p < end && blank(*p))
		p++;
	while (end > p && blank(end[-1]))
		end--;
	*line = p;
	*len = (size_t)(end - p);
	in->begin = in->scanned = next;
	return INPUT_LINE;
}

enum input_next input_next(struct input *in, bool may_pause, const char **line, size_t *len, struct err *e)
{
	for (;;) {
		char *newline = memchr(in->buffer + in->scanned, '\n', in->end - in->scanned);
		int rc;

		if (newline) {
			size_t at = (size_t)(newline - in->buffer);

			if (!in->skipping)
				return hand_out(in, at, at + 1, line, len);
			in->skipping = false;
			in->begin = in->scanned = at + 1;
			continue;
		}
		in->scanned = in->end;
		if (in->skipping)
			in->begin = in->end;
		if (in->ended && in->begin < in->end)
			return hand_out(in, in->end, in->end, line, len);
		if (in->ended)
			return INPUT_END;
		if (in->end - in->begin == BUFFER_BYTES) {
			in->line++;
			in->skipping = true;
			return INPUT_TOO_LONG;
		}
		rc = fill(in, may_pause, e);
		if (rc <= 0)
			return rc == 0 ? INPUT_PAUSE : INPUT_ERROR;
	}
}

char *input_read_whole(const char *path, size_t max, size_t *len, struct err *e)
{
	struct text t = {0};
	int fd = open_path(path, "name a file that is there; @- is standard input", e);
	ssize_t n = 1;

	if (fd < 0)
		return NULL;
	text_reserve(&t, 0);
	while (n > 0 && t.len <= max) {
		text_reserve(&t, 65536);
		n = read(fd, t.data + t.len, 65536);
		if (n > 0)
			t.len += (size_t)n;
		if (n < 0 && errno == EINTR && !ctl_interrupted())
			n = 1;
	}
	if (n < 0)
		err_set(e, ERR_USAGE, NULL, "cannot read %.200s: %s", path, strerror(errno));
	else if (t.len > max)
		n = err_set(e, ERR_TOO_LARGE, NULL, "%.200s is larger than %zu bytes", path, max);
	if (fd != STDIN_FILENO)
		close(fd);
	if (n < 0)
		text_clear(&t);
	*len = t.len;
	if (t.data)
		t.data[t.len] = '\0';
	return t.data;
}
