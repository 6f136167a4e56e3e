/* Rules, what became of them host by host, and what hosts said: as JSON. */
#define _GNU_SOURCE 1

#include <inttypes.h>
#include <stdio.h>

#include "daemon/render_private.h"
#include "lib/clock.h"

const char *render_rate(char *out, const struct rate *rate)
{
	static const struct {
		const char *name;
		int64_t us;
	} units[] = {
	    {"w", INT64_C(604800000000)},
	    {"d", INT64_C(86400000000)},
	    {"h", INT64_C(3600000000)},
	    {"min", 60000000},
	    {"s", 1000000},
	    {"ms", 1000},
	    {"us", 1},
	};
	size_t i = 0;

	while (units[i].us > 1 && (rate->window_us < units[i].us || rate->window_us % units[i].us))
		i++;
	snprintf(out, RENDER_RATE_SIZE, "%" PRId64 "/%" PRId64 "%s", rate->count, rate->window_us / units[i].us,
		 units[i].name);
	return out;
}

static json_t *rate_text(const struct rate *rate)
{
	char text[RENDER_RATE_SIZE];

	return json_string_nocheck(render_rate(text, rate));
}

json_t *render_boot_time(int64_t boot_us, const struct render_now *now)
{
	if (boot_us <= 0 || boot_us == CLOCK_NEVER)
		return json_null();
	return render_time(now->wall_us + (boot_us - now->boot_us));
}

json_t *render_rule(const struct rule *rule)
{
	json_t *o = json_object(), *rates = json_array();

	for (unsigned i = 0; i < rule->limit.rate_count; i++)
		json_array_append_new(rates, rate_text(&rule->limit.rates[i]));
	render_set(o, "name", render_text(rule->name));
	render_set(o, "match", render_text(rule->match));
	render_set(o, "source", json_string_nocheck(rule_source_name(rule->source)));
	render_set(o, "rates", rates);
	render_set(o, "concurrency", rule->limit.concurrency ? json_integer(rule->limit.concurrency) : json_null());
	render_set(o, "pace", json_boolean(rule->limit.pace));
	render_set(o, "shadowed", json_boolean(rule->shadowed));
	render_set(o, "since", render_time(rule->since_us));
	render_set(o, "state", json_array());
	return o;
}

json_t *render_rule_state(const char *host, const struct limit *state, unsigned waiting, const struct render_now *now)
{
	struct limit_window windows[LIMIT_WINDOWS_MAX];
	unsigned n = limit_windows(state, now->boot_us, windows);
	json_t *o = json_object(), *list = json_array();

	for (unsigned i = 0; i < n; i++) {
		json_t *w = json_object();

		render_set(w, "rate", rate_text(&windows[i].rate));
		render_set(w, "used", json_integer(windows[i].used));
		render_set(w, "free_at", render_boot_time(windows[i].free_us, now));
		json_array_append_new(list, w);
	}
	render_set(o, "host", render_text(host));
	render_set(o, "in_flight", json_integer(limit_in_flight(state)));
	render_set(o, "windows", list);
	render_set(o, "waiting", json_integer(waiting));
	return o;
}

static json_t *learned(const struct limit *state, const struct render_now *now)
{
	struct limit_window windows[LIMIT_WINDOWS_MAX];
	unsigned n = limit_windows(state, now->boot_us, windows);

	for (unsigned i = 0; i < n; i++)
		if (windows[i].learned) {
			json_t *o = json_object();

			render_set(o, "rate", rate_text(&windows[i].rate));
			render_set(o, "expires_at", render_boot_time(windows[i].expires_us, now));
			return o;
		}
	return json_null();
}

json_t *render_limited_host(const char *host, const struct limit *state, const struct throttle *throttle,
			    const struct render_now *now)
{
	int64_t until = limit_paused_until_us(state, now->boot_us);
	unsigned refusals = throttle ? throttle->hits : 0;
	json_t *told = learned(state, now), *o;

	if (!until && !refusals && !limit_probing(state) && json_is_null(told))
		return NULL;
	o = json_object();
	render_set(o, "host", render_text(host));
	render_set(o, "paused_until", render_boot_time(until, now));
	render_set(o, "probing", json_boolean(limit_probing(state)));
	render_set(o, "refusals", json_integer(refusals));
	render_set(o, "learned", told);
	return o;
}
