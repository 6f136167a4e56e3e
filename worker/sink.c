/* Bodies in memory and in files. A file is made with O_EXCL: its name belongs to one attempt, so that whatever is there
 * already is what an earlier worker left of the same attempt, and is removed. */
#define _GNU_SOURCE 1

#include "worker/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/err.h"
#include "lib/jobid.h"
#include "lib/message.h"

#define SINK_FIRST_CAP 4096u
#define SINK_KEEP_CAP  16384u              /* a larger buffer goes back to the heap after its body */
#define SINK_HEAD      1024u               /* kept in memory of a body in a file, for an error's text */
#define SINK_START     (INT64_C(4) << 20)  /* bytes between two starts of writing to the disk */
#define SINK_CACHED    (INT64_C(64) << 20) /* a file's last bytes, which stay in the page cache */

/* A file is written in blocks: as they come, bytes end in the middle of a page, which the kernel then fills with zeros
 * first and looks up twice. That was a third of what a large body cost. */
#define SINK_BLOCK 65536u

void sink_init(struct sink *s, int bodies_fd)
{
	*s = (struct sink){.bodies_fd = bodies_fd, .fd = -1};
}

void sink_clear(struct sink *s)
{
	sink_discard(s);
	free(s->data);
	sink_init(s, s->bodies_fd);
}

void sink_begin(struct sink *s, uint64_t job, uint32_t n, int64_t max_bytes)
{
	if (s->fd >= 0)
		BUG("a body's file is still open");
	s->job = job;
	s->n = n;
	s->max_bytes = max_bytes;
	s->size_bytes = s->written_bytes = s->started_bytes = 0;
	s->len = 0;
	s->stopped = CAUSE_RESPONSE;
	s->error = 0;
}

void sink_hash(struct sink *s)
{
	s->hash = XXH3_createState();
	if (!s->hash || XXH3_128bits_reset(s->hash) != XXH_OK)
		BUG("out of memory for a body's hash");
}

void sink_hash_get(const struct sink *s, uint64_t hash[2])
{
	XXH128_hash_t h = XXH3_128bits_digest(s->hash);

	hash[0] = h.low64;
	hash[1] = h.high64;
}

static int stop(struct sink *s, enum cause cause, int error)
{
	s->stopped = cause;
	s->error = error;
	return -1;
}

static void reserve(struct sink *s, size_t n)
{
	size_t cap = s->cap ? s->cap : SINK_FIRST_CAP;
	uint8_t *data;

	if (s->cap >= n)
		return;
	while (cap < n)
		cap *= 2;
	data = realloc(s->data, cap);
	if (!data)
		BUG("out of memory for a body of %zu bytes", n);
	s->data = data;
	s->cap = cap;
}

/* Cuts "7/42.1" down to "7". */
static void cut_to_directory(char *path)
{
	char *slash = strchr(path, '/');

	if (slash)
		*slash = '\0';
}

static int make_directory(const struct sink *s, const char *path)
{
	char dir[JOBID_PATH_SIZE];

	strcpy(dir, path);
	cut_to_directory(dir);
	return mkdirat(s->bodies_fd, dir, 0700) && errno != EEXIST ? -1 : 0;
}

static void make_block(struct sink *s)
{
	s->block = malloc(SINK_BLOCK);
	s->block_len = 0;
	if (!s->block)
		BUG("out of memory for a block of a body");
}

static int open_file(struct sink *s)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char path[JOBID_PATH_SIZE];

	jobid_body_path(path, s->job, s->n);
	/* Three times: the directory may be missing, and then something may lie there. */
	for (int tries = 0; tries < 3; tries++) {
		s->fd = openat(s->bodies_fd, path, flags, 0600);
		if (s->fd >= 0) {
			make_block(s);
			return 0;
		}
		if (errno == ENOENT ? make_directory(s, path) : errno == EEXIST ? unlinkat(s->bodies_fd, path, 0) : -1)
			break;
	}
	return stop(s, CAUSE_STORAGE, errno);
}

