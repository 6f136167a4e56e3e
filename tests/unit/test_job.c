/* The table of states: what holds for it as a whole, and that docs/STATES.md shows it as it is. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/job.h"

/* One pair of the table as the document has it. */
struct shown {
	bool allowed;
	enum job_state next;
	unsigned actions;
};
static struct shown in_table[JOB_STATES][JOB_EVENTS], in_drawing[JOB_STATES][JOB_EVENTS];

static const struct {
	const char *name;
	enum job_action action;
} action_names[] = {
    {"queue", JOB_ACT_QUEUE}, {"unblock", JOB_ACT_UNBLOCK}, {"fail_rest", JOB_ACT_FAIL_REST},
    {"abort", JOB_ACT_ABORT}, {"end", JOB_ACT_END},
};

static enum job_event event_parse(const char *name)
{
	for (int e = 0; e < JOB_EVENTS; e++)
		if (strcmp(job_event_name((enum job_event)e), name) == 0)
			return (enum job_event)e;
	fail_msg("docs/STATES.md names an event \"%s\" that does not exist", name);
	return JOB_EVENTS;
}

static enum job_state state_parse(const char *name)
{
	int s = job_state_parse(name);

	if (s < 0)
		fail_msg("docs/STATES.md names a state \"%s\" that does not exist", name);
	return (enum job_state)s;
}

static unsigned action_parse(const char *name)
{
	for (size_t i = 0; i < sizeof action_names / sizeof *action_names; i++)
		if (strcmp(action_names[i].name, name) == 0)
			return action_names[i].action;
	fail_msg("docs/STATES.md names an action \"%s\" that does not exist", name);
	return 0;
}

