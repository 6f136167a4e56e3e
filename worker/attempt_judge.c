/* From an attempt whose body is safe to what judge.c is given, and back. A body in a file is read where it lies. */
#include "worker/attempt.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* It has no body by nature. */
static bool is_bodiless(const struct attempt *a)
{
	return a->head || a->response.status == 204 || a->response.status == 205;
}

bool attempt_wants_judging(const struct attempt *a)
{
	int status = a->response.status;

	if (a->cause != CAUSE_RESPONSE || a->sink.stopped != CAUSE_RESPONSE || status < 200 || status > 299)
		return false;
	return (a->fail_if && a->fail_if[0]) || (a->page && !is_bodiless(a));
}

/* The body in its file. -1 with errno. */
static int map_body(const struct attempt *a, void **map)
{
	int fd = sink_reopen(&a->sink);

	if (fd < 0)
		return -1;
	*map = mmap(NULL, (size_t)a->sink.size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return *map == MAP_FAILED ? -1 : 0;
}

/* Where the body cannot be read again nobody is to hear of it. */
static void lose_body(struct attempt *a)
{
	a->cause = a->ending.stopped = CAUSE_STORAGE;
	a->ending.storage_error = errno;
	sink_remove(&a->sink);
}

static void judge(struct attempt *a, struct judge *judge, const struct judge_case *c, struct attempt_texts *texts)
{
	if (judge_run(judge, c, texts->verdict)) {
		a->cause = CAUSE_SOFT_ERROR;
		a->ending.verdict = texts->verdict;
	} else if (c->page) {
		a->page->judged = true;
		sink_hash_get(&a->sink, a->page->verdict.page.hash);
	}
}

void attempt_judge(struct attempt *a, struct judge *j, struct attempt_texts *texts)
{
	struct judge_page page;
	struct judge_case c = {.fail_if = a->fail_if,
			       .status = a->response.status,
			       .headers = response_text(&a->response),
			       .body = a->sink.data,
			       .body_bytes = a->sink.size_bytes,
			       .bodiless = is_bodiless(a)};
	void *map = NULL;

	attempt_fill_type(a, texts);
	c.content_type = texts->content_type;
	if (a->page && !c.bodiless) {
		verdict_begin(&a->page->verdict);
		page = (struct judge_page){.program = a->page->program,
					   .context = a->page->context,
					   .param = a->page->param,
					   .url = a->ending.url,
					   .verdict = &a->page->verdict};
		c.page = &page;
	}
	if (attempt_body_in_file(a)) {
		if (judge_reads_body(&c) && c.body_bytes <= JUDGE_BODY_MAX && map_body(a, &map)) {
			lose_body(a);
			return;
		}
		c.body = map;
	}
	judge(a, j, &c, texts);
	if (map)
		munmap(map, (size_t)c.body_bytes);
}
