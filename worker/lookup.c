/* The gate before name look-ups. Hosts are told apart by the text between // and the path, user and port included: two
 * spellings of a host are only looked up once too often. */
#include "worker/lookup.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/err.h"

#define RESOLVED_US 50000000 /* safely less than libcurl keeps an address */
#define REUSED_US   5000000  /* a connection lives: others will find one too, or find out */
#define SLOW_US     500000
#define HOSTS_MANY  4096u /* from here on, hosts that nobody asks for are forgotten */

struct lookup_host {
	int64_t known_until_us;
	unsigned going;   /* transfers that look it up */
	unsigned tickets; /* that point here */
	int64_t since_us; /* when the last of them started */
	bool slow;        /* the last look-up failed, and took its time: the others do not wait for one another */
	UT_hash_handle hh;
	char name[];
};

void lookup_init(struct lookups *l)
{
	*l = (struct lookups){.sweep_at = HOSTS_MANY};
	TAILQ_INIT(&l->waiting);
}

void lookup_clear(struct lookups *l)
{
	struct lookup_host *h, *next;

	HASH_ITER (hh, l->hosts, h, next) {
		HASH_DEL(l->hosts, h);
		free(h);
	}
}

static void forget_old(struct lookups *l, int64_t now_us)
{
	struct lookup_host *h, *next;

	HASH_ITER (hh, l->hosts, h, next) {
		if (h->tickets == 0 && h->known_until_us <= now_us) {
			HASH_DEL(l->hosts, h);
			free(h);
		}
	}
	l->sweep_at = HASH_COUNT(l->hosts) < HOSTS_MANY / 2 ? HOSTS_MANY : HASH_COUNT(l->hosts) * 2;
}

static struct lookup_host *find_host(struct lookups *l, const char *url, int64_t now_us)
{
	const char *name = strstr(url, "//");
	struct lookup_host *h;
	size_t n;

	name = name ? name + 2 : url;
	n = strcspn(name, "/?#");
	HASH_FIND(hh, l->hosts, name, n, h);
	if (h)
		return h;
	if (HASH_COUNT(l->hosts) >= l->sweep_at)
		forget_old(l, now_us);
	h = calloc(1, sizeof *h + n + 1);
	if (!h)
		BUG("out of memory for a host");
	memcpy(h->name, name, n);
	HASH_ADD_KEYPTR(hh, l->hosts, h->name, n, h);
	return h;
}

static bool is_known(const struct lookup_host *h, int64_t now_us)
{
	return h->known_until_us > now_us;
}

static bool may_go(const struct lookups *l, const struct lookup_host *h, int64_t now_us)
{
	return is_known(h, now_us) || ((h->going == 0 || h->slow) && l->going < LOOKUP_MAX);
}

/* Lets the ticket go; it counts as a look-up unless the host is known. */
static void go(struct lookups *l, struct lookup_ticket *t, int64_t now_us)
{
	struct lookup_host *h = t->host;

	if (is_known(h, now_us)) {
		h->tickets--;
		t->host = NULL;
		t->state = LOOKUP_NONE;
		return;
	}
	t->state = LOOKUP_GOES;
	h->since_us = now_us;
	h->going++;
	l->going++;
}

bool lookup_ask(struct lookups *l, struct lookup_ticket *t, const char *url, int64_t now_us)
{
	t->host = find_host(l, url, now_us);
	t->host->tickets++;
	if (may_go(l, t->host, now_us)) {
		go(l, t, now_us);
		return true;
	}
	t->state = LOOKUP_WAITS;
	TAILQ_INSERT_TAIL(&l->waiting, t, entry);
	return false;
}

void lookup_answer(struct lookups *l, struct lookup_ticket *t, enum lookup_answer answer, int64_t now_us)
{
	struct lookup_host *h = t->host;

	if (t->state != LOOKUP_GOES)
		return;
	if (answer != LOOKUP_FAILED)
		h->known_until_us = now_us + (answer == LOOKUP_RESOLVED ? RESOLVED_US : REUSED_US);
	h->slow = answer == LOOKUP_FAILED && now_us - h->since_us > SLOW_US;
	h->going--;
	h->tickets--;
	l->going--;
	l->changed = true;
	t->host = NULL;
	t->state = LOOKUP_NONE;
}

void lookup_forget(struct lookups *l, struct lookup_ticket *t)
{
	if (t->state != LOOKUP_WAITS)
		return;
	TAILQ_REMOVE(&l->waiting, t, entry);
	t->host->tickets--;
	t->host = NULL;
	t->state = LOOKUP_NONE;
}

size_t lookup_count(const struct lookups *l)
{
	return HASH_COUNT(l->hosts);
}

struct lookup_ticket *lookup_next(struct lookups *l, int64_t now_us)
{
	struct lookup_ticket *t;

	if (!l->changed)
		return NULL;
	TAILQ_FOREACH (t, &l->waiting, entry) {
		if (may_go(l, t->host, now_us)) {
			TAILQ_REMOVE(&l->waiting, t, entry);
			go(l, t, now_us);
			return t;
		}
	}
	l->changed = false;
	return NULL;
}
