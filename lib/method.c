/* What a method promises, as RFC 9110 has it; knows nothing of jobs, which may promise more. */
#include "lib/method.h"

#include <stddef.h>
#include <string.h>

static const char *const idempotent_methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

bool method_idempotent(const char *method)
{
	for (size_t i = 0; i < sizeof idempotent_methods / sizeof *idempotent_methods; i++)
		if (strcmp(method, idempotent_methods[i]) == 0) /* methods are case-sensitive */
			return true;
	return false;
}
