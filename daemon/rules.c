/* The table of rules: names, matches, and which of them a request counts against. It must not know what a rule's limit
 * remembers, nor anything of jobs and batches. */
#include "daemon/rules.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/url.h"

#define FORM "write HOST[:PORT][/PATH], as in \"api.example.org\", \"*.example.org:8080\" or \"api.example.org/v1/*\""

struct rules {
	struct rule *all;
	unsigned count, room;
};

const char *rule_source_name(enum rule_source s)
{
	static const char *const names[] = {
	    [RULE_CONF] = "conf",   [RULE_RUNTIME] = "runtime", [RULE_PULL] = "pull",
	    [RULE_BATCH] = "batch", [RULE_LEARNED] = "learned",
	};
	_Static_assert(sizeof names / sizeof *names == RULE_SOURCES, "every source has a name");

	return (unsigned)s < RULE_SOURCES ? names[s] : "?";
}

/* ---- what a match says ---- */

/* Decimal, 1 to 65535, nothing else. */
static int parse_port(const char *text, size_t len, uint16_t *port)
{
	unsigned long value = 0;

	if (len == 0 || len > 5)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value >= 1 && value <= 65535 ? 0 : -1;
}

/* A host with * in it is compared byte by byte; only what a host in a key can have makes sense. */
static int take_glob(const char *text, size_t len, struct rule_match *out, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
		bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("*.-_", c);

		if (!fine && !(out->brackets && c == ':'))
			return err_set(e, ERR_INPUT, "with * in it, write a host in ASCII (xn--...)",
				       "the host \"%.*s\" in the match has a character that no host has",
				       (int)(len < 100 ? len : 100), text);
		out->host[i] = c;
	}
	return 0;
}

/* One without * is brought into the form that a key has, whatever way it is spelled. */
static int take_literal(const char *text, size_t len, struct rule_match *out, struct err *e)
{
	char url[sizeof(out->host) + sizeof "http://[]:1/"], key[URL_KEY_SIZE];
	size_t key_len;

	snprintf(url, sizeof(url), "http://%s%.*s%s:1/", out->brackets ? "[" : "", (int)len, text,
		 out->brackets ? "]" : "");
	if (strcspn(text, "?%\\") < len || url_key(url, key, NULL) < 0)
		return err_set(e, ERR_INPUT, FORM, "\"%.*s\" in the match is no host", (int)(len < 100 ? len : 100),
			       text);
	key_len = strlen(key) - strlen(":1");
	out->brackets = *key == '[';
	if (out->brackets)
		key_len -= strlen("[]");
	if (key_len >= sizeof(out->host))
		return err_set(e, ERR_INPUT, NULL, "the host in the match is too long");
	memcpy(out->host, key + out->brackets, key_len);
	return 0;
}

static int take_host(const char *text, size_t len, struct rule_match *out, struct err *e)
{
	if (len == 0)
		return err_set(e, ERR_INPUT, FORM, "there is no host in the match");
	if (len >= sizeof(out->host))
		return err_set(e, ERR_INPUT, NULL, "the host in the match is longer than %zu bytes",
			       sizeof(out->host) - 1);
	return memchr(text, '*', len) ? take_glob(text, len, out, e) : take_literal(text, len, out, e);
}

static int take_authority(const char *text, size_t len, struct rule_match *out, struct err *e)
{
	const char *end = text + len, *host_end, *rest;

	out->brackets = *text == '[';
	if (out->brackets) {
		host_end = memchr(text, ']', len);
		if (!host_end)
			return err_set(e, ERR_INPUT, NULL, "the address in the match has no closing bracket");
		rest = host_end + 1;
		text++;
	} else {
		host_end = memchr(text, ':', len);
		rest = host_end = host_end ? host_end : end;
	}
	if (rest < end && *rest != ':')
		return err_set(e, ERR_INPUT, FORM, "there is something between the address and the port of the match");
	if (!out->brackets && rest < end && memchr(rest + 1, ':', (size_t)(end - rest - 1)))
		return err_set(e, ERR_INPUT, "write an IPv6 address in brackets, as in \"[2001:db8::1]:443\"",
			       "the match has more than one colon");
	if (rest < end && parse_port(rest + 1, (size_t)(end - rest - 1), &out->port) < 0)
		return err_set(e, ERR_INPUT, "a port is a number from 1 to 65535; without one any port matches",
			       "the match has a bad port");
	return take_host(text, (size_t)(host_end - text), out, e);
}

