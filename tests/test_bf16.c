/* ranks: 1 */
/* Ops on maps of bfloat16 against the same ops on floats of the same values: what they write is that, rounded. */
#include "harness.h"

#include <sigmatic/base/bf16.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/ops/add.h>
#include <sigmatic/ops/batch_norm.h>
#include <sigmatic/ops/concat.h>
#include <sigmatic/ops/global_average_pool.h>
#include <sigmatic/ops/max_pool.h>
#include <sigmatic/ops/relu.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A map of both types with the same values, and room behind it that nobody may touch. */
typedef struct map {
    size_t count;
    float *f;
    sm_bf16 *b;
} map;

enum { BEHIND = 40 };

static map map_new(size_t count)
{
    map m = {count, sm_alloc(count * sizeof(float) + 64), sm_alloc((count + BEHIND) * sizeof(sm_bf16))};
    for (size_t i = 0; i < count; i++) {
        m.f[i] = NAN;
    }
    memset(m.b, 0xff, (count + BEHIND) * sizeof(sm_bf16));
    return m;
}

static map map_of(size_t count, unsigned seed)
{
    map m = map_new(count);
    sm_test_fill(m.f, count, seed);
    for (size_t i = 0; i < count; i++) {
        m.b[i] = sm_bf16_of(m.f[i]);
        m.f[i] = sm_float_of(m.b[i]);
    }
    return m;
}

/* What a gradient is written into: NaN for beta 0 (nothing of it may be left), numbers for beta 1. */
static map target(size_t count, float beta)
{
    return beta == 0.0f ? map_new(count) : map_of(count, 99);
}

static void map_free(map *m)
{
    sm_free(m->f);
    sm_free(m->b);
}

/* The floats, rounded, are the numbers of bfloat16. `slack` ones in a thousand may be the next number instead: where the
 * compiler contracted a product and a sum in one of the two loops only, a float may differ in its last bit. */
