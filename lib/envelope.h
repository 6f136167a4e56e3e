/* A response in jq's hands: what programs are given. */
#ifndef FANOUT_LIB_ENVELOPE_H
#define FANOUT_LIB_ENVELOPE_H

#include <jv.h>
#include <stdint.h>

/* Exactly one value, or an invalid one whose message says why not. */
jv envelope_body(const void *body, int64_t bytes);

/* {body, status, headers}. Consumes `body`. `head` is NULL where the headers are not looked at. */
jv envelope_make(jv body, int status, const char *head);

#endif
