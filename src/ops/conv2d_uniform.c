#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/ops/conv2d_uniform.h>

#include "ops/whole.h"

#include <string.h>

/* Places of an axis of the output at which a tap is inside the input: begin .. end. */
typedef struct places {
    int begin, end;
} places;

static places places_of(int size, int out_size, int stride, int pad, int offset)
{
    int first = pad - offset; /* the tap reads place * stride - first */
    int begin = first > 0 ? sm_divide_up(first, stride) : 0;
    int end = size + first > 0 ? sm_divide_up(size + first, stride) : 0;
    begin = sm_smaller(begin, out_size);
    end = sm_smaller(end, out_size);
    return (places){begin, sm_larger(begin, end)};
}

static places rows_of(const sm_conv2d_shape *s, int tap)
{
    return places_of(s->height, s->out_height, s->stride_height, s->pad_top,
                     tap / s->kernel_width * s->dilation_height);
}

static places columns_of(const sm_conv2d_shape *s, int tap)
{
    return places_of(s->width, s->out_width, s->stride_width, s->pad_left, tap % s->kernel_width * s->dilation_width);
}

static int taps_of(const sm_conv2d_shape *s)
{
    return s->kernel_height * s->kernel_width;
}

size_t sm_conv2d_uniform_workspace(const sm_conv2d_shape *s, int batch)
{
    return sm_round_up((size_t)batch * taps_of(s) * s->channels_out * sizeof(float), SM_ALIGNMENT_BYTES);
}

/* sum[o] += factor * row[o] */
static inline void add_scaled(int count, float factor, const float *row, float *sum)
{
    for (int o = 0; o < count; o++) {
        sum[o] += factor * row[o];
    }
}

static SM_CLONES(void, multiply_tap, (int ci, int co, const float *image, const float *tap, float *product),
                 (ci, co, image, tap, product))
{
    memset(product, 0, (size_t)co * sizeof *product);
    for (int c = 0; c < ci; c++) {
        add_scaled(co, image[c], tap + (size_t)c * co, product);
    }
}

/* What a tap adds to a pixel: products (batch, taps, channels_out). */
static void multiply_taps(const sm_conv2d_shape *s, int batch, const float *vector, const float *weight,
                          float *products, int threads)
{
    int taps = taps_of(s), ci = s->channels_in, co = s->channels_out;
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < batch * taps; i++) {
        multiply_tap(ci, co, vector + (size_t)(i / taps) * ci, weight + (size_t)(i % taps) * ci * co,
                     products + (size_t)i * co);
    }
}

static int is_inside(places range, int at)
{
    return at >= range.begin && at < range.end;
}

/* \return 1 if the same taps are inside at columns x and x - 1 */
static int has_taps_of_last(const sm_conv2d_shape *s, int x)
{
    for (int tap = 0; tap < s->kernel_width; tap++) {
        if (is_inside(columns_of(s, tap), x) != is_inside(columns_of(s, tap), x - 1)) {
            return 0;
        }
    }
    return 1;
}

static SM_CLONES(void, fill_row, (const sm_conv2d_shape *s, int y, const float *products, float *row),
                 (s, y, products, row))
{
    int co = s->channels_out;
    for (int x = 0; x < s->out_width; x++, row += co) {
        if (x > 0 && has_taps_of_last(s, x)) {
            memcpy(row, row - co, (size_t)co * sizeof *row);
            continue;
        }
        memset(row, 0, (size_t)co * sizeof *row);
        for (int tap = 0; tap < taps_of(s); tap++) {
            if (is_inside(rows_of(s, tap), y) && is_inside(columns_of(s, tap), x)) {
                add_scaled(co, 1, products + (size_t)tap * co, row);
            }
        }
    }
}

void sm_conv2d_uniform_forward(const sm_conv2d_shape *s, int batch, const float *vector, const float *weight,
                               float *output, void *workspace, int threads)
{
    const float *products = workspace;
    size_t image = (size_t)taps_of(s) * s->channels_out, row = (size_t)s->out_width * s->channels_out;
    multiply_taps(s, batch, vector, weight, workspace, threads);
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < batch * s->out_height; i++) {
        fill_row(s, i % s->out_height, products + (i / s->out_height) * image, output + i * row);
    }
}

