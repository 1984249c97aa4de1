/** \file
 * Sums of activations, and of gradients where several paths meet. Arrays of one call are of the same `type`, SM_F32
 * or SM_BF16; `count` elements, any shape; 0 is legal.
 * No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_ADD_H
#define SIGMATIC_OPS_ADD_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** output = a + b, then ReLU if `relu`; NaN passes through. The backward of the ReLU is sm_relu_backward(), of the
 * sum sm_accumulate().
 * \param [out] output  may be `a` or `b` itself */
void sm_add_forward(sm_dtype type, size_t count, const void *a, const void *b, int relu, void *output, int threads);

/** destination = beta * destination + source.
 * \param [in]     beta         0 (what was there is never read: a copy) or 1
 * \param [in,out] destination  may be `source` itself */
void sm_accumulate(sm_dtype type, size_t count, const void *source, float beta, void *destination, int threads);

/** Readable twins, floats, one thread. */
void sm_add_forward_ref(size_t count, const float *a, const float *b, int relu, float *output);
void sm_accumulate_ref(size_t count, const float *source, float beta, float *destination);

#ifdef __cplusplus
}
#endif
#endif
