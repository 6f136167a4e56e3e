/* zlib and brotli behind one table of codings. A stage writes into the one behind it, the last one to the caller. */
#include "worker/decode.h"

#include <brotli/decode.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "lib/err.h"

#define DECODE_OUT 16384u /* bytes decoded at a time */

struct target {
	struct decode *d;
	size_t stage; /* the one that writes */
	decode_out_cb *out;
	void *arg;
};

struct coding {
	const char *name;
	/* At the first byte, which it may look at. */
	void (*begin)(struct decode_stage *s, uint8_t first);
	int (*write)(struct decode_stage *s, const uint8_t *p, size_t n, const struct target *t);
	void (*end)(struct decode_stage *s);
};

static int fault(struct decode *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fault(struct decode *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->fault, sizeof d->fault, fmt, ap);
	va_end(ap);
	return -1;
}

static int write_stage(const struct target *t, const uint8_t *p, size_t n);

/* What a stage has decoded. */
static int emit(const struct target *t, const uint8_t *p, size_t n)
{
	struct target next = *t;

	if (n == 0)
		return 0;
	next.stage++;
	return next.stage < t->d->count ? write_stage(&next, p, n) : t->out(p, n, t->arg);
}

static int fault_after_end(const struct target *t, const struct decode_stage *s)
{
	return fault(t->d, "%s: there are bytes after its end", s->coding->name);
}

/* ---- gzip and deflate ---- */

static void zlib_begin(struct decode_stage *s, int window_bits)
{
	z_stream *z = calloc(1, sizeof *z);

	if (!z || inflateInit2(z, window_bits) != Z_OK)
		BUG("out of memory for a decoder");
	s->state = z;
}

static void gzip_begin(struct decode_stage *s, uint8_t first)
{
	(void)first;
	zlib_begin(s, MAX_WBITS + 16);
}

/* RFC 9110, section 8.4.1.2: some servers send the bare stream, without the zlib format around it. No encoder begins
 * one with the 8 that zlib's header has in these bits. */
static void deflate_begin(struct decode_stage *s, uint8_t first)
{
	zlib_begin(s, (first & 0x0f) == Z_DEFLATED ? MAX_WBITS : -MAX_WBITS);
}

static void zlib_give(z_stream *z, const uint8_t *p, size_t n)
{
	z->next_in = (z_const Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)n;
}

/* Until the stream ends or all is taken. */
static int zlib_run(struct decode_stage *s, const struct target *t)
{
	z_stream *z = s->state;
	uint8_t out[DECODE_OUT];
	int rc = Z_OK;

	while (rc == Z_OK) {
		z->next_out = out;
		z->avail_out = sizeof out;
		rc = inflate(z, Z_NO_FLUSH);
		s->ended = rc == Z_STREAM_END;
		if (emit(t, out, sizeof out - z->avail_out))
			return -1;
	}
	if (rc == Z_STREAM_END || rc == Z_BUF_ERROR) /* that is: it wants more */
		return 0;
	return fault(t->d, "%s: %s", s->coding->name, z->msg ? z->msg : zError(rc));
}

static int deflate_write(struct decode_stage *s, const uint8_t *p, size_t n, const struct target *t)
{
	z_stream *z = s->state;

	zlib_give(z, p, n);
	if (!s->ended && zlib_run(s, t))
		return -1;
	return z->avail_in > 0 ? fault_after_end(t, s) : 0;
}

/* RFC 1952, section 2.2: a file is a series of members. */
static int gzip_write(struct decode_stage *s, const uint8_t *p, size_t n, const struct target *t)
{
	z_stream *z = s->state;

	zlib_give(z, p, n);
	while (z->avail_in > 0) {
		if (s->ended && z->next_in[0] != 0x1f)
			return fault_after_end(t, s);
		if (s->ended)
			inflateReset(z);
		if (zlib_run(s, t))
			return -1;
	}
	return 0;
}

static void zlib_end(struct decode_stage *s)
{
	inflateEnd(s->state);
	free(s->state);
}

