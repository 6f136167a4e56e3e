/* build/sim: runs seeds and says what broke. `--mutate NAME` drives the modules wrongly on purpose; `--mutations` shows
 * that every one of them is found out. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define MUTATION_SEEDS 2000 /* within these each mutation has to be found out */

struct arguments {
	uint64_t seeds, from;
	enum sim_mutation mutation;
	bool trace, mutations;
};

static void usage(FILE *f)
{
	fputs("usage: sim [--seeds N] [--from S] [--trace] [--mutate NAME | --mutations]\nmutations:", f);
	for (int m = 1; m < SIM_MUTATIONS; m++)
		fprintf(f, " %s", sim_mutation_name((enum sim_mutation)m));
	fputc('\n', f);
}

static bool parse_mutation(const char *name, enum sim_mutation *m)
{
	for (int i = 0; i < SIM_MUTATIONS; i++)
		if (strcmp(sim_mutation_name((enum sim_mutation)i), name) == 0) {
			*m = (enum sim_mutation)i;
			return true;
		}
	return false;
}

static bool parse_number(const char *text, uint64_t *n)
{
	char *end;

	*n = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
	    {"seeds", required_argument, NULL, 'n'},  {"from", required_argument, NULL, 's'},
	    {"mutate", required_argument, NULL, 'm'}, {"mutations", no_argument, NULL, 'M'},
	    {"trace", no_argument, NULL, 't'},        {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n'   ? !parse_number(optarg, &a->seeds)
		    : c == 's' ? !parse_number(optarg, &a->from)
		    : c == 'm' ? !parse_mutation(optarg, &a->mutation)
			       : c == '?')
			return false;
		a->trace = a->trace || c == 't';
		a->mutations = a->mutations || c == 'M';
	}
	return optind == argc;
}

static void sum(struct sim_result *total, const struct sim_result *r)
{
	total->jobs += r->jobs;
	total->attempts += r->attempts;
	total->arrivals += r->arrivals;
	total->deaths += r->deaths;
	total->refunds += r->refunds;
	total->followed += r->followed;
	total->full_windows += r->full_windows;
	total->crashes += r->crashes;
	total->reboots += r->reboots;
	total->refusals += r->refusals;
	total->probes += r->probes;
	total->resumes += r->resumes;
}

static int run(const struct arguments *a)
{
	struct sim_result total = {0}, r;

	for (uint64_t seed = a->from; seed < a->from + a->seeds; seed++) {
		sim_run(seed, a->mutation, a->trace, &r);
		if (r.failed) {
			printf("FAILED %s\nreplay: sim --from %llu --seeds 1 --mutate %s --trace\n", r.what,
			       (unsigned long long)seed, sim_mutation_name(a->mutation));
			return 1;
		}
		sum(&total, &r);
	}
	printf("%llu seeds from %llu: %u jobs, %u attempts, %u arrivals, %u full windows, %u refusals, %u probes, "
	       "%u lifted pauses, "
	       "%u dead workers, %u dead daemons, %u reboots, %u refunds, %u that stood by; nothing broke\n",
	       (unsigned long long)a->seeds, (unsigned long long)a->from, total.jobs, total.attempts, total.arrivals,
	       total.full_windows, total.refusals, total.probes, total.resumes, total.deaths, total.crashes,
	       total.reboots, total.refunds, total.followed);
	return 0;
}

static int run_mutations(uint64_t from)
{
	int missed = 0;

	for (int m = 1; m < SIM_MUTATIONS; m++) {
		struct sim_result r = {0};

		for (uint64_t seed = from; seed < from + MUTATION_SEEDS && !r.failed; seed++)
			sim_run(seed, (enum sim_mutation)m, false, &r);
		printf("%-18s %s\n", sim_mutation_name((enum sim_mutation)m), r.failed ? r.what : "NOT FOUND OUT");
		missed += !r.failed;
	}
	return missed > 0;
}

int main(int argc, char **argv)
{
	struct arguments a = {.seeds = 1000, .from = 1};

	if (!parse(argc, argv, &a)) {
		usage(stderr);
		return 2;
	}
	return a.mutations ? run_mutations(a.from) : run(&a);
}
