/** \file
 * IEEE binary16 ("half"): 5 bits of exponent, 10 of fraction. Only read. */
#ifndef SIGMATIC_BASE_HALF_H
#define SIGMATIC_BASE_HALF_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return the same number. */
static inline float sm_float_of_half(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float magnitude = exponent == 31  ? fraction ? NAN : INFINITY
                      : exponent == 0 ? ldexpf((float)fraction, -24)
                                      : ldexpf((float)(1024 + fraction), exponent - 25);
    return half >> 15 ? -magnitude : magnitude;
}

#ifdef __cplusplus
}
#endif
#endif
