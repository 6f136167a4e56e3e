/* Soft errors: a job's fail_if (lib/jq.h) is run on a response's body and says whether it is an error, and which.
 * Compiled programs are kept, for a batch's jobs all bring the same one. Knows no transfer.
 *
 * A program that never ends holds up its worker, and one that needs too much memory ends it (libjq cannot go on): who
 * calls this has said before whose body it is, so that the daemon blames the right job. */
#ifndef FANOUT_WORKER_JUDGE_H
#define FANOUT_WORKER_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JUDGE_BODY_MAX     (INT64_C(32) << 20) /* bytes of JSON; in jq's hands they take many times as much */
#define JUDGE_PROGRAMS_MAX 64                  /* kept compiled, 1.2 MB each */
#define JUDGE_TEXT_CHARS   200
#define JUDGE_TEXT_SIZE    (JUDGE_TEXT_CHARS * 4 + 1)

struct judge;

struct judge_case {
	const char *program;
	int status;
	const char *headers;      /* lines ended by \n, status line first */
	const char *content_type; /* printable; "" where none */
	const void *body;
	int64_t body_bytes; /* above JUDGE_BODY_MAX the body is not looked at, and may be NULL */
	bool bodiless;      /* there is none by nature (HEAD, 204): the program runs on null */
};

struct judge *judge_create(void);
void judge_free(struct judge *j);

/* True when the response is an error; `text` (JUDGE_TEXT_SIZE) then tells it in printable words, never empty. Also an
 * error: a body that is not JSON, a program that fails on it, one that does not compile. */
bool judge_run(struct judge *j, const struct judge_case *c, char *text);

#endif
