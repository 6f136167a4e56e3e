/* One rule against a naive model that remembers everything and counts anew at every question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_limit.h"

enum { MODEL_MAX = 4000 };

struct model {
	struct limit_rule rule;
	struct {
		int64_t sent, counted; /* counted: CLOCK_NEVER while in flight */
		bool refunded;
	} all[MODEL_MAX];
	int count;
	int64_t pause_until;
	bool probing;
	struct rate learned;
	int64_t learned_until;
};

static int64_t model_taken(const struct model *m, int64_t window_us, int64_t now)
{
	int64_t taken = 0;

	for (int i = 0; i < m->count; i++)
		if (!m->all[i].refunded && m->all[i].counted > now - window_us)
			taken++;
	return taken;
}

static int64_t model_in_flight(const struct model *m)
{
	int64_t n = 0;

	for (int i = 0; i < m->count; i++)
		n += !m->all[i].refunded && m->all[i].counted == CLOCK_NEVER;
	return n;
}

static bool model_probe_is_out(const struct model *m)
{
	for (int i = 0; m->probing && i < m->count; i++)
		if (!m->all[i].refunded && m->all[i].counted == CLOCK_NEVER && m->all[i].sent >= m->pause_until)
			return true;
	return false;
}

static bool model_may(const struct model *m, int64_t now)
{
	bool may = now >= m->pause_until && !model_probe_is_out(m);

	if (now < m->learned_until)
		may = may && model_taken(m, m->learned.window_us, now) < m->learned.count;

	for (unsigned r = 0; r < m->rule.rate_count; r++)
		may = may && model_taken(m, m->rule.rates[r].window_us, now) < m->rule.rates[r].count;
	if (m->rule.concurrency > 0)
		may = may && model_in_flight(m) < m->rule.concurrency;
	return may;
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static int64_t between(uint64_t *x, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(next_random(x) % (uint64_t)(hi - lo + 1));
}

static struct limit_rule random_rule(uint64_t *x)
{
	struct limit_rule rule = {.rate_count = (unsigned)between(x, 1, LIMIT_RATES_MAX)};

	for (unsigned r = 0; r < rule.rate_count; r++)
		rule.rates[r] = (struct rate){between(x, 1, 8), between(x, 1, 400)};
	rule.rates[0].window_us = 400; /* so that whatever is learned is known */
	rule.concurrency = (unsigned)between(x, 0, 4);
	return rule;
}

static void end_one(struct model *m, struct limit *l, uint64_t *x, int64_t now)
{
	int i = (int)between(x, 0, MODEL_MAX);

	for (int k = 0; k < m->count; k++, i++) {
		int at = i % m->count;

		if (m->all[at].refunded || m->all[at].counted != CLOCK_NEVER)
			continue;
		if (between(x, 0, 9) == 0) {
			m->all[at].refunded = true;
			limit_refund(l, m->all[at].sent);
			return;
		}
		/* anywhere from its sending on, sometimes in the future */
		m->all[at].counted = between(x, m->all[at].sent, between(x, 0, 4) == 0 ? now + 50 : now);
		if (between(x, 0, 1) && limit_recovered(l, m->all[at].sent))
			m->probing = false;
		limit_end(l, now, m->all[at].sent, m->all[at].counted);
		return;
	}
}

/* More hold slots than are allowed (seen, or under a learned rate that is new): then more than one has to free. */
static bool model_overfull(const struct model *m, int64_t now)
{
	if (now < m->learned_until && model_taken(m, m->learned.window_us, now) > m->learned.count)
		return true;
	for (unsigned r = 0; r < m->rule.rate_count; r++)
		if (model_taken(m, m->rule.rates[r].window_us, now) > m->rule.rates[r].count)
			return true;
	return false;
}

static void compare(const struct model *m, const struct limit *l, int64_t now)
{
	enum limit_hold why;
	int64_t until = limit_ask_why(l, now, &why);

	assert_int_equal(limit_in_flight(l), model_in_flight(m));
	if ((until == 0) != model_may(m, now))
		fail_msg("at %lld: asked for %lld by its %s, the model says %d", (long long)now, (long long)until,
			 limit_hold_name(why), model_may(m, now));
	if (until != 0 && until != CLOCK_NEVER) {
		assert_false(model_may(m, until - 1));
		assert_true(model_may(m, until) || model_overfull(m, now));
	}
}

/* The pause ends, behind all that went before it. */
static void model_resume(struct model *m, int64_t now)
{
	int64_t until = now;

	for (int i = 0; i < m->count; i++)
		if (m->all[i].sent >= until && !m->all[i].refunded)
			until = m->all[i].sent + 1;
	m->pause_until = until < m->pause_until ? until : m->pause_until;
}

/* What happens besides grants and ends. */
static void something_is_said(struct model *m, struct limit *l, uint64_t *x, int64_t now)
{
	int64_t later = now + between(x, 0, 300);

	switch (between(x, 0, 3)) {
	case 0:
		m->probing = m->probing || later > m->pause_until;
		m->pause_until = later > m->pause_until ? later : m->pause_until;
		limit_pause(l, later);
		break;
	case 1:
		m->learned = (struct rate){between(x, 1, 8), between(x, 1, 400)};
		m->learned_until = later;
		limit_learn_rate(l, &m->learned, now, later);
		break;
	case 2:
		m->all[m->count].sent = -1;
		m->all[m->count++].counted = between(x, now - 200, later);
		limit_seen(l, m->all[m->count - 1].counted);
		break;
	default:
		model_resume(m, now);
		limit_resume(l, now);
	}
}

static void every_answer_is_that_of_a_model_that_counts_anew(void **arg)
{
	static struct model m;

	(void)arg;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		uint64_t x = seed * 0x9e3779b97f4a7c15U;
		struct limit *l;
		int64_t now = 0;

		m = (struct model){.rule = random_rule(&x)};
		l = limit_create(&m.rule);
		for (int step = 0; step < 1500; step++) {
			now += between(&x, 0, 20);
			compare(&m, l, now);
			if (limit_ask(l, now) == 0 && between(&x, 0, 3) > 0) {
				m.all[m.count].sent = now;
				m.all[m.count++].counted = CLOCK_NEVER;
				limit_grant(l, now);
			} else if (between(&x, 0, 60) == 0) {
				something_is_said(&m, l, &x, now);
			} else if (m.count > 0) {
				end_one(&m, l, &x, now);
			}
		}
		assert_true(m.count > 20);
		limit_free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_answer_is_that_of_a_model_that_counts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
