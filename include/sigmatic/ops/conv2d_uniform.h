/** \file
 * The part of a convolution that reads channels with one value an image, the same at every pixel: a pooled vector beside
 * a map (the ASPP's image-level branch).
 *
 *   output[n,y,x,o] = sum over taps t inside the image at (y, x), and c, of vector[n,c] * weight[t,c,o]
 *
 * What sm_conv2d would compute from the vector written to every pixel (its reference is this one's too), for height *
 * width times less work, always with float factors: a tap gives one product a channel and image, and a pixel adds those of its taps.
 *
 * `shape` has the vector's channels as channels_in. Layouts, alignment of results aside (none is needed), threads and
 * `beta` as in conv2d.h: threads split outputs, never sums. `workspace`: sm_conv2d_uniform_workspace(). `batch` may be 0. */
#ifndef SIGMATIC_OPS_CONV2D_UNIFORM_H
#define SIGMATIC_OPS_CONV2D_UNIFORM_H

#include <sigmatic/ops/conv2d.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return bytes for any of the three. */
size_t sm_conv2d_uniform_workspace(const sm_conv2d_shape *shape, int batch);

/** \param [in]  vector  (batch, channels_in)
 * \param [out] output  (batch, out_height, out_width, channels_out), overwritten */
void sm_conv2d_uniform_forward(const sm_conv2d_shape *shape, int batch, const float *vector, const float *weight,
                               float *output, void *workspace, int threads);

/** grad_vector[n,c] = beta * grad_vector[n,c] + sum over t, o of weight[t,c,o] * (grad_output[n,:,:,o] summed over the
 * pixels at which tap t is inside). */
void sm_conv2d_uniform_backward_data(const sm_conv2d_shape *shape, int batch, const float *weight,
                                     const float *grad_output, float beta, float *grad_vector, void *workspace,
                                     int threads);

/** grad_weight[t,c,o] = beta * grad_weight[t,c,o] + sum over n of vector[n,c] * (the same sum of grad_output). */
void sm_conv2d_uniform_backward_weight(const sm_conv2d_shape *shape, int batch, const float *vector,
                                       const float *grad_output, float beta, float *grad_weight, void *workspace,
                                       int threads);

#ifdef __cplusplus
}
#endif
#endif
