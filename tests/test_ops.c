/* ranks: 1 */
/* Fast ops against their readable twins over shapes that hurt; what must hold whatever the numbers: NaN, empty
 * batches, beta, bits that do not depend on threads, transposes. Against numbers from elsewhere: test_golden_ops.c,
 * test_onnx.c. */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/ops/add.h>
#include <sigmatic/ops/batch_norm.h>
#include <sigmatic/ops/concat.h>
#include <sigmatic/ops/dropout.h>
#include <sigmatic/ops/global_average_pool.h>
#include <sigmatic/ops/linear.h>
#include <sigmatic/ops/max_pool.h>
#include <sigmatic/ops/relu.h>
#include <sigmatic/ops/resize.h>
#include <sigmatic/tensor/dtype.h>
#include <sigmatic/tensor/gemm.h>

#include <math.h>
#include <string.h>

/* Float rounding of a few operations, as a relative L2 error. */
static const double rounding = 1e-6;

/* Floats behind every array: kernels that work in vectors would run into them. */
enum { BEHIND = 16 };

static float *numbers(size_t count, unsigned seed)
{
    float *values = sm_alloc((count + BEHIND) * sizeof(float));
    sm_test_fill(values, count, seed);
    return values;
}

static float *not_numbers(size_t count)
{
    float *values = sm_alloc((count + BEHIND) * sizeof(float));
    for (size_t i = 0; i < count + BEHIND; i++) {
        values[i] = NAN;
    }
    return values;
}

/* \return whether nothing was written behind the `count` values that not_numbers() made. */
static int ends_there(const float *values, size_t count)
{
    int written = 0;
    for (size_t i = count; i < count + BEHIND; i++) {
        written += !isnan(values[i]);
    }
    return written == 0;
}

/* What a gradient is written into: NaN for beta 0 (nothing of it may be left), numbers for beta 1. */
static float *target(size_t count, float beta)
{
    return beta == 0.0f ? not_numbers(count) : numbers(count, 99);
}

static int same_bits(const void *a, const void *b, size_t count)
{
    return memcmp(a, b, count * sizeof(float)) == 0;
}

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* One row to many threads' worth, channels about every vector length. */
static const struct {
    size_t rows;
    int channels;
} sizes[] = {
    {1, 1},  {1, 17},   {2, 3},   {7, 5},    {15, 16},   {33, 31},
    {5, 64}, {100, 19}, {3, 513}, {67, 129}, {301, 257}, {20000, 3},
};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* ---- relu, add, accumulate --------------------------------------------------------------------------------------- */

static void relu_and_add_equal_their_twins(void)
{
    for (int s = 0; s < SIZES; s++) {
        size_t count = sizes[s].rows * (size_t)sizes[s].channels;
        float *a = numbers(count, 1), *b = numbers(count, 2), *fast = not_numbers(count), *twin = not_numbers(count);
        sm_relu_forward(SM_F32, count, a, fast, 3);
        sm_relu_forward_ref(count, a, twin);
        CU_ASSERT(same_bits(fast, twin, count));
        for (int relu = 0; relu < 2; relu++) {
            sm_add_forward(SM_F32, count, a, b, relu, fast, 3);
            sm_add_forward_ref(count, a, b, relu, twin);
            CU_ASSERT(same_bits(fast, twin, count));
        }
        for (int beta = 0; beta < 2; beta++) {
            float *g = target(count, (float)beta), *h = target(count, (float)beta);
            sm_relu_backward(SM_F32, count, a, b, (float)beta, g, 3);
            sm_relu_backward_ref(count, a, b, (float)beta, h);
            CU_ASSERT(same_bits(g, h, count));
            sm_accumulate(SM_F32, count, a, (float)beta, g, 3);
            sm_accumulate_ref(count, a, (float)beta, h);
            CU_ASSERT(same_bits(g, h, count));
            sm_free(g);
            sm_free(h);
        }
        memcpy(fast, b, count * sizeof(float)); /* in place */
        sm_relu_backward(SM_F32, count, a, fast, 0.0f, fast, 3);
        sm_relu_backward_ref(count, a, b, 0.0f, twin);
        CU_ASSERT(same_bits(fast, twin, count));
        sm_free(a);
        sm_free(b);
        sm_free(fast);
        sm_free(twin);
    }
}

static void nan_passes_relu(void)
{
    float in[40], out[40], grad[40];
    for (int i = 0; i < 40; i++) {
        in[i] = i % 3 == 0 ? NAN : (float)(i - 20);
        grad[i] = 1.0f;
    }
    sm_relu_forward(SM_F32, 40, in, out, 1);
    sm_relu_backward(SM_F32, 40, out, grad, 0.0f, grad, 1);
    for (int i = 0; i < 40; i++) {
        CU_ASSERT(i % 3 == 0 ? isnan(out[i]) && grad[i] == 1.0f : out[i] == (i > 20 ? in[i] : 0.0f));
    }
    sm_add_forward(SM_F32, 40, in, grad, 1, out, 1);
    CU_ASSERT(isnan(out[0]) && isnan(out[39]) && out[1] == 0.0f);
}

/* ---- batch normalisation ----------------------------------------------------------------------------------------- */

