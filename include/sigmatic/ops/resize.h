/** \file
 * Bilinear resizing of NHWC activations to a given size, up or down, without antialiasing, as PyTorch's
 * interpolate(size=..., mode="bilinear", align_corners=...).
 *
 * Each axis: the output pixel o lies at s(o) in the input and mixes the pixels floor(s) and floor(s) + 1 (clamped to
 * the last) with the weights 1 - (s - floor(s)) and s - floor(s), where
 *   align_corners = 0:  s(o) = max(0, (o + 1/2) * in / out - 1/2)      half-pixel centres
 *   align_corners = 1:  s(o) = o * (in - 1) / (out - 1), 0 if out = 1  the corner pixels' centres coincide
 * A 1 x 1 input is broadcast. The backward is the exact transpose.
 * batch = 0 is legal. No allocation; the bits do not depend on the number of threads. */
#ifndef SIGMATIC_OPS_RESIZE_H
#define SIGMATIC_OPS_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_resize_shape {
    int height, width;         /**< of the input, 1 and more */
    int out_height, out_width; /**< of the output, 1 and more */
    int channels;
    int align_corners;
} sm_resize_shape;

/** \return bytes of workspace for the forward (index and weight tables, one mixed row a thread); any batch. */
size_t sm_resize_forward_workspace_bytes(const sm_resize_shape *shape, int threads);

/** \return bytes of workspace for the backward (the tables, one image reduced along its rows); any batch, any
 * threads. */
size_t sm_resize_backward_workspace_bytes(const sm_resize_shape *shape);

/** \param [in]  input      (batch, height, width, channels)
 * \param [out] output     (batch, out_height, out_width, channels), not overlapping input
 * \param       workspace  sm_resize_forward_workspace_bytes(), 64-byte aligned; contents undefined before and after */
void sm_resize_forward(const sm_resize_shape *shape, int batch, const float *input, float *output, void *workspace,
                       int threads);

/** grad_input = beta * grad_input + (transpose of the forward) grad_output.
 *
 * \param [in]     grad_output  (batch, out_height, out_width, channels)
 * \param [in]     beta         0 (what was there is never read) or 1
 * \param [in,out] grad_input   (batch, height, width, channels), not overlapping grad_output
 * \param          workspace    sm_resize_backward_workspace_bytes(), 64-byte aligned */
void sm_resize_backward(const sm_resize_shape *shape, int batch, const float *grad_output, float beta,
                        float *grad_input, void *workspace, int threads);

/** Readable twins, one thread, no workspace. */
void sm_resize_forward_ref(const sm_resize_shape *shape, int batch, const float *input, float *output);
void sm_resize_backward_ref(const sm_resize_shape *shape, int batch, const float *grad_output, float beta,
                            float *grad_input);

#ifdef __cplusplus
}
#endif
#endif
