#include <sigmatic/base/clones.h>
#include <sigmatic/ops/batch_norm.h>

#include "ops/parallel.h"
#include "ops/typed.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* All loops run over rows outside and a slice of channels inside, so that they vectorise over channels and stream
 * memory. The sums or coefficients of a slice lie on the stack. It is wide because narrow pieces of long rows are
 * slow to fetch (512 instead of 128 channels: 22 instead of 17 GB/s for the sums of 1024 channels).
 *
 * Sums: the rows are cut into ROW_BLOCKS blocks whatever the number of threads, and the blocks are added in order. */
enum { SLICE = 512, ROW_BLOCKS = 16 };

typedef struct sums_of_block {
    double first[SLICE], second[SLICE];
} sums_of_block;

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

/* What the two kinds of sums read. */
typedef struct sums_operands {
    sm_dtype type;
    size_t rows;
    int channels;
    const void *input, *grad_output, *output;
    void *grad_masked;
    const float *mean, *inverse_std;
} sums_operands;

/* Four rows of floats are added in double, since the sums cancel. Those of bfloat16 in float: a mean of more than 2^8
 * standard deviations cannot be told in bfloat16, and up to that a float's 2^-24 leaves 2^-8 of the variance. */
SM_TYPED void input_sums(sm_dtype type, const sums_operands *from, size_t begin, size_t end, int first, int width,
                         sums_of_block *sums)
{
    double *restrict sum = sums->first, *restrict square = sums->second;
    size_t stride = (size_t)from->channels, r = begin;
    for (; r + 4 <= end; r += 4) { /* four rows an access to the sums */
        const void *x = sm_map_at_const(type, from->input, r * stride + first);
        for (int c = 0; c < width; c++) {
            float x0 = sm_map_get(type, x, c), x1 = sm_map_get(type, x, c + stride);
            float x2 = sm_map_get(type, x, c + 2 * stride), x3 = sm_map_get(type, x, c + 3 * stride);
            if (type == SM_BF16) {
                sum[c] += (double)((x0 + x1) + (x2 + x3));
                square[c] += (double)((x0 * x0 + x1 * x1) + (x2 * x2 + x3 * x3));
            } else {
                double d0 = x0, d1 = x1, d2 = x2, d3 = x3;
                sum[c] += (d0 + d1) + (d2 + d3);
                square[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
            }
        }
    }
    for (; r < end; r++) {
        const void *x = sm_map_at_const(type, from->input, r * stride + first);
        for (int c = 0; c < width; c++) {
            double value = sm_map_get(type, x, c);
            sum[c] += value;
            square[c] += value * value;
        }
    }
}

static SM_CLONES(void, forward_sums,
                 (const sums_operands *from, size_t begin, size_t end, int first, int width, sums_of_block *sums),
                 (from, begin, end, first, width, sums))
{
    SM_WITH_TYPE(from->type, input_sums, from, begin, end, first, width, sums);
}

/* The gradient behind the ReLU; y is read only if there is a mask. */
SM_TYPED float behind_relu(sm_dtype type, int masked, const void *y, const void *g, size_t i)
{
    return masked && sm_map_get(type, y, i) <= 0.0f ? 0.0f : sm_map_get(type, g, i);
}

/* What the sums read of the gradients, and whether they write what is behind the ReLU. */
typedef enum gradient_kind { GRADIENT_PLAIN, GRADIENT_MASKED, GRADIENT_MASKED_WRITTEN } gradient_kind;

/* The gradient of an element behind the ReLU. */
SM_TYPED float take_gradient(sm_dtype type, gradient_kind kind, const void *y, const void *g, void *written, size_t i)
{
    float gradient = behind_relu(type, kind != GRADIENT_PLAIN, y, g, i);
    if (kind == GRADIENT_MASKED_WRITTEN) {
        sm_map_put(type, written, i, gradient);
    }
    return gradient;
}

/* Four rows are added in float before they join the double sums: their gradients are rounded floats themselves, and
 * conversions would take most of the time. */
SM_TYPED void gradient_sums(sm_dtype type, const sums_operands *from, size_t begin, size_t end, int first, int width,
                            sums_of_block *sums, gradient_kind kind)
{
    double *restrict sum = sums->first, *restrict product = sums->second;
    const float *mean = from->mean + first;
    size_t stride = (size_t)from->channels, r = begin;
    for (; r + 4 <= end; r += 4) {
        size_t row = r * stride + first;
        const void *x = sm_map_at_const(type, from->input, row), *g = sm_map_at_const(type, from->grad_output, row);
        const void *y = sm_map_at_const(type, from->output, row);
        void *written = sm_map_at(type, from->grad_masked, row);
#pragma GCC ivdep /* what is written may be g itself, never shifted against it */
        for (int c = 0; c < width; c++) {
            size_t i1 = c + stride, i2 = c + 2 * stride, i3 = c + 3 * stride;
            float g0 = take_gradient(type, kind, y, g, written, c), g1 = take_gradient(type, kind, y, g, written, i1);
            float g2 = take_gradient(type, kind, y, g, written, i2), g3 = take_gradient(type, kind, y, g, written, i3);
            float d0 = sm_map_get(type, x, c) - mean[c], d1 = sm_map_get(type, x, i1) - mean[c];
            float d2 = sm_map_get(type, x, i2) - mean[c], d3 = sm_map_get(type, x, i3) - mean[c];
            sum[c] += (double)((g0 + g1) + (g2 + g3));
            product[c] += (double)((g0 * d0 + g1 * d1) + (g2 * d2 + g3 * d3));
        }
    }
    for (; r < end; r++) {
        size_t row = r * stride + first;
        const void *x = sm_map_at_const(type, from->input, row), *g = sm_map_at_const(type, from->grad_output, row);
        const void *y = sm_map_at_const(type, from->output, row);
        void *written = sm_map_at(type, from->grad_masked, row);
#pragma GCC ivdep
        for (int c = 0; c < width; c++) {
            double gradient = take_gradient(type, kind, y, g, written, c), distance = sm_map_get(type, x, c) - mean[c];
            sum[c] += gradient;
            product[c] += gradient * distance;
        }
    }
}

static SM_CLONES(void, backward_sums,
                 (const sums_operands *from, size_t begin, size_t end, int first, int width, sums_of_block *sums),
                 (from, begin, end, first, width, sums))
{
    if (from->grad_masked) {
        SM_WITH_TYPE(from->type, gradient_sums, from, begin, end, first, width, sums, GRADIENT_MASKED_WRITTEN);
    } else if (from->output) {
        SM_WITH_TYPE(from->type, gradient_sums, from, begin, end, first, width, sums, GRADIENT_MASKED);
    } else {
        SM_WITH_TYPE(from->type, gradient_sums, from, begin, end, first, width, sums, GRADIENT_PLAIN);
    }
}

typedef void (*sums_kernel)(const sums_operands *, size_t begin, size_t end, int first, int width, sums_of_block *);

static size_t block_begin(size_t rows, int block)
{
    return rows * (size_t)block / ROW_BLOCKS;
}

/* The sums of one slice of channels, its blocks of rows shared among `threads`. */
static void slice_sums(sums_kernel kernel, const sums_operands *from, int first, double *sums, int threads)
{
    sums_of_block blocks[ROW_BLOCKS];
    int width = least(from->channels - first, SLICE);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int block = 0; block < ROW_BLOCKS; block++) {
        memset(&blocks[block], 0, sizeof blocks[block]);
        kernel(from, block_begin(from->rows, block), block_begin(from->rows, block + 1), first, width, &blocks[block]);
    }
    for (int c = 0; c < width; c++) {
        double total_first = 0.0, total_second = 0.0;
        for (int block = 0; block < ROW_BLOCKS; block++) {
            total_first += blocks[block].first[c];
            total_second += blocks[block].second[c];
        }
        sums[first + c] = total_first;
        sums[from->channels + first + c] =
            total_second * (from->inverse_std ? (double)from->inverse_std[first + c] : 1.0);
    }
}