typedef struct batch_norm_problem {
    size_t rows, count;
    int channels;
    float *x, *g, *y, *z, *mean, *inverse_std, *scale, *shift;
    double *sums;
} batch_norm_problem;

static batch_norm_problem batch_norm_new(size_t rows, int channels)
{
    size_t count = rows * (size_t)channels, c = (size_t)channels;
    batch_norm_problem p = {.rows = rows, .count = count, .channels = channels};
    p.x = numbers(count, 3);
    p.g = numbers(count, 4);
    p.y = numbers(count, 5);
    p.z = numbers(count, 6);
    p.mean = numbers(c, 7);
    p.inverse_std = numbers(c, 8);
    p.scale = numbers(c, 9);
    p.shift = numbers(c, 10);
    p.sums = sm_alloc(2 * c * sizeof(double));
    return p;
}

static void batch_norm_free(batch_norm_problem *p)
{
    float *all[] = {p->x, p->g, p->y, p->z, p->mean, p->inverse_std, p->scale, p->shift};
    for (int i = 0; i < 8; i++) {
        sm_free(all[i]);
    }
    sm_free(p->sums);
}

static double relative_error_of_sums(const double *a, const double *b, size_t count)
{
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return norm > 0.0 ? sqrt(difference / norm) : sqrt(difference);
}

static void batch_norm_sums_equal_their_twins(void)
{
    for (int s = 0; s < SIZES; s++) {
        batch_norm_problem p = batch_norm_new(sizes[s].rows, sizes[s].channels);
        size_t count = 2 * (size_t)p.channels;
        double *twin = sm_alloc(count * sizeof(double)), *threaded = sm_alloc(count * sizeof(double));
        sm_batch_norm_statistics(SM_F32, p.rows, p.channels, p.x, p.sums, 1);
        sm_batch_norm_statistics(SM_F32, p.rows, p.channels, p.x, threaded, 3);
        sm_batch_norm_statistics_ref(p.rows, p.channels, p.x, twin);
        CU_ASSERT_EQUAL(memcmp(p.sums, threaded, count * sizeof(double)), 0);
        SM_TEST_AT_MOST(relative_error_of_sums(p.sums, twin, count), 1e-13); /* doubles, in another order */
        for (int masked = 0; masked < 2; masked++) {
            const float *y = masked ? p.y : NULL;
            sm_batch_norm_backward_statistics(SM_F32, p.rows, p.channels, p.x, p.g, y, p.mean, p.inverse_std, p.sums,
                                              NULL, 1);
            sm_batch_norm_backward_statistics(SM_F32, p.rows, p.channels, p.x, p.g, y, p.mean, p.inverse_std, threaded,
                                              NULL, 3);
            sm_batch_norm_backward_statistics_ref(p.rows, p.channels, p.x, p.g, y, p.mean, p.inverse_std, twin);
            CU_ASSERT_EQUAL(memcmp(p.sums, threaded, count * sizeof(double)), 0);
            SM_TEST_AT_MOST(relative_error_of_sums(p.sums, twin, count), rounding); /* x - mean is a float */
        }
        float *g = numbers(p.count, 4), *expected = not_numbers(p.count); /* what is behind the ReLU, in place */
        sm_relu_backward_ref(p.count, p.y, p.g, 0.0f, expected);
        sm_batch_norm_backward_statistics(SM_F32, p.rows, p.channels, p.x, g, p.y, p.mean, p.inverse_std, threaded, g,
                                          3);
        CU_ASSERT_EQUAL(memcmp(p.sums, threaded, count * sizeof(double)), 0);
        CU_ASSERT(same_bits(g, expected, p.count));
        sm_free(g);
        sm_free(expected);
        sm_free(twin);
        sm_free(threaded);
        batch_norm_free(&p);
    }
}

static void batch_norm_apply_equals_its_twin(void)
{
    for (int s = 0; s < SIZES; s++) {
        batch_norm_problem p = batch_norm_new(sizes[s].rows, sizes[s].channels);
        float *fast = not_numbers(p.count), *twin = not_numbers(p.count), *threaded = not_numbers(p.count);
        for (int kind = 0; kind < 4; kind++) {
            const float *z = kind & 1 ? p.z : NULL;
            int relu = kind >> 1;
            sm_batch_norm_apply(SM_F32, p.rows, p.channels, p.x, p.mean, p.inverse_std, p.scale, p.shift, z, relu, fast,
                                1);
            sm_batch_norm_apply_ref(p.rows, p.channels, p.x, p.mean, p.inverse_std, p.scale, p.shift, z, relu, twin);
            SM_TEST_AT_MOST(sm_test_relative_error(fast, twin, p.count), rounding);
            memcpy(threaded, p.x, p.count * sizeof(float)); /* in place */
            sm_batch_norm_apply(SM_F32, p.rows, p.channels, threaded, p.mean, p.inverse_std, p.scale, p.shift, z, relu,
                                threaded, 3);
            CU_ASSERT(same_bits(fast, threaded, p.count));
            if (z) {
                memcpy(threaded, z, p.count * sizeof(float)); /* over the residual */
                sm_batch_norm_apply(SM_F32, p.rows, p.channels, p.x, p.mean, p.inverse_std, p.scale, p.shift, threaded,
                                    relu, threaded, 3);
                CU_ASSERT(same_bits(fast, threaded, p.count));
            }
        }
        sm_free(fast);
        sm_free(twin);
        sm_free(threaded);
        batch_norm_free(&p);
    }
}

