/* Which addresses may be reached: none of a network that the daemon's settings deny; where a server at a public address
 * led, only public ones. Judged by the address itself, never by a name. */
#ifndef FANOUT_WORKER_POLICY_H
#define FANOUT_WORKER_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/address.h"
#include "lib/err.h"
#include "lib/message.h"

/* An IPv4 network is kept as the IPv4-mapped IPv6 network that it is also reached by. */
struct network {
	uint8_t bytes[ADDRESS_BYTES];
	unsigned bits;
};

struct policy {
	struct network deny[MESSAGE_DENY_MAX];
	unsigned count;
};

/* "169.254.0.0/16", "fe80::/10", or one address. Returns 0, or -1 with ERR_INPUT. */
int policy_deny(struct policy *p, const char *text, struct err *e);

enum policy_verdict {
	POLICY_ALLOWED,
	POLICY_DENIED,     /* by a network, or no IP address at all */
	POLICY_NOT_PUBLIC, /* and only public ones are allowed */
};
enum policy_verdict policy_judge(const struct policy *p, const struct sockaddr *addr, bool public_only);
/* The same for a numeric address as libcurl writes it, with or without a zone. */
enum policy_verdict policy_judge_text(const struct policy *p, const char *ip, bool public_only);

/* Writes an address's numbers ("127.0.0.1", "::1") into `out` (INET6_ADDRSTRLEN bytes) and returns it. */
const char *policy_format(char *out, const struct sockaddr *addr);

#endif
