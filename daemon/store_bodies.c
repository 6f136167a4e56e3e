/* Bodies in files: bodies/BATCH/SEQ.ATTEMPT, written by workers. A row says that there is a file only when it is whole,
 * and a file goes only after the commit that forgets it; a crash in between leaves files that nobody knows. They are
 * found by a slow look through the directory after the start: directories without a batch always, single files only
 * when the last daemon did not end in good order. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

#define FILES_STEP    200   /* names in one step */
#define LOOK_EVERY_US 20000 /* the look for orphans has time */
#define LINKS_MAX     10000 /* of one file; ext4 can have 65 000. Then the page is fetched anew */

int store_bodies_open(struct store *st, struct err *e)
{
	int fd;

	if (mkdirat(st->dir_fd, "bodies", 0700) < 0 && errno != EEXIST)
		return err_set(e, errno == ENOSPC ? ERR_NO_SPACE : ERR_SYSTEM, NULL, "cannot make %s/bodies: %s",
			       st->state_dir, strerror(errno));
	st->bodies_fd = openat(st->dir_fd, "bodies", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->bodies_fd < 0)
		return err_set(e, ERR_SYSTEM, NULL, "cannot open %s/bodies: %s", st->state_dir, strerror(errno));
	fd = openat(st->bodies_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	st->bodies_dir = fd < 0 ? NULL : fdopendir(fd);
	st->next_bodies_us = 1;
	return 0;
}

void store_bodies_close(struct store *st)
{
	if (st->batch_dir)
		closedir(st->batch_dir);
	if (st->bodies_dir)
		closedir(st->bodies_dir);
	if (st->bodies_fd >= 0)
		close(st->bodies_fd);
	free(st->gone);
	free(st->linked);
}

void store_body_unlink(struct store *st, uint64_t job, uint32_t n)
{
	char path[JOBID_PATH_SIZE];

	if (unlinkat(st->bodies_fd, jobid_body_path(path, job, n), 0) < 0 && errno != ENOENT && errno != ENOTDIR)
		log_warn("body not removed", "path=%s why=\"%s\"", path, strerror(errno));
}

/* After the commit that removed the batch; called before it, and acted on by a later step. */
void store_bodies_gone(struct store *st, uint32_t batch)
{
	st->gone = store_grow(st->gone, &st->gone_cap, st->gone_count + 1, sizeof *st->gone);
	st->gone[st->gone_count++] = batch;
}

/* ---- files that two attempts share ---- */

bool store_body_shareable(struct store *st, uint64_t job, uint32_t n)
{
	char path[JOBID_PATH_SIZE];
	struct stat s;

	if (st->no_links || fstatat(st->bodies_fd, jobid_body_path(path, job, n), &s, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return s.st_nlink < LINKS_MAX;
}

static void link_note(struct store *st, uint32_t batch)
{
	for (size_t i = 0; i < st->linked_count; i++) {
		if (st->linked[i] == batch)
			return;
	}
	st->linked = store_grow(st->linked, &st->linked_cap, st->linked_count + 1, sizeof *st->linked);
	st->linked[st->linked_count++] = batch;
}

static const char *directory_name(char out[16], uint32_t batch)
{
	snprintf(out, 16, "%u", batch);
	return batch ? out : ".";
}

int store_body_link(struct store *st, uint64_t from, uint32_t from_n, uint64_t job, uint32_t n)
{
	char old[JOBID_PATH_SIZE], new[JOBID_PATH_SIZE], dir[16];

	jobid_body_path(old, from, from_n);
	jobid_body_path(new, job, n);
	if (mkdirat(st->bodies_fd, directory_name(dir, jobid_batch(job)), 0700) == 0)
		link_note(st, 0);
	else if (errno != EEXIST)
		return errno;
	/* One may be left of a commit that failed. */
	if (unlinkat(st->bodies_fd, new, 0) < 0 && errno != ENOENT)
		return errno;
	if (linkat(st->bodies_fd, old, st->bodies_fd, new, 0) < 0) {
		/* A file system without links: whoever is asked again is not to come here again. */
		st->no_links |= errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK;
		return errno;
	}
	link_note(st, jobid_batch(job));
	return 0;
}

static int directory_sync(struct store *st, uint32_t batch)
{
	char name[16];
	int fd = openat(st->bodies_fd, directory_name(name, batch), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (rc < 0)
		err_set(&st->sql_err, ERR_UNKNOWN, "look at the kernel's log: the disk below the state directory fails",
			"the directory of bodies %s cannot be synced: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* In the loop, though it may take as long as the disk likes: it is rare (a large page that has not changed), once for a
 * directory and commit, and the row may not be there before the file. */
int store_bodies_sync(struct store *st)
{
	int rc = 0;

	for (size_t i = 0; i < st->linked_count && rc == 0; i++)
		rc = directory_sync(st, st->linked[i]);
	st->linked_count = 0;
	return rc;
}

/* ---- one directory ---- */

static bool batch_dir_open(struct store *st, uint32_t batch, bool gone)
{
	char name[16];
	int fd;

	snprintf(name, sizeof name, "%u", batch);
	fd = openat(st->bodies_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	st->batch_dir = fdopendir(fd);
	if (!st->batch_dir) {
		close(fd);
		return false;
	}
	st->batch_dir_id = batch;
	st->batch_dir_gone = gone;
	return true;
}

static void batch_dir_close(struct store *st)
{
	char name[16];

	closedir(st->batch_dir);
	st->batch_dir = NULL;
	if (!st->batch_dir_gone)
		return;
	snprintf(name, sizeof name, "%u", st->batch_dir_id);
	if (unlinkat(st->bodies_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		log_warn("directory of bodies not removed", "batch=%u why=\"%s\"", st->batch_dir_id, strerror(errno));
}

/* Is that attempt open, or the last of a job whose result has a file? What is named otherwise is nobody's. */
static bool file_wanted(struct store *st, const char *name)
{
	char path[JOBID_PATH_SIZE];
	struct open_attempt *o;
	bool wanted = false;
	struct job_brief j;
	unsigned seq, n;
	struct stmt q;

	if (sscanf(name, "%u.%u", &seq, &n) != 2)
		return false;
	j.job = jobid_make(st->batch_dir_id, seq);
	if (strcmp(strchr(jobid_body_path(path, j.job, n), '/') + 1, name) != 0)
		return false;
	o = store_open_find(st, j.job);
	if (o && o->n == n)
		return true;
	if (store_job_brief(st, j.job, &j) != 1 || !job_state_final(j.state))
		return false;
	stmt_begin(&q, st, STMT_OUTCOME_BODY);
	stmt_int(&q, (int64_t)((uint64_t)st->batch_dir_id << 32 | j.outcome));
	if (stmt_step(&q) == 1)
		wanted = col_int(&q, 0) == n && col_int(&q, 1);
	stmt_end(&q);
	return wanted;
}

static void batch_dir_step(struct store *st)
{
	int64_t until = clock_boot_us() + STORE_STEP_US / 3;
	struct dirent *d;

	for (int i = 0; i < FILES_STEP && clock_boot_us() < until; i++) {
		d = readdir(st->batch_dir);
		if (!d) {
			batch_dir_close(st);
			return;
		}
		if (d->d_name[0] == '.' || (!st->batch_dir_gone && file_wanted(st, d->d_name)))
			continue;
		if (unlinkat(dirfd(st->batch_dir), d->d_name, 0) < 0 && errno != ENOENT)
			log_warn("body not removed", "path=%u/%s why=\"%s\"", st->batch_dir_id, d->d_name,
				 strerror(errno));
	}
}

/* ---- the look for orphans ---- */

static void look_step(struct store *st)
{
	struct dirent *d = readdir(st->bodies_dir);
	uint32_t batch;

	if (!d) {
		closedir(st->bodies_dir);
		st->bodies_dir = NULL;
		st->next_bodies_us = 0;
		return;
	}
	if (jobid_parse_batch(d->d_name, &batch) < 0)
		return;
	st->sql_err.code = ERR_NONE;
	bool gone = !store_batch_find(st, batch) && st->sql_err.code == ERR_NONE;
	if (gone || st->bodies_deep)
		batch_dir_open(st, batch, gone);
}

/* True: a removed batch's files are still there. The look for orphans takes its time instead: see next_bodies_us. */
bool store_bodies_step(struct store *st)
{
	int64_t now;

	/* A batch whose removal is not committed yet keeps its files. */
	if (st->tx)
		return st->gone_count > 0;
	if (!st->batch_dir && st->gone_count > 0)
		batch_dir_open(st, st->gone[--st->gone_count], true);
	if (st->batch_dir && (st->batch_dir_gone || !st->bodies_dir)) {
		batch_dir_step(st);
		return st->batch_dir || st->gone_count > 0;
	}
	now = clock_wall_us();
	if (!st->bodies_dir || now < st->next_bodies_us)
		return st->gone_count > 0;
	st->next_bodies_us = now + LOOK_EVERY_US;
	if (st->batch_dir)
		batch_dir_step(st);
	else
		look_step(st);
	return st->gone_count > 0;
}
