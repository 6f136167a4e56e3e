/* Keys are made by lib/url, as the daemon makes them: no spelling of a host is another one. */
#define _GNU_SOURCE 1 /* asprintf */

#include "cli/hosts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "::1" is an address and not a name with a port. */
static bool is_bare_ipv6(const char *text)
{
	const char *colon = strchr(text, ':');

	return text[0] != '[' && colon && strchr(colon + 1, ':');
}

static int key_of(const char *scheme, const char *text, char *key, struct err *e)
{
	bool bare = is_bare_ipv6(text);
	char *url;
	int rc;

	if (asprintf(&url, "%s://%s%s%s/", scheme, bare ? "[" : "", text, bare ? "]" : "") < 0)
		BUG("out of memory");
	rc = url_key(url, key, NULL);
	free(url);
	return rc == 0 ? 0
		       : err_set(e, ERR_USAGE, "write a URL, HOST or HOST:PORT, as in api.example.org:443",
				 "\"%.100s\" is no host", text);
}

int hosts_parse(const char *text, struct hosts *h, struct err *e)
{
	*h = (struct hosts){.exact = true, .count = 1};
	if (strstr(text, "://"))
		return url_key(text, h->keys[0], e);
	if (strpbrk(text, "/?#@ ") || key_of("https", text, h->keys[0], e) < 0 ||
	    key_of("http", text, h->keys[1], e) < 0)
		return err_set(e, ERR_USAGE, "write a URL, HOST or HOST:PORT, as in api.example.org:443",
			       "\"%.100s\" is no host", text);
	/* The port that is the same for both schemes was written there. */
	h->exact = strcmp(h->keys[0], h->keys[1]) == 0;
	h->count = h->exact ? 1 : 2;
	return 0;
}

bool hosts_have(const struct hosts *h, const char *key)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcmp(h->keys[i], key) == 0)
			return true;
	return false;
}

void hosts_add(struct hosts *h, const char *key)
{
	const char *port = key ? strrchr(key, ':') : NULL;
	size_t name = port ? (size_t)(port - key) : 0;

	if (!port || h->count == HOSTS_MAX || strlen(key) >= URL_KEY_SIZE || hosts_have(h, key) ||
	    strncmp(h->keys[0], key, name + 1) != 0)
		return;
	strcpy(h->keys[h->count++], key);
}

static void add_of_rules(struct hosts *h, const json_t *rules)
{
	const json_t *rule, *state;
	size_t i, k;

	json_array_foreach (rules, i, rule) {
		json_array_foreach (json_object_get(rule, "state"), k, state) {
			hosts_add(h, json_string_value(json_object_get(state, "host")));
		}
	}
}

void hosts_add_known(struct hosts *h, const json_t *limits)
{
	const json_t *state;
	size_t i;

	if (h->exact)
		return;
	add_of_rules(h, json_object_get(limits, "limits"));
	add_of_rules(h, json_object_get(limits, "batches"));
	json_array_foreach (json_object_get(limits, "hosts"), i, state) {
		hosts_add(h, json_string_value(json_object_get(state, "host")));
	}
}

void hosts_add_encoded(struct text *path, const char *word)
{
	for (; *word; word++)
		if (((unsigned char)*word < 0x80 && isalnum((unsigned char)*word)) || strchr("-._~:*", *word))
			text_add_char(path, *word);
		else
			text_printf(path, "%%%02X", (unsigned)(unsigned char)*word);
}
