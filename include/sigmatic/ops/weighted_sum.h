/** \file
 * Weighted sum of activations or of their gradients.
 * No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_WEIGHTED_SUM_H
#define SIGMATIC_OPS_WEIGHTED_SUM_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** destination = beta * destination + sum over j of weights[j] * sources[j], added in this order in float and rounded to
 * `type` once.
 *
 * \param [in]     type         of all arrays: SM_F32 or SM_BF16
 * \param [in]     elements     of each, any shape; 0 is legal
 * \param [in]     sources      `count` arrays, none of them `destination`; count 0 leaves beta * destination
 * \param [in]     beta         0 (what was there is never read) or 1 */
void sm_weighted_sum(sm_dtype type, size_t elements, int count, const void *const *sources, const float *weights,
                     float beta, void *destination, int threads);

#ifdef __cplusplus
}
#endif
#endif