/* Many channels: a thread takes whole slices. Few: threads share the blocks of each slice. The sums are the same. */
static void all_sums(sums_kernel kernel, const sums_operands *from, double *sums, int threads)
{
    int slices = (from->channels + SLICE - 1) / SLICE;
    threads = sm_threads_worth(from->rows * (size_t)from->channels, threads);
    if (threads > 1 && slices >= threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int slice = 0; slice < slices; slice++) {
            slice_sums(kernel, from, slice * SLICE, sums, 1);
        }
        return;
    }
    /* not inside a region of one thread: a region within another starts its threads anew each time */
    for (int slice = 0; slice < slices; slice++) {
        slice_sums(kernel, from, slice * SLICE, sums, threads);
    }
}

void sm_batch_norm_statistics(sm_dtype type, size_t rows, int channels, const void *input, double *sums, int threads)
{
    sums_operands from = {.type = type, .rows = rows, .channels = channels, .input = input};
    all_sums(forward_sums, &from, sums, threads);
}

void sm_batch_norm_backward_statistics(sm_dtype type, size_t rows, int channels, const void *input,
                                       const void *grad_output, const void *output, const float *mean,
                                       const float *inverse_std, double *sums, void *grad_masked, int threads)
{
    assert(output || !grad_masked);
    sums_operands from = {.type = type,
                          .rows = rows,
                          .channels = channels,
                          .input = input,
                          .grad_output = grad_output,
                          .output = output,
                          .grad_masked = grad_masked,
                          .mean = mean,
                          .inverse_std = inverse_std};
    all_sums(backward_sums, &from, sums, threads);
}

