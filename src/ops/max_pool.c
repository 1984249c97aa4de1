#include <sigmatic/base/clones.h>
#include <sigmatic/ops/max_pool.h>

#include "ops/parallel.h"
#include "ops/typed.h"

#include <math.h>

/* Both directions gather: a thread owns rows of what it writes, and the inner loops run over channels. */

static int out_size(int size, int pads, int kernel, int stride, int dilation, int pad_begin, int ceil_mode)
{
    int room = size + pads - dilation * (kernel - 1) - 1;
    if (room < 0) {
        return 0;
    }
    int out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    return ceil_mode && (out - 1) * stride >= size + pad_begin ? out - 1 : out;
}

int sm_max_pool_infer(sm_max_pool_shape *s)
{
    s->out_height = out_size(s->height, s->pad_top + s->pad_bottom, s->kernel_height, s->stride_height,
                             s->dilation_height, s->pad_top, s->ceil_mode);
    s->out_width = out_size(s->width, s->pad_left + s->pad_right, s->kernel_width, s->stride_width, s->dilation_width,
                            s->pad_left, s->ceil_mode);
    return s->out_height >= 1 && s->out_width >= 1;
}

sm_max_pool_shape sm_max_pool_square(int height, int width, int channels, int kernel, int stride, int pad)
{
    sm_max_pool_shape shape = {.height = height,
                               .width = width,
                               .channels = channels,
                               .kernel_height = kernel,
                               .kernel_width = kernel,
                               .stride_height = stride,
                               .stride_width = stride,
                               .dilation_height = 1,
                               .dilation_width = 1,
                               .pad_top = pad,
                               .pad_left = pad,
                               .pad_bottom = pad,
                               .pad_right = pad};
    sm_max_pool_infer(&shape);
    return shape;
}

/* Taps i with 0 <= start + i * dilation < size: from *first to below the return value. */
static int taps_inside(int start, int kernel, int dilation, int size, int *first)
{
    *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    int end = start < size ? (size - 1 - start) / dilation + 1 : 0;
    return end < kernel ? end : kernel;
}

SM_TYPED void raise_loop(sm_dtype type, int channels, const void *restrict value, int32_t pixel, void *restrict maximum,
                         int32_t *restrict index)
{
    for (int c = 0; c < channels; c++) {
        float challenger = sm_map_get(type, value, c), holder = sm_map_get(type, maximum, c);
        int wins = (challenger > holder) | (challenger != challenger);
        sm_map_put(type, maximum, c, wins ? challenger : holder);
        if (index) {
            index[c] = wins ? pixel : index[c];
        }
    }
}

static SM_CLONES(void, raise_to,
                 (sm_dtype type, int channels, const void *value, int32_t pixel, void *maximum, int32_t *index),
                 (type, channels, value, pixel, maximum, index))
{
    if (index) {
        SM_WITH_TYPE(type, raise_loop, channels, value, pixel, maximum, index);
    } else {
        SM_WITH_TYPE(type, raise_loop, channels, value, pixel, maximum, NULL);
    }
}

static void start_with(sm_dtype type, int channels, const void *value, int32_t pixel, void *maximum, int32_t *index)
{
    for (int c = 0; c < channels; c++) {
        sm_map_put(type, maximum, c, value ? sm_map_get(type, value, c) : -INFINITY);
    }
    for (int c = 0; index && c < channels; c++) {
        index[c] = pixel;
    }
}

static void one_window(const sm_max_pool_shape *s, sm_dtype type, const void *image, int out_y, int out_x,
                       void *maximum, int32_t *index)
{
    int y_start = out_y * s->stride_height - s->pad_top, x_start = out_x * s->stride_width - s->pad_left;
    int i_first, j_first;
    int i_end = taps_inside(y_start, s->kernel_height, s->dilation_height, s->height, &i_first);
    int j_end = taps_inside(x_start, s->kernel_width, s->dilation_width, s->width, &j_first);
    int started = 0;
    for (int i = i_first; i < i_end; i++) {
        for (int j = j_first; j < j_end; j++) {
            int32_t pixel = (y_start + i * s->dilation_height) * s->width + x_start + j * s->dilation_width;
            const void *value = sm_map_at_const(type, image, (size_t)pixel * (size_t)s->channels);
            (started ? raise_to : start_with)(type, s->channels, value, pixel, maximum, index);
            started = 1;
        }
    }
    if (!started) {
        start_with(type, s->channels, NULL, -1, maximum, index);
    }
}

