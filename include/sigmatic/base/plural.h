/** \file
 * A word that goes with a number: "1 image", "0 images". */
#ifndef SIGMATIC_BASE_PLURAL_H
#define SIGMATIC_BASE_PLURAL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return `one` if the count is 1, else `many` */
static inline const char *sm_plural(int64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

#ifdef __cplusplus
}
#endif
#endif
