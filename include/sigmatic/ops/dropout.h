/** \file
 * Dropout (Srivastava et al. 2014, scaled in training): output = input / (1 - p) with probability 1 - p, else 0.
 *
 * No mask is stored: an element is kept if Philox, keyed by the seed and counted by (element, sample, step, op),
 * draws at least p.
 * Forward and backward, and any split of the global batch over ranks and threads, see the same mask.
 * In evaluation there is nothing to do. batch = 0 is legal. No allocation. */
#ifndef SIGMATIC_OPS_DROPOUT_H
#define SIGMATIC_OPS_DROPOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Names the mask of one layer in one step. */
typedef struct sm_dropout {
    float probability; /**< p of dropping, 0 <= p < 1 */
    uint64_t seed;     /**< of the run */
    uint32_t step;     /**< of training */
    uint32_t op;       /**< number of the layer: two layers never share a mask */
} sm_dropout;

/** \param [in]  first_sample  index in the global batch of the first local sample
 * \param [in]  elements      of one sample (height * width * channels)
 * \param [in]  input         (batch, elements)
 * \param [out] output        may be `input` itself. A dropped NaN or infinity gives 0 */
void sm_dropout_forward(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                        const float *input, float *output, int threads);

/** grad_input = beta * grad_input + (grad_output / (1 - p) where kept, else 0).
 * \param [in]     beta        0 (what was there is never read) or 1
 * \param [in,out] grad_input  may be `grad_output` itself if beta = 0 */
void sm_dropout_backward(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                         const float *grad_output, float beta, float *grad_input, int threads);

/** \return 1 if the element is kept: the definition of the mask, one element at a time. */
int sm_dropout_keeps(const sm_dropout *dropout, uint32_t sample, size_t element);

/** Readable twins, one thread. */
void sm_dropout_forward_ref(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                            const float *input, float *output);
void sm_dropout_backward_ref(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                             const float *grad_output, float beta, float *grad_input);

#ifdef __cplusplus
}
#endif
#endif
