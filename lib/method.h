/* What a method promises. */
#ifndef FANOUT_LIB_METHOD_H
#define FANOUT_LIB_METHOD_H

#include <stdbool.h>

/* RFC 9110 section 9.2.2: GET HEAD PUT DELETE OPTIONS TRACE. Done twice, they do what they do once. */
bool method_idempotent(const char *method);

#endif
