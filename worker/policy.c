/* Address policy on lib/address's 16 bytes, so that both spellings of an address meet the same rule. */
#include "worker/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/address.h"

static bool denied(const struct policy *p, const uint8_t address[ADDRESS_BYTES])
{
	for (unsigned i = 0; i < p->count; i++)
		if (address_same_prefix(p->deny[i].bytes, address, p->deny[i].bits))
			return true;
	return false;
}

static enum policy_verdict judge(const struct policy *p, const uint8_t address[ADDRESS_BYTES], bool public_only)
{
	if (denied(p, address))
		return POLICY_DENIED;
	return public_only && !address_is_public(address) ? POLICY_NOT_PUBLIC : POLICY_ALLOWED;
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
	before = address_parse(net->bytes, address);
	if (before < 0 || strchr(address, '%'))
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

enum policy_verdict policy_judge(const struct policy *p, const struct sockaddr *addr, bool public_only)
{
	uint8_t bytes[ADDRESS_BYTES];

	if (addr->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, addr, sizeof v4);
		address_of_v4(bytes, &v4.sin_addr);
	} else if (addr->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, addr, sizeof v6);
		memcpy(bytes, &v6.sin6_addr, sizeof bytes);
	} else {
		return POLICY_DENIED;
	}
	return judge(p, bytes, public_only);
}

enum policy_verdict policy_judge_text(const struct policy *p, const char *ip, bool public_only)
{
	uint8_t bytes[ADDRESS_BYTES];

	if (p->count == 0 && !public_only)
		return POLICY_ALLOWED;
	return address_parse(bytes, ip) < 0 ? POLICY_DENIED : judge(p, bytes, public_only);
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
