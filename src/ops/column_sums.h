/** \file
 * Sums over the rows of a slice of columns: shared by pooling and the backward of a broadcast. */
#ifndef SIGMATIC_OPS_COLUMN_SUMS_H
#define SIGMATIC_OPS_COLUMN_SUMS_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>

/** `from` is of `type`, SM_F32 or SM_BF16:
 * result[n, c] = beta * result[n, c] + factor * sum_p from[(n * pixels + p) * stride + c], summed in double, in
 * order of p.
 *
 * \param [in]     stride   elements from one row of `from` to the next, at least `channels`
 * \param [in]     beta     0 (the old result is not read) or 1
 * \param [in,out] result   (batch, channels), contiguous */
void sm_column_sums(sm_dtype type, int batch, size_t pixels, int channels, size_t stride, const void *from,
                    double factor, float beta, float *result, int threads);

#endif
