/* One table, as RFC 9110 and its kin have it; knows nothing of jobs. daemon/retry decides by it what is sent again by
 * itself, fanoutctl tells by it what its user should look at first. */
#include "lib/status.h"

#include <stddef.h>

struct status_rule {
	int status;
	bool unprocessed; /* says that nothing was done: safe to repeat whatever the method */
};

static const struct status_rule transient_statuses[] = {
    {408, true},  /* RFC 9110 15.5.9: the request did not arrive whole */
    {425, true},  /* RFC 8470: unwilling to process it yet */
    {429, true},  /* RFC 6585: refused */
    {500, false}, /* it may have failed half-way */
    {502, false}, /* what lies behind the gateway may have done it */
    {503, true},  /* RFC 9110 15.6.4: not able to handle it now */
    {504, false}, /* as 502 */
};

static const struct status_rule *rule_of(int status)
{
	for (size_t i = 0; i < sizeof transient_statuses / sizeof *transient_statuses; i++)
		if (transient_statuses[i].status == status)
			return &transient_statuses[i];
	return NULL;
}

bool status_transient(int status)
{
	return rule_of(status) != NULL;
}

bool status_may_be_done(int status)
{
	const struct status_rule *rule = rule_of(status);

	return rule && !rule->unprocessed;
}
