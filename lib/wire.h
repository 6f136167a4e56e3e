/* Frames between fanoutd and a worker: a u32 length (of what follows), a u8 type, then typed fields in host byte order.
 * Both ends are one build on one machine; the hello's version says so. Nothing here knows what the messages mean
 * (lib/message.h does).
 *
 * Reading is hostile-proof: a getter past the end, a string without its NUL or with one inside sets `bad` and returns
 * zero or "", and wire_in_end() insists that every byte was taken. Strings and bytes are borrowed from the frame. */
#ifndef FANOUT_LIB_WIRE_H
#define FANOUT_LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER_BYTES 5u
/* A request's body (1 MiB at most), or a result's inline body, with room for URL and headers. */
#define WIRE_FRAME_MAX (4u << 20)

/* Writing: any number of frames, one after the other, in one growing buffer. */
struct wire_out {
	uint8_t *data;
	size_t len, cap;
	size_t frame; /* where the frame being written began */
};
void wire_out_clear(struct wire_out *o); /* frees; a zeroed struct is a valid empty one */
void wire_begin(struct wire_out *o, uint8_t type);
void wire_put_u8(struct wire_out *o, uint8_t v);
void wire_put_u32(struct wire_out *o, uint32_t v);
void wire_put_u64(struct wire_out *o, uint64_t v);
void wire_put_i64(struct wire_out *o, int64_t v);
void wire_put_str(struct wire_out *o, const char *s); /* NULL is written as "" */
void wire_put_bytes(struct wire_out *o, const void *p, size_t n);
void wire_end(struct wire_out *o); /* fills in the length */

/* Reading. */
struct wire_in {
	const uint8_t *p, *end;
	bool bad;
};
/* Looks at the front of a stream. Returns 1 and sets *type, *in (the payload) and *taken (whole frame, bytes) when a
 * whole frame is there; 0 when more bytes are needed; -1 when the length is impossible. */
int wire_next(const uint8_t *data, size_t len, uint8_t *type, struct wire_in *in, size_t *taken);
uint8_t wire_get_u8(struct wire_in *in);
uint32_t wire_get_u32(struct wire_in *in);
uint64_t wire_get_u64(struct wire_in *in);
int64_t wire_get_i64(struct wire_in *in);
const char *wire_get_str(struct wire_in *in);
const void *wire_get_bytes(struct wire_in *in, size_t *n);
/* True when nothing was wrong and nothing is left. */
bool wire_in_end(struct wire_in *in);

#endif
