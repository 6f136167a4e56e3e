/* gzip, for better and for worse. */
#define ZLIB_CONST /* its input is not written to */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/apisim/handlers.h"

#define GZIP_WINDOW (15 + 16) /* zlib's way to say gzip and not zlib */
#define PIECE_BYTES (1u << 20)

static void gzip_open(z_stream *z)
{
	memset(z, 0, sizeof *z);
	deflateInit2(z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
}

/* Deflates all of `in` into `out`, which is large enough; returns the bytes made. */
static size_t gzip_piece(z_stream *z, const void *in, size_t n, unsigned char *out, size_t size, bool last)
{
	z->next_in = in;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = (uInt)size;
	deflate(z, last ? Z_FINISH : Z_SYNC_FLUSH);
	return size - z->avail_out;
}

void zipped_gzip(struct request *req)
{
	static const char text[] = "{\"gzipped\":true,\"words\":[\"one\",\"two\",\"three\"]}";
	unsigned char out[256];
	size_t n;
	z_stream z;

	gzip_open(&z);
	n = gzip_piece(&z, text, sizeof text - 1, out, sizeof out, true);
	deflateEnd(&z);
	reply_header(req, "Content-Encoding: gzip");
	reply(req, 200, "application/json", out, n);
}

void zipped_broken(struct request *req)
{
	static const unsigned char start[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 'n', 'o'};

	reply_header(req, "Content-Encoding: gzip");
	reply(req, 200, "application/json", start, sizeof start);
}

/* ---- The bomb: one compressed stream of zeros, made as it goes out ---- */

struct bomb {
	z_stream z;
	uint64_t mib_left;
};

static void bomb_done(struct request *req, bool answered)
{
	struct bomb *b = req->state;

	(void)answered;
	deflateEnd(&b->z);
}

static void bomb_produce(struct request *req)
{
	static const unsigned char zeros[PIECE_BYTES];
	static unsigned char out[PIECE_BYTES / 16];
	struct bomb *b = req->state;
	const bool last = b->mib_left <= 1;

	reply_chunk(req, out, gzip_piece(&b->z, zeros, b->mib_left ? PIECE_BYTES : 0, out, sizeof out, last));
	if (!last) {
		b->mib_left--;
		return;
	}
	reply_chunk(req, "", 0);
	reply_end(req);
}

void zipped_bomb(struct request *req)
{
	struct bomb *b = calloc(1, sizeof *b);

	b->mib_left = (uint64_t)request_number(req, "mib", 100);
	gzip_open(&b->z);
	req->state = b;
	req->on_done = bomb_done;
	reply_header(req, "Content-Encoding: gzip");
	reply_head(req, 200, "application/octet-stream", -1);
	reply_stream(req, bomb_produce);
}
