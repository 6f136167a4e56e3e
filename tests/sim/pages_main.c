/* build/pagesim: runs seeds and says what broke, as build/sim does. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/pages.h"

#define MUTATION_SEEDS 5000 /* within these each mutation has to be found out */

struct arguments {
	uint64_t seeds, from;
	enum pages_mutation mutation;
	bool trace, mutations;
};

static void usage(FILE *f)
{
	fputs("usage: pagesim [--seeds N] [--from S] [--trace] [--mutate NAME | --mutations]\nmutations:", f);
	for (int m = 1; m < PAGES_MUTATIONS; m++)
		fprintf(f, " %s", pages_mutation_name((enum pages_mutation)m));
	fputc('\n', f);
}

static bool parse_mutation(const char *name, enum pages_mutation *m)
{
	for (int i = 0; i < PAGES_MUTATIONS; i++)
		if (strcmp(pages_mutation_name((enum pages_mutation)i), name) == 0) {
			*m = (enum pages_mutation)i;
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

static void sum(struct pages_result *total, const struct pages_result *r)
{
	total->pages += r->pages;
	total->requests += r->requests;
	total->crashes += r->crashes;
	total->retries += r->retries;
	total->complete += r->complete;
	total->incomplete += r->incomplete;
	total->guards += r->guards;
}

static int run(const struct arguments *a)
{
	struct pages_result total = {0}, r;

	for (uint64_t seed = a->from; seed < a->from + a->seeds; seed++) {
		pages_run(seed, a->mutation, a->trace, &r);
		if (r.failed) {
			printf("FAILED %s\nreplay: pagesim --from %llu --seeds 1 --mutate %s --trace\n", r.what,
			       (unsigned long long)seed, pages_mutation_name(a->mutation));
			return 1;
		}
		sum(&total, &r);
	}
	printf("%llu seeds from %llu: %u pages, %u requests, %u dead daemons, %u owner's retries, %u complete, "
	       "%u incomplete, %u guards; nothing broke\n",
	       (unsigned long long)a->seeds, (unsigned long long)a->from, total.pages, total.requests, total.crashes,
	       total.retries, total.complete, total.incomplete, total.guards);
	return 0;
}

static int run_mutations(uint64_t from)
{
	int missed = 0;

	for (int m = 1; m < PAGES_MUTATIONS; m++) {
		struct pages_result r = {0};

		for (uint64_t seed = from; seed < from + MUTATION_SEEDS && !r.failed; seed++)
			pages_run(seed, (enum pages_mutation)m, false, &r);
		printf("%-18s %s\n", pages_mutation_name((enum pages_mutation)m), r.failed ? r.what : "NOT FOUND OUT");
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
