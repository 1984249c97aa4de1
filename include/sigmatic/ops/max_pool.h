/** \file
 * 2-D max pooling of NHWC activations, as PyTorch means it: padding never wins, the first maximum (in row order of
 * the window) gets the gradient, NaN is larger than everything.
 *
 *   output[n,y,x,c] = max over i,j inside the image of input[n, y*stride - pad_top + i*dilation,
 *                                                                x*stride - pad_left + j*dilation, c]
 *
 * A window without any pixel of the image gives -infinity and no gradient.
 * Activations and gradients of one call are of the same `type`, SM_F32 or SM_BF16 (summed in float). batch = 0 is legal.
 * No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_MAX_POOL_H
#define SIGMATIC_OPS_MAX_POOL_H

#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Geometry; sm_max_pool_infer() sets the output size. */
typedef struct sm_max_pool_shape {
    int height, width, channels;                  /**< of the input */
    int out_height, out_width;                    /**< of the output: sm_max_pool_infer() */
    int kernel_height, kernel_width;              /**< 1 and more */
    int stride_height, stride_width;              /**< 1 and more */
    int dilation_height, dilation_width;          /**< 1 and more */
    int pad_top, pad_left, pad_bottom, pad_right; /**< 0 and more */
    int ceil_mode; /**< 1: the size is rounded up, but no window starts in the bottom or right padding */
} sm_max_pool_shape;

/** Fills in out_height and out_width: floor (or ceil) of (height + pads - dilation * (kernel - 1) - 1) / stride, + 1.
 * \return 0 if an output dimension is below 1, else 1. */
int sm_max_pool_infer(sm_max_pool_shape *shape);

/** \return the shape with square kernel and stride, dilation 1, the same padding on all sides, size rounded down. */
sm_max_pool_shape sm_max_pool_square(int height, int width, int channels, int kernel, int stride, int pad);

/** \param [in]  input   (batch, height, width, channels)
 * \param [out] output  (batch, out_height, out_width, channels), not overlapping input
 * \param [out] index   as many int32: the winner as y * width + x within its image and channel (-1: no pixel), which
 *                      the backward needs; NULL: not wanted */
void sm_max_pool_forward(const sm_max_pool_shape *shape, sm_dtype type, int batch, const void *input, void *output,
                         int32_t *index, int threads);

/** grad_input = beta * grad_input + sum over the windows whose winner the pixel is of grad_output.
 *
 * \param [in]     index       of the forward
 * \param [in]     beta        0 (what was there is never read) or 1
 * \param [in,out] grad_input  (batch, height, width, channels), not overlapping grad_output */
void sm_max_pool_backward(const sm_max_pool_shape *shape, sm_dtype type, int batch, const void *grad_output,
                          const int32_t *index, float beta, void *grad_input, int threads);

/** Readable twins, floats, one thread. */
void sm_max_pool_forward_ref(const sm_max_pool_shape *shape, int batch, const float *input, float *output,
                             int32_t *index);
void sm_max_pool_backward_ref(const sm_max_pool_shape *shape, int batch, const float *grad_output, const int32_t *index,
                              float beta, float *grad_input);

#ifdef __cplusplus
}
#endif
#endif
