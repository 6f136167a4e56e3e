/* getopt_long fed from our tables, with errors that name the option and the one that was probably meant. */
#define _GNU_SOURCE 1 /* getopt_long */

#include "cli/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/wrap.h"
#include "lib/closest.h"

#define OPTS_MAX  64
#define LABEL_MAX 28   /* columns; the help of a longer one stands below it */
#define LONG_ID   1000 /* what getopt_long returns for the long option i is LONG_ID + i */

/* All tables of a verb laid side by side, in the form getopt_long wants. */
struct merged {
	const struct opt *opts[OPTS_MAX];
	size_t count;
	struct option longs[OPTS_MAX + 1];
	char shorts[2 * OPTS_MAX + 3];
};

static void merge(struct merged *m, const struct opt *const *groups, bool stop)
{
	char *s = m->shorts;

	if (stop)
		*s++ = '+';
	*s++ = ':';
	for (; *groups; groups++) {
		for (const struct opt *o = *groups; o->name; o++) {
			if (m->count == OPTS_MAX)
				BUG("more than %d options", OPTS_MAX);
			m->longs[m->count] =
			    (struct option){.name = o->name,
					    .has_arg = o->kind == OPT_FLAG ? no_argument : required_argument,
					    .val = LONG_ID + (int)m->count};
			m->opts[m->count++] = o;
			if (!o->letter)
				continue;
			*s++ = o->letter;
			if (o->kind != OPT_FLAG)
				*s++ = ':';
		}
	}
	*s = '\0';
}

static const struct opt *find(const struct merged *m, int id)
{
	if (id >= LONG_ID)
		return m->opts[id - LONG_ID];
	for (size_t i = 0; i < m->count; i++)
		if (m->opts[i]->letter && m->opts[i]->letter == id)
			return m->opts[i];
	return NULL;
}

static void list_add(struct opt_list *list, const struct opt *o, const char *text)
{
	struct opt_value *grown = realloc(list->values, (list->count + 1) * sizeof *grown);

	if (!grown)
		BUG("out of memory");
	list->values = grown;
	list->values[list->count++] = (struct opt_value){o, text};
}

static int store(struct args *args, const struct opt *o, const char *prefix, const char *text, struct err *e)
{
	void *field = (char *)args + o->offset;

	if (o->kind == OPT_FLAG) {
		*(bool *)field = true;
		return 0;
	}
	if (values_check(args, o, prefix, text, e) < 0)
		return -1;
	if (o->kind == OPT_ONCE && *(const char **)field)
		return err_set(e, ERR_USAGE, o->instead, "%s: --%s can be given once, and %.100s would not be read",
			       prefix, o->name, *(const char **)field);
	if (o->kind == OPT_LIST || o->kind == OPT_RATES)
		list_add(field, o, text);
	else
		*(const char **)field = text;
	return 0;
}

#define REQUESTS ",submit,fetch,"
#define ALL      NULL

/* Options of curl and others that somebody will try, and what is done here. */
static const struct {
	const char *verbs;
	char letter;
	const char *name, *instead;
} of_others[] = {
    {REQUESTS, 'L', "location", "redirects are followed anyway: --max-redirects says how many"},
    {REQUESTS, 's', "silent", "-q is quiet"},
    {REQUESTS, 'S', "show-error", "errors are shown anyway"},
    {REQUESTS, 'o', "output", "fetch -o writes bodies to files, submit keeps them: fanoutctl get"},
    {REQUESTS, 'O', "remote-name", "fetch -o TEMPLATE names files: -o '{seq}'"},
    {REQUESTS, 'I', "head", "-X HEAD asks for the header; fanoutctl show prints it"},
    {REQUESTS, 'i', "include", "fanoutctl show JOB prints the header"},
    {REQUESTS, 'k', "insecure", "certificates are always verified; SSL_CERT_FILE of fanoutd names others to trust"},
    {REQUESTS, 'A', "user-agent", "-H 'User-Agent: NAME'"},
    {REQUESTS, 'e', "referer", "-H 'Referer: URL'"},
    {REQUESTS, 'b', "cookie", "-H 'Cookie: NAME=VALUE'"},
    {REQUESTS, 'f', "fail", "an HTTP error is a failure anyway"},
    {REQUESTS, 'm', "max-time", "--timeout, for each attempt"},
    {REQUESTS, 'Z', "parallel", "all is fetched in parallel: --concurrency says how much"},
    {REQUESTS, 'j', "jobs", "at most K at a time: --concurrency K"},
    {REQUESTS, 'P', "max-procs", "at most K at a time: --concurrency K"},
    {REQUESTS, 'c', "parallel-max", "at most K at a time: --concurrency K"},
    {REQUESTS, 'w', "write-out", "fanoutctl results BATCH --fields NAME,... prints what is chosen of each job"},
    {REQUESTS, 'G', "get", "a query is written into the URL; -d makes a POST"},
    {REQUESTS, 'F', "form", "no multipart form is made here: --data-binary @FILE and -H 'Content-Type: ...' send one"},
    {REQUESTS, 0, "retry", "what is worth it is tried again anyway; how many tries: --max-attempts N"},
    {",pull run,", 0, "dry-run", "fanoutctl pull test NAME tells what would be asked for, and sends nothing"},
    {",results,", 'o', "output", "rows: > FILE; bodies: fanoutctl get BATCH -o TEMPLATE"},
    {",items,", 0, "limit", "the first N of them: | head -n N"},
    {ALL, 'v', "verbose", "fanoutctl show JOB prints requests and headers; -V is the version"},
    {ALL, 0, "json", "-f json prints JSON"},
};

