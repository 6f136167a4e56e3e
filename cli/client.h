/* Talking to fanoutd: HTTP over its Unix socket. Owns which socket is taken, one reused connection, and how
 * an answer that is an error becomes a struct err. Knows paths and bodies, no verbs.
 *
 * Errors: ERR_UNREACHABLE when nobody answers, or the connection broke before the answer was whole; otherwise what the
 * daemon's problem+json says. After an error, client_sent() tells whether the request may have had an effect. */
#ifndef FANOUT_CLI_CLIENT_H
#define FANOUT_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/text.h"
#include "lib/err.h"

struct client;

/* Gets a piece of a 2xx answer's body. Returns 0, or -1 to break off (client_call then returns -1 with what the
 * callback put into `e`). */
typedef int client_data_fn(void *arg, const char *data, size_t len, struct err *e);

struct call {
	const char *method; /* NULL: GET */
	const char *path;   /* "/v1/batches" with its query */
	const void *body;   /* sent as it is; NULL: none */
	size_t body_bytes;
	const char *content_type; /* of the body; NULL: application/json */
	const char *header;       /* one more, "Last-Event-ID: 7"; NULL: none */
	client_data_fn *on_data;
	void *arg;
};

/* `socket` is kept by reference. Nothing is sent yet. */
struct client *client_create(const char *socket);
/* One more, for another thread. */
struct client *client_again(const struct client *c);
/* It speaks with the user's private daemon, which whoever needs it starts (cli/patience.h). */
void client_set_private(struct client *c);
bool client_is_private(const struct client *c);
void client_free(struct client *c);
const char *client_socket(const struct client *c);

int client_call(struct client *c, const struct call *call, struct err *e);
/* The status of the last answer, 0 where none came. */
int client_status(const struct client *c);
/* Whether the last request may have reached the daemon. */
bool client_sent(const struct client *c);

/* The whole answer, as JSON (a new reference) or as bytes. `path` is a format. */
/* An error in the daemon's words, shown harmlessly and on one line: a second one of its making could be taken for ours.
 * `hint` may be NULL. */
void client_said(struct err *e, enum err_code code, const char *detail, const char *hint);

json_t *client_get_json(struct client *c, struct err *e, const char *path, ...) __attribute__((format(printf, 3, 4)));
json_t *client_post_json(struct client *c, const char *body, size_t len, struct err *e, const char *path, ...)
    __attribute__((format(printf, 5, 6)));
json_t *client_put_json(struct client *c, const char *body, size_t len, struct err *e, const char *path, ...)
    __attribute__((format(printf, 5, 6)));
json_t *client_delete(struct client *c, struct err *e, const char *path, ...) __attribute__((format(printf, 3, 4)));

/* Whether something accepts connections at `socket`: 0, or an errno. */
int client_probe(const char *socket);
/* Whose daemon it is. */
enum client_place {
	PLACE_GIVEN,   /* by -S or $FANOUT_SOCKET */
	PLACE_PRIVATE, /* the user's own */
	PLACE_ASLEEP, /* the user's own, which does not run; its state is there, and there is no other daemon for him */
	PLACE_SYSTEM,
};
/* The socket to use: `given`, or $FANOUT_SOCKET, or the first of the user's own and the system's that answers. Writes
 * PATHS_MAX bytes at most into `out`. */
enum client_place client_find_socket(const char *given, char *out, size_t size);
/* What is wrong when the connection failed with `err_no`. Returns -1. */
int client_unreachable(const char *socket, int err_no, struct err *e);

#endif