/* The test runs anywhere: the source tree is somewhere above its program. */
static FILE *open_document(void)
{
	char exe[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	assert_true(n > 0);
	exe[n] = '\0';
	for (char *slash; (slash = strrchr(exe, '/'));) {
		FILE *f;

		*slash = '\0';
		snprintf(path, sizeof(path), "%s/docs/STATES.md", exe);
		f = fopen(path, "r");
		if (f)
			return f;
	}
	fail_msg("no docs/STATES.md above the test's program");
	return NULL;
}

static void add(struct shown shown[JOB_STATES][JOB_EVENTS], const char *from, const char *event, const char *to,
		unsigned actions)
{
	struct shown *cell = &shown[state_parse(from)][event_parse(event)];

	if (cell->allowed)
		fail_msg("docs/STATES.md shows %s + %s twice", from, event);
	*cell = (struct shown){true, state_parse(to), actions};
}

/* "| blocked | unblock | queued | queue |" */
static void read_table_line(char *line)
{
	char from[32], event[32], to[32], actions[64] = "", *save = NULL;
	unsigned set = 0;

	if (sscanf(line, "| %31[a-z_] | %31[a-z_] | %31[a-z_] | %63[a-z_, ]", from, event, to, actions) < 3)
		return;
	if (strcmp(from, "state") == 0)
		return;
	for (char *a = strtok_r(actions, ", ", &save); a; a = strtok_r(NULL, ", ", &save))
		set |= action_parse(a);
	add(in_table, from, event, to, set);
}

/* "queued ──start──► running ◄──this,that── other": a chain of states and arrows. */
static void read_drawing_line(char *line)
{
	char *state = NULL, *labels = NULL, *save = NULL, *comma = NULL;
	bool backwards = false;

	for (char *w = strtok_r(line, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		if (*w < 'a' || *w > 'z') { /* an arrow: its labels are what is ASCII in it */
			backwards = strncmp(w, "◄", strlen("◄")) == 0;
			labels = w + strcspn(w, "abcdefghijklmnopqrstuvwxyz");
			labels[strspn(labels, "abcdefghijklmnopqrstuvwxyz_,")] = '\0';
			continue;
		}
		if (state && labels)
			for (char *e = strtok_r(labels, ",", &comma); e; e = strtok_r(NULL, ",", &comma))
				add(in_drawing, backwards ? w : state, e, backwards ? state : w, 0);
		state = w;
		labels = NULL;
	}
}

static int read_document(void **arg)
{
	FILE *f = open_document();
	void (*reader)(char *) = NULL;
	char line[512];

	(void)arg;
	while (fgets(line, sizeof(line), f)) {
		if (strcmp(line, "<!-- table -->\n") == 0)
			reader = read_table_line;
		else if (strcmp(line, "<!-- drawing -->\n") == 0)
			reader = read_drawing_line;
		else if (strcmp(line, "<!-- end -->\n") == 0)
			reader = NULL;
		else if (reader && strncmp(line, "```", 3) != 0)
			reader(line);
	}
	fclose(f);
	return 0;
}

#define FOR_EACH_PAIR                                           \
	for (enum job_state s = 0; s < JOB_STATES; s++)         \
		for (enum job_event e = 0; e < JOB_EVENTS; e++) \
			for (struct job_step step = job_step(s, e), *once = &step; once; once = NULL)

static void the_documents_table_is_the_codes_table(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	{
		const struct shown *d = &in_table[s][e];

		if (step.allowed != d->allowed)
			fail_msg("%s + %s: %s by the code, %s by the table of docs/STATES.md", job_state_name(s),
				 job_event_name(e), step.allowed ? "allowed" : "refused",
				 d->allowed ? "allowed" : "refused");
		if (step.allowed && (step.next != d->next || step.actions != d->actions))
			fail_msg("%s + %s: next %s, actions %#x by the code, %s, %#x by the table of docs/STATES.md",
				 job_state_name(s), job_event_name(e), job_state_name(step.next), step.actions,
				 job_state_name(d->next), d->actions);
	}
}

static void the_documents_drawing_is_the_codes_table(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	{
		const struct shown *d = &in_drawing[s][e];

		if (step.allowed != d->allowed || (step.allowed && step.next != d->next))
			fail_msg("%s + %s: %s by the code, %s by the drawing of docs/STATES.md", job_state_name(s),
				 job_event_name(e), step.allowed ? job_state_name(step.next) : "refused",
				 d->allowed ? job_state_name(d->next) : "refused");
	}
}

static void a_final_state_is_entered_with_end_and_only_then(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	if (step.allowed)
		assert_int_equal(!!(step.actions & JOB_ACT_END), job_state_final(step.next));
}

static void a_final_job_moves_only_by_its_owners_word(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	if (step.allowed && job_state_final(s))
		assert_true(s != JOB_DONE && (e == JOB_EV_RETRY || e == JOB_EV_RETRY_CHAIN));
}

static void whatever_becomes_queued_is_told_to_the_scheduler(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	if (step.allowed)
		assert_int_equal(!!(step.actions & JOB_ACT_QUEUE), step.next == JOB_QUEUED);
}

static void only_a_done_job_lets_its_successor_go(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	if (step.allowed)
		assert_int_equal(!!(step.actions & JOB_ACT_UNBLOCK), step.next == JOB_DONE);
}

static void a_bad_end_fails_the_rest_of_the_chain_once(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	if (step.allowed) {
		bool bad = step.next == JOB_FAILED || step.next == JOB_CANCELLED;

		assert_int_equal(!!(step.actions & JOB_ACT_FAIL_REST), bad && e != JOB_EV_PREDECESSOR);
	}
}

static void an_open_attempt_is_aborted_when_its_job_is_cancelled_and_only_then(void **arg)
{
	(void)arg;
	FOR_EACH_PAIR
	if (step.allowed)
		assert_int_equal(!!(step.actions & JOB_ACT_ABORT), s == JOB_RUNNING && e == JOB_EV_CANCEL);
}

static void every_job_that_has_not_ended_can_be_cancelled(void **arg)
{
	(void)arg;
	for (enum job_state s = 0; s < JOB_STATES; s++)
		assert_int_equal(job_step(s, JOB_EV_CANCEL).allowed, !job_state_final(s));
}

static void what_is_no_state_or_event_is_refused(void **arg)
{
	(void)arg;
	assert_false(job_step(JOB_STATES, JOB_EV_START).allowed);
	assert_false(job_step(JOB_QUEUED, JOB_EVENTS).allowed);
	assert_false(job_step((enum job_state) - 1, (enum job_event) - 1).allowed);
	assert_string_equal(job_event_name(JOB_EVENTS), "?");
}

static void every_event_has_a_name_of_its_own(void **arg)
{
	(void)arg;
	for (int e = 0; e < JOB_EVENTS; e++)
		assert_int_equal(event_parse(job_event_name((enum job_event)e)), e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_documents_table_is_the_codes_table),
	    cmocka_unit_test(the_documents_drawing_is_the_codes_table),
	    cmocka_unit_test(a_final_state_is_entered_with_end_and_only_then),
	    cmocka_unit_test(a_final_job_moves_only_by_its_owners_word),
	    cmocka_unit_test(whatever_becomes_queued_is_told_to_the_scheduler),
	    cmocka_unit_test(only_a_done_job_lets_its_successor_go),
	    cmocka_unit_test(a_bad_end_fails_the_rest_of_the_chain_once),
	    cmocka_unit_test(an_open_attempt_is_aborted_when_its_job_is_cancelled_and_only_then),
	    cmocka_unit_test(every_job_that_has_not_ended_can_be_cancelled),
	    cmocka_unit_test(what_is_no_state_or_event_is_refused),
	    cmocka_unit_test(every_event_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, read_document, NULL);
}
