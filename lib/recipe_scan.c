/* What libconfig 1.5 does without a word: it wraps whole numbers above 2^31 that have no L behind them (1735689600000
 * becomes another number), cuts a string at \x00, and reads other files for @include. A recipe is whole in itself and
 * means what it says, so the text is looked through for these before. No parser: only strings, comments and numbers. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"

struct scan {
	const struct recipe_reader *rd;
	char *p;
	unsigned line;
	unsigned doubted; /* where a text began that probably ran into the next one; 0: none did */
};

static void advance(struct scan *s, const char *to)
{
	for (; s->p < to; s->p++)
		s->line += *s->p == '\n';
}

/* Behind a comment that begins here; NULL where none does. */
static const char *skip_comment(const char *p)
{
	const char *end;

	if (*p == '#' || (p[0] == '/' && p[1] == '/'))
		return p + strcspn(p, "\n");
	if (p[0] != '/' || p[1] != '*')
		return NULL;
	end = strstr(p + 2, "*/");
	return end ? end + 2 : p + strlen(p);
}

/* What cannot stand behind a value, on its line: there the quote was one that opened the next text. */
static bool is_no_end(const char *behind)
{
	const char *next = behind + strspn(behind, " \t\r");

	return *behind == '"' || (*next && !strchr(";,)]}\"#/\n", *next));
}

/* Without a closing quote a text ends where the next one begins, and so on to the last one, which has none. */
static int refuse_open(const struct scan *s)
{
	return recipe_refuse(s->rd, s->doubted ? s->doubted : s->line, NULL,
			     "the text that begins here has no closing quote");
}

/* s->p is at the opening quote. -1: it has no end, and what follows cannot be told. */
static int scan_string(struct scan *s)
{
	const char *p = s->p + 1;
	unsigned begin = s->line;

	for (; *p && *p != '"'; p++) {
		if (*p != '\\' || !p[1])
			continue;
		p++;
		if (strncmp(p, "x00", 3) == 0) {
			advance(s, p);
			recipe_refuse(s->rd, s->line, NULL, "a text has a NUL byte (\\x00)");
		}
	}
	if (!*p)
		return refuse_open(s);
	advance(s, p + 1);
	if (!s->doubted && s->line > begin && is_no_end(s->p))
		s->doubted = begin;
	return 0;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '+' || c == '.' || c == '*';
}

/* A word that is a whole number is one that libconfig takes as it is. */
static void scan_word(struct scan *s)
{
	const char *from = s->p, *end = from, *hint = "a number of such a size needs an L behind it, as in 5000000000L";
	char *stop;
	long long v;

	while (is_word(*end))
		end++;
	if (end == from)
		end++;
	advance(s, end);
	if (!strchr("+-0123456789", *from))
		return;
	errno = 0;
	v = strtoll(from, &stop, strncasecmp(from, "0x", 2) == 0 ? 16 : 10);
	if (stop != end && *stop != 'L')
		return; /* a fraction, or what libconfig will not take */
	if (errno)
		recipe_refuse(s->rd, s->line, NULL, "the number %.*s is out of range", (int)(end - from), from);
	else if (*stop != 'L' && (v > INT_MAX || v < INT_MIN))
		recipe_refuse(s->rd, s->line, hint, "the number %.*s has no L behind it", (int)(end - from), from);
}

static void scan_include(struct scan *s)
{
	size_t n = strcspn(s->p, "\n");

	recipe_refuse(s->rd, s->line, "write it all in one file", "a recipe cannot include another file");
	memset(s->p, ' ', n);
	s->p += n;
}

int recipe_scan(struct recipe_reader *rd, char *text)
{
	struct scan s = {.rd = rd, .p = text, .line = 1};
	const char *comment;

	while (*s.p) {
		if ((comment = skip_comment(s.p))) {
			advance(&s, comment);
		} else if (*s.p == '"') {
			if (scan_string(&s))
				return -1;
		} else if (strncmp(s.p, "@include", 8) == 0) {
			scan_include(&s);
		} else {
			scan_word(&s);
		}
	}
	rd->scan_faults = rd->faults->count;
	return 0;
}
