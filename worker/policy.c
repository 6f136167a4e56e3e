/* Address policy on 16 bytes: IPv4 lives at ::ffff:0:0/96, so that both spellings of an address meet the same rule. */
#include "worker/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static void map_v4(uint8_t out[16], const void *v4)
{
	memcpy(out, mapped_prefix, sizeof mapped_prefix);
	memcpy(out + sizeof mapped_prefix, v4, 4);
}

/* Returns the number of bits that stand before the address proper (96 for IPv4), or -1. */
static int parse_address(const char *text, uint8_t out[16])
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		map_v4(out, &v4);
		return 96;
	}
	return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

/* Whether the first `bits` bits agree. */
static bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool allows(const struct policy *p, const uint8_t address[16])
{
	for (unsigned i = 0; i < p->count; i++)
		if (same_prefix(p->deny[i].bytes, address, p->deny[i].bits))
			return false;
	return true;
}

/* The number behind the slash, all of it where there is none; -1 when it is no number of bits. */
static int parse_bits(const char *slash, int most)
{
	unsigned long v;
	char *end;

	if (!*slash)
		return most;
	if (slash[1] < '0' || slash[1] > '9')
		return -1;
	v = strtoul(slash + 1, &end, 10);
	return *end || v > (unsigned long)most ? -1 : (int)v;
}

int policy_deny(struct policy *p, const char *text, struct err *e)
{
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	struct network *net = &p->deny[p->count];
	int before, bits;

	if (p->count == MESSAGE_DENY_MAX)
		return err_set(e, ERR_INPUT, NULL, "more than %d networks are denied", MESSAGE_DENY_MAX);
	if (n >= sizeof address)
		goto bad;
	memcpy(address, text, n);
	address[n] = '\0';
	before = parse_address(address, net->bytes);
	if (before < 0)
		goto bad;
	bits = parse_bits(text + n, 128 - before);
	if (bits < 0)
		goto bad;
	net->bits = (unsigned)(before + bits);
	p->count++;
	return 0;
bad:
	return err_set(e, ERR_INPUT, "write networks as in 169.254.0.0/16 or fe80::/10", "\"%.60s\" is not a network",
		       text);
}

bool policy_allows(const struct policy *p, const struct sockaddr *addr)
{
	uint8_t bytes[16];

	if (addr->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, addr, sizeof v4);
		map_v4(bytes, &v4.sin_addr);
	} else if (addr->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, addr, sizeof v6);
		memcpy(bytes, &v6.sin6_addr, sizeof bytes);
	} else {
		return false;
	}
	return allows(p, bytes);
}

bool policy_allows_text(const struct policy *p, const char *ip)
{
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(ip, "%");
	uint8_t bytes[16];

	if (p->count == 0)
		return true;
	if (n >= sizeof address)
		return false;
	memcpy(address, ip, n);
	address[n] = '\0';
	return parse_address(address, bytes) >= 0 && allows(p, bytes);
}

const char *policy_format(char *out, const struct sockaddr *addr)
{
	const void *bytes = NULL;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	out[0] = '\0';
	if (addr->sa_family == AF_INET) {
		memcpy(&v4, addr, sizeof v4);
		bytes = &v4.sin_addr;
	} else if (addr->sa_family == AF_INET6) {
		memcpy(&v6, addr, sizeof v6);
		bytes = &v6.sin6_addr;
	}
	if (bytes && !inet_ntop(addr->sa_family, bytes, out, INET6_ADDRSTRLEN))
		out[0] = '\0';
	return out;
}