/* ---- a channel at a time ----------------------------------------------------------------------------------------- */

void sm_batch_norm_finalise(int channels, double count, const double *sums, float epsilon, float momentum, float *mean,
                            float *inverse_std, float *running_mean, float *running_variance)
{
    assert(!running_mean == !running_variance);
    for (int c = 0; c < channels; c++) {
        double average = count > 0.0 ? sums[c] / count : 0.0;
        double variance = count > 0.0 ? sums[channels + c] / count - average * average : 0.0;
        variance = variance < 0.0 ? 0.0 : variance; /* rounding; NaN stays */
        mean[c] = (float)average;
        inverse_std[c] = (float)(1.0 / sqrt(variance + (double)epsilon));
        if (running_mean && count > 0.0) {
            double unbiased = count > 1.0 ? variance * (count / (count - 1.0)) : variance;
            running_mean[c] = (float)((1.0 - (double)momentum) * running_mean[c] + (double)momentum * average);
            running_variance[c] = (float)((1.0 - (double)momentum) * running_variance[c] + (double)momentum * unbiased);
        }
    }
}

void sm_batch_norm_from_running(int channels, const float *running_mean, const float *running_variance, float epsilon,
                                float *mean, float *inverse_std)
{
    for (int c = 0; c < channels; c++) {
        mean[c] = running_mean[c];
        inverse_std[c] = (float)(1.0 / sqrt((double)running_variance[c] + (double)epsilon));
    }
}

void sm_batch_norm_backward_parameters(int channels, const double *sums, float beta, float *grad_scale,
                                       float *grad_shift)
{
    for (int c = 0; c < channels; c++) {
        grad_scale[c] = (float)(sums[channels + c] + (beta == 0.0f ? 0.0 : (double)beta * grad_scale[c]));
        grad_shift[c] = (float)(sums[c] + (beta == 0.0f ? 0.0 : (double)beta * grad_shift[c]));
    }
}

/* ---- apply ------------------------------------------------------------------------------------------------------- */

/* One slice of channels of one range of rows. The mean is subtracted before the multiplication: folding it into the
 * shift would cancel when it is much larger than the standard deviation. */
typedef struct apply_slice {
    size_t stride; /* channels of a row */
    int width;
    float factor[SLICE];       /* scale * inverse_std */
    const float *mean, *shift; /* of the slice */
} apply_slice;

SM_TYPED void apply_loop(sm_dtype type, const apply_slice *slice, size_t rows, const void *input, const void *residual,
                         int relu, void *output)
{
    const float *factor = slice->factor, *mean = slice->mean, *shift = slice->shift;
    float floor = relu ? 0.0f : -INFINITY;
    for (size_t r = 0; r < rows; r++) {
        const void *x = sm_map_at_const(type, input, r * slice->stride);
        void *y = sm_map_at(type, output, r * slice->stride);
        if (residual) {
            const void *z = sm_map_at_const(type, residual, r * slice->stride);
#pragma GCC ivdep /* y may be x or z itself, never shifted against them */
            for (int c = 0; c < slice->width; c++) {
                float value = (sm_map_get(type, x, c) - mean[c]) * factor[c] + shift[c] + sm_map_get(type, z, c);
                sm_map_put(type, y, c, value < floor ? floor : value);
            }
        } else {
#pragma GCC ivdep
            for (int c = 0; c < slice->width; c++) {
                float value = (sm_map_get(type, x, c) - mean[c]) * factor[c] + shift[c];
                sm_map_put(type, y, c, value < floor ? floor : value);
            }
        }
    }
}

static SM_CLONES(void, apply_rows,
                 (sm_dtype type, const apply_slice *slice, size_t rows, const void *input, const void *residual,
                  int relu, void *output),
                 (type, slice, rows, input, residual, relu, output))
{
    SM_WITH_TYPE(type, apply_loop, slice, rows, input, residual, relu, output);
}

void sm_batch_norm_apply(sm_dtype type, size_t rows, int channels, const void *input, const float *mean,
                         const float *inverse_std, const float *scale, const float *shift, const void *residual,
                         int relu, void *output, int threads)
{
    int parts = sm_threads_worth(rows * (size_t)channels, threads);
    for (int first = 0; first < channels; first += SLICE) {
        apply_slice slice = {.stride = (size_t)channels,
                             .width = least(channels - first, SLICE),
                             .mean = mean + first,
                             .shift = shift + first};
        for (int c = 0; c < slice.width; c++) {
            slice.factor[c] = inverse_std[first + c] * scale[first + c];
        }
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
        for (int part = 0; part < parts; part++) {
            size_t begin = rows * (size_t)part / (size_t)parts, end = rows * (size_t)(part + 1) / (size_t)parts;
            size_t offset = begin * (size_t)channels + first;
            apply_rows(type, &slice, end - begin, sm_map_at_const(type, input, offset),
                       sm_map_at_const(type, residual, offset), relu, sm_map_at(type, output, offset));
        }
    }
}