static void batch_norm_backward_apply_equals_its_twin(void)
{
    for (int s = 0; s < SIZES; s++) {
        batch_norm_problem p = batch_norm_new(sizes[s].rows, sizes[s].channels);
        sm_test_fill(p.mean, 2 * (size_t)p.channels / 2, 11);
        for (int c = 0; c < 2 * p.channels; c++) {
            p.sums[c] = 0.3 * (double)p.rows * sin(c);
        }
        for (int kind = 0; kind < 8; kind++) {
            const float *y = kind & 1 ? p.y : NULL;
            const double *sums = kind & 2 ? p.sums : NULL;
            float beta = kind & 4 ? 1.0f : 0.0f, *fast = target(p.count, beta), *twin = target(p.count, beta);
            float *threaded = target(p.count, beta);
            sm_batch_norm_backward_apply(SM_F32, p.rows, p.channels, sums ? p.x : NULL, p.g, y, p.mean, p.inverse_std,
                                         p.scale, (double)p.rows, sums, beta, fast, 1);
            sm_batch_norm_backward_apply_ref(p.rows, p.channels, p.x, p.g, y, p.mean, p.inverse_std, p.scale,
                                             (double)p.rows, sums, beta, twin);
            SM_TEST_AT_MOST(sm_test_relative_error(fast, twin, p.count), rounding);
            const float *g = p.g;
            if (beta == 0.0f) {
                memcpy(threaded, p.g, p.count * sizeof(float)); /* in place */
                g = threaded;
            }
            sm_batch_norm_backward_apply(SM_F32, p.rows, p.channels, p.x, g, y, p.mean, p.inverse_std, p.scale,
                                         (double)p.rows, sums, beta, threaded, 3);
            CU_ASSERT(same_bits(fast, threaded, p.count));
            sm_free(fast);
            sm_free(twin);
            sm_free(threaded);
        }
        batch_norm_free(&p);
    }
}

static void batch_norm_variance_survives_a_large_mean(void)
{
    enum { ROWS = 4096 };
    float *x = numbers(ROWS, 12), mean, inverse_std, running_mean = 0.0f, running_variance = 1.0f;
    double sums[2], average = 0.0, variance = 0.0;
    for (int r = 0; r < ROWS; r++) {
        x[r] += 1000.0f;
        average += x[r] / (double)ROWS;
    }
    for (int r = 0; r < ROWS; r++) {
        variance += (x[r] - average) * (x[r] - average) / ROWS;
    }
    sm_batch_norm_statistics(SM_F32, ROWS, 1, x, sums, 1);
    sm_batch_norm_finalise(1, ROWS, sums, 1e-5f, 0.1f, &mean, &inverse_std, &running_mean, &running_variance);
    /* 1e6 times the rounding of doubles is far below that of the floats the results are kept in. */
    SM_TEST_AT_MOST(fabs(mean / average - 1.0), 1e-7);
    SM_TEST_AT_MOST(fabs(inverse_std * sqrt(variance + 1e-5) - 1.0), 2e-7);
    SM_TEST_AT_MOST(fabs(running_mean / (0.1 * average) - 1.0), 2e-7);
    SM_TEST_AT_MOST(fabs(running_variance / (0.9 + 0.1 * variance * ROWS / (ROWS - 1.0)) - 1.0), 2e-7);
    sm_free(x);
}

