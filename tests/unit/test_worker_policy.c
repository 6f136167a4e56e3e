/* What a worker decides by itself: addresses, capacity, and who may look up a name. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "worker/capacity.h"
#include "worker/lookup.h"
#include "worker/policy.h"

static bool allowed(const struct policy *p, const char *ip)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	enum policy_verdict by_text = policy_judge_text(p, ip, false), by_address;
	char again[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	else
		fail_msg("%s is no address", ip);
	by_address = policy_judge(p, (struct sockaddr *)&ss, false);
	assert_int_equal(by_text, by_address);
	assert_string_equal(policy_format(again, (struct sockaddr *)&ss), ip);
	return by_address == POLICY_ALLOWED;
}

static void a_denied_network_is_denied_to_its_last_bit(void **arg)
{
	struct policy p = {0};

	(void)arg;
	assert_int_equal(policy_deny(&p, "169.254.0.0/16", NULL), 0);
	assert_int_equal(policy_deny(&p, "10.0.0.128/25", NULL), 0);
	assert_int_equal(policy_deny(&p, "fe80::/10", NULL), 0);
	assert_int_equal(policy_deny(&p, "192.0.2.7", NULL), 0);
	assert_false(allowed(&p, "169.254.0.0"));
	assert_false(allowed(&p, "169.254.255.255"));
	assert_true(allowed(&p, "169.255.0.0"));
	assert_true(allowed(&p, "10.0.0.127"));
	assert_false(allowed(&p, "10.0.0.128"));
	assert_false(allowed(&p, "fe80::1"));
	assert_false(allowed(&p, "febf:ffff::1"));
	assert_true(allowed(&p, "fec0::1"));
	assert_false(allowed(&p, "192.0.2.7"));
	assert_true(allowed(&p, "192.0.2.6"));
	assert_int_equal(policy_judge_text(&p, "fe80::1%eth0", false), POLICY_DENIED);
	assert_int_equal(policy_judge_text(&p, "no address", false), POLICY_DENIED);
}

static void an_ipv4_address_in_ipv6_clothes_is_the_same_address(void **arg)
{
	struct policy p = {0}, mapped = {0};

	(void)arg;
	assert_int_equal(policy_deny(&p, "127.0.0.0/8", NULL), 0);
	assert_false(allowed(&p, "::ffff:127.0.0.1"));
	assert_true(allowed(&p, "::ffff:128.0.0.1"));
	assert_true(allowed(&p, "::1"));
	assert_int_equal(policy_deny(&mapped, "::ffff:10.0.0.0/104", NULL), 0);
	assert_false(allowed(&mapped, "10.1.2.3"));
	assert_true(allowed(&mapped, "11.1.2.3"));
}

static void all_of_a_family_can_be_denied(void **arg)
{
	struct policy p = {0};

	(void)arg;
	assert_true(allowed(&p, "127.0.0.1"));
	assert_int_equal(policy_deny(&p, "0.0.0.0/0", NULL), 0);
	assert_false(allowed(&p, "1.2.3.4"));
	assert_true(allowed(&p, "2001:db8::1"));
	assert_int_equal(policy_deny(&p, "::/0", NULL), 0);
	assert_false(allowed(&p, "2001:db8::1"));
}

static void an_address_that_is_not_ip_is_not_reached(void **arg)
{
	const struct sockaddr local = {.sa_family = AF_UNIX};
	struct policy p = {0};

	(void)arg;
	assert_int_equal(policy_judge(&p, &local, false), POLICY_DENIED);
	assert_int_equal(policy_judge(&p, &local, true), POLICY_DENIED);
}

static void where_only_public_addresses_are_allowed_networks_are_denied_all_the_same(void **arg)
{
	struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct policy none = {0}, p = {0};

	(void)arg;
	assert_int_equal(policy_deny(&p, "93.184.0.0/16", NULL), 0);
	assert_int_equal(policy_judge_text(&none, "93.184.216.34", true), POLICY_ALLOWED);
	assert_int_equal(policy_judge_text(&p, "93.184.216.34", true), POLICY_DENIED);
	assert_int_equal(policy_judge_text(&p, "127.0.0.1", true), POLICY_NOT_PUBLIC);
	assert_int_equal(policy_judge_text(&p, "::ffff:127.0.0.1", true), POLICY_NOT_PUBLIC);
	assert_int_equal(policy_judge_text(&p, "fe80::1%eth0", true), POLICY_NOT_PUBLIC);
	assert_int_equal(policy_judge_text(&none, "no address", true), POLICY_DENIED);
	assert_int_equal(policy_judge(&none, (struct sockaddr *)&loopback, true), POLICY_NOT_PUBLIC);
	assert_int_equal(policy_judge(&none, (struct sockaddr *)&loopback, false), POLICY_ALLOWED);
}

static void what_is_no_network_is_refused(void **arg)
{
	static const char *const bad[] = {"",
					  "/8",
					  "10.0.0.0/",
					  "10.0.0.0/33",
					  "10.0.0.0/-1",
					  "10.0.0.0/8x",
					  "10.0.0/8",
					  "::/129",
					  "a.example/8",
					  "10.0.0.0/18446744073709551615",
					  "10.0.0.0 /8",
					  "fe80::%eth0/10",
					  "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1"};
	struct policy p = {0};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err e = {0};

		if (policy_deny(&p, bad[i], &e) == 0)
			fail_msg("\"%s\" is taken for a network", bad[i]);
		assert_int_equal(e.code, ERR_INPUT);
	}
	assert_int_equal(p.count, 0);
}

static void capacity_doubles_while_all_of_it_waits(void **arg)
{
	struct capacity c;

	(void)arg;
	capacity_init(&c, 1000, 0, 0);
	assert_int_equal(c.now, 128);
	capacity_note(&c, 128);
	assert_true(capacity_wanted(&c));
	assert_false(capacity_due(&c, 9999));
	assert_true(capacity_due(&c, 10000));
	assert_true(capacity_judge(&c, 10000, 5900, 128));
	assert_int_equal(c.now, 256);
	assert_false(capacity_judge(&c, 20000, 5900, 128)); /* not all in use */
	capacity_note(&c, 256);
	assert_false(capacity_judge(&c, 30000, 11900, 256)); /* 60 % busy */
	assert_true(capacity_judge(&c, 40000, 12000, 512));
	assert_true(capacity_judge(&c, 50000, 12000, 512));
	assert_int_equal(c.now, 1000); /* and not beyond the greatest */
	capacity_note(&c, 1000);
	assert_false(capacity_wanted(&c));
	assert_false(capacity_judge(&c, 60000, 12000, 0));
}

