/* Filling in an error, and the two ways out that do not return. Knows no domain and allocates nothing. */
#define _GNU_SOURCE 1

#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"

static const char *const code_names[] = {
    [ERR_NONE] = "none",           [ERR_USAGE] = "usage",
    [ERR_INPUT] = "input",         [ERR_PERMISSION] = "permission",
    [ERR_NOT_FOUND] = "not_found", [ERR_CONFLICT] = "conflict",
    [ERR_TOO_LARGE] = "too_large", [ERR_BUSY] = "busy",
    [ERR_NO_SPACE] = "no_space",   [ERR_UNKNOWN] = "unknown",
    [ERR_LOCKED] = "locked",       [ERR_VERSION] = "version",
    [ERR_CORRUPT] = "corrupt",     [ERR_UNREACHABLE] = "unreachable",
    [ERR_TIMEOUT] = "timeout",     [ERR_SYSTEM] = "system",
};
_Static_assert(sizeof code_names / sizeof code_names[0] == ERR_CODES, "every error code has a name");

int err_set(struct err *e, enum err_code code, const char *hint, const char *fmt, ...)
{
	va_list ap;
	int saved = errno; /* the caller may want it still */

	if (!e)
		return -1;
	e->code = code;
	e->line = 0;
	va_start(ap, fmt);
	vsnprintf(e->what, sizeof e->what, fmt, ap);
	va_end(ap);
	snprintf(e->hint, sizeof e->hint, "%s", hint ? hint : "");
	errno = saved;
	return -1;
}

const char *err_code_name(enum err_code code)
{
	return (unsigned)code < ERR_CODES ? code_names[code] : "unknown";
}

_Noreturn void err_bug(const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_error("broken invariant", "at=%s:%d what=\"%s\"", file, line, text);
	abort();
}

_Noreturn void fatal(int status, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, e->what);
	if (e->hint[0])
		fprintf(stderr, "  %s\n", e->hint);
	exit(status);
}
