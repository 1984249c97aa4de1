#include "train/windows.h"

#include <math.h>

sm_window_axis sm_window_axis_of(int extent, int window, double overlap)
{
    int step = (int)(window * (1 - overlap));
    step = step > 0 ? step : 1;
    int beyond = extent - window;
    return (sm_window_axis){extent, window, beyond > 0 ? (beyond + step - 1) / step + 1 : 1};
}

int sm_window_begin(const sm_window_axis *axis, int index)
{
    int beyond = axis->extent - axis->window;
    if (axis->count == 1) {
        return -(-beyond / 2);
    }
    return (int)lrint((double)index * beyond / (axis->count - 1));
}

static int nearer_edge(int position, int window)
{
    return position < window - 1 - position ? position + 1 : window - position;
}

static void blend_pixel(int channels, float share, const float *value, float *mean)
{
    for (int c = 0; c < channels; c++) {
        mean[c] = share == 1 ? value[c] : mean[c] + share * (value[c] - mean[c]);
    }
}

void sm_window_blend(const sm_window_axis *y, const sm_window_axis *x, int index_y, int index_x, int channels,
                     const float *values, float *weights, float *map)
{
    int top = sm_window_begin(y, index_y), left = sm_window_begin(x, index_x);
    for (int row = top < 0 ? -top : 0; row < y->window && top + row < y->extent; row++) {
        for (int column = left < 0 ? -left : 0; column < x->window && left + column < x->extent; column++) {
            size_t pixel = (size_t)(top + row) * (size_t)x->extent + (size_t)(left + column);
            size_t from = (size_t)row * (size_t)x->window + (size_t)column;
            float weight = (float)nearer_edge(row, y->window) * (float)nearer_edge(column, x->window);
            weights[pixel] += weight;
            blend_pixel(channels, weight / weights[pixel], values + from * (size_t)channels,
                        map + pixel * (size_t)channels);
        }
    }
}
