/* What a word that other programs have is called here is a table; the rest is spelling. */
#include "cli/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/closest.h"

static const struct {
	const char *verb, *words, *meant;
} foreign[] = {
    {"", " list ls ps jobs batches ", "status"},
    {"", " log logs tail ", "follow BATCH, or explain"},
    {"", " run start ", "submit, or pull run"},
    {"limits", " list ls show get status ", "limits [HOST]"},
    {"limits", " add new create put ", "limits set"},
    {"limits", " remove delete del unset ", "limits rm"},
    {"limits", " help ", "help limits"},
    {"pull", " ls ", "pull list"},
    {"pull", " start fetch ", "pull run"},
    {"pull", " help ", "help pull"},
};

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = n ? strstr(words, word) : NULL; p; p = strstr(p + 1, word))
		if (p[-1] == ' ' && p[n] == ' ')
			return true;
	return false;
}

int words_refuse_verb(const char *word, struct err *e)
{
	struct closest near = {.word = word};

	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		if (!*foreign[i].verb && has_word(foreign[i].words, word))
			near.name = foreign[i].meant;
	if (!near.name)
		verb_offer(&near);
	return err_set(e, ERR_USAGE, "fanoutctl help lists the verbs", "there is no verb \"%.60s\"%s%s%s", word,
		       near.name ? "; did you mean " : "", near.name ? near.name : "", near.name ? "?" : "");
}

bool words_refuse_foreign(const struct verb *v, const char *word, struct err *e)
{
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		if (strcmp(foreign[i].verb, v->name) != 0 || !has_word(foreign[i].words, word))
			continue;
		err_set(e, ERR_USAGE, "a host of that name is written with its port: NAME:PORT",
			": no verb %s %.60s; did you mean fanoutctl %s?", v->name, word, foreign[i].meant);
		if (v->most == 0)
			e->hint[0] = '\0'; /* it takes no host */
		return true;
	}
	return false;
}

bool words_refuse(const struct verb *v, const char *word, bool alone, struct err *e)
{
	struct closest near = {.word = word};
	struct text seconds = {0};
	bool meant = verb_seconds(v, &seconds, &near);
	char hint[160] = "";

	if (seconds.len)
		snprintf(hint, sizeof hint, "there are fanoutctl %s %s", v->name, seconds.data);
	text_clear(&seconds);
	if (!meant && !(*hint && alone))
		return false;
	err_set(e, ERR_USAGE, hint, ": no verb %s %.60s%s%s%s%s%s", v->name, near.word,
		near.name ? "; did you mean " : "", near.name ? v->name : "", near.name ? " " : "",
		near.name ? near.name : "", near.name ? "?" : "");
	return true;
}
