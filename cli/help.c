/* help, version and completion: the verb table, shown. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/local.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "cli/wrap.h"
#include "lib/paths.h"

#define VERSION_WAIT_S 2
#define LIST_INDENT    25

void help_list(FILE *out)
{
	const struct opt *common[] = {options_common, NULL}, *first[] = {options_first, NULL};

	fprintf(out,
		"fanoutctl - fetch many URLs, fast and without losing one\n\nusage: fanoutctl [options] VERB ...\n\n");
	for (const struct verb *v = verbs; v->name; v++) {
		char head[60];

		snprintf(head, sizeof head, "%s %s", v->name, v->operands);
		wrap_print_row(out, head, v->line, LIST_INDENT);
	}
	fprintf(out, "\nFor all verbs:\n");
	options_print(common, out);
	fprintf(out, "\nWithout a verb:\n");
	options_print(first, out);
	fprintf(out, "\n");
	wrap_print(
	    out,
	    "fanoutctl help VERB tells more. Exit status: 0 fine, 1 something failed, 2 usage, 3 no daemon, 4 not "
	    "found, 5 not permitted, 6 wait timed out, 7 cancelled, 75 try again, 130 interrupted.",
	    0, 0);
}

/* Those that begin with it. */
static void list_seconds(const struct verb *v)
{
	size_t n = strlen(v->name);
	bool any = false;

	for (const struct verb *w = verbs; w->name; w++) {
		char head[60];

		if (strncmp(w->name, v->name, n) != 0 || w->name[n] != ' ')
			continue;
		snprintf(head, sizeof head, "%s %s", w->name, w->operands);
		printf("%s", any ? "" : "\nVerbs:\n");
		wrap_print_row(stdout, head, w->line, LIST_INDENT);
		any = true;
	}
	if (any)
		printf("fanoutctl help %s VERB tells more.\n", v->name);
}

static void explain(const struct verb *v)
{
	const struct opt *common[] = {options_common, NULL};

	printf("usage: fanoutctl %s%s%s%s\n\n%s\n", v->name, v->options[0] ? " [options]" : "",
	       v->operands[0] ? " " : "", v->operands, v->line);
	if (v->more) {
		printf("\n");
		wrap_print(stdout, v->more, 0, 0);
	}
	list_seconds(v);
	if (v->options[0]) {
		printf("\nOptions:\n");
		options_print(v->options, stdout);
	}
	printf("\nFor all verbs:\n");
	options_print(common, stdout);
}

int verb_help(struct ctl *ctl)
{
	const struct verb *v = ctl->args.help ? ctl->verb : NULL;
	int count = (int)ctl->args.operand_count, used;
	struct err e;

	if (!v && count) {
		v = verb_match(count, ctl->args.operands, &used);
		if (v && used < count && words_refuse_foreign(v, ctl->args.operands[used], &e))
			return ctl_report(&e);
		if (v && used < count && words_refuse(v, ctl->args.operands[used], true, &e))
			return ctl_report(&e);
		if (v && used < count) {
			err_set(&e, ERR_USAGE, NULL,
				" help: \"%.60s\" is one word too many (usage: fanoutctl help [VERB])",
				ctl->args.operands[used]);
			return ctl_report(&e);
		}
		if (!v) {
			words_refuse_verb(ctl->args.operands[0], &e);
			return ctl_report(&e);
		}
	}
	if (v && v->name)
		explain(v);
	else
		help_list(stdout);
	return STATUS_FINE;
}

/* Of the daemon that answers just now; none is started for this, and one that is busy is not waited for. */
static void print_daemon(struct ctl *ctl)
{
	char socket[PATHS_MAX];
	struct client *client;
	json_t *stats;
	bool found = ctl->args.local ? local_find(socket, sizeof socket)
				     : client_find_socket(ctl->args.socket, socket, sizeof socket) != PLACE_ASLEEP;

	if (!found || client_probe(socket) != 0)
		return;
	ctl_hurry(VERSION_WAIT_S);
	client = client_create(socket);
	stats = client_get_json(client, NULL, "/v1/stats");
	if (json_is_string(json_object_get(stats, "version")))
		printf("fanoutd %s\n", json_string_value(json_object_get(stats, "version")));
	json_decref(stats);
	client_free(client);
	ctl_hurry(0);
}

