/** \file
 * The transforms of Winograd's minimal filtering F(m x m, 3 x 3), m = 2 and 4 (Lavin, Gray, Fast Algorithms for
 * Convolutional Neural Networks, 2015): m x m outputs of a 3 x 3 kernel cost (m + 2)^2 products instead of 9 m^2,
 *
 *   output = A^T [(G weight G^T) * (B^T input B)] A
 *   grad_weight = G^T [(B^T input B) * (A grad_output A^T)] G      (the products summed over tiles)
 *
 * `points` = (m + 2)^2. Everything is vectorised over channels; "pixels" are pointers to a pixel's first channel of
 * interest. */
#ifndef SIGMATIC_OPS_WINOGRAD_H
#define SIGMATIC_OPS_WINOGRAD_H

#include <stddef.h>

enum { SM_WINOGRAD_POINTS_MAX = 36 };

typedef struct sm_winograd {
    int tile;  /**< m */
    int lanes; /**< channels a vector; panel widths are multiples of it */
    /** B^T input B: `points` pixels in, points rows of `channels` out; rows are written up to a multiple of lanes,
     * with zeros. */
    void (*input)(const float *const *pixels, int channels, float *out, size_t point_stride);
    /** A^T products A (+ bias): points rows in, m * m pixels out, NULL pixels left out. `accumulate` adds to what was
     * there. */
    void (*output)(const float *in, size_t point_stride, int channels, const float *bias, int accumulate,
                   float *const *pixels);
    /** A grad_output A^T: m * m pixels in, points rows out. */
    void (*grad_output)(const float *const *pixels, int channels, float *out, size_t point_stride);
    /** G weight G^T: 9 rows of `channels`, tap_stride apart, in; points rows out. */
    void (*weight)(const float *weight, size_t tap_stride, int channels, float *out, size_t point_stride);
    /** G^T products G: points rows in, 9 rows, tap_stride apart, out. */
    void (*grad_weight)(const float *in, size_t point_stride, int channels, int accumulate, float *result,
                        size_t tap_stride);
} sm_winograd;

/** By instruction set, one row a tile size, ends with tile = 0. */
extern const sm_winograd sm_winograd_avx512[], sm_winograd_avx2[], sm_winograd_plain[];

#endif
