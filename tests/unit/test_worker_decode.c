/* Content codings undone: whole streams in any pieces, and nothing that is cut, broken or followed by something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "worker/decode.h"

#define PLAIN_BYTES 20003u
#define GZIP        (MAX_WBITS + 16)
#define ZLIB        MAX_WBITS
#define RAW         (-MAX_WBITS)

/* "cat " 5000 times, and "dog". */
static uint8_t plain[PLAIN_BYTES];
static const uint8_t brotli[] = {0x1b, 0x22, 0x4e, 0xf8, 0x1d, 0xa9, 0x53, 0x9f, 0xbb, 0x71, 0x09, 0x32, 0x46, 0x56,
				 0x67, 0x74, 0x15, 0xf6, 0x56, 0x9a, 0x9c, 0x16, 0x00, 0xb4, 0x2e, 0x02, 0x48, 0x0e};

struct bytes {
	uint8_t p[100000];
	size_t n, most;
};
static struct bytes got;

static int make_plain(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < PLAIN_BYTES; i++)
		plain[i] = (uint8_t) "cat "[i % 4];
	memcpy(plain + PLAIN_BYTES - 3, "dog", 3);
	return 0;
}

static struct bytes *squeeze(const void *p, size_t n, int window_bits)
{
	struct bytes *b = calloc(1, sizeof *b);
	z_stream z = {0};

	assert_non_null(b);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = b->p;
	z.avail_out = sizeof b->p;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b->n = sizeof b->p - z.avail_out;
	deflateEnd(&z);
	return b;
}

static int take(const void *p, size_t n, void *arg)
{
	struct bytes *b = arg;

	assert_true(n > 0);
	if (b->most && b->n + n > b->most)
		return -1;
	assert_true(b->n + n <= sizeof b->p);
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

/* Decodes it in pieces of `step`. Returns what was last returned; the fault is in `d`. */
static int decode(struct decode *d, const char *encoding, const uint8_t *p, size_t n, size_t step)
{
	int rc = decode_begin(d, encoding);

	got.n = 0;
	for (size_t at = 0; rc == 0 && at < n; at += step) {
		uint8_t *piece = malloc(step); /* its exact size: the sanitizers watch */
		size_t len = n - at < step ? n - at : step;

		assert_non_null(piece);
		memcpy(piece, p + at, len);
		rc = decode_write(d, piece, len, take, &got);
		free(piece);
	}
	if (rc == 0)
		rc = decode_finish(d);
	decode_end(d);
	return rc;
}

static void assert_decodes(const char *encoding, const uint8_t *p, size_t n)
{
	static const size_t steps[] = {1, 2, 7, 100000};
	struct decode d = {0};

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (decode(&d, encoding, p, n, steps[i]))
			fail_msg("%s in pieces of %zu: %s", encoding, steps[i], d.fault);
		assert_string_equal(d.fault, "");
		assert_int_equal(got.n, PLAIN_BYTES);
		assert_memory_equal(got.p, plain, PLAIN_BYTES);
	}
}

static void assert_fault(const char *encoding, const uint8_t *p, size_t n, const char *fault, bool cut)
{
	static const size_t steps[] = {1, 100000};
	struct decode d = {0};

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		assert_int_equal(decode(&d, encoding, p, n, steps[i]), -1);
		assert_string_equal(d.fault, fault);
		assert_int_equal(d.cut, cut);
	}
}

static void each_coding_is_undone_in_any_pieces(void **arg)
{
	struct bytes *gzip = squeeze(plain, PLAIN_BYTES, GZIP), *zlib = squeeze(plain, PLAIN_BYTES, ZLIB),
		     *raw = squeeze(plain, PLAIN_BYTES, RAW);

	(void)arg;
	assert_decodes("", plain, PLAIN_BYTES);
	assert_decodes("identity", plain, PLAIN_BYTES);
	assert_decodes("gzip", gzip->p, gzip->n);
	assert_decodes("X-GZIP", gzip->p, gzip->n);
	assert_decodes("deflate", zlib->p, zlib->n);
	assert_decodes("deflate", raw->p, raw->n);
	assert_decodes("br", brotli, sizeof brotli);
	free(gzip);
	free(zlib);
	free(raw);
}

static void codings_upon_each_other_are_undone_from_the_last(void **arg)
{
	struct bytes *gzip = squeeze(plain, PLAIN_BYTES, GZIP), *twice = squeeze(gzip->p, gzip->n, ZLIB),
		     *over = squeeze(brotli, sizeof brotli, GZIP);

	(void)arg;
	assert_decodes("gzip, deflate", twice->p, twice->n);
	assert_decodes(" gzip ,identity,\tdeflate, ", twice->p, twice->n);
	assert_decodes("br,gzip", over->p, over->n);
	assert_fault("gzip, deflate", twice->p, twice->n - 1, "the deflate stream is cut short", true);
	assert_fault("gzip, gzip", over->p, over->n, "gzip: incorrect header check", false);
	free(gzip);
	free(twice);
	free(over);
}

static void a_stream_that_is_cut_anywhere_is_not_whole(void **arg)
{
	static const struct {
		const char *encoding;
		int window_bits;
	} cases[] = {{"gzip", GZIP}, {"deflate", ZLIB}, {"deflate", RAW}};
	struct decode d = {0};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes *b = squeeze(plain, PLAIN_BYTES, cases[i].window_bits);

		for (size_t n = 1; n < b->n; n++) {
			assert_int_equal(decode(&d, cases[i].encoding, b->p, n, 100000), -1);
			assert_true(d.cut);
		}
		free(b);
	}
	for (size_t n = 1; n < sizeof brotli; n++) {
		assert_int_equal(decode(&d, "br", brotli, n, 100000), -1);
		assert_true(d.cut);
		assert_string_equal(d.fault, "the br stream is cut short");
	}
}

