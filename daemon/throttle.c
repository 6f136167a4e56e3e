/* How long to leave a host alone that refuses. It must not know where the words of the server came from, nor what
 * happens to the jobs. */
#include "daemon/throttle.h"

#define JITTER_MAX_US 1000000

static int64_t at_most(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t cap_us(const struct throttle_refusal *r)
{
	int64_t cap = r->cap_us > 0 ? r->cap_us : THROTTLE_CAP_US;

	return cap > THROTTLE_MIN_US ? cap : THROTTLE_MIN_US;
}

static int64_t clamp_us(const struct throttle_refusal *r, int64_t delay_us)
{
	return delay_us < THROTTLE_MIN_US ? THROTTLE_MIN_US : at_most(delay_us, cap_us(r));
}

/* [0, below): all who wait for the same moment come spread out behind it. */
static int64_t spread_us(uint64_t random, int64_t below_us)
{
	return below_us > 0 ? (int64_t)(random % (uint64_t)below_us) : 0;
}

/* What the server told, before the cap: a promise of a year must not overflow. < 0: it told nothing. */
static int64_t told_us(const struct throttle_refusal *r)
{
	int64_t told = r->retry_after_us >= 0 ? r->retry_after_us : r->reset_us;

	if (told < 0)
		return -1;
	told = at_most(told, cap_us(r));
	return told + spread_us(r->random, at_most(told / 10 + 1, JITTER_MAX_US));
}

/* Full jitter over a range that doubles with each refusal in a row. */
static int64_t backoff_us(const struct throttle *t, const struct throttle_refusal *r)
{
	int64_t range = THROTTLE_BASE_US;

	for (unsigned i = 1; i < t->hits && range < cap_us(r); i++)
		range *= 2;
	return spread_us(r->random, at_most(range, cap_us(r)));
}

static int64_t pause_until(struct throttle *t, const struct throttle_refusal *r, int64_t delay_us)
{
	int64_t until_us = r->now_us + clamp_us(r, delay_us);

	if (until_us > t->until_us)
		t->until_us = until_us;
	return t->until_us;
}

/* Nothing is granted during a pause, so whatever was granted before its end had been when it began. */
static bool is_echo(const struct throttle *t, int64_t granted_us)
{
	return t->until_us > 0 && granted_us < t->until_us;
}

int64_t throttle_hit(struct throttle *t, const struct throttle_refusal *r)
{
	int64_t told = told_us(r);

	if (is_echo(t, r->granted_us))
		return told < 0 ? t->until_us : pause_until(t, r, told);
	t->hits++;
	return pause_until(t, r, told >= 0 ? told : backoff_us(t, r));
}

int64_t throttle_spent(struct throttle *t, const struct throttle_refusal *r)
{
	struct throttle_refusal reset = *r;

	reset.retry_after_us = -1;
	return reset.reset_us < 0 ? t->until_us : pause_until(t, r, told_us(&reset));
}

void throttle_resume(struct throttle *t, int64_t now_us)
{
	if (now_us < t->until_us)
		t->until_us = now_us;
}

bool throttle_ok(struct throttle *t, int64_t granted_us)
{
	if (is_echo(t, granted_us))
		return false;
	t->hits = 0;
	return true;
}
