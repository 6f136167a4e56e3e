/* HOST as people name one (a URL, a name, a name with a port), as the limit keys (host:port) that it may mean. */
#ifndef FANOUT_CLI_HOSTS_H
#define FANOUT_CLI_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/text.h"
#include "lib/err.h"
#include "lib/url.h"

#define HOSTS_MAX 80

struct hosts {
	char keys[HOSTS_MAX][URL_KEY_SIZE];
	size_t count;
	bool exact; /* a port was named, or a URL: there is one key */
};

/* "https://a.example/x" and "a.example:443" are one key; "a.example" is that host at 443 and 80. */
int hosts_parse(const char *text, struct hosts *h, struct err *e);
/* Unless it is exact: also the other ports of that host that the daemon's answer to /v1/limits names. */
void hosts_add_known(struct hosts *h, const json_t *limits);
/* A key that is one of the host's at another port; others, and what is there already, are passed over. */
void hosts_add(struct hosts *h, const char *key);
bool hosts_have(const struct hosts *h, const char *key);

/* A key or a name as a part of a path or a query: percent-encoded where it has to be. */
void hosts_add_encoded(struct text *path, const char *word);

#endif
