/* What went wrong, told to a person: what happened and why, and what to do about it.
 *
 * A function that can fail takes a `struct err *` as its last argument, fills it once and returns -1 (or NULL). The
 * caller may pass NULL when it does not care. Nothing here allocates. Codes are coarse on purpose: they decide an HTTP
 * status and an exit status, the text carries the rest. */
#ifndef FANOUT_LIB_ERR_H
#define FANOUT_LIB_ERR_H

enum err_code {
	ERR_NONE,
	ERR_USAGE,       /* the command line or a parameter is wrong */
	ERR_INPUT,       /* the data handed over is malformed; HTTP 400 */
	ERR_PERMISSION,  /* HTTP 403 */
	ERR_NOT_FOUND,   /* HTTP 404 */
	ERR_CONFLICT,    /* not possible in the present state; HTTP 409 */
	ERR_TOO_LARGE,   /* HTTP 413 */
	ERR_BUSY,        /* try again later; HTTP 503 with Retry-After */
	ERR_NO_SPACE,    /* the disk is full, nothing was taken; HTTP 507 */
	ERR_UNKNOWN,     /* it may or may not have happened (an fsync failed); HTTP 503 */
	ERR_LOCKED,      /* somebody else has it */
	ERR_VERSION,     /* made by a newer program */
	ERR_CORRUPT,     /* the database is damaged */
	ERR_UNREACHABLE, /* nobody answers */
	ERR_TIMEOUT,
	ERR_SYSTEM, /* an operating system call failed; HTTP 500 */
	ERR_CODES
};

struct err {
	enum err_code code;
	unsigned line;  /* in the input, from 1; 0 where it does not apply */
	char what[400]; /* what failed and why, one line without a full stop */
	char hint[480]; /* what to do next; may be empty */
};

/* Fills `e` and returns -1. `hint` may be NULL; `fmt` and `hint` hold no newline. */
int err_set(struct err *e, enum err_code code, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The code's fixed name ("not_found"), for the API's `type` member and for logs. */
const char *err_code_name(enum err_code code);

/* A broken invariant of ours: logs where and what, then aborts. Nothing that a client, a worker or a server sends may
 * lead here. */
#define BUG(...) err_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void err_bug(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Start-up only: prints the message and the hint on stderr and exits with `status`. */
_Noreturn void fatal(int status, const struct err *e);

#endif
