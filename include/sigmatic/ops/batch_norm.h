/** \file
 * Batch normalisation over the rows (batch * height * width) of an NHWC activation, in pieces, so that a reduction
 * over ranks, a residual sum and a ReLU fit between them.
 *
 *   mean[c] = sum_r x[r,c] / n
 *   variance[c] = sum_r x[r,c]^2 / n - mean[c]^2
 *   inverse_std[c] = 1 / sqrt(variance[c] + epsilon)
 *   xhat[r,c] = (x[r,c] - mean[c]) * inverse_std[c]
 *   output = relu(xhat * scale + shift + residual)
 *   running_mean     = (1 - momentum) * running_mean     + momentum * mean
 *   running_variance = (1 - momentum) * running_variance + momentum * variance * n / (n - 1)
 *
 * with n the rows of all ranks (Ioffe & Szegedy 2015; running values as PyTorch keeps them). One step in training:
 * statistics -> (sum over ranks) -> finalise -> apply; backward: backward_statistics -> backward_parameters (local
 * sums) -> (sum over ranks) -> backward_apply.
 *
 * Activations and their gradients are (rows, channels), contiguous, 64-byte aligned, all of one call of the same `type`:
 * SM_F32 or SM_BF16 (computed in float, rounded when written). Per-channel arrays hold `channels` floats.
 * rows = 0 is legal.
 * Nothing is allocated. Threads split outputs or fixed blocks of rows: the bits do not depend on their number. */
#ifndef SIGMATIC_OPS_BATCH_NORM_H
#define SIGMATIC_OPS_BATCH_NORM_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** sums[c] = sum_r input[r,c], sums[channels + c] = sum_r input[r,c]^2, both accumulated in double (bfloat16: rows in
 * groups of four in float); zeros for rows = 0.
 * \param [out] sums  2 * channels doubles; summed over ranks by the caller when the statistics are global */
void sm_batch_norm_statistics(sm_dtype type, size_t rows, int channels, const void *input, double *sums, int threads);

/** Statistics from the (global) sums, and one step of the running values.
 *
 * \param [in]     count    rows behind `sums`, of all ranks. At 1 the running variance gets the biased value (0), as
 *                          there is no unbiased one; at 0 mean is 0, inverse_std is 1 / sqrt(epsilon) and the running
 *                          values stay
 * \param [in]     epsilon  1e-5 by custom
 * \param [in]     momentum share of the new value, 0.1 by custom
 * \param [out]    mean, inverse_std
 * \param [in,out] running_mean, running_variance  both NULL: not updated */
void sm_batch_norm_finalise(int channels, double count, const double *sums, float epsilon, float momentum, float *mean,
                            float *inverse_std, float *running_mean, float *running_variance);

/** Statistics for evaluation and for frozen layers:
 * mean = running_mean, inverse_std = 1 / sqrt(running_variance + epsilon). */
void sm_batch_norm_from_running(int channels, const float *running_mean, const float *running_variance, float epsilon,
                                float *mean, float *inverse_std);

/** output = (input - mean) * inverse_std * scale + shift, then + residual, then ReLU. NaN passes through.
 *
 * \param [in]  scale, shift  gamma and beta
 * \param [in]  residual      (rows, channels) added before the ReLU, or NULL
 * \param [in]  relu          1: negative results become 0
 * \param [out] output        may be `input` or `residual` itself */
void sm_batch_norm_apply(sm_dtype type, size_t rows, int channels, const void *input, const float *mean,
                         const float *inverse_std, const float *scale, const float *shift, const void *residual,
                         int relu, void *output, int threads);

/** With g = grad_output where `output` is positive (everywhere if `output` is NULL), and 0 elsewhere:
 * sums[c] = sum_r g[r,c], sums[channels + c] = sum_r g[r,c] * xhat[r,c], accumulated in double, rows in groups of
 * four in float.
 *
 * \param [in]  output  what sm_batch_norm_apply() wrote with relu = 1, or NULL without ReLU
 * \param [out] sums    2 * channels doubles
 * \param [out] grad_masked  g, as sm_relu_backward() gives it, of `type`; may be `grad_output` itself. NULL: not wanted;
 *                      needs `output` */
void sm_batch_norm_backward_statistics(sm_dtype type, size_t rows, int channels, const void *input,
                                       const void *grad_output, const void *output, const float *mean,
                                       const float *inverse_std, double *sums, void *grad_masked, int threads);

/** grad_scale[c] = beta * grad_scale[c] + sums[channels + c], grad_shift[c] = beta * grad_shift[c] + sums[c].
 * \param [in]     sums  of this rank: gradients of parameters are summed over ranks with all the others
 * \param [in]     beta  0 (what was there is never read) or 1 */
void sm_batch_norm_backward_parameters(int channels, const double *sums, float beta, float *grad_scale,
                                       float *grad_shift);

/** grad_input = beta * grad_input + scale * inverse_std * (g - sums[c] / count - xhat * sums[channels + c] / count);
 * with statistics that were constants (evaluation mode, frozen)
 * grad_input = beta * grad_input + scale * inverse_std * g.
 *
 * The gradient of a residual is g itself: `grad_masked` of the statistics, or sm_relu_backward(), called before
 * this one if grad_input is grad_output.
 *
 * \param [in]     input       not read if sums is NULL (may be NULL then)
 * \param [in]     output      as above: the ReLU's mask, or NULL
 * \param [in]     count       rows behind `sums`, of all ranks; not read if sums is NULL
 * \param [in]     sums        global; NULL: the statistics were constants
 * \param [in]     beta        0 (what was there is never read) or 1
 * \param [in,out] grad_input  may be `grad_output` itself if beta = 0; not `input` or `output` */
void sm_batch_norm_backward_apply(sm_dtype type, size_t rows, int channels, const void *input, const void *grad_output,
                                  const void *output, const float *mean, const float *inverse_std, const float *scale,
                                  double count, const double *sums, float beta, void *grad_input, int threads);

/** \name Readable twins, floats, one thread: the same arguments without `type`, `grad_masked` and `threads`
 * @{ */
void sm_batch_norm_statistics_ref(size_t rows, int channels, const float *input, double *sums);
void sm_batch_norm_apply_ref(size_t rows, int channels, const float *input, const float *mean, const float *inverse_std,
                             const float *scale, const float *shift, const float *residual, int relu, float *output);
void sm_batch_norm_backward_statistics_ref(size_t rows, int channels, const float *input, const float *grad_output,
                                           const float *output, const float *mean, const float *inverse_std,
                                           double *sums);
void sm_batch_norm_backward_apply_ref(size_t rows, int channels, const float *input, const float *grad_output,
                                      const float *output, const float *mean, const float *inverse_std,
                                      const float *scale, double count, const double *sums, float beta,
                                      float *grad_input);
/** @} */

#ifdef __cplusplus
}
#endif
#endif
