/** \file
 * An image of any size as overlapping windows of one size, and their results blended into one map. */
#ifndef SIGMATIC_TRAIN_WINDOWS_H
#define SIGMATIC_TRAIN_WINDOWS_H

#include <stddef.h>

/** Windows along one axis: evenly spread, the first and the last at the image's ends. */
typedef struct sm_window_axis {
    int extent; /**< of the image */
    int window;
    int count;
} sm_window_axis;

/** \param overlap  share of a window that its neighbour covers too, at least: in [0, 1) */
sm_window_axis sm_window_axis_of(int extent, int window, double overlap);

/** \return where window `index` begins. Negative where the image is smaller than the window and lies in its middle. */
int sm_window_begin(const sm_window_axis *axis, int index);

/** Blends one window into a map: each pixel becomes the mean of the windows that cover it, weighted by a pyramid that falls
 * towards the window's edges, where a network sees least around a pixel.
 *
 * The mean is a running one, mean += weight / sum of weights * (value - mean): what all windows agree on, and what only one
 * covers, comes out with the same bits.
 * \param [in]     values   (window of y, window of x, channels)
 * \param [in,out] weights  (extent of y, extent of x): sum so far, 0 at first
 * \param [in,out] map      (extent of y, extent of x, channels); what it holds where the weight is 0 is never read */
void sm_window_blend(const sm_window_axis *y, const sm_window_axis *x, int index_y, int index_x, int channels,
                     const float *values, float *weights, float *map);

#endif
