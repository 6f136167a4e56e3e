/* URLs as libcurl reads them (curl_url), so that the daemon and the workers never disagree on where one leads. */
#ifndef FANOUT_LIB_URL_H
#define FANOUT_LIB_URL_H

#include <stddef.h>

#include "lib/err.h"

#define URL_MAX_BYTES 65536
#define URL_HINT      "write it as in https://host[:port]/path?query, with other bytes percent-encoded"
#define URL_KEY_SIZE  (256 + sizeof ":65535")

/* The limit key of an http or https URL: its host in lower case and its port, always both: "catfact.ninja:443",
 * "[::1]:8080". A trailing dot of the host is dropped. Refuses (ERR_INPUT, or ERR_TOO_LARGE) what is longer than
 * URL_MAX_BYTES, has control bytes or spaces, names another scheme, or no host. `key` holds URL_KEY_SIZE bytes. */
int url_key(const char *url, char *key, struct err *e);

/* Refuses a text without a scheme, in the words that url_key() has for it: with the URL that was probably meant, where
 * there is one (lib/url_bare.c, without libcurl). Returns -1. */
int url_refuse_bare(const char *text, struct err *e);

/* What a request to `url` asks for: its path and query as libcurl sends them, without dot segments and fragment
 * ("/v1/x?page=2"). A new string; "/" where the URL cannot be read. */
char *url_target(const char *url);

/* Takes "user:password@" out of `url` where it is: `*clean` becomes a new string without it, `*user` a new string
 * "user:password" (percent-decoded), or both NULL where there is none. The caller frees both. */
int url_split_user(const char *url, char **clean, char **user, struct err *e);

#endif
