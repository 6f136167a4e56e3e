/* Who frees a stream: whichever comes last, its end, or the store's answer after the client has gone. */
#include "daemon/api_stream.h"

#include <event2/buffer.h>

#include "daemon/api.h"
#include "lib/log.h"

static void stream_free(struct api_stream *s)
{
	evbuffer_free(s->out);
	api_stream_leave(s->api);
	s->free(s);
}

static void on_gone(struct http_request *r)
{
	struct api_stream *s = http_state(r);

	s->r = NULL;
	if (!s->reading)
		stream_free(s);
	http_stream_end(r);
}

void api_stream_end(struct api_stream *s)
{
	struct http_request *r = s->r;

	stream_free(s);
	http_stream_end(r);
}

void api_stream_fail(struct api_stream *s, const struct err *e)
{
	struct http_request *r = s->r;
	const char *broken = s->broken;
	bool begun = s->begun;

	stream_free(s);
	http_on_gone(r, NULL);
	if (!begun) {
		http_problem(r, e);
		return;
	}
	log_warn(broken, "why=\"%s\"", e->what);
	http_stream_break(r);
}

void api_stream_start(struct api_stream *s, struct http_request *r)
{
	s->r = r;
	s->api = http_arg(r);
	s->out = evbuffer_new();
	if (!s->out)
		BUG("out of memory for an answer");
	http_set_state(r, s);
	if (http_gone(r)) {
		on_gone(r);
		return;
	}
	http_on_gone(r, on_gone);
	s->step(r);
}

bool api_stream_read(struct api_stream *s, const struct err *e)
{
	s->reading = false;
	if (!s->r) {
		stream_free(s);
		return false;
	}
	if (e) {
		api_stream_fail(s, e);
		return false;
	}
	if (!s->begun)
		http_stream_begin(s->r, "application/x-ndjson");
	s->begun = true;
	return true;
}

void api_stream_send(struct api_stream *s)
{
	if (http_head(s->r))
		api_stream_end(s);
	else
		http_defer(s->r, s->go);
}
