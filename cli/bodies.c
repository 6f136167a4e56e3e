/* One request for each body, tried again while the daemon is away; names in a hash. */
#include "cli/bodies.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "cli/client.h"
#include "cli/ctl.h"
#include "cli/output.h"
#include "cli/template.h"
#include "lib/clock.h"

#define PATIENCE_US INT64_C(30000000)

struct bodies_name {
	char *path, *job; /* job lies behind the path, in one piece of memory */
	UT_hash_handle hh;
};

/* ---- the place ---- */

int bodies_open(struct bodies *b, const char *template, bool create_dirs, struct err *e)
{
	size_t len = template ? strlen(template) : 0;
	struct stat st;

	*b = (struct bodies){.template = template, .create_dirs = create_dirs};
	if (create_dirs && !template)
		return err_set(e, ERR_USAGE, NULL, "--create-dirs is for -o, which is not given");
	if (!template)
		return 0;
	if (template_check(template, &b->distinct, e) < 0)
		return -1;
	if (len == 0 || template[len - 1] == '/' || (stat(template, &st) == 0 && S_ISDIR(st.st_mode)))
		return err_set(e, ERR_USAGE, "add the files' names: {seq}", "-o: %.200s names a directory, no files",
			       template);
	return strcmp(template, "-") == 0 ? 0 : output_check_place(template, create_dirs, e);
}

void bodies_clear(struct bodies *b)
{
	struct bodies_name *i, *next;

	HASH_ITER (hh, b->names, i, next) {
		HASH_DEL(b->names, i);
		free(i->path);
		free(i);
	}
}

/* ---- names ---- */

/* Which job has taken this name before; NULL: none, and now `job` has. */
static const char *take_name(struct bodies *b, const char *path, const char *job)
{
	size_t len = strlen(path) + 1, more = strlen(job) + 1;
	struct bodies_name *name;

	HASH_FIND_STR(b->names, path, name);
	if (name)
		return name->job;
	name = malloc(sizeof *name);
	if (!name || !(name->path = malloc(len + more)))
		BUG("out of memory");
	memcpy(name->path, path, len);
	name->job = memcpy(name->path + len, job, more);
	HASH_ADD_KEYPTR(hh, b->names, name->path, len - 1, name);
	return NULL;
}

/* ---- bodies ---- */

static int on_body(void *arg, const char *data, size_t len, struct err *e)
{
	return output_write(arg, data, len, e);
}

void bodies_end_line(struct bodies *b)
{
	if (b->amid_line && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	b->amid_line = false;
}

/* What broke off in the middle of stdout cannot be repeated. */
static int write_body(struct bodies *b, const char *job, const char *path, struct err *e)
{
	int64_t until = b->patient ? clock_boot_us() + PATIENCE_US : 0;
	struct output o;
	struct call call = {.on_data = on_body, .arg = &o};
	char url[80];
	int rc;

	snprintf(url, sizeof url, "/v1/jobs/%s/body", job);
	call.path = url;
	for (;;) {
		if (output_open(&o, path, e) < 0)
			return -1;
		rc = client_call(b->client, &call, e);
		if (o.guard && o.last)
			b->amid_line = o.last != '\n';
		if (rc == 0)
			return output_commit(&o, e);
		output_discard(&o);
		if (e->code != ERR_UNREACHABLE || clock_boot_us() > until || ctl_interrupted() ||
		    (!path && client_status(b->client)))
			return -1;
		poll(NULL, 0, 100);
	}
}

static int outcome(struct bodies *b, const char *job, int rc, struct err *e)
{
	b->written += rc == 0;
	if (rc == 0)
		return 0;
	if (e->code != ERR_CONFLICT && e->code != ERR_NOT_FOUND)
		return -1;
	b->missing++;
	bodies_end_line(b);
	if (strstr(e->what, job))
		fprintf(stderr, "fanoutctl: %s\n", e->what);
	else
		fprintf(stderr, "fanoutctl: %s: %s\n", job, e->what);
	return 0;
}

int bodies_print(struct bodies *b, const char *job, struct err *e)
{
	return outcome(b, job, write_body(b, job, NULL, e), e);
}

int bodies_write(struct bodies *b, const json_t *result, struct err *e)
{
	const char *job = json_string_value(json_object_get(result, "job")), *other = NULL;
	struct text path = {0};
	int rc;

	if (!job)
		return err_set(e, ERR_SYSTEM, NULL, "a result of the daemon names no job");
	template_expand(b->template, result, &path);
	if (!b->distinct)
		other = take_name(b, path.data, job);
	if (other) {
		b->missing++;
		fprintf(stderr, "fanoutctl: %s: its body was not written: the name %s is already used by job %s\n", job,
			path.data, other);
		rc = 0;
	} else if (b->create_dirs && output_make_directories(path.data, e) < 0) {
		rc = -1;
	} else {
		rc = outcome(b, job, write_body(b, job, path.data, e), e);
	}
	text_clear(&path);
	return rc;
}
