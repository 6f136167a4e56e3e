/* uthash, with a quick function for keys that are numbers: a job's, a lane's, a batch's. They lie side by side, and
 * uthash's own function takes ten times as long. Other keys go its way. And with short chains: each link is a miss of
 * the processor's caches, and uthash lets them grow to ten before it doubles the buckets. */
#ifndef FANOUT_LIB_HASH_H
#define FANOUT_LIB_HASH_H

#include <stdint.h>
#include <string.h>
#include <uthash.h>

#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 4U

#undef HASH_FUNCTION
#define HASH_FUNCTION(key, bytes, hash)                                               \
	do {                                                                          \
		if ((bytes) == sizeof(uint64_t)) {                                    \
			uint64_t number_;                                             \
			memcpy(&number_, key, sizeof number_);                        \
			(hash) = (unsigned)(number_ ^ (number_ >> 32) * 0x9e3779b1u); \
		} else if ((bytes) == sizeof(uint32_t)) {                             \
			uint32_t number_;                                             \
			memcpy(&number_, key, sizeof number_);                        \
			(hash) = number_;                                             \
		} else {                                                              \
			HASH_JEN(key, bytes, hash);                                   \
		}                                                                     \
	} while (0)

#endif