static void a_saturated_worker_offers_less_in_steps_and_not_too_little(void **arg)
{
	struct capacity c;
	int64_t now_us = 0, busy_us = 0;
	int steps = 0;

	(void)arg;
	capacity_init(&c, 1000, 0, 0);
	c.now = 1000;
	for (int i = 0; i < 50; i++) {
		uint32_t before = c.now;

		capacity_note(&c, c.now);
		now_us += 10000;
		busy_us += 9500;
		steps += capacity_judge(&c, now_us, busy_us, c.now);
		assert_true(c.now >= before - before / 8);
	}
	assert_in_range(steps, 5, 20);
	assert_in_range(c.now, 200, CAPACITY_ENOUGH);
}

static void few_transfers_are_left_alone_however_busy(void **arg)
{
	struct capacity c;

	(void)arg;
	capacity_init(&c, 1000, 0, 0);
	c.now = 1000;
	capacity_note(&c, 200);
	assert_false(capacity_judge(&c, 10000, 10000, 200));
	assert_int_equal(c.now, 1000);
}

static void a_small_greatest_capacity_is_kept(void **arg)
{
	struct capacity c;

	(void)arg;
	capacity_init(&c, 5, 0, 0);
	assert_int_equal(c.now, 5);
	capacity_note(&c, 5);
	assert_false(capacity_wanted(&c));
}

static void the_first_transfer_to_a_host_goes_alone_and_the_others_follow(void **arg)
{
	struct lookup_ticket first = {0}, second = {0}, third = {0}, other = {0};
	struct lookups l;

	(void)arg;
	lookup_init(&l);
	assert_true(lookup_ask(&l, &first, "http://a.example/1", 0));
	assert_false(lookup_ask(&l, &second, "http://a.example/2", 0));
	assert_false(lookup_ask(&l, &third, "http://a.example?3", 0));
	assert_true(lookup_ask(&l, &other, "http://b.example/", 0));
	assert_null(lookup_next(&l, 0));
	lookup_answer(&l, &first, LOOKUP_RESOLVED, 10);
	assert_ptr_equal(lookup_next(&l, 10), &second);
	assert_ptr_equal(lookup_next(&l, 10), &third);
	assert_null(lookup_next(&l, 10));
	assert_int_equal(l.going, 1); /* b.example: the others needed no look-up */
	lookup_answer(&l, &other, LOOKUP_RESOLVED, 10);
	lookup_clear(&l);
}

