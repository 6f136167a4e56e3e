/* Putting frames together and taking them apart. The writer trusts its caller and breaks on misuse (BUG); the reader
 * trusts nothing and never reads past what it was given. */
#include "lib/wire.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define WIRE_LENGTH_BYTES 4u /* the length does not count itself */

void wire_out_clear(struct wire_out *o)
{
	free(o->data);
	*o = (struct wire_out){0};
}

/* Apart from reserve(), which is called for every field and seldom has to. */
static void __attribute__((noinline)) grow(struct wire_out *o, size_t n)
{
	size_t cap = o->cap ? o->cap : 4096;
	uint8_t *p;

	while (cap - o->len < n)
		cap *= 2;
	p = realloc(o->data, cap);
	if (!p)
		BUG("out of memory for a frame of %zu bytes", n);
	o->data = p;
	o->cap = cap;
}

static inline uint8_t *reserve(struct wire_out *o, size_t n)
{
	uint8_t *p;

	if (o->cap - o->len < n)
		grow(o, n);
	p = o->data + o->len;
	o->len += n;
	return p;
}

static inline void put(struct wire_out *o, const void *p, size_t n)
{
	if (n)
		memcpy(reserve(o, n), p, n);
}

void wire_begin(struct wire_out *o, uint8_t type)
{
	uint8_t *p;

	o->frame = o->len;
	p = reserve(o, WIRE_HEADER_BYTES);
	memset(p, 0, WIRE_LENGTH_BYTES);
	p[WIRE_LENGTH_BYTES] = type;
}

void wire_put_u8(struct wire_out *o, uint8_t v)
{
	put(o, &v, sizeof v);
}

void wire_put_u32(struct wire_out *o, uint32_t v)
{
	put(o, &v, sizeof v);
}

void wire_put_u64(struct wire_out *o, uint64_t v)
{
	put(o, &v, sizeof v);
}

void wire_put_i64(struct wire_out *o, int64_t v)
{
	put(o, &v, sizeof v);
}

void wire_put_str(struct wire_out *o, const char *s)
{
	const char *text = s ? s : "";

	wire_put_bytes(o, text, strlen(text) + 1);
}

void wire_put_bytes(struct wire_out *o, const void *p, size_t n)
{
	if (n > WIRE_FRAME_MAX)
		BUG("a field of %zu bytes does not fit a frame", n);
	wire_put_u32(o, (uint32_t)n);
	put(o, p, n);
}

void wire_end(struct wire_out *o)
{
	size_t n = o->len - o->frame - WIRE_LENGTH_BYTES;
	uint32_t length = (uint32_t)n;

	if (n > WIRE_FRAME_MAX)
		BUG("a frame of %zu bytes is too long", n);
	memcpy(o->data + o->frame, &length, sizeof length);
}

int wire_next(const uint8_t *data, size_t len, uint8_t *type, struct wire_in *in, size_t *taken)
{
	uint32_t length;

	if (len < WIRE_LENGTH_BYTES)
		return 0;
	memcpy(&length, data, sizeof length);
	if (length < 1 || length > WIRE_FRAME_MAX)
		return -1;
	if (len - WIRE_LENGTH_BYTES < length)
		return 0;
	*type = data[WIRE_LENGTH_BYTES];
	in->p = data + WIRE_HEADER_BYTES;
	in->end = data + WIRE_LENGTH_BYTES + length;
	in->bad = false;
	*taken = WIRE_LENGTH_BYTES + length;
	return 1;
}

/* `n` bytes from the front, or NULL and `bad`. Once bad, nothing more is given out. */
static const uint8_t *take(struct wire_in *in, size_t n)
{
	const uint8_t *p = in->p;

	if (in->bad || (size_t)(in->end - in->p) < n) {
		in->bad = true;
		return NULL;
	}
	in->p += n;
	return p;
}

/* Fields are not aligned: copied, never cast. `v` keeps its zero when there is nothing to take. */
static void get(struct wire_in *in, void *v, size_t n)
{
	const uint8_t *p = take(in, n);

	if (p)
		memcpy(v, p, n);
}

uint8_t wire_get_u8(struct wire_in *in)
{
	uint8_t v = 0;

	get(in, &v, sizeof v);
	return v;
}

uint32_t wire_get_u32(struct wire_in *in)
{
	uint32_t v = 0;

	get(in, &v, sizeof v);
	return v;
}

uint64_t wire_get_u64(struct wire_in *in)
{
	uint64_t v = 0;

	get(in, &v, sizeof v);
	return v;
}

int64_t wire_get_i64(struct wire_in *in)
{
	int64_t v = 0;

	get(in, &v, sizeof v);
	return v;
}

const char *wire_get_str(struct wire_in *in)
{
	size_t n;
	const char *s = wire_get_bytes(in, &n);

	if (!in->bad && n > 0 && memchr(s, '\0', n) == s + n - 1)
		return s;
	in->bad = true;
	return "";
}

const void *wire_get_bytes(struct wire_in *in, size_t *n)
{
	uint32_t length = wire_get_u32(in);
	const uint8_t *p = take(in, length);

	*n = p ? length : 0;
	return p ? (const void *)p : (const void *)"";
}

bool wire_in_end(struct wire_in *in)
{
	return !in->bad && in->p == in->end;
}
