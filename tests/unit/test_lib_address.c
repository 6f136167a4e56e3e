/* Which addresses are public: both ends of every range, in every spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/address.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool is_public(const char *text)
{
	uint8_t bytes[ADDRESS_BYTES];

	if (address_parse(bytes, text) < 0)
		fail_msg("%s is no address", text);
	return address_is_public(bytes);
}

static void expect(const char *text, bool public)
{
	if (is_public(text) != public)
		fail_msg("%s is taken for %s", text, public ? "not public" : "public");
}

/* A range, and its neighbours where those are public. */
static const struct {
	const char *before, *first, *last, *after;
} ranges[] = {
    {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"223.255.255.255", "224.0.0.0", "255.255.255.255", NULL},
};

static const struct {
	const char *before, *first, *last, *after;
} ranges6[] = {
    {NULL, "::", "::1", NULL},
    {NULL, "::2", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
    {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, /* unique local */
    {NULL, "fe80::1", "febf:ffff::1", NULL},                           /* link-local */
    {NULL, "fec0::1", "feff::1", NULL},                                /* site-local, as it was */
    {NULL, "ff02::1", "ff0e::1", NULL},                                /* groups */
    {NULL, "64:ff9b:1::", "64:ff9b:1:ffff::7f00:1", NULL},             /* NAT64 of one's own */
    {NULL, "100::", "100::1", NULL},                                   /* discarded */
};

static void both_ends_of_every_range_are_known(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < COUNT(ranges); i++) {
		expect(ranges[i].first, false);
		expect(ranges[i].last, false);
		if (ranges[i].before)
			expect(ranges[i].before, true);
		if (ranges[i].after)
			expect(ranges[i].after, true);
	}
	for (size_t i = 0; i < COUNT(ranges6); i++) {
		expect(ranges6[i].first, false);
		expect(ranges6[i].last, false);
		if (ranges6[i].before)
			expect(ranges6[i].before, true);
		if (ranges6[i].after)
			expect(ranges6[i].after, true);
	}
}

static void addresses_of_the_internet_are_public(void **arg)
{
	static const char *const some[] = {"1.1.1.1",        "8.8.8.8",
					   "93.184.216.34",  "2606:2800:220:1:248:1893:25c8:1946",
					   "2000::",         "2a00:1450:4001:81b::200e",
					   "2620:4f:8000::1"};

	(void)arg;
	for (size_t i = 0; i < COUNT(some); i++)
		expect(some[i], true);
}

/* An IPv4 address within one of IPv6 is what that leads to. */
static void every_clothing_of_an_ipv4_address_is_seen_through(void **arg)
{
	unsigned a, b, c, d;
	char text[64];

	(void)arg;
	for (size_t i = 0; i < COUNT(ranges) * 2; i++) {
		const char *ip = i % 2 ? ranges[i / 2].first : ranges[i / 2].after;

		if (!ip)
			continue;
		assert_int_equal(sscanf(ip, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
		snprintf(text, sizeof text, "::ffff:%s", ip);
		expect(text, i % 2 == 0);
		snprintf(text, sizeof text, "64:ff9b::%s", ip);
		expect(text, i % 2 == 0);
		snprintf(text, sizeof text, "2002:%02x%02x:%02x%02x:1::1", a, b, c, d);
		expect(text, i % 2 == 0);
		snprintf(text, sizeof text, "::%s", ip); /* "compatible": nobody is there */
		expect(text, false);
		snprintf(text, sizeof text, "::ffff:0:%s", ip); /* translated, within a site */
		expect(text, false);
	}
}

static void a_zone_does_not_change_an_address(void **arg)
{
	uint8_t with[ADDRESS_BYTES], without[ADDRESS_BYTES];

	(void)arg;
	assert_int_equal(address_parse(with, "fe80::1%eth0"), 0);
	assert_int_equal(address_parse(without, "fe80::1"), 0);
	assert_memory_equal(with, without, sizeof with);
	assert_false(address_is_public(with));
}

static void what_is_no_address_is_told(void **arg)
{
	static const char *const bad[] = {"",
					  "a.example",
					  "127.1",
					  "2130706433",
					  "0x7f.0.0.1",
					  "1.2.3.4.5",
					  "::g",
					  "[::1]",
					  "1.2.3.4 ",
					  "1.2.3.4/32",
					  "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	uint8_t bytes[ADDRESS_BYTES];

	(void)arg;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (address_parse(bytes, bad[i]) >= 0)
			fail_msg("\"%s\" is taken for an address", bad[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_ends_of_every_range_are_known),
	    cmocka_unit_test(addresses_of_the_internet_are_public),
	    cmocka_unit_test(every_clothing_of_an_ipv4_address_is_seen_through),
	    cmocka_unit_test(a_zone_does_not_change_an_address),
	    cmocka_unit_test(what_is_no_address_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