static void an_answer_counts_once_and_lasts_for_less_than_libcurls_cache(void **arg)
{
	struct lookup_ticket a = {0}, b = {0}, c = {0};
	struct lookups l;

	(void)arg;
	lookup_init(&l);
	assert_true(lookup_ask(&l, &a, "http://a.example/", 0));
	lookup_answer(&l, &a, LOOKUP_RESOLVED, 0);
	lookup_answer(&l, &a, LOOKUP_FAILED, 0);
	assert_int_equal(l.going, 0);
	assert_true(lookup_ask(&l, &b, "http://a.example/", 49000000));
	assert_int_equal(l.going, 0);
	assert_true(lookup_ask(&l, &b, "http://a.example/", 60000000));
	assert_int_equal(l.going, 1);
	assert_false(lookup_ask(&l, &c, "http://a.example/", 60000000));
	lookup_answer(&l, &b, LOOKUP_REUSED, 60000000);
	assert_ptr_equal(lookup_next(&l, 60000000), &c);
	assert_int_equal(l.going, 0);
	lookup_clear(&l);
}

static void a_host_without_an_address_is_asked_for_one_by_one_while_that_is_quick(void **arg)
{
	struct lookup_ticket t[4] = {0};
	struct lookups l;

	(void)arg;
	lookup_init(&l);
	for (int i = 0; i < 4; i++)
		assert_int_equal(lookup_ask(&l, &t[i], "http://no.example/", 0), i == 0);
	lookup_answer(&l, &t[0], LOOKUP_FAILED, 1000);
	assert_ptr_equal(lookup_next(&l, 1000), &t[1]);
	assert_null(lookup_next(&l, 1000));
	lookup_answer(&l, &t[1], LOOKUP_FAILED, 5000000); /* it took seconds: the rest need not add theirs */
	assert_ptr_equal(lookup_next(&l, 5000000), &t[2]);
	assert_ptr_equal(lookup_next(&l, 5000000), &t[3]);
	lookup_answer(&l, &t[2], LOOKUP_FAILED, 5000000);
	lookup_answer(&l, &t[3], LOOKUP_FAILED, 5000000);
	lookup_clear(&l);
}

static void only_so_many_hosts_are_looked_up_at_once(void **arg)
{
	struct lookup_ticket t[LOOKUP_MAX + 5] = {0};
	struct lookups l;
	char url[64];

	(void)arg;
	lookup_init(&l);
	for (unsigned i = 0; i < LOOKUP_MAX + 5; i++) {
		snprintf(url, sizeof url, "http://host%u/", i);
		assert_int_equal(lookup_ask(&l, &t[i], url, 0), i < LOOKUP_MAX);
	}
	lookup_forget(&l, &t[LOOKUP_MAX]);
	lookup_forget(&l, &t[0]); /* does not wait: stays */
	lookup_answer(&l, &t[3], LOOKUP_FAILED, 1);
	assert_ptr_equal(lookup_next(&l, 1), &t[LOOKUP_MAX + 1]);
	assert_null(lookup_next(&l, 1));
	assert_int_equal(l.going, LOOKUP_MAX);
	lookup_clear(&l);
}

static void hosts_are_forgotten_when_there_are_many(void **arg)
{
	struct lookup_ticket t = {0};
	struct lookups l;
	char url[64];

	(void)arg;
	lookup_init(&l);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(url, sizeof url, "http://host%u/", i);
		assert_true(lookup_ask(&l, &t, url, (int64_t)i * 1000000));
		lookup_answer(&l, &t, i % 2 ? LOOKUP_RESOLVED : LOOKUP_FAILED, (int64_t)i * 1000000);
	}
	assert_true(lookup_count(&l) <= 4200);
	lookup_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_denied_network_is_denied_to_its_last_bit),
	    cmocka_unit_test(an_ipv4_address_in_ipv6_clothes_is_the_same_address),
	    cmocka_unit_test(where_only_public_addresses_are_allowed_networks_are_denied_all_the_same),
	    cmocka_unit_test(all_of_a_family_can_be_denied),
	    cmocka_unit_test(an_address_that_is_not_ip_is_not_reached),
	    cmocka_unit_test(what_is_no_network_is_refused),
	    cmocka_unit_test(capacity_doubles_while_all_of_it_waits),
	    cmocka_unit_test(a_saturated_worker_offers_less_in_steps_and_not_too_little),
	    cmocka_unit_test(few_transfers_are_left_alone_however_busy),
	    cmocka_unit_test(a_small_greatest_capacity_is_kept),
	    cmocka_unit_test(the_first_transfer_to_a_host_goes_alone_and_the_others_follow),
	    cmocka_unit_test(an_answer_counts_once_and_lasts_for_less_than_libcurls_cache),
	    cmocka_unit_test(a_host_without_an_address_is_asked_for_one_by_one_while_that_is_quick),
	    cmocka_unit_test(only_so_many_hosts_are_looked_up_at_once),
	    cmocka_unit_test(hosts_are_forgotten_when_there_are_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
