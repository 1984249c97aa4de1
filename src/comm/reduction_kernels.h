/** \file
 * Loops over the floats of a bucket. */
#ifndef SIGMATIC_COMM_REDUCTION_KERNELS_H
#define SIGMATIC_COMM_REDUCTION_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/** to[t][i] = ((from[0][i] + from[1][i]) + from[2][i]) + ..., first <= i < first + count, for every t. A target may be
 * one of the sources. */
void sm_add_in_order(const float *const *from, size_t sources, float *const *to, size_t targets, size_t first,
                     size_t count, int threads);

/** bfloat16: the upper half of a float, rounded to nearest, ties to even; a NaN stays one. */
void sm_bfloat16_from_float(const float *from, uint16_t *to, size_t count);
void sm_float_from_bfloat16(const uint16_t *from, float *to, size_t count);

#endif
