/* The tables are IANA's special-purpose registries (RFC 6890), as of 2024. Of IPv6 only 2000::/3 has been given out
 * (RFC 4291 section 2.4): what lies outside is not public, and needs no row. */
#include "lib/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

struct prefix {
	uint8_t bytes[ADDRESS_BYTES];
	unsigned bits;
};

/* ---- spelling ---- */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void address_of_v4(uint8_t out[ADDRESS_BYTES], const void *v4)
{
	memcpy(out, mapped, sizeof mapped);
	memcpy(out + sizeof mapped, v4, 4);
}

int address_parse(uint8_t out[ADDRESS_BYTES], const char *text)
{
	size_t n = strcspn(text, "%");
	char digits[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (n >= sizeof digits)
		return -1;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (inet_pton(AF_INET, digits, &v4) == 1) {
		address_of_v4(out, &v4);
		return 96;
	}
	return inet_pton(AF_INET6, digits, out) == 1 ? 0 : -1;
}

bool address_same_prefix(const uint8_t a[ADDRESS_BYTES], const uint8_t b[ADDRESS_BYTES], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* ---- public ---- */

#define V4(a, b, c, d, n)                                        \
	{                                                        \
		{[10] = 0xff, [11] = 0xff, a, b, c, d}, 96 + (n) \
	}

static const struct prefix not_public[] = {
    V4(0, 0, 0, 0, 8),      /* this network; unspecified */
    V4(10, 0, 0, 0, 8),     /* private */
    V4(100, 64, 0, 0, 10),  /* shared by a carrier's customers */
    V4(127, 0, 0, 0, 8),    /* loopback */
    V4(169, 254, 0, 0, 16), /* link-local; clouds' metadata */
    V4(172, 16, 0, 0, 12),  /* private */
    V4(192, 0, 0, 0, 24),   /* IETF protocols */
    V4(192, 0, 2, 0, 24),   /* documentation */
    V4(192, 88, 99, 0, 24), /* relays of 6to4, which are no more */
    V4(192, 168, 0, 0, 16), /* private */
    V4(198, 18, 0, 0, 15),  /* benchmarks */
    V4(198, 51, 100, 0, 24),
    V4(203, 0, 113, 0, 24), /* documentation, both */
    V4(224, 0, 0, 0, 4),    /* groups */
    V4(240, 0, 0, 0, 4),    /* reserved; broadcast */
    {{0x20, 0x01}, 23},     /* IETF protocols, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x3f, 0xff}, 20}, /* documentation, both */
};

/* Where an IPv4 address lies within: the network leads to that address. */
static const struct {
	struct prefix net;
	unsigned at; /* byte */
} carriers[] = {
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12}, /* NAT64, RFC 6052 */
    {{{0x20, 0x02}, 16}, 2},              /* 6to4, RFC 3056 */
};

static bool is_special(const uint8_t address[ADDRESS_BYTES])
{
	for (size_t i = 0; i < sizeof not_public / sizeof *not_public; i++)
		if (address_same_prefix(not_public[i].bytes, address, not_public[i].bits))
			return true;
	return false;
}

bool address_is_public(const uint8_t address[ADDRESS_BYTES])
{
	uint8_t within[ADDRESS_BYTES];

	for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
		if (!address_same_prefix(carriers[i].net.bytes, address, carriers[i].net.bits))
			continue;
		address_of_v4(within, address + carriers[i].at);
		return !is_special(within);
	}
	if (memcmp(address, mapped, sizeof mapped) != 0 && address[0] >> 5 != 1)
		return false;
	return !is_special(address);
}
