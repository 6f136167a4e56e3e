/* The table of limit rules: which rules there are, where each comes from, and which of them a request counts against.
 *
 * A request counts against every rule it matches, and the strictest decides. A rule counts each host:port by itself:
 * "*.example.com" at 100/min means 100/min for a.example.com:443 and 100/min for b.example.com:443. So the state that
 * belongs to a rule (daemon/limit) is one per pair of rule and host:port, shared by all keys of that host:port that
 * the rule matches. The table knows nothing of that state. Pure. */
#ifndef FANOUT_DAEMON_RULES_H
#define FANOUT_DAEMON_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/limit.h"
#include "lib/err.h"

#define RULES_MAX      1000
#define RULES_NAME_MAX 100 /* bytes of a rule's name */

/* What a rule's `match` says: HOST[:PORT][/PATH]. In HOST and PATH `*` stands for any characters, dots and slashes
 * included; in PATH also `?` and [...] as in the shell (a backslash takes their meaning away). HOST is compared in
 * lower case, and one without * in whatever spelling (as lib/url reads it); an IPv6 address stands in brackets. Without
 * a port any port matches, without a path any path. A PATH is held against the path alone and against path?query, as
 * they are sent: "/search" matches /search?q=1 too, but not /%73earch. */
struct rule_match {
	char host[256]; /* without brackets */
	bool brackets;
	uint16_t port;   /* 0: any */
	char path[1024]; /* "": any */
};
int rules_parse_match(const char *text, struct rule_match *out, struct err *e);

enum rule_source {
	RULE_CONF,    /* fanout.conf */
	RULE_RUNTIME, /* set by an operator, kept in the store: shadows a conf rule of the same name */
	RULE_LEARNED, /* told by a server (only in listings: learned rates live in their limits) */
	RULE_PULL,    /* a recipe's own rate (only in listings too) */
	RULE_BATCH,   /* a batch's (likewise) */
	RULE_SOURCES
};
const char *rule_source_name(enum rule_source s); /* "conf", "runtime", "learned", "pull", "batch" */

struct rule {
	const char *name; /* unique within its source */
	const char *match;
	struct limit_rule limit;
	enum rule_source source;
	int64_t since_us; /* wall: all that was sent from then on was held to it; 0: not known */
	int64_t from_us;  /* boot: what was granted until then was not; RULE_NEW: it comes into force now */
	/* set by rules_set */
	struct rule_match parsed;
	bool shadowed; /* a runtime rule of the same name stands for it: it matches nothing */
};

#define RULE_NEW INT64_MAX

struct rules;
struct rules *rules_create(void);
void rules_free(struct rules *r);

/* Adds a rule, or replaces the one with the same name and source; strings are copied. Refuses (ERR_INPUT) a bad match,
 * an empty or too long name, a rule that limits nothing, pace without a rate; more than RULES_MAX of one
 * source are ERR_TOO_LARGE. */
int rules_set(struct rules *r, const struct rule *rule, struct err *e);
/* For who keeps the time: since when it is in force. */
void rules_begin(struct rules *r, unsigned i, int64_t since_us, int64_t from_us);
/* False when there is none. Taking a runtime rule away brings back the conf rule it shadowed. */
bool rules_remove(struct rules *r, const char *name, enum rule_source source);
/* Before a reload: takes away all of one source. */
void rules_clear(struct rules *r, enum rule_source source);

/* Rules by index, in the order in which they were added; an index is valid until the table changes, a name for ever. */
unsigned rules_count(const struct rules *r);
unsigned rules_count_of(const struct rules *r, enum rule_source source);
const struct rule *rules_get(const struct rules *r, unsigned i);
/* The one in force of that name, or NULL. */
const struct rule *rules_find(const struct rules *r, const char *name);

/* The rules in force that a request to `host_port` ("a.example:443", "[::1]:80", as lib/url makes it) counts against:
 * fills out[room] with indices, in the table's order, and returns how many there are (which may be more than `room`).
 * `target` is the request's path and query ("/v1/x?page=2"); NULL chooses only the rules without a path. */
unsigned rules_select(const struct rules *r, const char *host_port, const char *target, unsigned *out, unsigned room);

/* Whether some request to this host could match the rule, whatever its path. */
bool rules_may_match(const struct rules *r, unsigned i, const char *host_port);

/* Whether a rule in force that may match this host has a path, so that the path of a job matters. */
bool rules_have_paths(const struct rules *r, const char *host_port);

#endif