int verb_version(struct ctl *ctl)
{
	printf("fanoutctl %s\n", FANOUT_VERSION);
	if (ctl->verb) /* --version is before any, and asks nobody */
		print_daemon(ctl);
	return STATUS_FINE;
}

static void complete_options(const struct verb *v)
{
	const struct opt *groups[OPT_GROUPS_MAX + 2];

	verb_groups(v, groups);
	printf("\t'%s') options=\"", v->name);
	for (size_t g = 0; groups[g]; g++)
		for (const struct opt *o = groups[g]; o->name; o++)
			printf("%s--%s", g || o != groups[0] ? " " : "", o->name);
	printf("\" ;;\n");
}

static void complete_choices_of(const struct opt *o)
{
	for (; o->name; o++)
		if (o->choices)
			printf("\t--%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", o->name, o->choices);
}

/* What may follow an option whose values are words. */
static void complete_choices(void)
{
	printf("\t-f|--format) COMPREPLY=($(compgen -W 'table json ndjson csv' -- \"$word\")); return ;;\n"
	       "\t--state) COMPREPLY=($(compgen -W 'blocked queued running done failed cancelled' -- \"$word\")); "
	       "return ;;\n"
	       "\t-i|--input|-o|--output|-S|--socket|--body|--headers) COMPREPLY=($(compgen -f -- \"$word\")); return "
	       ";;\n");
	complete_choices_of(verb_find("submit")->options[0]);
	complete_choices_of(verb_find("pull run")->options[0]);
}

/* The words of one place in verbs: all first words, or the second ones behind `first`. */
static void list_words(const char *first)
{
	size_t n = first ? strlen(first) : 0;
	const char *separator = "";

	for (const struct verb *v = verbs; v->name; v++) {
		bool two = strchr(v->name, ' ') != NULL;

		if (first ? !two || strncmp(v->name, first, n) != 0 || v->name[n] != ' ' : two)
			continue;
		printf("%s%s", separator, first ? v->name + n + 1 : v->name);
		separator = " ";
	}
}

/* Where the word behind a verb may be its second. */
static void complete_second_words(void)
{
	for (const struct verb *v = verbs; v->name; v++) {
		const struct verb *next = v + 1;

		if (strchr(v->name, ' ') || !next->name || !strchr(next->name, ' '))
			continue;
		printf("\tif [[ $verb = %s ]]; then\n\t\tsecond=\"", v->name);
		list_words(v->name);
		printf("\"\n\t\tcase \" $second \" in *\" ${COMP_WORDS[at+1]} \"*) ((at + 1 < COMP_CWORD)) && "
		       "verb=\"$verb ${COMP_WORDS[at+1]}\" ;; esac\n"
		       "\t\t((at + 1 == COMP_CWORD)) && [[ $word != -* ]] && COMPREPLY=($(compgen -W \"$second\" -- "
		       "\"$word\")) && return\n\tfi\n");
	}
}

int verb_completion(struct ctl *ctl)
{
	struct err e;

	if (strcmp(ctl->args.operands[0], "bash") != 0) {
		err_set(&e, ERR_USAGE, "fanoutctl completion bash prints it; zsh takes it after bashcompinit",
			" completion: there is one for bash, none for \"%.40s\"", ctl->args.operands[0]);
		return ctl_report(&e);
	}
	printf(
	    "_fanoutctl()\n{\n\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= second= "
	    "options= at\n"
	    "\tlocal verbs=\"");
	list_words(NULL);
	printf("\"\n\tfor ((at = 1; at < COMP_CWORD; at++)); do\n"
	       "\t\tcase \" $verbs \" in *\" ${COMP_WORDS[at]} \"*) verb=${COMP_WORDS[at]}; break ;; esac\n\tdone\n"
	       "\tcase $before in\n");
	complete_choices();
	printf("\thelp) COMPREPLY=($(compgen -W \"$verbs\" -- \"$word\")); return ;;\n\tesac\n");
	complete_second_words();
	printf("\tcase $verb in\n");
	for (const struct verb *v = verbs; v->name; v++)
		complete_options(v);
	printf("\t*) COMPREPLY=($(compgen -W \"$verbs --socket --local --format --help --version\" -- \"$word\")); "
	       "return ;;\n"
	       "\tesac\n\tcase $word in\n\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n\tesac\n}\n"
	       "complete -o default -F _fanoutctl fanoutctl\n");
	return STATUS_FINE;
}
