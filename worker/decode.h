/* Content codings undone: gzip, deflate and br, also one upon the other. libcurl can do it too, but takes a stream that
 * was cut short for a whole one (7.88, seen), and a truncated body must not pass for a good one. Knows no response. */
#ifndef FANOUT_WORKER_DECODE_H
#define FANOUT_WORKER_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#define DECODE_ACCEPT     "gzip, deflate, br"
#define DECODE_STAGES_MAX 3
#define DECODE_FAULT_SIZE 100

struct coding;

/* One coding's decoder. */
struct decode_stage {
	const struct coding *coding;
	void *state; /* NULL until bytes have come */
	bool ended;  /* the stream is whole */
};

/* A zeroed struct is a valid one, that passes on bytes as they are. */
struct decode {
	struct decode_stage stages[DECODE_STAGES_MAX]; /* the coding applied last is first */
	size_t count;
	bool cut;                      /* the fault is that the stream ended early */
	char fault[DECODE_FAULT_SIZE]; /* "" while there is none */
};

/* Decoded bytes; -1 stops. */
typedef int decode_out_cb(const void *p, size_t n, void *arg);

/* Starts on a body whose Content-Encoding is this ("gzip, br"; "" is none). -1 with a fault. */
int decode_begin(struct decode *d, const char *encoding);
/* Takes bytes. -1 with a fault, or without where `out` stopped it. */
int decode_write(struct decode *d, const void *p, size_t n, decode_out_cb *out, void *arg);
/* The body has ended: -1 with a fault where it cannot be all. A body of no bytes is whole in any coding. */
int decode_finish(struct decode *d);
/* Frees what it holds; a fault stays. */
void decode_end(struct decode *d);

#endif
