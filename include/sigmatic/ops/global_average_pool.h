/** \file
 * Mean over the pixels of each image: output[n,c] = sum_p input[n,p,c] / pixels, summed in double.
 *
 * Maps (batch, pixels, channels) of `type`, SM_F32 or SM_BF16, and vectors (batch, channels) of floats. batch = 0 is
 * legal, pixels are 1 and more.
 * No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_GLOBAL_AVERAGE_POOL_H
#define SIGMATIC_OPS_GLOBAL_AVERAGE_POOL_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \param [out] output  not overlapping input */
void sm_global_average_pool_forward(sm_dtype type, int batch, size_t pixels, int channels, const void *input,
                                    float *output, int threads);

/** grad_input[n,p,c] = beta * grad_input[n,p,c] + grad_output[n,c] / pixels.
 * \param [in]     beta        0 (what was there is never read) or 1
 * \param [in,out] grad_input  not overlapping grad_output */
void sm_global_average_pool_backward(sm_dtype type, int batch, size_t pixels, int channels, const float *grad_output,
                                     float beta, void *grad_input, int threads);

/** Readable twins, floats, one thread. */
void sm_global_average_pool_forward_ref(int batch, size_t pixels, int channels, const float *input, float *output);
void sm_global_average_pool_backward_ref(int batch, size_t pixels, int channels, const float *grad_output, float beta,
                                         float *grad_input);

#ifdef __cplusplus
}
#endif
#endif
