/** \file
 * Concatenation along channels, one part at a time: part p fills the channels offset .. offset + channels_part of
 * each row of the whole. Maps are of `type`, SM_F32 or SM_BF16, vectors of floats. rows = batch * height * width; 0 is
 * legal. No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_CONCAT_H
#define SIGMATIC_OPS_CONCAT_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** whole[r, offset + c] = part[r, c]; other channels of the whole are left alone.
 * \param [in]     part   (rows, channels_part)
 * \param [in,out] whole  (rows, channels_total), not overlapping part */
void sm_concat_copy(sm_dtype type, size_t rows, int channels_part, const void *part, int channels_total, int offset,
                    void *whole, int threads);

/** Its backward: grad_part[r, c] = beta * grad_part[r, c] + grad_whole[r, offset + c].
 * \param [in] beta  0 (what was there is never read) or 1 */
void sm_concat_extract(sm_dtype type, size_t rows, int channels_part, int channels_total, int offset,
                       const void *grad_whole, float beta, void *grad_part, int threads);

/** whole[n, p, offset + c] = part[n, c] for every pixel p: one vector an image, spread over its pixels.
 * \param [in]     part   (batch, channels_part)
 * \param [in,out] whole  (batch, pixels, channels_total), not overlapping part */
void sm_concat_broadcast(sm_dtype type, int batch, size_t pixels, int channels_part, const float *part,
                         int channels_total, int offset, void *whole, int threads);

/** Its backward: grad_part[n, c] = beta * grad_part[n, c] + sum_p grad_whole[n, p, offset + c], summed in double. */
void sm_concat_broadcast_backward(sm_dtype type, int batch, size_t pixels, int channels_part, int channels_total,
                                  int offset, const void *grad_whole, float beta, float *grad_part, int threads);

/** Readable twins, floats, one thread. */
void sm_concat_copy_ref(size_t rows, int channels_part, const float *part, int channels_total, int offset,
                        float *whole);
void sm_concat_extract_ref(size_t rows, int channels_part, int channels_total, int offset, const float *grad_whole,
                           float beta, float *grad_part);
void sm_concat_broadcast_ref(int batch, size_t pixels, int channels_part, const float *part, int channels_total,
                             int offset, float *whole);
void sm_concat_broadcast_backward_ref(int batch, size_t pixels, int channels_part, int channels_total, int offset,
                                      const float *grad_whole, float beta, float *grad_part);

#ifdef __cplusplus
}
#endif
#endif