/* ---- br ---- */

static void br_begin(struct decode_stage *s, uint8_t first)
{
	(void)first;
	s->state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	if (!s->state)
		BUG("out of memory for a decoder");
}

static int br_write(struct decode_stage *s, const uint8_t *p, size_t n, const struct target *t)
{
	BrotliDecoderState *br = s->state;
	BrotliDecoderResult rc = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
	uint8_t out[DECODE_OUT];

	while (rc == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT && !s->ended) {
		uint8_t *next = out;
		size_t room = sizeof out;

		rc = BrotliDecoderDecompressStream(br, &n, &p, &room, &next, NULL);
		s->ended = rc == BROTLI_DECODER_RESULT_SUCCESS;
		if (emit(t, out, sizeof out - room))
			return -1;
	}
	if (rc == BROTLI_DECODER_RESULT_ERROR)
		return fault(t->d, "br: %s", BrotliDecoderErrorString(BrotliDecoderGetErrorCode(br)));
	return s->ended && n > 0 ? fault_after_end(t, s) : 0;
}

static void br_end(struct decode_stage *s)
{
	BrotliDecoderDestroyInstance(s->state);
}

/* ---- The table ---- */

static const struct coding codings[] = {
    {"gzip", gzip_begin, gzip_write, zlib_end},
    {"x-gzip", gzip_begin, gzip_write, zlib_end},
    {"deflate", deflate_begin, deflate_write, zlib_end},
    {"br", br_begin, br_write, br_end},
};

static const struct coding *find_coding(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof codings / sizeof *codings; i++)
		if (strlen(codings[i].name) == n && strncasecmp(codings[i].name, name, n) == 0)
			return &codings[i];
	return NULL;
}

static int write_stage(const struct target *t, const uint8_t *p, size_t n)
{
	struct decode_stage *s = &t->d->stages[t->stage];

	if (!s->state)
		s->coding->begin(s, p[0]);
	return s->coding->write(s, p, n, t);
}

/* The codings are named in the order in which they were applied. */
static int add_coding(struct decode *d, const char *name, size_t n)
{
	const struct coding *coding = find_coding(name, n);

	if (n == 0 || (n == strlen("identity") && strncasecmp(name, "identity", n) == 0))
		return 0;
	if (!coding)
		return fault(d, "the coding \"%.*s\" is not known", n < 30 ? (int)n : 30, name);
	if (d->count == DECODE_STAGES_MAX)
		return fault(d, "there are more than %d codings", DECODE_STAGES_MAX);
	memmove(d->stages + 1, d->stages, d->count * sizeof *d->stages);
	d->stages[0] = (struct decode_stage){.coding = coding};
	d->count++;
	return 0;
}

int decode_begin(struct decode *d, const char *encoding)
{
	static const char between[] = ", \t";

	decode_end(d);
	*d = (struct decode){0};
	for (const char *p = encoding + strspn(encoding, between); *p; p += strspn(p, between)) {
		size_t n = strcspn(p, between);

		if (add_coding(d, p, n))
			return -1;
		p += n;
	}
	return 0;
}

int decode_write(struct decode *d, const void *p, size_t n, decode_out_cb *out, void *arg)
{
	const struct target t = {.d = d, .out = out, .arg = arg};

	if (d->fault[0])
		return -1;
	if (n == 0)
		return 0;
	return d->count ? write_stage(&t, p, n) : out(p, n, arg);
}

int decode_finish(struct decode *d)
{
	if (d->fault[0])
		return -1;
	for (size_t i = 0; i < d->count; i++) {
		struct decode_stage *s = &d->stages[i];

		if (!s->state || s->ended)
			continue;
		d->cut = true;
		return fault(d, "the %s stream is cut short", s->coding->name);
	}
	return 0;
}

void decode_end(struct decode *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->stages[i].state)
			d->stages[i].coding->end(&d->stages[i]);
	d->count = 0;
}