static int write_all(struct sink *s, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(s->fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return stop(s, CAUSE_STORAGE, errno);
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* What is on the disk and lies far back leaves the page cache, or a large body would push out everything that others
 * read, and every page of it would be new memory, which costs a virtual machine as much as the disk does: 1 GB took 1.0
 * to 3.7 s before, 1.0 to 1.1 s since. What is not on the disk yet stays. A hint, too. */
static void drop_behind(const struct sink *s)
{
	if (s->written_bytes > SINK_CACHED)
		posix_fadvise(s->fd, 0, s->written_bytes - SINK_CACHED, POSIX_FADV_DONTNEED);
}

/* Has the kernel begin to write what has come, so that the sync at the end finds little to do and does not hold up the
 * other transfers for long. A hint: its failure shows in the sync. */
static void start_writing(struct sink *s)
{
	if (s->written_bytes - s->started_bytes < SINK_START)
		return;
	sync_file_range(s->fd, s->started_bytes, s->written_bytes - s->started_bytes, SYNC_FILE_RANGE_WRITE);
	s->started_bytes = s->written_bytes;
	drop_behind(s);
}

static int write_block(struct sink *s)
{
	if (write_all(s, s->block, s->block_len))
		return -1;
	s->written_bytes += s->block_len;
	s->block_len = 0;
	return 0;
}

static int fill_blocks(struct sink *s, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t room = SINK_BLOCK - s->block_len;
		size_t part = n < room ? n : room;

		memcpy(s->block + s->block_len, p, part);
		s->block_len += part;
		p += part;
		n -= part;
		if (s->block_len == SINK_BLOCK && write_block(s))
			return -1;
	}
	return 0;
}

static int write_file(struct sink *s, const void *p, size_t n)
{
	if (s->fd < 0) {
		if (open_file(s) || fill_blocks(s, s->data, s->len))
			return -1;
		if (s->len > SINK_HEAD)
			s->len = SINK_HEAD;
	}
	if (fill_blocks(s, p, n))
		return -1;
	s->size_bytes += (int64_t)n;
	start_writing(s);
	return 0;
}

int sink_write(struct sink *s, const void *p, size_t n)
{
	if (s->stopped != CAUSE_RESPONSE)
		return -1;
	if ((int64_t)n > s->max_bytes - s->size_bytes) {
		s->size_bytes += (int64_t)n;
		return stop(s, CAUSE_TOO_LARGE, 0);
	}
	if (s->hash)
		XXH3_128bits_update(s->hash, p, n);
	if (s->fd >= 0 || s->len + n > MESSAGE_BODY_INLINE_MAX)
		return write_file(s, p, n);
	reserve(s, s->len + n);
	memcpy(s->data + s->len, p, n);
	s->len += n;
	s->size_bytes += (int64_t)n;
	return 0;
}

static void close_file(struct sink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->block);
	s->block = NULL;
}

void sink_remove(struct sink *s)
{
	char path[JOBID_PATH_SIZE];

	close_file(s);
	unlinkat(s->bodies_fd, jobid_body_path(path, s->job, s->n), 0);
}

int sink_reopen(const struct sink *s)
{
	char path[JOBID_PATH_SIZE];

	return openat(s->bodies_fd, jobid_body_path(path, s->job, s->n), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

void sink_discard(struct sink *s)
{
	if (s->fd >= 0)
		sink_remove(s);
	sink_end(s);
}

void sink_end(struct sink *s)
{
	s->len = 0;
	XXH3_freeState(s->hash);
	s->hash = NULL;
	if (s->cap <= SINK_KEEP_CAP)
		return;
	free(s->data);
	s->data = NULL;
	s->cap = 0;
}

static int sync_directory(const struct sink *s)
{
	char dir[JOBID_PATH_SIZE];
	int fd, rc;

	jobid_body_path(dir, s->job, s->n);
	cut_to_directory(dir);
	fd = openat(s->bodies_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static bool same_directory(const struct sink *a, const struct sink *b)
{
	return jobid_batch(a->job) == jobid_batch(b->job);
}

/* The directory is synced by the first sink that lies in it; the others take over how that went. */
static void sync_name(struct sink *const *sinks, size_t i)
{
	struct sink *s = sinks[i];

	for (size_t k = 0; k < i; k++) {
		if (same_directory(sinks[k], s)) {
			if (sinks[k]->stopped == CAUSE_STORAGE && s->stopped == CAUSE_RESPONSE)
				stop(s, CAUSE_STORAGE, sinks[k]->error);
			return;
		}
	}
	if (sync_directory(s))
		stop(s, CAUSE_STORAGE, errno);
}

void sink_sync(struct sink *const *sinks, size_t count)
{
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (write_block(sinks[i]) == 0)
			sync_file_range(sinks[i]->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < count; i++) {
		if (fsync(sinks[i]->fd))
			stop(sinks[i], CAUSE_STORAGE, errno);
		else
			drop_behind(sinks[i]);
	}
	for (size_t i = 0; i < count; i++)
		sync_name(sinks, i);
	/* The batch's directory itself may be new, and not by a sink of this turn. */
	if (fsync(sinks[0]->bodies_fd))
		for (size_t i = 0; i < count; i++)
			stop(sinks[i], CAUSE_STORAGE, errno);
	for (size_t i = 0; i < count; i++) {
		if (sinks[i]->stopped == CAUSE_STORAGE)
			sink_remove(sinks[i]);
		else
			close_file(sinks[i]);
	}
}
