/* Lines to fields to events. */
#include "cli/sse.h"

#include <string.h>

#define ALIEN_MAX 65536u /* bytes without a line that is understood: then it is no daemon of ours */

/* An event's id counts once the event is whole: whoever is cut off in its middle has not seen it. */
static void take_id(struct sse *s)
{
	if (s->next_id.len == 0)
		return;
	s->id.len = 0;
	text_add(&s->id, s->next_id.data, s->next_id.len);
	s->next_id.len = 0;
}

static int end_event(struct sse *s, struct err *e)
{
	struct sse_event event;
	int rc;

	take_id(s);
	event = (struct sse_event){.name = s->name.len ? s->name.data : "message",
				   .id = s->id.len ? s->id.data : "",
				   .data = s->data.len ? s->data.data : "",
				   .len = s->data.len};
	rc = s->has_data ? s->on_event(s->arg, &event, e) : 0;
	s->name.len = s->data.len = 0;
	s->has_data = false;
	return rc;
}

static bool field(const char *line, size_t len, const char *name, const char **value, size_t *value_len)
{
	size_t n = strlen(name);

	if (len < n || memcmp(line, name, n) != 0 || (len > n && line[n] != ':'))
		return false;
	n += len > n;
	n += len > n && line[n] == ' ';
	*value = line + n;
	*value_len = len - n;
	return true;
}

static int end_line(struct sse *s, const char *line, size_t len, struct err *e)
{
	const char *value;
	size_t n;

	if (len && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return end_event(s, e);
	if (field(line, len, "data", &value, &n)) {
		if (s->has_data)
			text_add_char(&s->data, '\n');
		text_add(&s->data, value, n);
		s->has_data = true;
	} else if (field(line, len, "event", &value, &n)) {
		s->name.len = 0;
		text_add(&s->name, value, n);
	} else if (field(line, len, "id", &value, &n)) {
		s->next_id.len = 0;
		text_add(&s->next_id, value, n);
	} else if (line[0] != ':') {
		return 0; /* a field that we do not know */
	}
	s->known = true;
	return 0;
}

static int feed(struct sse *s, const char *piece, size_t len, struct err *e)
{
	const char *end = piece + len;

	while (piece < end) {
		const char *newline = memchr(piece, '\n', (size_t)(end - piece));
		int rc;

		if (!newline) {
			text_add(&s->line, piece, (size_t)(end - piece));
			return 0;
		}
		if (s->line.len) {
			text_add(&s->line, piece, (size_t)(newline - piece));
			rc = end_line(s, s->line.data, s->line.len, e);
			s->line.len = 0;
		} else {
			rc = end_line(s, piece, (size_t)(newline - piece), e);
		}
		if (rc)
			return rc;
		piece = newline + 1;
	}
	return 0;
}

static int is_alien(struct err *e)
{
	return err_set(e, ERR_SYSTEM, "is it fanoutd that listens there?", "the answer is no stream of events");
}

int sse_feed(struct sse *s, const char *piece, size_t len, struct err *e)
{
	int rc = feed(s, piece, len, e);

	if (rc || s->known)
		return rc;
	s->alien += len;
	return s->alien > ALIEN_MAX ? is_alien(e) : 0;
}

int sse_end(const struct sse *s, struct err *e)
{
	return s->alien && !s->known ? is_alien(e) : 0;
}

void sse_restart(struct sse *s)
{
	s->line.len = s->name.len = s->data.len = s->next_id.len = 0;
	s->has_data = s->known = false;
	s->alien = 0;
}

void sse_clear(struct sse *s)
{
	text_clear(&s->line);
	text_clear(&s->name);
	text_clear(&s->data);
	text_clear(&s->id);
	text_clear(&s->next_id);
}
