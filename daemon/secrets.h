/* Secrets: names to values, to which hosts they may go, and back again in whatever is shown.
 *
 * A value is the file NAME of secrets_dir, else of $CREDENTIALS_DIRECTORY (systemd), without one newline at its end. It
 * is filled in for {secret:NAME} when a request is handed to its worker, and only there; values are wiped from memory
 * when they are freed, and never logged. Knows files and texts; no recipes, no requests. */
#ifndef FANOUT_DAEMON_SECRETS_H
#define FANOUT_DAEMON_SECRETS_H

#include <stddef.h>

#include "lib/err.h"

#define SECRETS_MAX      1000
#define SECRET_MAX_BYTES (64u << 10)
#define SECRET_NAME_MAX  64 /* of [A-Za-z0-9_.-], not with a dot first */
#define SECRET_SHORT     4  /* values of fewer bytes are hidden only where they stand alone */

struct secret_bind {
	const char *name;
	const char *const *hosts; /* lib/hostglob.h */
	size_t host_count;
};

struct secrets;

/* Reads them all; everything is copied. `dir` may be NULL. NULL with `e`: a bad name or host (ERR_INPUT), no such file
 * (ERR_NOT_FOUND), empty, with a NUL (ERR_INPUT), too large (ERR_TOO_LARGE), not readable (ERR_PERMISSION, ERR_SYSTEM).
 * Symlinks are followed: mounted secrets are made of them. One that everybody may read is warned of,
 * once for each change. */
struct secrets *secrets_load(const char *dir, const struct secret_bind *binds, size_t count, struct err *e);
void secrets_free(struct secrets *s);
/* The first file of them that everybody may read; NULL: there is none. */
const char *secrets_exposed(const struct secrets *s);

/* Where a text is used, and so how a value is written in it. */
enum secret_where {
	SECRET_IN_URL,    /* percent-encoded, but for unreserved characters (RFC 3986, section 2.3) */
	SECRET_IN_HEADER, /* as it is; one with control bytes is refused */
	SECRET_IN_JSON,   /* as the inside of a JSON string; one that is not UTF-8 is refused */
	SECRET_IN_TEXT,   /* as it is */
	SECRET_WHERES
};

/* `text` with the values of all {secret:NAME} in it, malloc'd, for a request to `host_port` (as lib/url makes it). Free
 * with secrets_wipe. NULL with `e`: one that is not known (ERR_INPUT), may not go to that host (ERR_PERMISSION), or
 * does not fit there (ERR_INPUT). */
char *secrets_fill(const struct secrets *s, const char *text, enum secret_where where, const char *host_port,
		   struct err *e);
/* -1 with `e`: a value of them does not fit there. */
int secrets_check(const struct secrets *s, enum secret_where where, struct err *e);
/* Overwrites, then frees; NULL is fine. */
void secrets_wipe(char *text);

/* `text` with {secret:NAME} in place of every value, the longest first: as it is, percent-encoded (any byte, either
 * case, + for a space), escaped as in JSON, in base64 (either alphabet, also amid other text, as in "user:password").
 * malloc'd; NULL when there is none in it, which costs a look at each byte. Values shorter than SECRET_SHORT would
 * mangle every text: only where no letter, digit, _ or - is beside them, and not in base64. A {secret:NAME} that is in
 * the text already stays as it is. */
char *secrets_hide(const struct secrets *s, const char *text);
/* The same for messages, which may quote a value and cut it off: also of what begins as one. */
char *secrets_hide_cut(const struct secrets *s, const char *text);

#endif
