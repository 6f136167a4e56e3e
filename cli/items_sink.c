/* gzip by zlib, zstd by libzstd. */
#include "cli/items_sink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#define HELD_BYTES 262144u
#define OUT_BYTES  131072u

struct items_packer {
	/* Packs in[0..len), and ends the stream where `last`. */
	int (*pack)(struct items_sink *s, const void *in, size_t len, bool last, struct err *e);
	z_stream gzip;
	ZSTD_CCtx *zstd;
	unsigned char out[OUT_BYTES];
};

/* ---- gzip ---- */

static int pack_gzip(struct items_sink *s, const void *in, size_t len, bool last, struct err *e)
{
	struct items_packer *p = s->packer;
	int rc = Z_OK;

	p->gzip.next_in = (unsigned char *)(uintptr_t)in; /* zlib reads it only */
	p->gzip.avail_in = (unsigned)len;
	do {
		p->gzip.next_out = p->out;
		p->gzip.avail_out = sizeof p->out;
		rc = deflate(&p->gzip, last ? Z_FINISH : Z_NO_FLUSH);
		if (rc == Z_STREAM_ERROR)
			return err_set(e, ERR_SYSTEM, NULL, "gzip failed");
		if (output_write(&s->output, p->out, sizeof p->out - p->gzip.avail_out, e) < 0)
			return -1;
	} while (p->gzip.avail_out == 0 || (last && rc != Z_STREAM_END));
	return 0;
}

/* ---- zstd ---- */

static int pack_zstd(struct items_sink *s, const void *in, size_t len, bool last, struct err *e)
{
	struct items_packer *p = s->packer;
	ZSTD_inBuffer from = {.src = in, .size = len};
	size_t left;

	do {
		ZSTD_outBuffer to = {.dst = p->out, .size = sizeof p->out};

		left = ZSTD_compressStream2(p->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return err_set(e, ERR_SYSTEM, NULL, "zstd failed: %s", ZSTD_getErrorName(left));
		if (output_write(&s->output, p->out, to.pos, e) < 0)
			return -1;
	} while (from.pos < from.size || (last && left));
	return 0;
}

/* ---- both ---- */

static bool ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n > m && strcmp(text + n - m, suffix) == 0;
}

static void open_packer(struct items_sink *s, const char *path)
{
	bool gzip = ends_with(path, ".gz");

	if (!gzip && !ends_with(path, ".zst"))
		return;
	s->packer = calloc(1, sizeof *s->packer);
	if (!s->packer)
		BUG("out of memory");
	s->packer->pack = gzip ? pack_gzip : pack_zstd;
	if (gzip ? deflateInit2(&s->packer->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY)
		 : !(s->packer->zstd = ZSTD_createCCtx()))
		BUG("out of memory");
	if (!gzip)
		ZSTD_CCtx_setParameter(s->packer->zstd, ZSTD_c_checksumFlag, 1);
}

int items_sink_open(struct items_sink *s, const char *path, struct err *e)
{
	*s = (struct items_sink){0};
	if (output_open(&s->output, path, e) < 0)
		return -1;
	if (s->output.path)
		open_packer(s, s->output.path);
	return 0;
}

int items_sink_flush(struct items_sink *s, struct err *e)
{
	size_t len = s->held.len;

	s->held.len = 0;
	s->written += (int64_t)len;
	if (len == 0)
		return 0;
	return s->packer ? s->packer->pack(s, s->held.data, len, false, e)
			 : output_write(&s->output, s->held.data, len, e);
}

int items_sink_added(struct items_sink *s, struct err *e)
{
	return s->held.len < HELD_BYTES ? 0 : items_sink_flush(s, e);
}

static void clear(struct items_sink *s)
{
	if (s->packer) {
		deflateEnd(&s->packer->gzip);
		ZSTD_freeCCtx(s->packer->zstd);
	}
	free(s->packer);
	s->packer = NULL;
	text_clear(&s->held);
}

int items_sink_end(struct items_sink *s, struct err *e)
{
	int rc = s->ended ? 0 : items_sink_flush(s, e);

	if (rc == 0 && s->packer && !s->ended)
		rc = s->packer->pack(s, NULL, 0, true, e);
	s->ended = true;
	return rc;
}

bool items_sink_shrinks(const struct items_sink *s)
{
	struct stat old, now;

	return s->output.temporary && stat(s->output.path, &old) == 0 && fstat(s->output.fd, &now) == 0 &&
	       old.st_size > now.st_size;
}

int items_sink_commit(struct items_sink *s, struct err *e)
{
	int rc = items_sink_end(s, e);

	if (rc == 0)
		rc = output_commit(&s->output, e);
	else
		output_discard(&s->output);
	clear(s);
	return rc;
}

void items_sink_discard(struct items_sink *s)
{
	output_discard(&s->output);
	clear(s);
}