static void a_body_of_no_bytes_is_whole(void **arg)
{
	struct decode d = {0};

	(void)arg;
	assert_int_equal(decode(&d, "gzip", plain, 0, 1), 0);
	assert_int_equal(decode(&d, "br, deflate", plain, 0, 1), 0);
	assert_int_equal(got.n, 0);
}

static void members_of_gzip_follow_each_other(void **arg)
{
	struct bytes *one = squeeze(plain, 10000, GZIP), *two = squeeze(plain + 10000, PLAIN_BYTES - 10000, GZIP);
	size_t n = one->n;

	(void)arg;
	memcpy(one->p + n, two->p, two->n);
	assert_decodes("gzip", one->p, n + two->n);
	assert_fault("gzip", one->p, n + two->n - 1, "the gzip stream is cut short", true);
	assert_fault("gzip", one->p, n + 1, "the gzip stream is cut short", true);
	free(one);
	free(two);
}

static void bytes_after_the_end_are_a_fault(void **arg)
{
	struct bytes *gzip = squeeze(plain, PLAIN_BYTES, GZIP), *zlib = squeeze(plain, PLAIN_BYTES, ZLIB);
	uint8_t br[sizeof brotli + 1];

	(void)arg;
	gzip->p[gzip->n] = zlib->p[zlib->n] = 0;
	memcpy(br, brotli, sizeof brotli);
	br[sizeof brotli] = 0;
	assert_fault("gzip", gzip->p, gzip->n + 1, "gzip: there are bytes after its end", false);
	assert_fault("deflate", zlib->p, zlib->n + 1, "deflate: there are bytes after its end", false);
	assert_fault("br", br, sizeof br, "br: there are bytes after its end", false);
	free(gzip);
	free(zlib);
}

static void a_broken_stream_is_told_in_the_librarys_words(void **arg)
{
	struct bytes *gzip = squeeze(plain, PLAIN_BYTES, GZIP);
	static const uint8_t bad_br[] = {0xff, 0xff, 0xff, 0xff, 0xff};
	struct decode d = {0};

	(void)arg;
	assert_fault("gzip", plain, PLAIN_BYTES, "gzip: incorrect header check", false);
	gzip->p[gzip->n - 8] ^= 1;
	assert_fault("gzip", gzip->p, gzip->n, "gzip: incorrect data check", false);
	gzip->p[gzip->n - 8] ^= 1;
	gzip->p[gzip->n - 1] ^= 1;
	assert_fault("gzip", gzip->p, gzip->n, "gzip: incorrect length check", false);
	assert_int_equal(decode(&d, "br", bad_br, sizeof bad_br, 1), -1);
	assert_memory_equal(d.fault, "br: ", 4);
	free(gzip);
}

static void codings_that_are_not_known_or_too_many_are_faults(void **arg)
{
	struct decode d = {0};

	(void)arg;
	assert_int_equal(decode_begin(&d, "gzip, zstd"), -1);
	assert_string_equal(d.fault, "the coding \"zstd\" is not known");
	assert_int_equal(decode_write(&d, "x", 1, take, &got), -1);
	assert_int_equal(decode_finish(&d), -1);
	assert_int_equal(decode_begin(&d, "gzip,gzip,gzip"), 0);
	assert_int_equal(decode_begin(&d, "gzip,gzip,gzip,gzip"), -1);
	assert_string_equal(d.fault, "there are more than 3 codings");
	assert_int_equal(decode_begin(&d, "gzi"), -1);
	assert_int_equal(decode_begin(&d, ""), 0);
	decode_end(&d);
}

static void who_takes_the_bytes_can_stop(void **arg)
{
	struct bytes *gzip = squeeze(plain, PLAIN_BYTES, GZIP);
	struct decode d = {0};

	(void)arg;
	got.most = 17000;
	assert_int_equal(decode(&d, "gzip", gzip->p, gzip->n, 100000), -1);
	assert_string_equal(d.fault, "");
	assert_in_range(got.n, 1, 17000);
	got.most = 0;
	free(gzip);
}

static void no_damage_leads_outside(void **arg)
{
	struct bytes *gzip = squeeze(plain, PLAIN_BYTES, GZIP);
	struct decode d = {0};

	(void)arg;
	for (size_t i = 0; i < gzip->n; i++) {
		uint8_t before = gzip->p[i];

		for (int flip = 1; flip < 256; flip += 6) {
			gzip->p[i] = before ^ (uint8_t)flip;
			got.most = sizeof got.p;
			decode(&d, "gzip", gzip->p, gzip->n, 100000);
		}
		gzip->p[i] = before;
	}
	got.most = 0;
	free(gzip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_coding_is_undone_in_any_pieces),
	    cmocka_unit_test(codings_upon_each_other_are_undone_from_the_last),
	    cmocka_unit_test(a_stream_that_is_cut_anywhere_is_not_whole),
	    cmocka_unit_test(a_body_of_no_bytes_is_whole),
	    cmocka_unit_test(members_of_gzip_follow_each_other),
	    cmocka_unit_test(bytes_after_the_end_are_a_fault),
	    cmocka_unit_test(a_broken_stream_is_told_in_the_librarys_words),
	    cmocka_unit_test(codings_that_are_not_known_or_too_many_are_faults),
	    cmocka_unit_test(who_takes_the_bytes_can_stop),
	    cmocka_unit_test(no_damage_leads_outside),
	};

	return cmocka_run_group_tests(tests, make_plain, NULL);
}
