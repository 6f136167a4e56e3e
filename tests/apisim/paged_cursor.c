/* Cursors: opaque to the client, a place to the server, and good only so long, so often, for so many requests. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/paged.h"

struct paged_cursor {
	int64_t issued_us, issued_at; /* when, and after how many requests */
	int64_t uses;
	UT_hash_handle hh;
	char text[];
};

#define LONG_BYTES 2000

/* What stands before a cursor of that form: signs that a query has to escape. */
static const char *const prefixes[] = {
    [FORM_PLAIN] = "c", [FORM_AWKWARD] = "+/=&?#% \\,;\"", [FORM_NUMBER] = "", [FORM_LONG] = "l"};

/* So that a cursor can't be guessed, or cut, unseen. */
static unsigned check_of(const struct paged *p, int64_t at)
{
	return (unsigned)(((uint64_t)at + p->set.seed) * 0x9e3779b97f4a7c15u >> 48);
}

static bool expires(const struct paged *p)
{
	return p->set.cursor_uses || p->set.cursor_requests || p->set.cursor_life_us;
}

static char *make_text(const struct paged *p, int64_t at)
{
	char serial[24] = "";
	char *out = NULL;
	int n;

	if (p->set.cursor_fresh)
		snprintf(serial, sizeof serial, "-%zu", p->count);
	if (p->set.cursor_form == FORM_NUMBER)
		n = asprintf(&out, "%" PRIu64, (uint64_t)at << 16 | check_of(p, at));
	else
		n = asprintf(&out, "%s%" PRIx64 "-%04x%s%s%.*d", prefixes[p->set.cursor_form], (uint64_t)at,
			     check_of(p, at), serial, p->set.cursor_form == FORM_LONG ? "-" : "",
			     p->set.cursor_form == FORM_LONG ? LONG_BYTES : 0, 0);
	if (n < 0)
		abort();
	return out;
}

char *paged_cursor_issue(struct paged *p, int64_t at)
{
	char *text = make_text(p, at);
	struct paged_cursor *c;

	if (!expires(p))
		return text;
	HASH_FIND_STR(p->cursors, text, c);
	if (!c) {
		c = calloc(1, sizeof *c + strlen(text) + 1);
		memcpy(c->text, text, strlen(text));
		HASH_ADD_KEYPTR(hh, p->cursors, c->text, strlen(c->text), c);
	}
	c->issued_us = server_now_us();
	c->issued_at = (int64_t)p->count;
	c->uses = 0;
	return text;
}

int64_t paged_cursor_read(const struct paged *p, const char *text)
{
	const char *prefix = prefixes[p->set.cursor_form];
	uint64_t at;
	unsigned check;

	if (p->set.cursor_form == FORM_NUMBER) {
		at = strtoull(text, NULL, 10);
		check = at & 0xffff;
		at >>= 16;
	} else if (strncmp(text, prefix, strlen(prefix)) != 0 ||
		   sscanf(text + strlen(prefix), "%" SCNx64 "-%4x", &at, &check) != 2) {
		return -1;
	}
	return at <= INT32_MAX && check == check_of(p, (int64_t)at) ? (int64_t)at : -1;
}

bool paged_cursor_use(struct paged *p, const char *text)
{
	struct paged_cursor *c;

	if (!expires(p))
		return true;
	HASH_FIND_STR(p->cursors, text, c);
	if (!c)
		return false;
	c->uses++;
	/* This very request is counted already; it is not another one. */
	return (!p->set.cursor_uses || c->uses <= p->set.cursor_uses) &&
	       (!p->set.cursor_requests || (int64_t)p->count - 1 - c->issued_at <= p->set.cursor_requests) &&
	       (!p->set.cursor_life_us || server_now_us() - c->issued_us <= p->set.cursor_life_us);
}

void paged_cursors_forget(struct paged *p)
{
	struct paged_cursor *c = p->cursors, *next;

	HASH_CLEAR(hh, p->cursors);
	for (; c; c = next) {
		next = c->hh.next;
		free(c);
	}
}