static void batch_norm_without_rows_is_legal(void)
{
    double sums[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
    float mean[3], inverse_std[3], running_mean[3] = {1, 2, 3}, running_variance[3] = {4, 5, 6}, grad[3] = {7, 8, 9};
    float grad_shift[3] = {NAN, NAN, NAN};
    sm_batch_norm_statistics(SM_F32, 0, 3, NULL, sums, 2);
    CU_ASSERT(sums[0] == 0.0 && sums[5] == 0.0);
    sm_batch_norm_finalise(3, 0.0, sums, 1e-5f, 0.1f, mean, inverse_std, running_mean, running_variance);
    CU_ASSERT(mean[1] == 0.0f && isfinite(inverse_std[1]) && running_mean[2] == 3.0f && running_variance[0] == 4.0f);
    sm_batch_norm_backward_statistics(SM_F32, 0, 3, NULL, NULL, NULL, mean, inverse_std, sums, NULL, 2);
    CU_ASSERT(sums[0] == 0.0 && sums[5] == 0.0);
    sm_batch_norm_backward_parameters(3, sums, 1.0f, grad, grad);
    CU_ASSERT(grad[0] == 7.0f && grad[2] == 9.0f);
    sm_batch_norm_backward_parameters(3, sums, 0.0f, grad, grad_shift);
    CU_ASSERT(grad[1] == 0.0f && grad_shift[1] == 0.0f);
    sm_batch_norm_apply(SM_F32, 0, 3, NULL, mean, inverse_std, grad, grad, NULL, 1, NULL, 2);
    sm_batch_norm_backward_apply(SM_F32, 0, 3, NULL, NULL, NULL, mean, inverse_std, grad, 5.0, sums, 0.0f, NULL, 2);
}

static void one_row_keeps_the_biased_variance(void)
{
    float x[2] = {5.0f, -1.0f}, mean[2], inverse_std[2], running_mean[2] = {0}, running_variance[2] = {1.0f, 1.0f};
    double sums[4];
    sm_batch_norm_statistics(SM_F32, 1, 2, x, sums, 1);
    sm_batch_norm_finalise(2, 1.0, sums, 1e-5f, 0.1f, mean, inverse_std, running_mean, running_variance);
    SM_TEST_AT_MOST(fabs((double)running_variance[0] - 0.9), 1e-7); /* float rounding */
    SM_TEST_AT_MOST(fabs((double)running_mean[0] - 0.5), 1e-7);
}

static void nan_reaches_the_statistics_and_the_output(void)
{
    float x[6] = {1, 2, NAN, 4, 5, 6}, mean[2], inverse_std[2], one[2] = {1, 1}, zero[2] = {0, 0}, y[6];
    double sums[4];
    sm_batch_norm_statistics(SM_F32, 3, 2, x, sums, 1);
    sm_batch_norm_finalise(2, 3.0, sums, 1e-5f, 0.1f, mean, inverse_std, NULL, NULL);
    CU_ASSERT(isnan(mean[0]) && isnan(inverse_std[0]) && isfinite(mean[1]) && isfinite(inverse_std[1]));
    sm_batch_norm_apply(SM_F32, 3, 2, x, mean, inverse_std, one, zero, NULL, 1, y, 1);
    CU_ASSERT(isnan(y[0]) && isnan(y[4]) && y[5] > 0.0f && y[1] == 0.0f);
    sm_batch_norm_apply(SM_F32, 3, 2, x, mean, inverse_std, one, zero, x, 1, y, 1);
    CU_ASSERT(isnan(y[0]) && isnan(y[4]) && y[5] > 6.0f);
}

/* ---- pooling ----------------------------------------------------------------------------------------------------- */

static const sm_max_pool_shape pools[] = {
    {.height = 1, .width = 1, .channels = 1, .kernel_height = 1, .kernel_width = 1},
    {.height = 9,
     .width = 11,
     .channels = 17,
     .kernel_height = 3,
     .kernel_width = 3,
     .stride_height = 2,
     .stride_width = 2,
     .pad_top = 1,
     .pad_left = 1,
     .pad_bottom = 1,
     .pad_right = 1},
    {.height = 8,
     .width = 5,
     .channels = 3,
     .kernel_height = 2,
     .kernel_width = 3,
     .stride_height = 3,
     .dilation_width = 2,
     .pad_left = 2,
     .pad_bottom = 1},
    {.height = 7,
     .width = 6,
     .channels = 33,
     .kernel_height = 3,
     .kernel_width = 3,
     .stride_height = 2,
     .stride_width = 2,
     .ceil_mode = 1},
    {.height = 2,
     .width = 3,
     .channels = 5,
     .kernel_height = 2,
     .kernel_width = 2,
     .pad_top = 3,
     .pad_left = 3,
     .pad_bottom = 3,
     .pad_right = 3}, /* windows that see nothing */
    {.height = 64,
     .width = 65,
     .channels = 20,
     .kernel_height = 3,
     .kernel_width = 3,
     .stride_height = 2,
     .stride_width = 2,
     .pad_top = 1,
     .pad_left = 1,
     .pad_bottom = 1,
     .pad_right = 1},
};
enum { POOLS = sizeof pools / sizeof *pools };

static sm_max_pool_shape pool(int i)
{
    sm_max_pool_shape s = pools[i];
    int *ones[] = {&s.stride_height, &s.stride_width, &s.dilation_height, &s.dilation_width};
    for (int k = 0; k < 4; k++) {
        *ones[k] = *ones[k] ? *ones[k] : 1;
    }
    CU_ASSERT_TRUE_FATAL(sm_max_pool_infer(&s));
    return s;
}

static void max_pool_equals_its_twin(void)
{
    for (int i = 0; i < POOLS; i++) {
        sm_max_pool_shape s = pool(i);
        size_t in = 3u * (size_t)(s.height * s.width * s.channels);
        size_t out = 3u * (size_t)(s.out_height * s.out_width * s.channels);
        float *x = numbers(in, 13), *fast = not_numbers(out), *twin = not_numbers(out), *g = numbers(out, 14);
        int32_t *index = sm_alloc(out * sizeof *index), *twin_index = sm_alloc(out * sizeof *index);
        for (size_t k = 0; k < in; k++) {
            x[k] = k % 50 == 7 ? NAN : roundf(2.0f * x[k]); /* many ties */
        }
        sm_max_pool_forward_ref(&s, 3, x, twin, twin_index);
        sm_max_pool_forward(&s, SM_F32, 3, x, fast, NULL, 3);
        CU_ASSERT(same_bits(fast, twin, out));
        sm_max_pool_forward(&s, SM_F32, 3, x, fast, index, 3);
        CU_ASSERT(same_bits(fast, twin, out));
        CU_ASSERT(same_bits(index, twin_index, out));
        for (int beta = 0; beta < 2; beta++) {
            float *grad = target(in, (float)beta), *twin_grad = target(in, (float)beta);
            sm_max_pool_backward(&s, SM_F32, 3, g, index, (float)beta, grad, 3);
            sm_max_pool_backward_ref(&s, 3, g, index, (float)beta, twin_grad);
            SM_TEST_AT_MOST(sm_test_relative_error(grad, twin_grad, in), rounding);
            sm_free(grad);
            sm_free(twin_grad);
        }
        sm_max_pool_forward(&s, SM_F32, 0, x, fast, index, 3);
        sm_max_pool_backward(&s, SM_F32, 0, g, index, 0.0f, x, 3);
        sm_free(x);
        sm_free(fast);
        sm_free(twin);
        sm_free(g);
        sm_free(index);
        sm_free(twin_index);
    }
}

static void max_pool_refuses_kernels_that_do_not_fit(void)
{
    sm_max_pool_shape s = sm_max_pool_square(4, 4, 1, 3, 2, 0);
    CU_ASSERT_EQUAL(s.out_height, 1);
    s.dilation_height = 2;
    CU_ASSERT_FALSE(sm_max_pool_infer(&s));
}

static void nan_wins_max_pool(void)
{
    float x[9] = {1, 2, 3, 4, NAN, 6, 7, 8, 9}, y;
    int32_t index;
    sm_max_pool_shape s = sm_max_pool_square(3, 3, 1, 3, 1, 0);
    sm_max_pool_forward(&s, SM_F32, 1, x, &y, &index, 1);
    CU_ASSERT(isnan(y) && index == 4);
    sm_max_pool_forward(&s, SM_F32, 1, x, &y, NULL, 1);
    CU_ASSERT(isnan(y));
}

static void global_average_pool_equals_its_twin(void)
{
    for (int s = 0; s < SIZES; s++) {
        size_t pixels = sizes[s].rows, c = (size_t)sizes[s].channels, count = 2 * pixels * c;
        float *x = numbers(count, 15), *fast = not_numbers(2 * c), *twin = not_numbers(2 * c), *g = numbers(2 * c, 16);
        sm_global_average_pool_forward(SM_F32, 2, pixels, (int)c, x, fast, 3);
        sm_global_average_pool_forward_ref(2, pixels, (int)c, x, twin);
        SM_TEST_AT_MOST(sm_test_relative_error(fast, twin, 2 * c), rounding);
        for (int beta = 0; beta < 2; beta++) {
            float *grad = target(count, (float)beta), *twin_grad = target(count, (float)beta);
            sm_global_average_pool_backward(SM_F32, 2, pixels, (int)c, g, (float)beta, grad, 3);
            sm_global_average_pool_backward_ref(2, pixels, (int)c, g, (float)beta, twin_grad);
            SM_TEST_AT_MOST(sm_test_relative_error(grad, twin_grad, count), rounding);
            sm_free(grad);
            sm_free(twin_grad);
        }
        sm_global_average_pool_forward(SM_F32, 0, pixels, (int)c, x, fast, 3);
        sm_free(x);
        sm_free(fast);
        sm_free(twin);
        sm_free(g);
    }
}

/* ---- resize ------------------------------------------------------------------------------------------------------ */

static const sm_resize_shape resizes[] = {
    {1, 1, 1, 1, 1, 0},   {4, 6, 32, 48, 1, 0},    {4, 6, 32, 48, 2, 0}, {5, 3, 40, 24, 3, 0}, {3, 4, 24, 32, 4, 0},
    {3, 4, 24, 32, 7, 0}, {3, 2, 24, 16, 19, 0},   {1, 1, 8, 9, 256, 0}, {2, 3, 5, 4, 65, 0},  {17, 13, 5, 4, 6, 0},
    {9, 1, 3, 1, 33, 0},  {1, 9, 1, 2, 16, 0},     {6, 6, 6, 6, 5, 0},   {2, 2, 1, 1, 2, 0},   {4, 6, 32, 1, 2, 0},
    {4, 6, 1, 2, 1, 0},   {40, 30, 160, 90, 3, 0}, /* large: last */
};
enum { RESIZES = sizeof resizes / sizeof *resizes };

typedef struct resize_problem {
    sm_resize_shape shape;
    size_t in, out;
    float *x, *g;
} resize_problem;

static resize_problem resize_new(int i, int align_corners)
{
    resize_problem p = {.shape = resizes[i]};
    p.shape.align_corners = align_corners;
    p.in = 2u * (size_t)(p.shape.height * p.shape.width * p.shape.channels);
    p.out = 2u * (size_t)(p.shape.out_height * p.shape.out_width * p.shape.channels);
    p.x = numbers(p.in, 17);
    p.g = numbers(p.out, 18);
    return p;
}

static void forward(const resize_problem *p, float *output, int threads)
{
    void *workspace = not_numbers(sm_resize_forward_workspace_bytes(&p->shape, threads) / sizeof(float));
    sm_resize_forward(&p->shape, 2, p->x, output, workspace, threads);
    sm_free(workspace);
}

static void backward(const resize_problem *p, float beta, float *grad_input, int threads)
{
    void *workspace = not_numbers(sm_resize_backward_workspace_bytes(&p->shape) / sizeof(float));
    sm_resize_backward(&p->shape, 2, p->g, beta, grad_input, workspace, threads);
    sm_free(workspace);
}

static void resize_equals_its_twin_and_its_transpose(void)
{
    const int count = 2 * (RESIZES - 1) + sm_test_rounds(2);
    for (int i = 0; i < count; i++) {
        resize_problem p = resize_new(i / 2, i % 2);
        float *fast = not_numbers(p.out), *twin = not_numbers(p.out), *threaded = not_numbers(p.out);
        forward(&p, fast, 1);
        forward(&p, threaded, 3);
        sm_resize_forward_ref(&p.shape, 2, p.x, twin);
        SM_TEST_AT_MOST(sm_test_relative_error(fast, twin, p.out), rounding);
        CU_ASSERT(same_bits(fast, threaded, p.out) && ends_there(fast, p.out));
        for (int beta = 1; beta >= 0; beta--) {
            float *grad = target(p.in, (float)beta), *twin_grad = target(p.in, (float)beta);
            float *threaded_grad = target(p.in, (float)beta);
            backward(&p, (float)beta, grad, 1);
            backward(&p, (float)beta, threaded_grad, 3);
            sm_resize_backward_ref(&p.shape, 2, p.g, (float)beta, twin_grad);
            SM_TEST_AT_MOST(sm_test_relative_error(grad, twin_grad, p.in), rounding);
            CU_ASSERT(same_bits(grad, threaded_grad, p.in));
            if (beta == 0) { /* <resize(x), g> = <x, resize^T(g)> */
                double norm = sqrt(dot(p.g, p.g, p.out) * dot(fast, fast, p.out));
                SM_TEST_AT_MOST(fabs(dot(fast, p.g, p.out) - dot(p.x, grad, p.in)) / norm, rounding);
            }
            sm_free(grad);
            sm_free(twin_grad);
            sm_free(threaded_grad);
        }
        sm_free(fast);
        sm_free(twin);
        sm_free(threaded);
        sm_free(p.x);
        sm_free(p.g);
    }
}

static void one_pixel_is_broadcast_exactly(void)
{
    resize_problem p = resize_new(7, 0);
    float *y = not_numbers(p.out);
    size_t channels = (size_t)p.shape.channels, pixels = p.out / channels / 2;
    forward(&p, y, 1);
    for (size_t row = 0; row < 2 * pixels; row++) {
        CU_ASSERT(same_bits(y + row * channels, p.x + row / pixels * channels, channels));
    }
    sm_free(y);
    sm_free(p.x);
    sm_free(p.g);
}

/* ---- linear, gemm ------------------------------------------------------------------------------------------------ */

static void linear_equals_its_twin(void)
{
    static const int shapes[][3] = {{1, 1, 1},     {20, 1, 1024}, {3, 17, 5},    {200, 33, 19},
                                    {5, 600, 515}, {0, 4, 3},     {395, 40, 530}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int n = shapes[s][0], in = shapes[s][1], out = shapes[s][2];
        size_t nx = (size_t)n * in, ny = (size_t)n * out, nw = (size_t)in * out;
        float *x = numbers(nx, 20), *w = numbers(nw, 21), *b = numbers((size_t)out, 22), *g = numbers(ny, 23);
        float *y = not_numbers(ny), *twin = not_numbers(ny), *threaded = not_numbers(ny);
        for (int biased = 0; biased < 2; biased++) {
            sm_linear_forward(n, in, out, x, w, biased ? b : NULL, y, 1);
            sm_linear_forward(n, in, out, x, w, biased ? b : NULL, threaded, 3);
            sm_linear_forward_ref(n, in, out, x, w, biased ? b : NULL, twin);
            SM_TEST_AT_MOST(sm_test_relative_error(y, twin, ny), rounding);
            CU_ASSERT(same_bits(y, threaded, ny));
        }
        for (int beta = 0; beta < 2; beta++) {
            size_t counts[3] = {nx, nw, (size_t)out};
            float *fast[3], *slow[3];
            for (int k = 0; k < 3; k++) {
                fast[k] = target(counts[k], (float)beta);
                slow[k] = target(counts[k], (float)beta);
            }
            sm_linear_backward_data(n, in, out, g, w, (float)beta, fast[0], 2);
            sm_linear_backward_data_ref(n, in, out, g, w, (float)beta, slow[0]);
            sm_linear_backward_weight(n, in, out, x, g, (float)beta, fast[1], 2);
            sm_linear_backward_weight_ref(n, in, out, x, g, (float)beta, slow[1]);
            sm_linear_backward_bias(n, out, g, (float)beta, fast[2], 2);
            sm_linear_backward_bias_ref(n, out, g, (float)beta, slow[2]);
            for (int k = 0; k < 3; k++) {
                SM_TEST_AT_MOST(sm_test_relative_error(fast[k], slow[k], counts[k]), rounding);
                sm_free(fast[k]);
                sm_free(slow[k]);
            }
        }
        sm_free(x);
        sm_free(w);
        sm_free(b);
        sm_free(g);
        sm_free(y);
        sm_free(twin);
        sm_free(threaded);
    }
}

static void gemm_is_the_sum_of_products(void)
{
    static const int extents[] = {0, 1, 5, 17, 64, 70};
    float *a = numbers(6000, 24), *b = numbers(6000, 25);
    for (int test = 0; test < 6 * 6 * 6 * 4; test++) {
        int m = extents[test % 6], n = extents[test / 6 % 6], k = extents[test / 36 % 6];
        int ta = test / 216 % 2, tb = test / 432;
        int lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 1;
        float *c = not_numbers((size_t)m * ldc);
        sm_gemm(ta, tb, m, n, k, 0.5f, a, lda, b, ldb, 0.0f, c, ldc);
        double worst = 0.0;
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0.0;
                for (int p = 0; p < k; p++) {
                    sum += 0.5 * (double)a[ta ? p * lda + i : i * lda + p] * (double)b[tb ? j * ldb + p : p * ldb + j];
                }
                sm_test_worse(&worst, fabs((double)c[i * ldc + j] - sum));
            }
            CU_ASSERT(isnan(c[i * ldc + n])); /* beside the rows */
        }
        SM_TEST_AT_MOST(worst, 2e-5); /* 70 products of normal numbers: sums up to 30, each rounded to 2e-6 */
        sm_free(c);
    }
    sm_free(a);
    sm_free(b);
}