static int refuse_form(const char *text, struct err *e)
{
	if (strstr(text, "://"))
		return err_set(e, ERR_INPUT, FORM, "the match \"%.100s\" is a URL", text);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(e, ERR_INPUT, FORM, "the match has a space or a control character");
	if (strpbrk(text, "@#"))
		return err_set(e, ERR_INPUT, FORM, "the match \"%.100s\" has a user or a fragment", text);
	return 0;
}

int rules_parse_match(const char *text, struct rule_match *out, struct err *e)
{
	size_t authority = strcspn(text, "/");

	*out = (struct rule_match){0};
	if (*text == '\0')
		return err_set(e, ERR_INPUT, FORM, "the match is empty");
	if (refuse_form(text, e) < 0)
		return -1;
	if (strlen(text + authority) >= sizeof(out->path))
		return err_set(e, ERR_INPUT, NULL, "the path in the match is longer than %zu bytes",
			       sizeof(out->path) - 1);
	strcpy(out->path, text + authority);
	return take_authority(text, authority, out, e);
}

/* ---- the table ---- */

struct rules *rules_create(void)
{
	struct rules *r = calloc(1, sizeof(*r));

	if (!r)
		BUG("out of memory for the rules");
	return r;
}

/* The strings of a rule in the table are the table's own. */
static void rule_clear(struct rule *rule)
{
	free((void *)(uintptr_t)rule->name);
	free((void *)(uintptr_t)rule->match);
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->count; i++)
		rule_clear(&r->all[i]);
	free(r->all);
	free(r);
}

static struct rule *find(const struct rules *r, const char *name, enum rule_source source)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->all[i].source == source && strcmp(r->all[i].name, name) == 0)
			return &r->all[i];
	return NULL;
}

static void update_shadows(struct rules *r)
{
	for (unsigned i = 0; i < r->count; i++)
		r->all[i].shadowed = r->all[i].source == RULE_CONF && find(r, r->all[i].name, RULE_RUNTIME);
}

static int check(const struct rule *rule, struct rule_match *parsed, struct err *e)
{
	const struct limit_rule *l = &rule->limit;

	if (rule->name[0] == '\0')
		return err_set(e, ERR_INPUT, NULL, "a rule needs a name");
	if (strlen(rule->name) > RULES_NAME_MAX)
		return err_set(e, ERR_INPUT, NULL, "the name of a rule has at most %d bytes", RULES_NAME_MAX);
	if (l->rate_count == 0 && l->concurrency == 0)
		return err_set(e, ERR_INPUT, "give it a rate (\"100/min\") or a concurrency",
			       "the rule \"%s\" limits nothing", rule->name);
	if (l->rate_count > LIMIT_RATES_MAX)
		return err_set(e, ERR_INPUT, NULL, "a rule has at most %d rates", LIMIT_RATES_MAX);
	for (unsigned i = 0; i < l->rate_count; i++)
		if (l->rates[i].count < 1 || l->rates[i].window_us < 1)
			return err_set(e, ERR_INPUT, NULL, "a rate of the rule \"%s\" allows nothing", rule->name);
	if (l->pace && l->rate_count == 0)
		return err_set(e, ERR_INPUT, "give it a rate to spread, as in \"100/min\"",
			       "the rule \"%s\" says pace without a rate", rule->name);
	return rules_parse_match(rule->match, parsed, e);
}

static char *copy(const char *text)
{
	char *p = strdup(text);

	if (!p)
		BUG("out of memory for a rule");
	return p;
}

static struct rule *append(struct rules *r)
{
	if (r->count == r->room) {
		unsigned room = r->room ? 2 * r->room : 16;
		struct rule *all = realloc(r->all, room * sizeof(*all));

		if (!all)
			BUG("out of memory for %u rules", room);
		r->all = all;
		r->room = room;
	}
	return &r->all[r->count++];
}

int rules_set(struct rules *r, const struct rule *rule, struct err *e)
{
	struct rule fresh = *rule, *old = find(r, rule->name, rule->source);

	if (check(rule, &fresh.parsed, e) < 0)
		return -1;
	if (!old && rules_count_of(r, rule->source) >= RULES_MAX)
		return err_set(e, ERR_TOO_LARGE, "combine some: a rule's host may have * in it",
			       "there are %d rules already", RULES_MAX);
	fresh.name = copy(rule->name);
	fresh.match = copy(rule->match);
	if (old)
		rule_clear(old);
	else
		old = append(r);
	*old = fresh;
	update_shadows(r);
	return 0;
}