enum { PIECE = 16 /* channels */ };

/* sums[tap][o] of one image, channels first .. + count, added in double. */
static SM_CLONES(void, sum_image,
                 (const sm_conv2d_shape *s, const float *grad_output, int first, int count, float *sums),
                 (s, grad_output, first, count, sums))
{
    int co = s->channels_out;
    for (int tap = 0; tap < taps_of(s); tap++) {
        places rows = rows_of(s, tap), columns = columns_of(s, tap);
        double sum[PIECE] = {0};
        for (int y = rows.begin; y < rows.end; y++) {
            for (int x = columns.begin; x < columns.end; x++) {
                const float *pixel = grad_output + ((size_t)y * s->out_width + x) * co + first;
                for (int o = 0; o < count; o++) {
                    sum[o] += pixel[o];
                }
            }
        }
        for (int o = 0; o < count; o++) {
            sums[(size_t)tap * co + first + o] = (float)sum[o];
        }
    }
}

/* grad_output summed over the pixels at which each tap is inside: sums (batch, taps, channels_out). */
static void sum_pixels(const sm_conv2d_shape *s, int batch, const float *grad_output, float *sums, int threads)
{
    int pieces = sm_divide_up(s->channels_out, PIECE);
    size_t image = (size_t)s->out_height * s->out_width * s->channels_out;
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < batch * pieces; i++) {
        int first = i % pieces * PIECE;
        sum_image(s, grad_output + (i / pieces) * image, first, sm_smaller(PIECE, s->channels_out - first),
                  sums + (size_t)(i / pieces) * taps_of(s) * s->channels_out);
    }
}

static SM_CLONES(float, dot, (int count, const float *a, const float *b), (count, a, b))
{
    enum { LANES = 16 };
    float sums[LANES] = {0};
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += a[i + lane] * b[i + lane];
        }
    }
    for (; i < count; i++) {
        sums[i % LANES] += a[i] * b[i];
    }
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) {
        sum += sums[lane];
    }
    return sum;
}

void sm_conv2d_uniform_backward_data(const sm_conv2d_shape *s, int batch, const float *weight, const float *grad_output,
                                     float beta, float *grad_vector, void *workspace, int threads)
{
    int ci = s->channels_in, co = s->channels_out, taps = taps_of(s);
    const float *sums = workspace;
    sum_pixels(s, batch, grad_output, workspace, threads);
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < batch * ci; i++) {
        float sum = 0;
        for (int tap = 0; tap < taps; tap++) {
            sum += dot(co, weight + ((size_t)tap * ci + i % ci) * co, sums + ((size_t)(i / ci) * taps + tap) * co);
        }
        grad_vector[i] = (beta == 0 ? 0 : beta * grad_vector[i]) + sum;
    }
}

static SM_CLONES(void, add_outer,
                 (int batch, int ci, int co, size_t image, const float *vector, const float *sums, float beta,
                  float *row),
                 (batch, ci, co, image, vector, sums, beta, row))
{
    for (int o = 0; o < co; o++) {
        row[o] = beta == 0 ? 0 : beta * row[o];
    }
    for (int n = 0; n < batch; n++) {
        add_scaled(co, vector[(size_t)n * ci], sums + (size_t)n * image, row);
    }
}

void sm_conv2d_uniform_backward_weight(const sm_conv2d_shape *s, int batch, const float *vector,
                                       const float *grad_output, float beta, float *grad_weight, void *workspace,
                                       int threads)
{
    int ci = s->channels_in, co = s->channels_out, taps = taps_of(s);
    const float *sums = workspace;
    sum_pixels(s, batch, grad_output, workspace, threads);
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < taps * ci; i++) {
        add_outer(batch, ci, co, (size_t)taps * co, vector + i % ci, sums + (size_t)(i / ci) * co, beta,
                  grad_weight + (size_t)i * co);
    }
}