static void gemm_kernel_writes_its_tile_only(void)
{
    enum { DEPTH = 37 };
    const sm_gemm_kernel *kernel = sm_gemm_kernel_query();
    CU_ASSERT(kernel == sm_gemm_kernel_query() && kernel->mr > 0 && kernel->nr > 0);
    float *a = numbers((size_t)DEPTH * kernel->pack_mr, 26), *b = numbers((size_t)DEPTH * kernel->pack_nr, 27);
    int stride = kernel->nr + 3;
    for (int test = 0; test < 4 * kernel->mr * kernel->nr; test++) {
        int m = test / 4 % kernel->mr + 1, n = test / 4 / kernel->mr + 1, by_rows = test % 2, adds = test / 2 % 2;
        size_t count = (size_t)(kernel->mr + 2) * stride * 2;
        float *c = not_numbers(count);
        for (size_t i = 0; adds && i < count; i++) {
            c[i] = 1;
        }
        int row = by_rows ? stride : 1, column = by_rows ? 1 : kernel->mr + 2;
        sm_gemm_kernel_run(kernel, m, n, DEPTH, a, b, adds, c, row, column);
        double worst = 0.0;
        size_t written = 0;
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = adds;
                for (int p = 0; p < DEPTH; p++) {
                    sum += (double)a[p * kernel->pack_mr + i] * (double)b[p * kernel->pack_nr + j];
                }
                sm_test_worse(&worst, fabs((double)c[i * row + j * column] - sum));
            }
        }
        for (size_t i = 0; i < count; i++) {
            written += !isnan(c[i]) && !(adds && c[i] == 1);
        }
        SM_TEST_AT_MOST(worst, 2e-5); /* as above */
        CU_ASSERT(written == (size_t)m * n);
        sm_free(c);
    }
    sm_free(a);
    sm_free(b);
}

