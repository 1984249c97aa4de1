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

/** \return what to append to a message: "; did you mean 'depth'?", or "" if nothing is near enough; freed with sm_free() */
char *sm_nearest_question(const sm_nearest *nearest);

#ifdef __cplusplus
}
#endif
#endif