/* grad_input = factor * g + slope * (x - mean) + constant */
typedef struct gradient_slice {
    size_t stride;
    int width;
    float factor[SLICE], slope[SLICE], constant[SLICE];
    const float *mean;
} gradient_slice;

typedef struct gradient_operands {
    sm_dtype type;
    const void *input, *grad_output, *output;
    void *grad_input;
} gradient_operands;

/* Written once for all cases that differ in what they read; the compiler drops the branches. */
SM_TYPED void gradient_loop(sm_dtype type, const gradient_slice *slice, size_t rows, size_t offset,
                            const gradient_operands *at, int centred, int masked, int adds)
{
    const float *factor = slice->factor, *slope = slice->slope, *constant = slice->constant, *mean = slice->mean;
    for (size_t r = 0; r < rows; r++, offset += slice->stride) {
        const void *x = centred ? sm_map_at_const(type, at->input, offset) : NULL;
        const void *y = masked ? sm_map_at_const(type, at->output, offset) : NULL;
        const void *g = sm_map_at_const(type, at->grad_output, offset);
        void *grad = sm_map_at(type, at->grad_input, offset);
#pragma GCC ivdep /* grad may be g itself, never shifted against it */
        for (int c = 0; c < slice->width; c++) {
            float value = factor[c] * behind_relu(type, masked, y, g, c);
            value += centred ? slope[c] * (sm_map_get(type, x, c) - mean[c]) + constant[c] : 0.0f;
            sm_map_put(type, grad, c, adds ? sm_map_get(type, grad, c) + value : value);
        }
    }
}

SM_TYPED void gradient_cases(sm_dtype type, const gradient_slice *slice, size_t rows, size_t offset,
                             const gradient_operands *at, int centred, int masked, int adds)
{
    switch (4 * centred + 2 * masked + adds) {
    case 0:
        gradient_loop(type, slice, rows, offset, at, 0, 0, 0);
        break;
    case 1:
        gradient_loop(type, slice, rows, offset, at, 0, 0, 1);
        break;
    case 2:
        gradient_loop(type, slice, rows, offset, at, 0, 1, 0);
        break;
    case 3:
        gradient_loop(type, slice, rows, offset, at, 0, 1, 1);
        break;
    case 4:
        gradient_loop(type, slice, rows, offset, at, 1, 0, 0);
        break;
    case 5:
        gradient_loop(type, slice, rows, offset, at, 1, 0, 1);
        break;
    case 6:
        gradient_loop(type, slice, rows, offset, at, 1, 1, 0);
        break;
    default:
        gradient_loop(type, slice, rows, offset, at, 1, 1, 1);
        break;
    }
}

static SM_CLONES(void, gradient_rows,
                 (const gradient_slice *slice, size_t rows, size_t offset, const gradient_operands *at, int centred,
                  int masked, int adds),
                 (slice, rows, offset, at, centred, masked, adds))
{
    SM_WITH_TYPE(at->type, gradient_cases, slice, rows, offset, at, centred, masked, adds);
}

void sm_batch_norm_backward_apply(sm_dtype type, size_t rows, int channels, const void *input, const void *grad_output,
                                  const void *output, const float *mean, const float *inverse_std, const float *scale,
                                  double count, const double *sums, float beta, void *grad_input, int threads)
{
    gradient_operands at = {
        .type = type, .input = input, .grad_output = grad_output, .output = output, .grad_input = grad_input};
    int parts = sm_threads_worth(rows * (size_t)channels, threads);
    for (int first = 0; first < channels; first += SLICE) {
        gradient_slice slice = {
            .stride = (size_t)channels, .width = least(channels - first, SLICE), .mean = mean + first};
        for (int c = 0; c < slice.width; c++) {
            double factor = (double)scale[first + c] * inverse_std[first + c];
            slice.factor[c] = (float)factor;
            slice.slope[c] =
                sums ? (float)(-factor * inverse_std[first + c] * sums[channels + first + c] / count) : 0.0f;
            slice.constant[c] = sums ? (float)(-factor * sums[first + c] / count) : 0.0f;
        }
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
        for (int part = 0; part < parts; part++) {
            size_t begin = rows * (size_t)part / (size_t)parts, end = rows * (size_t)(part + 1) / (size_t)parts;
            gradient_rows(&slice, end - begin, begin * (size_t)channels + first, &at, sums != NULL, output != NULL,
                          beta != 0.0f);
        }
    }
}
