/** \file
 * Rectified linear unit: output = input where it is not below 0, else 0. NaN passes through, forward and backward.
 *
 * Arrays of one call are of the same `type`, SM_F32 or SM_BF16; `count` elements, any shape; 0 is legal. No allocation;
 * the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_RELU_H
#define SIGMATIC_OPS_RELU_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \param [out] output  may be `input` itself */
void sm_relu_forward(sm_dtype type, size_t count, const void *input, void *output, int threads);

/** grad_input = beta * grad_input + (grad_output where output > 0 or NaN, else 0).
 *
 * \param [in]     output      of the forward (the sign of the input would do as well)
 * \param [in]     beta        0 (what was there is never read) or 1
 * \param [in,out] grad_input  may be `grad_output` itself if beta = 0 */
void sm_relu_backward(sm_dtype type, size_t count, const void *output, const void *grad_output, float beta,
                      void *grad_input, int threads);

/** Readable twins, floats, one thread. */
void sm_relu_forward_ref(size_t count, const float *input, float *output);
void sm_relu_backward_ref(size_t count, const float *output, const float *grad_output, float beta, float *grad_input);

#ifdef __cplusplus
}
#endif
#endif
