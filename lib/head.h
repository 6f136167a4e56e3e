/* The head of a response as response_text() has it: the values of a field by its name. */
#ifndef FANOUT_LIB_HEAD_H
#define FANOUT_LIB_HEAD_H

#include <stdbool.h>
#include <stddef.h>

struct head_value {
	const char *p; /* borrowed, without the white space around it; a folded one has its line ends inside */
	size_t n;
};

/* The next value of the field `name` (in whatever case) from *at on, which is the head at first and is moved. False
 * when there is none. */
bool head_next(const char **at, const char *name, struct head_value *v);

/* The one value of a field that can only be there once; said again in the same words it is still one. False where there
 * is none, or where there are several. */
bool head_only(const char *head, const char *name, struct head_value *v);

#endif
