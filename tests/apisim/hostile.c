/* What APIs do all the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/handlers.h"

#define TICK_S 0.02

static void send_filler(struct request *req, size_t n)
{
	char filler[1024];

	memset(filler, 'x', sizeof filler);
	for (; n > 0; n -= n < sizeof filler ? n : sizeof filler)
		reply_raw(req, filler, n < sizeof filler ? n : sizeof filler);
}

/* ---- Slow ---- */

struct drip {
	uint64_t sent, total;
	double seconds;
};

static void drip_tick(struct request *req)
{
	struct drip *d = req->state;
	const double passed = (double)(server_now_us() - req->arrived_us) / 1e6;
	uint64_t due = passed >= d->seconds ? d->total : (uint64_t)((double)d->total * passed / d->seconds);

	send_filler(req, due - d->sent);
	d->sent = due;
	if (d->sent == d->total)
		reply_end(req);
	else
		request_after(req, TICK_S, drip_tick);
}

void hostile_drip(struct request *req)
{
	struct drip *d = calloc(1, sizeof *d);

	req->state = d;
	d->total = (uint64_t)request_number(req, "bytes", 10);
	d->seconds = request_number(req, "seconds", 1);
	reply_head(req, 200, "application/octet-stream", (int64_t)d->total);
	drip_tick(req);
}

void hostile_hang(struct request *req)
{
	(void)req;
}

/* ---- Cut ---- */

void hostile_reset(struct request *req)
{
	const size_t n = (size_t)request_number(req, "bytes", 500);

	if (n > 0) {
		reply_head(req, 200, "application/octet-stream", 1000);
		send_filler(req, n);
	}
	reply_reset(req);
}

void hostile_empty(struct request *req)
{
	reply_close(req);
}

void hostile_close_early(struct request *req)
{
	const size_t n = (size_t)request_number(req, "n", 1000);

	reply_head(req, 200, "application/octet-stream", (int64_t)n);
	send_filler(req, n / 2);
	reply_close(req);
}

void hostile_chunk_cut(struct request *req)
{
	reply_head(req, 200, "application/octet-stream", -1);
	reply_chunk(req, "whole", 5);
	reply_raw(req, "3e8\r\n", 5);
	send_filler(req, 100);
	reply_close(req);
}

/* ---- Wrong ---- */

void hostile_conflict(struct request *req)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n1234567";

	reply_raw(req, answer, sizeof answer - 1);
	reply_close(req);
}

void hostile_garbage(struct request *req)
{
	static const char answer[] = "220 mail.example ESMTP ready\r\n250 what else\r\n";

	reply_raw(req, answer, sizeof answer - 1);
	reply_close(req);
}

static void endless_produce(struct request *req)
{
	send_filler(req, 16384);
}

void hostile_endless_header(struct request *req)
{
	static const char start[] = "HTTP/1.1 200 OK\r\nX-Endless: ";

	reply_raw(req, start, sizeof start - 1);
	reply_stream(req, endless_produce);
}

void hostile_soft_error(struct request *req)
{
	static const char text[] = "{\"message\":\"Token not valid!\"}";

	reply(req, 200, "application/json", text, sizeof text - 1);
}
