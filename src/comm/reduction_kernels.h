/** \file
 * Loops over the floats of a bucket. */
#ifndef SIGMATIC_COMM_REDUCTION_KERNELS_H
#define SIGMATIC_COMM_REDUCTION_KERNELS_H

#include <sigmatic/base/bf16.h>

#include <stddef.h>
#include <stdint.h>

/** to[t][i] = ((from[0][i] + from[1][i]) + from[2][i]) + ..., first <= i < first + count, for every t. A target may be
 * one of the sources. */
void sm_add_in_order(const float *const *from, size_t sources, float *const *to, size_t targets, size_t first,
                     size_t count, int threads);

/** bfloat16: the upper half of a float, rounded to nearest, ties to even; a NaN stays one. */
void sm_bf16_from_floats(const float *from, sm_bf16 *to, size_t count);
void sm_floats_from_bf16(const sm_bf16 *from, float *to, size_t count);

#endif
