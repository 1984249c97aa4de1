/** \file
 * Which of the words that exist was probably meant by one that does not. */
#ifndef SIGMATIC_BASE_NEAREST_H
#define SIGMATIC_BASE_NEAREST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The search: `wanted` is given, the rest zero. */
typedef struct sm_nearest {
    const char *wanted;
    const char *best; /**< the nearest candidate so far; NULL: none is near enough to be meant */
    size_t distance;
} sm_nearest;

/** \param candidate  kept by reference if it is the nearest so far */
void sm_nearest_consider(sm_nearest *nearest, const char *candidate);

#ifdef __cplusplus
}
#endif
#endif
