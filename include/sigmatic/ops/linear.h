/** \file
 * Fully connected layer: output[n,o] = bias[o] + sum_i input[n,i] * weight[i,o].
 *
 * Activations (batch, channels); weights [channels_in][channels_out] (files hold out, in). batch = 0 is legal.
 * No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_LINEAR_H
#define SIGMATIC_OPS_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \param [in]  bias    channels_out floats, or NULL
 * \param [out] output  (batch, channels_out), not overlapping input */
void sm_linear_forward(int batch, int channels_in, int channels_out, const float *input, const float *weight,
                       const float *bias, float *output, int threads);

/** grad_input[n,i] = beta * grad_input[n,i] + sum_o grad_output[n,o] * weight[i,o].
 * \param [in]     beta        0 (what was there is never read) or 1; here and below
 * \param [in,out] grad_input  (batch, channels_in), not overlapping grad_output */
void sm_linear_backward_data(int batch, int channels_in, int channels_out, const float *grad_output,
                             const float *weight, float beta, float *grad_input, int threads);

/** grad_weight[i,o] = beta * grad_weight[i,o] + sum_n input[n,i] * grad_output[n,o]. */
void sm_linear_backward_weight(int batch, int channels_in, int channels_out, const float *input,
                               const float *grad_output, float beta, float *grad_weight, int threads);

/** grad_bias[o] = beta * grad_bias[o] + sum_n grad_output[n,o], summed in double. */
void sm_linear_backward_bias(int batch, int channels_out, const float *grad_output, float beta, float *grad_bias,
                             int threads);

/** Readable twins, one thread. */
void sm_linear_forward_ref(int batch, int channels_in, int channels_out, const float *input, const float *weight,
                           const float *bias, float *output);
void sm_linear_backward_data_ref(int batch, int channels_in, int channels_out, const float *grad_output,
                                 const float *weight, float beta, float *grad_input);
void sm_linear_backward_weight_ref(int batch, int channels_in, int channels_out, const float *input,
                                   const float *grad_output, float beta, float *grad_weight);
void sm_linear_backward_bias_ref(int batch, int channels_out, const float *grad_output, float beta, float *grad_bias);

#ifdef __cplusplus
}
#endif
#endif