void sm_max_pool_forward(const sm_max_pool_shape *s, sm_dtype type, int batch, const void *input, void *output,
                         int32_t *index, int threads)
{
    size_t image = (size_t)s->height * s->width * s->channels, out_row = (size_t)s->out_width * s->channels;
    int rows = batch * s->out_height, parts = sm_threads_worth(batch * image, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int row = 0; row < rows; row++) {
        const void *from = sm_map_at_const(type, input, (size_t)(row / s->out_height) * image);
        for (int x = 0; x < s->out_width; x++) {
            size_t to = (size_t)row * out_row + (size_t)x * s->channels;
            one_window(s, type, from, row % s->out_height, x, sm_map_at(type, output, to), index ? index + to : NULL);
        }
    }
}

enum { SLICE = 256 }; /* channels whose sums stand on the stack */

SM_TYPED void take_loop(sm_dtype type, int channels, const void *restrict grad_output, const int32_t *restrict index,
                        int32_t pixel, float *restrict sums)
{
    for (int c = 0; c < channels; c++) {
        sums[c] += index[c] == pixel ? sm_map_get(type, grad_output, c) : 0.0f;
    }
}

static SM_CLONES(void, take_if_winner,
                 (sm_dtype type, int channels, const void *grad_output, const int32_t *index, int32_t pixel,
                  float *sums),
                 (type, channels, grad_output, index, pixel, sums))
{
    SM_WITH_TYPE(type, take_loop, channels, grad_output, index, pixel, sums);
}

SM_TYPED void write_loop(sm_dtype type, int channels, const float *restrict sums, void *restrict grad_input)
{
    for (int c = 0; c < channels; c++) {
        sm_map_put(type, grad_input, c, sums[c]);
    }
}

static SM_CLONES(void, write_sums, (sm_dtype type, int channels, const float *sums, void *grad_input),
                 (type, channels, sums, grad_input))
{
    SM_WITH_TYPE(type, write_loop, channels, sums, grad_input);
}

/* Outputs o with o * stride + tap * dilation = position for some tap: a superset of them, from *first to below the
 * return value.
 * position is counted from the beginning of the padding. */
static int outputs_reaching(int position, int kernel, int stride, int dilation, int out, int *first)
{
    int reach = position - dilation * (kernel - 1);
    *first = reach > 0 ? (reach + stride - 1) / stride : 0;
    int end = position / stride + 1;
    return end < out ? end : out;
}

/* Some channels of a pixel, summed in float. */
static void one_pixel(const sm_max_pool_shape *s, sm_dtype type, const void *grad_output, const int32_t *index, int y,
                      int x, int first, float beta, void *grad_input)
{
    float sums[SLICE];
    int y_first, x_first, channels = s->channels - first < SLICE ? s->channels - first : SLICE;
    int y_end = outputs_reaching(y + s->pad_top, s->kernel_height, s->stride_height, s->dilation_height, s->out_height,
                                 &y_first);
    int x_end =
        outputs_reaching(x + s->pad_left, s->kernel_width, s->stride_width, s->dilation_width, s->out_width, &x_first);
    for (int c = 0; c < channels; c++) {
        sums[c] = beta == 0.0f ? 0.0f : sm_map_get(type, grad_input, (size_t)(first + c));
    }
    for (int out_y = y_first; out_y < y_end; out_y++) {
        for (int out_x = x_first; out_x < x_end; out_x++) {
            size_t at = ((size_t)out_y * s->out_width + out_x) * s->channels + first;
            take_if_winner(type, channels, sm_map_at_const(type, grad_output, at), index + at, y * s->width + x, sums);
        }
    }
    write_sums(type, channels, sums, sm_map_at(type, grad_input, (size_t)first));
}

void sm_max_pool_backward(const sm_max_pool_shape *s, sm_dtype type, int batch, const void *grad_output,
                          const int32_t *index, float beta, void *grad_input, int threads)
{
    size_t row_size = (size_t)s->width * s->channels, out_image = (size_t)s->out_height * s->out_width * s->channels;
    int rows = batch * s->height, parts = sm_threads_worth((size_t)rows * row_size, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int row = 0; row < rows; row++) {
        size_t from = (size_t)(row / s->height) * out_image;
        for (int x = 0; x < s->width; x++) {
            void *pixel = sm_map_at(type, grad_input, (size_t)row * row_size + (size_t)x * s->channels);
            for (int first = 0; first < s->channels; first += SLICE) {
                one_pixel(s, type, sm_map_at_const(type, grad_output, from), index + from, row % s->height, x, first,
                          beta, pixel);
            }
        }
    }
}