void rules_begin(struct rules *r, unsigned i, int64_t since_us, int64_t from_us)
{
	r->all[i].since_us = since_us;
	r->all[i].from_us = from_us;
}

static void take_out(struct rules *r, struct rule *rule)
{
	unsigned at = (unsigned)(rule - r->all);

	rule_clear(rule);
	memmove(rule, rule + 1, (--r->count - at) * sizeof(*rule));
}

bool rules_remove(struct rules *r, const char *name, enum rule_source source)
{
	struct rule *rule = find(r, name, source);

	if (rule)
		take_out(r, rule);
	update_shadows(r);
	return rule != NULL;
}

void rules_clear(struct rules *r, enum rule_source source)
{
	for (unsigned i = r->count; i-- > 0;)
		if (r->all[i].source == source)
			take_out(r, &r->all[i]);
	update_shadows(r);
}

unsigned rules_count(const struct rules *r)
{
	return r->count;
}

unsigned rules_count_of(const struct rules *r, enum rule_source source)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->count; i++)
		n += r->all[i].source == source;
	return n;
}

const struct rule *rules_get(const struct rules *r, unsigned i)
{
	return i < r->count ? &r->all[i] : NULL;
}

const struct rule *rules_find(const struct rules *r, const char *name)
{
	const struct rule *runtime = find(r, name, RULE_RUNTIME);

	return runtime ? runtime : find(r, name, RULE_CONF);
}

/* ---- matching ---- */

/* "host:port" or "[address]:port", taken apart. */
struct origin {
	char host[256];
	bool brackets;
	uint16_t port;
};

static bool take_apart(const char *host_port, struct origin *o)
{
	const char *colon = strrchr(host_port, ':');
	size_t len = colon ? (size_t)(colon - host_port) : 0;

	o->brackets = *host_port == '[';
	if (o->brackets && len >= 2) {
		host_port++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(o->host) || parse_port(colon + 1, strlen(colon + 1), &o->port) < 0)
		return false;
	memcpy(o->host, host_port, len);
	o->host[len] = '\0';
	return true;
}

static bool host_matches(const struct rule_match *m, const struct origin *o)
{
	if (m->port != 0 && m->port != o->port)
		return false;
	if (strcmp(m->host, "*") == 0 && !m->brackets)
		return true;
	return m->brackets == o->brackets && fnmatch(m->host, o->host, FNM_NOESCAPE) == 0;
}

static bool path_matches(const struct rule_match *m, const char *target, const char *path)
{
	if (m->path[0] == '\0')
		return true;
	return target && (fnmatch(m->path, target, 0) == 0 || (path && fnmatch(m->path, path, 0) == 0));
}

/* The target's path without its query; NULL when it has none, or no memory is left for it. */
static char *path_alone(const char *target)
{
	size_t len = target ? strcspn(target, "?") : 0;

	return target && target[len] ? strndup(target, len) : NULL;
}

unsigned rules_select(const struct rules *r, const char *host_port, const char *target, unsigned *out, unsigned room)
{
	char *path = path_alone(target);
	unsigned n = 0;
	struct origin o;

	for (unsigned i = 0; take_apart(host_port, &o) && i < r->count; i++) {
		const struct rule *rule = &r->all[i];

		if (rule->shadowed || !host_matches(&rule->parsed, &o) || !path_matches(&rule->parsed, target, path))
			continue;
		if (n < room)
			out[n] = i;
		n++;
	}
	free(path);
	return n;
}

bool rules_may_match(const struct rules *r, unsigned i, const char *host_port)
{
	struct origin o;

	return i < r->count && take_apart(host_port, &o) && host_matches(&r->all[i].parsed, &o);
}

bool rules_have_paths(const struct rules *r, const char *host_port)
{
	struct origin o;

	if (!take_apart(host_port, &o))
		return false;
	for (unsigned i = 0; i < r->count; i++)
		if (!r->all[i].shadowed && r->all[i].parsed.path[0] && host_matches(&r->all[i].parsed, &o))
			return true;
	return false;
}