/* `prefix` is " submit", or "" before a verb. */
static bool is_for(const char *verbs, const char *prefix)
{
	char one[40];

	snprintf(one, sizeof one, ",%s,", prefix + (*prefix == ' '));
	return !verbs || strstr(verbs, one);
}

static const char *instead_of(const char *prefix, char letter, const char *name)
{
	if (letter >= '0' && letter <= '9')
		return "-1 is the last batch; others go by their number: fanoutctl status lists them";
	for (size_t i = 0; i < sizeof of_others / sizeof of_others[0]; i++)
		if (((letter && of_others[i].letter == letter) || (name && strcmp(of_others[i].name, name) == 0)) &&
		    is_for(of_others[i].verbs, prefix))
			return of_others[i].instead;
	return NULL;
}

/* The dashes and a value aside. */
static bool is_name(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word + 2, name, n) == 0 && (word[2 + n] == '\0' || word[2 + n] == '=');
}

/* A word of the command line that begins with two dashes, and names no option. */
static int refuse_name(const struct merged *m, const char *prefix, const char *word, struct err *e)
{
	char name[64];
	struct closest near = {.word = name};
	const char *instead;
	unsigned begun = 0;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (size_t i = 0; i < m->count; i++) {
		begun += strncmp(m->opts[i]->name, name, strlen(name)) == 0;
		closest_offer(&near, m->opts[i]->name);
	}
	instead = instead_of(prefix, 0, name);
	if (instead)
		return err_set(e, ERR_USAGE, instead, "%s: unknown option --%s", prefix, name);
	if (begun > 1)
		return err_set(e, ERR_USAGE, "--help lists the options", "%s: --%s may be one of several options",
			       prefix, name);
	if (near.name)
		return err_set(e, ERR_USAGE, NULL, "%s: unknown option --%s; did you mean --%s?", prefix, name,
			       near.name);
	return err_set(e, ERR_USAGE, "--help lists the options", "%s: unknown option --%s", prefix, name);
}

/* What getopt_long refused with '?'. `word` is the word of the command line it was in. */
static int refuse(const struct merged *m, const char *prefix, const char *word, int bad, struct err *e)
{
	const struct opt *o = bad ? find(m, bad) : NULL;
	const char *instead;

	if (o && is_name(word, o->name))
		return err_set(e, ERR_USAGE, NULL, "%s: --%s takes no value", prefix, o->name);
	if (!bad || o)
		return refuse_name(m, prefix, word, e);
	instead = instead_of(prefix, (char)bad, NULL);
	return err_set(e, ERR_USAGE, instead ? instead : "--help lists the options", "%s: unknown option -%c", prefix,
		       bad);
}

/* getopt_long takes the beginning of a name for it: --retry, that other programs have, would be --retry-unsafe, and
 * --end --ended. Nothing that repeats or deletes may be had by half a word. */
static bool is_cut(const struct merged *m, int id, const char *word)
{
	return id >= LONG_ID && !is_name(word, find(m, id)->name);
}

int options_parse(struct args *args, const struct opt *const *groups, const char *prefix, int argc, char **argv,
		  bool stop, int *used, struct err *e)
{
	struct merged m = {0};
	const struct opt *o;
	int id;

	merge(&m, groups, stop);
	opterr = 0;
	optind = 0; /* glibc: begin anew, and forget the permutation of an earlier parse */
	while ((id = getopt_long(argc, argv, m.shorts, m.longs, NULL)) != -1) {
		const char *word = argv[optind - (optarg && optarg == argv[optind - 1] ? 2 : 1)];

		if (id == '?')
			return refuse(&m, prefix, word, optopt, e);
		if (is_cut(&m, id == ':' ? optopt : id, word))
			return refuse_name(&m, prefix, word, e);
		if (id == ':') {
			o = find(&m, optopt);
			return err_set(e, ERR_USAGE, NULL, "%s: --%s needs a value (%s)", prefix, o->name, o->arg);
		}
		if (store(args, find(&m, id), prefix, optarg, e) < 0)
			return -1;
	}
	*used = optind;
	args->operands = argv + optind;
	args->operand_count = (size_t)(argc - optind);
	return 0;
}

static bool await_value(const struct opt *o, const char *word)
{
	if (o->kind == OPT_FLAG)
		return false;
	if (word[1] == '-')
		return strcmp(o->name, word + 2) == 0;
	return o->letter && word[1] == o->letter && !word[2];
}

bool options_await_value(const struct opt *const *groups, const char *word)
{
	if (*word != '-')
		return false;
	for (; *groups; groups++)
		for (const struct opt *o = *groups; o->name; o++)
			if (await_value(o, word))
				return true;
	return false;
}

static int label(char *out, size_t size, const struct opt *o)
{
	char letter[] = {'-', o->letter, ',', ' ', '\0'};

	return snprintf(out, size, "%s--%s%s%s", o->letter ? letter : "    ", o->name, o->arg ? " " : "",
			o->arg ? o->arg : "");
}

void options_print(const struct opt *const *groups, FILE *out)
{
	char text[80];
	int width = 0;

	for (const struct opt *const *g = groups; *g; g++)
		for (const struct opt *o = *g; o->name; o++) {
			int n = label(text, sizeof text, o);

			width = n > width && n <= LABEL_MAX ? n : width;
		}
	for (; *groups; groups++)
		for (const struct opt *o = *groups; o->name; o++) {
			label(text, sizeof text, o);
			wrap_print_row(out, text, o->help, width + 4);
		}
}