static void gemm_runs_in_several_threads_at_once(void)
{
    enum { SIDE = 150, CALLS = 16 };
    float *a = numbers(SIDE * SIDE, 29), *b = numbers(SIDE * SIDE, 30), *c = not_numbers(CALLS * SIDE * SIDE);
#pragma omp parallel for num_threads(4)
    for (int call = 0; call < CALLS; call++) {
        sm_gemm(0, 0, SIDE, SIDE, SIDE, 1.0f, a, SIDE, b, SIDE, 0.0f, c + call * SIDE * SIDE, SIDE);
    }
    for (int call = 1; call < CALLS; call++) {
        CU_ASSERT(same_bits(c, c + call * SIDE * SIDE, SIDE * SIDE));
    }
    sm_free(a);
    sm_free(b);
    sm_free(c);
}

/* ---- concat, dropout --------------------------------------------------------------------------------------------- */

static void concat_equals_its_twin(void)
{
    for (int s = 0; s < SIZES; s++) {
        size_t rows = sizes[s].rows, c = (size_t)sizes[s].channels, total = c + 9;
        float *part = numbers(2 * rows * c, 31), *whole = numbers(2 * rows * total, 32),
              *twin = numbers(2 * rows * total, 32);
        sm_concat_copy(SM_F32, 2 * rows, (int)c, part, (int)total, 4, whole, 3);
        sm_concat_copy_ref(2 * rows, (int)c, part, (int)total, 4, twin);
        CU_ASSERT(same_bits(whole, twin, 2 * rows * total));
        sm_concat_broadcast(SM_F32, 2, rows, (int)c, part, (int)total, 9, whole, 3);
        sm_concat_broadcast_ref(2, rows, (int)c, part, (int)total, 9, twin);
        CU_ASSERT(same_bits(whole, twin, 2 * rows * total));
        for (int beta = 0; beta < 2; beta++) {
            float *grad = target(2 * rows * c, (float)beta), *twin_grad = target(2 * rows * c, (float)beta);
            sm_concat_extract(SM_F32, 2 * rows, (int)c, (int)total, 4, whole, (float)beta, grad, 3);
            sm_concat_extract_ref(2 * rows, (int)c, (int)total, 4, whole, (float)beta, twin_grad);
            CU_ASSERT(same_bits(grad, twin_grad, 2 * rows * c));
            sm_free(grad);
            sm_free(twin_grad);
            grad = target(2 * c, (float)beta);
            twin_grad = target(2 * c, (float)beta);
            sm_concat_broadcast_backward(SM_F32, 2, rows, (int)c, (int)total, 4, whole, (float)beta, grad, 3);
            sm_concat_broadcast_backward_ref(2, rows, (int)c, (int)total, 4, whole, (float)beta, twin_grad);
            SM_TEST_AT_MOST(sm_test_relative_error(grad, twin_grad, 2 * c), rounding);
            sm_free(grad);
            sm_free(twin_grad);
        }
        sm_free(part);
        sm_free(whole);
        sm_free(twin);
    }
}

