/* Where a response's body goes: into memory, and from MESSAGE_BODY_INLINE_MAX on into a file below the bodies
 * directory, at the place that jobid_body_path() names. Counts decoded bytes against the job's bound. A file that is
 * not whole and synced does not stay. Knows nothing of HTTP. */
#ifndef FANOUT_WORKER_SINK_H
#define FANOUT_WORKER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/reason.h"

struct XXH3_state_s;

struct sink {
	int bodies_fd; /* borrowed */
	int fd;        /* the body's file; -1 while it is in memory */
	uint64_t job;
	uint32_t n;
	int64_t max_bytes;
	int64_t size_bytes;    /* taken so far */
	int64_t written_bytes; /* to the file */
	int64_t started_bytes; /* of these, whose writing to the disk has been started */
	uint8_t *block;        /* what comes next in the file; NULL where there is none */
	size_t block_len;
	uint8_t *data; /* the whole body, or its beginning where there is a file */
	size_t len, cap;
	struct XXH3_state_s *hash; /* of what was taken; NULL where nobody asks for it */
	enum cause stopped;        /* CAUSE_RESPONSE while all is well; CAUSE_TOO_LARGE, CAUSE_STORAGE */
	int error;                 /* errno of a CAUSE_STORAGE */
};

void sink_init(struct sink *s, int bodies_fd);
/* Frees the memory and discards what is open. */
void sink_clear(struct sink *s);

/* Starts on another body. The last one has been discarded or ended. */
void sink_begin(struct sink *s, uint64_t job, uint32_t n, int64_t max_bytes);
/* Has this body hashed as it comes. */
void sink_hash(struct sink *s);
/* The hash of a body that has been hashed (XXH3, 128 bits, the low ones first). */
void sink_hash_get(const struct sink *s, uint64_t hash[2]);
/* Takes bytes. Returns 0, or -1 when `stopped` tells why it takes no more. */
int sink_write(struct sink *s, const void *p, size_t n);
/* Whether the body lies in a file that has to be synced before anybody hears of it. */
static inline bool sink_in_file(const struct sink *s)
{
	return s->fd >= 0;
}
/* Opens the synced file for reading. -1 with errno. */
int sink_reopen(const struct sink *s);
/* Removes the synced file, where nobody is to hear of it after all. */
void sink_remove(struct sink *s);
/* Forgets the body; its file is removed. */
void sink_discard(struct sink *s);
/* The body has been passed on, its file is synced: forgets it. A large buffer is given back, for there may be thousands
 * of sinks at rest. */
void sink_end(struct sink *s);

/* Writes what is left to the files, and syncs the files of `count` sinks and their directories, all data first, so that
 * one turn's bodies cost the disk one wait instead of many, and closes them. Where that fails the sink says
 * CAUSE_STORAGE and its file is removed. May run in another thread than the rest. */
void sink_sync(struct sink *const *sinks, size_t count);

#endif
