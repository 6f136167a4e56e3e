/* IP addresses as 16 bytes: IPv4 lives at ::ffff:0:0/96, so that both spellings of an address are one. Pure. */
#ifndef FANOUT_LIB_ADDRESS_H
#define FANOUT_LIB_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_BYTES 16

/* "127.0.0.1", "::1", also with a zone ("fe80::1%eth0"). Returns the number of bits that stand before the address
 * proper (96 for one written as IPv4, else 0), or -1 for what is no address. */
int address_parse(uint8_t out[ADDRESS_BYTES], const char *text);
void address_of_v4(uint8_t out[ADDRESS_BYTES], const void *v4);
/* Whether the first `bits` bits agree. */
bool address_same_prefix(const uint8_t a[ADDRESS_BYTES], const uint8_t b[ADDRESS_BYTES], unsigned bits);

/* Whether an address is one of the public Internet: neither loopback, private, link-local, shared by a carrier,
 * reserved, a group, nor one of these in the clothes of IPv6 (mapped, NAT64, 6to4). What is not known to be public is
 * not. */
bool address_is_public(const uint8_t address[ADDRESS_BYTES]);

#endif
