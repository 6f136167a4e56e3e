/* Which addresses may be reached: networks that the daemon's settings deny, compared with the address itself, never
 * with a name. */
#ifndef FANOUT_WORKER_POLICY_H
#define FANOUT_WORKER_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/message.h"

/* An IPv4 network is kept as the IPv4-mapped IPv6 network that it is also reached by. */
struct network {
	uint8_t bytes[16];
	unsigned bits;
};

struct policy {
	struct network deny[MESSAGE_DENY_MAX];
	unsigned count;
};

/* "169.254.0.0/16", "fe80::/10", or one address. Returns 0, or -1 with ERR_INPUT. */
int policy_deny(struct policy *p, const char *text, struct err *e);
/* Addresses that are not IP are not allowed. */
bool policy_allows(const struct policy *p, const struct sockaddr *addr);
/* The same for a numeric address as libcurl writes it, with or without a zone. */
bool policy_allows_text(const struct policy *p, const char *ip);

/* Writes an address's numbers ("127.0.0.1", "::1") into `out` (INET6_ADDRSTRLEN bytes) and returns it. */
const char *policy_format(char *out, const struct sockaddr *addr);

#endif
