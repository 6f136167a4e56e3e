/* Whether a batch that has a submission's key was made of the same list. */
#ifndef FANOUT_CLI_SAME_H
#define FANOUT_CLI_SAME_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/text.h"

struct client;

/* Whether the batch begins with the URLs of these jobs: `lines` as they are sent, a JSON object each. Only URLs are
 * compared, and of the first thousand: what a body or a header was, no answer tells. True too where the daemon cannot
 * be asked. */
bool same_urls(struct client *client, uint32_t batch, const struct text *lines);

#endif