static void dropout_equals_its_twin(void)
{
    static const sm_dropout dropout = {.probability = 0.3f, .seed = 1234567890123, .step = 17, .op = 3};
    for (int s = 0; s < SIZES; s++) {
        size_t elements = sizes[s].rows * (size_t)sizes[s].channels, count = 2 * elements;
        float *x = numbers(count, 33), *fast = not_numbers(count), *twin = not_numbers(count);
        sm_dropout_forward(&dropout, 5, 2, elements, x, fast, 3);
        sm_dropout_forward_ref(&dropout, 5, 2, elements, x, twin);
        CU_ASSERT(same_bits(fast, twin, count));
        sm_dropout_forward(&dropout, 6, 1, elements, x + elements, twin, 1); /* the second sample alone: another rank */
        CU_ASSERT(same_bits(fast + elements, twin, elements));
        for (int beta = 0; beta < 2; beta++) {
            float *grad = target(count, (float)beta), *twin_grad = target(count, (float)beta);
            sm_dropout_backward(&dropout, 5, 2, elements, x, (float)beta, grad, 3);
            sm_dropout_backward_ref(&dropout, 5, 2, elements, x, (float)beta, twin_grad);
            SM_TEST_AT_MOST(sm_test_relative_error(grad, twin_grad, count), rounding); /* one may fuse, one may not */
            sm_free(grad);
            sm_free(twin_grad);
        }
        sm_free(x);
        sm_free(fast);
        sm_free(twin);
    }
}