static void check_rounded(const map *m, size_t slack)
{
    size_t next_to_it = 0, wrong = 0;
    for (size_t i = 0; i < m->count; i++) {
        int distance = abs((int)m->b[i] - (int)sm_bf16_of(m->f[i]));
        next_to_it += distance == 1;
        wrong += distance > 1;
    }
    for (size_t i = m->count; i < m->count + BEHIND; i++) {
        wrong += m->b[i] != 0xffff;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(1000 * next_to_it <= slack * m->count);
}

static const struct {
    size_t rows;
    int channels;
} sizes[] = {{1, 1}, {2, 3}, {7, 5}, {15, 16}, {33, 31}, {5, 64}, {100, 19}, {3, 513}, {301, 257}, {20000, 3}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void every_number_survives(void)
{
    int changed = 0, numbers = 0;
    for (unsigned i = 0; i < 0x10000; i++) {
        float x = sm_float_of((sm_bf16)i);
        int is_nan = (i & 0x7fff) > 0x7f80;
        numbers += !is_nan;
        changed += is_nan ? !isnan(x) || !isnan(sm_float_of(sm_bf16_of(x))) : sm_bf16_of(x) != i;
    }
    CU_ASSERT_EQUAL(changed, 0);
    CU_ASSERT_EQUAL(numbers, 2 * 0x7f81);
}

static void numbers_between_go_to_the_nearest(void)
{
    static const struct {
        float from, to;
    } cases[] = {{1.0f + 0x1p-8f, 1.0f},
                 {1.0f + 0x1p-8f + 0x1p-23f, 1.0f + 0x1p-7f},
                 {1.0f + 0x3p-8f, 1.0f + 0x2p-7f},
                 {-1.0f - 0x3p-8f, -1.0f - 0x2p-7f},
                 {FLT_MAX, INFINITY},
                 {-FLT_MAX, -INFINITY},
                 {0x1.fdp127f, 0x1.fcp127f},
                 {0x1p-134f, 0.0f},
                 {0x1.8p-134f, 0x1p-133f}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT_EQUAL(sm_float_of(sm_bf16_of(cases[i].from)), cases[i].to);
    }
    static const uint32_t nans[] = {0xffffffff, 0x7fffffff, 0x7f800001, 0xff800001, 0xff80ffff};
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
        float x;
        memcpy(&x, &nans[i], sizeof x);
        CU_ASSERT(isnan(sm_float_of(sm_bf16_of(x))));
    }
}

static void relu_and_sums(void)
{
    for (int s = 0; s < SIZES; s++) {
        size_t count = sizes[s].rows * (size_t)sizes[s].channels;
        map x = map_of(count, 1), y = map_of(count, 2), to = map_new(count);
        sm_relu_forward(SM_F32, count, x.f, to.f, 1);
        sm_relu_forward(SM_BF16, count, x.b, to.b, 3);
        check_rounded(&to, 0);
        for (int relu = 0; relu < 2; relu++) {
            sm_add_forward(SM_F32, count, x.f, y.f, relu, to.f, 1);
            sm_add_forward(SM_BF16, count, x.b, y.b, relu, to.b, 3);
            check_rounded(&to, 0);
        }
        for (int beta = 0; beta < 2; beta++) {
            map g = target(count, (float)beta), sum = target(count, (float)beta);
            sm_relu_backward(SM_F32, count, x.f, y.f, (float)beta, g.f, 1);
            sm_relu_backward(SM_BF16, count, x.b, y.b, (float)beta, g.b, 3);
            check_rounded(&g, 0);
            sm_accumulate(SM_F32, count, x.f, (float)beta, sum.f, 1);
            sm_accumulate(SM_BF16, count, x.b, (float)beta, sum.b, 3);
            check_rounded(&sum, 0);
            map_free(&g);
            map_free(&sum);
        }
        sm_bf16 *expected = to.b; /* in place */
        sm_relu_backward(SM_BF16, count, x.b, y.b, 0, expected, 1);
        map again = map_of(count, 2);
        sm_relu_backward(SM_BF16, count, x.b, again.b, 0, again.b, 1);
        CU_ASSERT_EQUAL(memcmp(again.b, expected, count * sizeof *expected), 0);
        sm_add_forward(SM_BF16, count, x.b, y.b, 1, expected, 1);
        sm_add_forward(SM_BF16, count, x.b, y.b, 1, y.b, 1);
        CU_ASSERT_EQUAL(memcmp(y.b, expected, count * sizeof *expected), 0);
        sm_relu_forward(SM_BF16, count, x.b, expected, 1);
        sm_relu_forward(SM_BF16, count, x.b, x.b, 1);
        CU_ASSERT_EQUAL(memcmp(x.b, expected, count * sizeof *expected), 0);
        map_free(&again);
        map_free(&x);
        map_free(&y);
        map_free(&to);
    }
}

static float *channels_of(int channels, unsigned seed)
{
    float *values = sm_alloc((size_t)channels * sizeof(float) + 64);
    sm_test_fill(values, (size_t)channels, seed);
    return values;
}

/* Sums of the same numbers, in groups of four in float. */
static void check_sums(const double *found, const double *expected, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (found[i] - expected[i]) * (found[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    SM_TEST_AT_MOST(sqrt(difference), 2 * FLT_EPSILON * sqrt(norm));
}

static void batch_norm_forward(void)
{
    for (int s = 0; s < SIZES; s++) {
        size_t rows = sizes[s].rows;
        int channels = sizes[s].channels;
        map x = map_of(rows * (size_t)channels, 1), z = map_of(x.count, 2), y = map_new(x.count);
        float *mean = channels_of(channels, 3), *inverse_std = channels_of(channels, 4);
        float *scale = channels_of(channels, 5), *shift = channels_of(channels, 6);
        double *sums = sm_alloc(4 * (size_t)channels * sizeof(double)), *expected = sums + 2 * channels;
        sm_batch_norm_statistics(SM_F32, rows, channels, x.f, expected, 1);
        sm_batch_norm_statistics(SM_BF16, rows, channels, x.b, sums, 3);
        check_sums(sums, expected, 2 * (size_t)channels);
        for (int kind = 0; kind < 4; kind++) {
            int residual = kind & 1, relu = kind >> 1;
            sm_batch_norm_apply(SM_F32, rows, channels, x.f, mean, inverse_std, scale, shift, residual ? z.f : NULL,
                                relu, y.f, 1);
            sm_batch_norm_apply(SM_BF16, rows, channels, x.b, mean, inverse_std, scale, shift, residual ? z.b : NULL,
                                relu, y.b, 3);
            check_rounded(&y, 1);
        }
        sm_batch_norm_apply(SM_BF16, rows, channels, x.b, mean, inverse_std, scale, shift, z.b, 1, z.b, 1);
        CU_ASSERT_EQUAL(memcmp(z.b, y.b, y.count * sizeof *y.b), 0); /* over the residual */
        sm_batch_norm_apply(SM_BF16, rows, channels, x.b, mean, inverse_std, scale, shift, NULL, 1, y.b, 1);
        sm_batch_norm_apply(SM_BF16, rows, channels, x.b, mean, inverse_std, scale, shift, NULL, 1, x.b, 1);
        CU_ASSERT_EQUAL(memcmp(x.b, y.b, y.count * sizeof *y.b), 0);
        sm_free(sums);
        sm_free(mean);
        sm_free(inverse_std);
        sm_free(scale);
        sm_free(shift);
        map_free(&x);
        map_free(&y);
        map_free(&z);
    }
}

static void batch_norm_backward(void)
{
    for (int s = 0; s < SIZES; s++) {
        size_t rows = sizes[s].rows;
        int channels = sizes[s].channels;
        map x = map_of(rows * (size_t)channels, 1), g = map_of(x.count, 2), y = map_of(x.count, 3);
        map masked = map_new(x.count);
        float *mean = channels_of(channels, 3), *inverse_std = channels_of(channels, 4);
        float *scale = channels_of(channels, 5);
        double *sums = sm_alloc(4 * (size_t)channels * sizeof(double)), *expected = sums + 2 * channels;
        for (int kind = 0; kind < 4; kind++) {
            int has_mask = kind & 1;
            float beta = (float)(kind >> 1);
            map to = target(x.count, beta);
            sm_batch_norm_backward_statistics(SM_F32, rows, channels, x.f, g.f, has_mask ? y.f : NULL, mean,
                                              inverse_std, expected, has_mask ? masked.f : NULL, 1);
            sm_batch_norm_backward_statistics(SM_BF16, rows, channels, x.b, g.b, has_mask ? y.b : NULL, mean,
                                              inverse_std, sums, has_mask ? masked.b : NULL, 3);
            check_sums(sums, expected, 2 * (size_t)channels);
            sm_batch_norm_backward_apply(SM_F32, rows, channels, x.f, g.f, has_mask ? y.f : NULL, mean, inverse_std,
                                         scale, (double)rows, expected, beta, to.f, 1);
            sm_batch_norm_backward_apply(SM_BF16, rows, channels, x.b, g.b, has_mask ? y.b : NULL, mean, inverse_std,
                                         scale, (double)rows, expected, beta, to.b, 3);
            check_rounded(&to, 2);
            map_free(&to);
        }
        check_rounded(&masked, 0);
        map written = map_of(x.count, 2), to = map_new(x.count); /* over grad_output */
        sm_batch_norm_backward_statistics(SM_BF16, rows, channels, x.b, written.b, y.b, mean, inverse_std, sums,
                                          written.b, 1);
        CU_ASSERT_EQUAL(memcmp(written.b, masked.b, x.count * sizeof *masked.b), 0);
        sm_batch_norm_backward_apply(SM_BF16, rows, channels, x.b, g.b, NULL, mean, inverse_std, scale, (double)rows,
                                     sums, 0, to.b, 1);
        sm_batch_norm_backward_apply(SM_BF16, rows, channels, x.b, g.b, NULL, mean, inverse_std, scale, (double)rows,
                                     sums, 0, g.b, 1);
        CU_ASSERT_EQUAL(memcmp(g.b, to.b, x.count * sizeof *to.b), 0);
        map_free(&written);
        map_free(&to);
        sm_free(sums);
        sm_free(mean);
        sm_free(inverse_std);
        sm_free(scale);
        map_free(&x);
        map_free(&g);
        map_free(&y);
        map_free(&masked);
    }
}

/* 300 channels: more than a pass sums at a time. Ties go to the first. */
static void max_pool(void)
{
    sm_max_pool_shape shape = sm_max_pool_square(9, 13, 300, 3, 2, 1);
    size_t in = 2u * 9 * 13 * 300, out = 2u * (size_t)(shape.out_height * shape.out_width) * 300;
    map x = map_of(in, 1), g = map_of(out, 2), y = map_new(out);
    int32_t *index = sm_alloc(out * sizeof *index), *expected = sm_alloc(out * sizeof *expected);
    for (size_t i = 0; i < in; i++) {
        x.f[i] = i % 50 == 7 ? NAN : roundf(2.0f * x.f[i]);
        x.b[i] = sm_bf16_of(x.f[i]);
    }
    sm_max_pool_forward(&shape, SM_F32, 2, x.f, y.f, expected, 1);
    sm_max_pool_forward(&shape, SM_BF16, 2, x.b, y.b, index, 3);
    check_rounded(&y, 0);
    CU_ASSERT_EQUAL(memcmp(index, expected, out * sizeof *index), 0);
    for (int beta = 0; beta < 2; beta++) {
        map to = target(in, (float)beta);
        sm_max_pool_backward(&shape, SM_F32, 2, g.f, index, (float)beta, to.f, 1);
        sm_max_pool_backward(&shape, SM_BF16, 2, g.b, index, (float)beta, to.b, 3);
        check_rounded(&to, 0);
        map_free(&to);
    }
    sm_free(index);
    sm_free(expected);
    map_free(&x);
    map_free(&y);
    map_free(&g);
}

static void pooled_vectors_are_floats(void)
{
    enum { BATCH = 3, PIXELS = 35, CHANNELS = 70 };
    map x = map_of(BATCH * PIXELS * CHANNELS, 1);
    float *found = channels_of(BATCH * CHANNELS, 2), *expected = channels_of(BATCH * CHANNELS, 2);
    sm_global_average_pool_forward(SM_F32, BATCH, PIXELS, CHANNELS, x.f, expected, 1);
    sm_global_average_pool_forward(SM_BF16, BATCH, PIXELS, CHANNELS, x.b, found, 3);
    CU_ASSERT_EQUAL(memcmp(found, expected, BATCH * CHANNELS * sizeof(float)), 0);
    for (int beta = 0; beta < 2; beta++) {
        map to = target(x.count, (float)beta);
        sm_global_average_pool_backward(SM_F32, BATCH, PIXELS, CHANNELS, found, (float)beta, to.f, 1);
        sm_global_average_pool_backward(SM_BF16, BATCH, PIXELS, CHANNELS, found, (float)beta, to.b, 3);
        check_rounded(&to, 0);
        map_free(&to);
    }
    sm_free(found);
    sm_free(expected);
    map_free(&x);
}

static void concatenation(void)
{
    enum { BATCH = 2, PIXELS = 33, PART = 19, VECTOR = 21, WHOLE = PART + VECTOR, ROWS = BATCH * PIXELS };
    map part = map_of(ROWS * PART, 1), whole = map_new(ROWS * WHOLE);
    float *vector = channels_of(BATCH * VECTOR, 2), *found = channels_of(BATCH * VECTOR, 3);
    float *expected = channels_of(BATCH * VECTOR, 3);
    sm_concat_copy(SM_F32, ROWS, PART, part.f, WHOLE, 0, whole.f, 1);
    sm_concat_copy(SM_BF16, ROWS, PART, part.b, WHOLE, 0, whole.b, 3);
    sm_concat_broadcast(SM_F32, BATCH, PIXELS, VECTOR, vector, WHOLE, PART, whole.f, 1);
    sm_concat_broadcast(SM_BF16, BATCH, PIXELS, VECTOR, vector, WHOLE, PART, whole.b, 3);
    check_rounded(&whole, 0);
    map g = map_of(ROWS * WHOLE, 4);
    for (int beta = 0; beta < 2; beta++) {
        map to = target(ROWS * PART, (float)beta);
        sm_concat_extract(SM_F32, ROWS, PART, WHOLE, 0, g.f, (float)beta, to.f, 1);
        sm_concat_extract(SM_BF16, ROWS, PART, WHOLE, 0, g.b, (float)beta, to.b, 3);
        check_rounded(&to, 0);
        map_free(&to);
        sm_concat_broadcast_backward(SM_F32, BATCH, PIXELS, VECTOR, WHOLE, PART, g.f, (float)beta, expected, 1);
        sm_concat_broadcast_backward(SM_BF16, BATCH, PIXELS, VECTOR, WHOLE, PART, g.b, (float)beta, found, 3);
        CU_ASSERT_EQUAL(memcmp(found, expected, BATCH * VECTOR * sizeof(float)), 0);
    }
    sm_free(vector);
    sm_free(found);
    sm_free(expected);
    map_free(&part);
    map_free(&whole);
    map_free(&g);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST_BY_SETS(every_number_survives);
    SM_TEST_BY_SETS(numbers_between_go_to_the_nearest);
    SM_TEST_BY_SETS(relu_and_sums);
    SM_TEST_BY_SETS(batch_norm_forward);
    SM_TEST_BY_SETS(batch_norm_backward);
    SM_TEST_BY_SETS(max_pool);
    SM_TEST_BY_SETS(pooled_vectors_are_floats);
    SM_TEST_BY_SETS(concatenation);
    return sm_test_end();
}
