/* pull test --live: a run of one page that stands apart from others, and is gone afterwards. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/pull_test.h"
#include "cli/pull_wait.h"
#include "cli/receipt.h"

/* ---- the page ---- */

static int on_data(void *arg, const char *data, size_t len, struct err *e)
{
	(void)e;
	text_add(arg, data, len);
	return 0;
}

static int read_page(struct trial *t, const json_t *page, struct err *e)
{
	struct call call = {.on_data = on_data, .arg = &t->body};
	char path[80];

	snprintf(path, sizeof path, "/v1/jobs/%s/body", pull_text(page, "job"));
	call.path = path;
	return client_call(t->ctl->client, &call, e);
}

static int member_flag(const json_t *page, const char *member)
{
	const json_t *j = json_object_get(page, member);

	return json_is_boolean(j) ? json_is_true(j) : -1;
}

static int tell_page(struct trial *t, const json_t *page, const json_t *ended, struct err *e)
{
	const char *error = pull_text(page, "error"), *reason = pull_text(page, "reason");
	bool done = strcmp(pull_text(page, "state"), "done") == 0;
	struct pull_said s = {.status = (int)pull_number(page, "status"),
			      .error = done     ? NULL
				       : *error ? error
						: reason,
			      .items = pull_number(page, "items"),
			      .next = pull_text(page, "next"),
			      .has_more = member_flag(page, "has_more"),
			      .stop = member_flag(page, "stop") == 1,
			      .total_pages = pull_number(page, "total_pages"),
			      .total_items = pull_number(page, "total_items"),
			      .stop_reason = pull_text(ended, "stop_reason")};
	struct text since = {0};
	int status;

	/* The run's rules are the daemon's; it was to ask for one page, and tells why it asks for no more. */
	if (strcmp(s.stop_reason, "guard") == 0)
		s.guard = pull_text(ended, "error");
	t->status = s.status;
	text_add(&since, "", 0);
	receipt_add_since(&since, json_object_get(page, "since"));
	s.since = since.data;
	if (done && !json_is_true(json_object_get(page, "past_end")) && read_page(t, page, e) < 0)
		status = -1;
	else
		status = trial_tell(t, &s);
	text_clear(&since);
	return status;
}

/* ---- the run ---- */

/* A file is sent along; there is no state of it. */
static json_t *make_ask(const struct trial *t)
{
	json_t *ask = json_pack("{s:b, s:i, s:O}", "test", 1, "max_pages", 1, "vars", t->var_object);

	if (t->p.text) {
		json_object_set_new(ask, "recipe", json_string(t->p.text));
		json_object_set_new(ask, "fresh", json_true());
	}
	return ask;
}

static int start(struct trial *t, uint32_t *run, struct err *e)
{
	json_t *ask = make_ask(t), *answer;
	char *text = ask ? json_dumps(ask, JSON_COMPACT) : NULL;

	json_decref(ask);
	if (!text)
		return err_set(e, ERR_USAGE, NULL, "the recipe is not UTF-8");
	if (ctl_connect(t->ctl, e) < 0) {
		free(text);
		return -1;
	}
	answer = client_post_json(t->ctl->client, text, strlen(text), e, "/v1/pulls/%s/runs", t->p.recipe->name);
	free(text);
	*run = (uint32_t)pull_number(answer, "run");
	json_decref(answer);
	return answer ? 0 : -1;
}

static int keep_first(void *arg, const json_t *page, struct err *e)
{
	json_t **first = arg;

	(void)e;
	if (!*first)
		*first = json_incref((json_t *)(uintptr_t)page);
	return 0;
}

static void tell_warning(const json_t *ended)
{
	const char *warning = pull_text(ended, "warning");
	struct text shown = {0};

	if (!*warning)
		return;
	text_add_shown(&shown, warning, 0);
	fflush(stdout);
	fprintf(stderr, "fanoutctl: warning: %s\n", shown.data);
	text_clear(&shown);
}

static int tell_run(struct trial *t, uint32_t run, const json_t *ended, struct err *e)
{
	const char *error = pull_text(ended, "error");
	json_t *page = NULL;
	int status;

	if (run_pages(t->ctl->client, run, 0, 1, keep_first, &page, e) < 0)
		return -1;
	if (page)
		status = tell_page(t, page, ended, e), tell_warning(ended);
	else
		status = err_set(e, ERR_CONFLICT, NULL, "%s", *error ? error : "no page was asked for");
	json_decref(page);
	return status;
}

/* Also after an interruption, which did not end it. */
static void remove_run(struct trial *t, uint32_t run)
{
	struct client *c = t->ctl->client;

	ctl_forget_interrupt();
	json_decref(client_post_json(c, NULL, 0, NULL, "/v1/batches/%" PRIu32 "/cancel", run));
	json_decref(client_get_json(c, NULL, "/v1/batches/%" PRIu32 "/wait?timeout=10s", run));
	json_decref(client_delete(c, NULL, "/v1/batches/%" PRIu32, run));
}

int trial_live(struct trial *t, struct err *e)
{
	json_t *ended;
	uint32_t run = 0;
	int status;

	if (start(t, &run, e) < 0)
		return -1;
	if (pull_wait(t->ctl, run, t->p.recipe->name, &ended, &status) == 0)
		status = tell_run(t, run, ended, e);
	json_decref(ended);
	remove_run(t, run);
	return status;
}