static double share_kept(sm_dropout dropout, uint32_t sample, const sm_dropout *other)
{
    enum { ELEMENTS = 100000 };
    double kept = 0.0;
    for (size_t e = 0; e < ELEMENTS; e++) {
        kept += sm_dropout_keeps(&dropout, sample, e) && (!other || sm_dropout_keeps(other, sample, e));
    }
    return kept / ELEMENTS;
}

static void dropout_masks_are_fair_and_independent(void)
{
    const sm_dropout first = {.probability = 0.3f, .seed = 7, .step = 1, .op = 1};
    sm_dropout others[3] = {first, first, first};
    others[0].seed++;
    others[1].step++;
    others[2].op++;
    /* Six standard deviations of a share of 100000 draws: 6 sqrt(p (1 - p) / 100000) < 0.01. */
    SM_TEST_AT_MOST(fabs(share_kept(first, 0, NULL) - 0.7), 0.01);
    SM_TEST_AT_MOST(fabs(share_kept(first, 1, NULL) - 0.7), 0.01);
    for (int i = 0; i < 3; i++) {
        SM_TEST_AT_MOST(fabs(share_kept(first, 0, &others[i]) - 0.49), 0.01);
    }
    sm_dropout none = {.probability = 0.0f};
    CU_ASSERT_EQUAL(share_kept(none, 0, NULL), 1.0);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST_BY_SETS(relu_and_add_equal_their_twins);
    SM_TEST_BY_SETS(nan_passes_relu);
    SM_TEST_BY_SETS(batch_norm_sums_equal_their_twins);
    SM_TEST_BY_SETS(batch_norm_apply_equals_its_twin);
    SM_TEST_BY_SETS(batch_norm_backward_apply_equals_its_twin);
    SM_TEST_BY_SETS(batch_norm_variance_survives_a_large_mean);
    SM_TEST_BY_SETS(batch_norm_without_rows_is_legal);
    SM_TEST_BY_SETS(one_row_keeps_the_biased_variance);
    SM_TEST_BY_SETS(nan_reaches_the_statistics_and_the_output);
    SM_TEST_BY_SETS(max_pool_equals_its_twin);
    SM_TEST_BY_SETS(max_pool_refuses_kernels_that_do_not_fit);
    SM_TEST_BY_SETS(nan_wins_max_pool);
    SM_TEST_BY_SETS(global_average_pool_equals_its_twin);
    SM_TEST_BY_SETS(resize_equals_its_twin_and_its_transpose);
    SM_TEST_BY_SETS(one_pixel_is_broadcast_exactly);
    SM_TEST_BY_SETS(linear_equals_its_twin);
    SM_TEST_BY_SETS(gemm_is_the_sum_of_products);
    SM_TEST_BY_SETS(gemm_kernel_writes_its_tile_only);
    SM_TEST_BY_SETS(gemm_runs_in_several_threads_at_once);
    SM_TEST_BY_SETS(concat_equals_its_twin);
    SM_TEST_BY_SETS(dropout_equals_its_twin);
    SM_TEST_BY_SETS(dropout_masks_are_fair_and_independent);
    return sm_test_end();
}
