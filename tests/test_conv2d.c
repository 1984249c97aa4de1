/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/vectors.h>
#include <sigmatic/ops/conv2d_uniform.h>
#include <sigmatic/ops/isa.h>

#include "ops/bf16_kernel.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GUARD_BYTES = 4096, GUARD = 0xA5 };

static const char *const pass_names[SM_CONV2D_PASSES] = {"forward", "backward data", "backward weight"};

/* Everything one convolution reads and writes. */
typedef struct {
    sm_conv2d_shape shape;
    int batch;
    size_t input_count, weight_count, output_count;
    float *input, *weight, *output, *bias;
} problem;

static problem problem_new(sm_conv2d_shape shape, int batch, unsigned seed)
{
    problem p = {.shape = shape, .batch = batch};
    p.input_count = (size_t)batch * shape.height * shape.width * shape.channels_in;
    p.output_count = (size_t)batch * shape.out_height * shape.out_width * shape.channels_out;
    p.weight_count = (size_t)shape.kernel_height * shape.kernel_width * shape.channels_in * shape.channels_out;
    p.input = sm_alloc(p.input_count * sizeof(float) + 64);
    p.output = sm_alloc(p.output_count * sizeof(float) + 64);
    p.weight = sm_alloc(p.weight_count * sizeof(float));
    p.bias = sm_alloc((size_t)shape.channels_out * sizeof(float));
    sm_test_fill(p.input, p.input_count, seed);
    sm_test_fill(p.output, p.output_count, seed + 1);
    sm_test_fill(p.weight, p.weight_count, seed + 2);
    sm_test_fill(p.bias, (size_t)shape.channels_out, seed + 3);
    return p;
}

static void problem_free(problem *p)
{
    sm_free(p->input);
    sm_free(p->output);
    sm_free(p->weight);
    sm_free(p->bias);
}

static float to_bf16(float x)
{
    return sm_float_of(sm_bf16_of(x));
}

/* \return the problem with every factor rounded: what algorithms of SM_CONV2D_BF16 compute exactly */
static problem problem_rounded(sm_conv2d_shape shape, int batch, unsigned seed)
{
    problem p = problem_new(shape, batch, seed);
    for (size_t i = 0; i < p.input_count; i++) {
        p.input[i] = to_bf16(p.input[i]);
    }
    for (size_t i = 0; i < p.output_count; i++) {
        p.output[i] = to_bf16(p.output[i]);
    }
    for (size_t i = 0; i < p.weight_count; i++) {
        p.weight[i] = to_bf16(p.weight[i]);
    }
    return p;
}

static size_t result_count(const problem *p, sm_conv2d_pass pass)
{
    return pass == SM_CONV2D_FORWARD         ? p->output_count
           : pass == SM_CONV2D_BACKWARD_DATA ? p->input_count
                                             : p->weight_count;
}

/* Memory with bytes after its end that nobody may change. */
static void *guarded_new(size_t bytes)
{
    char *memory = sm_alloc(bytes + GUARD_BYTES);
    memset(memory, 0xFF, bytes); /* NaN: contents are undefined, so nothing may depend on them */
    memset(memory + bytes, GUARD, GUARD_BYTES);
    return memory;
}

static void guarded_free(void *memory, size_t bytes)
{
    const unsigned char *guard = (const unsigned char *)memory + bytes;
    int broken = 0;
    for (int i = 0; i < GUARD_BYTES; i++) {
        broken += guard[i] != GUARD;
    }
    CU_ASSERT_EQUAL(broken, 0);
    sm_free(memory);
}

/* Runs one pass into `result`, every buffer that the algorithm gets guarded. */
static void run(const sm_conv2d_algorithm *algorithm, const problem *p, sm_conv2d_pass pass, int with_bias, float beta,
                float *result, int threads)
{
    size_t prepared_bytes = algorithm->prepared_bytes ? algorithm->prepared_bytes(&p->shape, pass) : 0;
    size_t workspace_bytes = algorithm->workspace_bytes(&p->shape, pass, p->batch, threads);
    size_t result_bytes = result_count(p, pass) * sizeof(float);
    void *prepared = guarded_new(prepared_bytes), *workspace = guarded_new(workspace_bytes);
    float *guarded = guarded_new(result_bytes);
    memcpy(guarded, result, result_bytes);
    if (prepared_bytes > 0) {
        algorithm->prepare(&p->shape, pass, p->weight, prepared, threads);
    }
    sm_conv2d_operands operands = {
        .batch = p->batch,
        .input = p->input,
        .weight = prepared_bytes > 0 ? NULL : p->weight,
        .prepared = prepared_bytes > 0 ? prepared : NULL,
        .bias = with_bias && pass == SM_CONV2D_FORWARD ? p->bias : NULL,
        .grad_output = p->output,
        .result = guarded,
        .beta = beta,
        .workspace = workspace,
        .threads = threads,
    };
    algorithm->run(&p->shape, pass, &operands);
    memcpy(result, guarded, result_bytes);
    guarded_free(prepared, prepared_bytes);
    guarded_free(workspace, workspace_bytes);
    guarded_free(guarded, result_bytes);
}

/* Terms in one sum of a pass. */
static double terms(const sm_conv2d_shape *s, sm_conv2d_pass pass, int batch)
{
    double taps = (double)s->kernel_height * s->kernel_width;
    return pass == SM_CONV2D_FORWARD         ? taps * s->channels_in
           : pass == SM_CONV2D_BACKWARD_DATA ? taps * s->channels_out
                                             : (double)batch * s->out_height * s->out_width;
}

/* Operands are standard normal, so a sum of K products has rms sqrt(K), and K roundings of partial sums as large as
 * that, each eps / 2, add up to about sqrt(K) * eps relative to the rms; 4 for the other operand of the comparison and
 * chance. The transforms of F(4x4) enlarge that by what was measured against double: 1e-5 at K = 2304 (eps sqrt(K) =
 * 5.7e-6), more for small K. */
static double tolerance(const sm_conv2d_algorithm *algorithm, double count)
{
    if (strncmp(algorithm->name, "bf16x2", 6) == 0) {
        return 4 * sqrt(count + 4) * FLT_EPSILON + 6e-6; /* of factors of 16 bits: measured 4.5e-6 for any K */
    }
    return (algorithm->precision == SM_CONV2D_HIGH ? 40 : 4) * sqrt(count + 4) * FLT_EPSILON;
}

static void describe(const sm_conv2d_algorithm *algorithm, const problem *p, sm_conv2d_pass pass)
{
    const sm_conv2d_shape *s = &p->shape;
    printf("%s, %s, %s: %dx%dx%d -> %d, kernel %dx%d stride %dx%d dilation %dx%d pad %d %d %d %d, batch %d\n",
           algorithm->name, sm_isa_name(), pass_names[pass], s->height, s->width, s->channels_in, s->channels_out,
           s->kernel_height, s->kernel_width, s->stride_height, s->stride_width, s->dilation_height, s->dilation_width,
           s->pad_top, s->pad_left, s->pad_bottom, s->pad_right, p->batch);
}

/* What is in the result before: beta 0 must not even read it. */
static float *result_new(size_t count, float beta)
{
    float *result = sm_alloc(count * sizeof(float) + 64);
    for (size_t i = 0; i < count; i++) {
        result[i] = beta == 0 ? NAN : (float)(i % 7) - 3;
    }
    return result;
}

static void compare_pass(const problem *p, const problem *rounded, sm_conv2d_pass pass, int with_bias, float beta,
                         int threads)
{
    size_t count = result_count(p, pass);
    float *exact = result_new(count, beta), *of_rounded = result_new(count, beta);
    run(sm_conv2d_find("reference"), p, pass, with_bias, beta, exact, 1);
    run(sm_conv2d_find("reference"), rounded, pass, with_bias, beta, of_rounded, 1);
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        if (!algorithm->supports(&p->shape, pass)) {
            continue;
        }
        const float *expected = algorithm->precision == SM_CONV2D_BF16 ? of_rounded : exact;
        float *found = result_new(count, beta);
        run(algorithm, p, pass, with_bias, beta, found, threads);
        double error = count ? sm_test_max_error(found, expected, count) : 0, k = terms(&p->shape, pass, p->batch);
        double bound = 5 * sqrt(k + 9) * tolerance(algorithm, k); /* the worst of many is a few rms */
        if (!(error <= bound)) {
            describe(algorithm, p, pass);
        }
        SM_TEST_AT_MOST(error, bound);
        sm_free(found);
    }
    sm_free(exact);
    sm_free(of_rounded);
}

/* \return the numbers, which have to be of bfloat16, as such; with what lies behind them */
static sm_bf16 *as_bf16(const float *numbers, size_t count)
{
    sm_bf16 *as = guarded_new(count * sizeof *as);
    for (size_t i = 0; i < count; i++) {
        as[i] = sm_bf16_of(numbers[i]);
    }
    return as;
}

/* \return the largest difference beyond what rounding the expected number explains */
static double error_beyond_rounding(const sm_bf16 *found, const float *expected, size_t count)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        sm_test_worse(&worst, fabs((double)sm_float_of(found[i]) - expected[i]) - fabs(expected[i]) / 256);
    }
    return worst;
}

/* Runs a pass with its first operand and its second, or its result, of the given types; checks that it writes nothing
 * else. \return the largest error */
static double error_of_types(const sm_conv2d_algorithm *algorithm, const problem *p, sm_conv2d_pass pass, int with_bias,
                             float beta, sm_dtype input_type, sm_dtype output_type, const float *expected, int threads)
{
    const sm_dtype result_types[SM_CONV2D_PASSES] = {output_type, input_type, SM_F32};
    int rounds = result_types[pass] == SM_BF16;
    size_t count = result_count(p, pass),
           workspace_bytes = algorithm->workspace_bytes(&p->shape, pass, p->batch, threads);
    sm_bf16 *input = as_bf16(p->input, p->input_count), *output = as_bf16(p->output, p->output_count);
    float *before = result_new(count, beta), *result = guarded_new(count * sizeof *result);
    sm_bf16 *rounded = as_bf16(before, count);
    void *workspace = guarded_new(workspace_bytes);
    memcpy(result, before, count * sizeof *result);
    sm_conv2d_operands operands = {
        .batch = p->batch,
        .input = input_type == SM_BF16 ? (void *)input : p->input,
        .weight = p->weight,
        .bias = with_bias && pass == SM_CONV2D_FORWARD ? p->bias : NULL,
        .grad_output = output_type == SM_BF16 ? (void *)output : p->output,
        .result = rounds ? (void *)rounded : result,
        .input_type = input_type,
        .output_type = output_type,
        .beta = beta,
        .workspace = workspace,
        .threads = threads,
    };
    algorithm->run(&p->shape, pass, &operands);
    double error =
        rounds ? error_beyond_rounding(rounded, expected, count) : sm_test_max_error(result, expected, count);
    guarded_free(workspace, workspace_bytes);
    guarded_free(result, count * sizeof *result);
    guarded_free(rounded, count * sizeof *rounded);
    guarded_free(input, p->input_count * sizeof *input);
    guarded_free(output, p->output_count * sizeof *output);
    sm_free(before);
    return error;
}

/* Maps of bfloat16, the one, the other and both. */
static void compare_pass_of_bf16(const problem *rounded, sm_conv2d_pass pass, int with_bias, float beta, int threads)
{
    size_t count = result_count(rounded, pass);
    float *expected = result_new(count, beta);
    double k = terms(&rounded->shape, pass, rounded->batch);
    run(sm_conv2d_find("reference"), rounded, pass, with_bias, beta, expected, 1);
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        int takes_them = algorithm->precision == SM_CONV2D_BF16 && algorithm->supports(&rounded->shape, pass);
        for (int which = 1; takes_them && which < 4; which++) {
            double bound = 5 * sqrt(k + 9) * tolerance(algorithm, k);
            double error = error_of_types(algorithm, rounded, pass, with_bias, beta, which & 1 ? SM_BF16 : SM_F32,
                                          which & 2 ? SM_BF16 : SM_F32, expected, threads);
            if (!(error <= bound)) {
                printf("of bfloat16 %d: ", which);
                describe(algorithm, rounded, pass);
            }
            SM_TEST_AT_MOST(error, bound);
        }
    }
    sm_free(expected);
}

static void compare_all(sm_conv2d_shape shape, int batch, unsigned seed, int with_bias, float beta, int threads)
{
    problem p = problem_new(shape, batch, seed), rounded = problem_rounded(shape, batch, seed);
    for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
        compare_pass(&p, &rounded, pass, with_bias, beta, threads);
        compare_pass_of_bf16(&rounded, pass, with_bias, beta, threads);
    }
    problem_free(&p);
    problem_free(&rounded);
}

static int pick(sm_random *random, const int *choices, int count)
{
    return choices[sm_random_below(random, (uint32_t)count)];
}

/* Shapes that hurt: odd, thin, dilated beyond the image, channels beside the vector's length, asymmetric padding. */
static int random_shape(sm_random *random, sm_conv2d_shape *shape)
{
    static const int sizes[] = {1, 2, 3, 5, 7, 8, 13, 16, 21, 29},
                     channels[] = {1, 2, 3, 8, 15, 16, 17, 19, 32, 33, 50, 64};
    static const int kernels[] = {1, 2, 3, 3, 3, 5, 7}, strides[] = {1, 1, 1, 2, 3}, dilations[] = {1, 1, 2, 3, 6, 12};
#define PICK(choices) pick(random, choices, (int)(sizeof(choices) / sizeof *(choices)))
    *shape = (sm_conv2d_shape){.height = PICK(sizes),
                               .width = PICK(sizes),
                               .channels_in = PICK(channels),
                               .channels_out = PICK(channels),
                               .kernel_height = PICK(kernels),
                               .stride_height = PICK(strides),
                               .dilation_height = PICK(dilations)};
    int square = sm_random_below(random, 4) > 0;
    shape->kernel_width = square ? shape->kernel_height : PICK(kernels);
    shape->stride_width = square ? shape->stride_height : PICK(strides);
    shape->dilation_width = square ? shape->dilation_height : PICK(dilations);
#undef PICK
    int same = sm_random_below(random, 2) > 0;
    int reach_y = shape->dilation_height * (shape->kernel_height - 1),
        reach_x = shape->dilation_width * (shape->kernel_width - 1);
    shape->pad_top = same ? reach_y / 2 : (int)sm_random_below(random, (uint32_t)reach_y + 2);
    shape->pad_bottom = same ? reach_y / 2 : (int)sm_random_below(random, (uint32_t)reach_y + 2);
    shape->pad_left = same ? reach_x / 2 : (int)sm_random_below(random, (uint32_t)reach_x + 2);
    shape->pad_right = same ? reach_x / 2 : (int)sm_random_below(random, (uint32_t)reach_x + 2);
    return sm_conv2d_infer(shape);
}

/* Deep enough for several pieces of the depth and several column blocks. */
static sm_conv2d_shape large_shape(int kernel, int stride, int dilation)
{
    return sm_conv2d_square(12, 20, 272, 288, kernel, stride, kernel / 2 * dilation, dilation);
}

/* Each `every`-th of them: what takes longest is the reference. */
static void large_layers_equal_the_reference(void)
{
    const struct {
        sm_conv2d_shape shape;
        int batch;
    } layers[] = {
        {sm_conv2d_square(7, 30, 40, 70, 3, 1, 2, 2), 5},    /* several images at a time */
        {sm_conv2d_square(40, 60, 48, 72, 3, 1, 16, 16), 2}, /* some rows of an image, which read others apart */
        {sm_conv2d_square(9, 30, 17, 200, 3, 1, 1, 1), 2},   /* threads across the columns */
        {large_shape(3, 1, 2), 1},
        {sm_conv2d_square(64, 150, 64, 16, 3, 1, 1, 1), 1},  /* more pixels than a thread packs at a time */
        {sm_conv2d_square(64, 32, 130, 264, 3, 1, 3, 3), 1}, /* some pixels and some columns at a time */
        {large_shape(1, 1, 1), 1},
        {large_shape(3, 1, 1), 1},
        {large_shape(3, 2, 1), 1},
        {sm_conv2d_square(12, 20, 640, 40, 3, 1, 12, 12), 1},
        {sm_conv2d_square(28, 44, 40, 136, 3, 1, 1, 1), 1}, /* several jobs that share a factor */
        {sm_conv2d_square(70, 66, 3, 64, 7, 2, 3, 1), 1},
    };
    const int count = sizeof layers / sizeof *layers, rounds = sm_test_rounds(count);
    for (int round = 0; round < rounds; round++) {
        int i = round * count / rounds;
        compare_all(layers[i].shape, layers[i].batch, 50 + (unsigned)i, i % 2, (float)(i / 2 % 2), 3);
    }
}

/* NaNs of all kinds, also those that rounding upwards would turn into numbers. */
static void a_nan_stays_one(void)
{
    static const uint32_t kinds[] = {0xffffffff, 0x7fffffff, 0x7fc00000, 0xff800001};
    for (int i = 0; i < 4; i++) {
        problem p = problem_new(sm_conv2d_square(6, 20, 40, 36, 3, 1, 1, 1), 1, 60);
        memcpy(&p.input[5], &kinds[i], sizeof *p.input);
        for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
            if (algorithm->supports(&p.shape, SM_CONV2D_FORWARD)) {
                float *result = result_new(p.output_count, 1);
                run(algorithm, &p, SM_CONV2D_FORWARD, 0, 1, result, 1);
                CU_ASSERT(isnan(result[0]) && isnan(result[(size_t)p.shape.out_width * 36 + 35]));
                sm_free(result);
            }
        }
        problem_free(&p);
    }
}

static void compare_random_layers(int rounds, uint64_t stream)
{
    static const int batches[] = {1, 1, 3, 0};
    sm_random random = sm_random_new(11, stream, 0);
    rounds = sm_test_rounds(rounds);
    for (int done = 0; done < rounds;) {
        sm_conv2d_shape shape;
        if (!random_shape(&random, &shape)) {
            continue;
        }
        int batch = pick(&random, batches, 4), with_bias = (int)sm_random_below(&random, 2);
        float beta = (float)sm_random_below(&random, 2);
        compare_all(shape, batch, (unsigned)done, with_bias, beta, 1 + 2 * (done % 2));
        done++;
    }
}

static void every_algorithm_equals_the_reference(void)
{
    compare_random_layers(60, 1);
}

/* What cuts and packs several parts is the same on every processor, but in use only where matrix registers make it fast. The
 * set is the one whose loops for bfloat16 have the widest vectors. */
static void bf16_parts_by_loops_equal_the_reference(void)
{
    SM_TEST_NEEDS("blis");
    sm_isa_select("blis");
    sm_bf16_kernel_allow_slow(1);
    compare_random_layers(40, 7);
    large_layers_equal_the_reference();
    sm_bf16_kernel_allow_slow(0);
}

static void bits_do_not_depend_on_the_number_of_threads(void)
{
    sm_random random = sm_random_new(12, 0, 0);
    const int rounds = sm_test_rounds(25), large = sm_test_rounds(5) - 1;
    for (int done = 0; done < rounds;) {
        sm_conv2d_shape shape = done % 2 ? sm_conv2d_square(9, 30, 17, 200, 3, 1, done, done)
                                         : large_shape(3, 1 + done / 2 % 2, 1 + done % 3);
        if (done >= large && !random_shape(&random, &shape)) {
            continue;
        }
        problem p = problem_new(shape, 2, (unsigned)done++);
        for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
            for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
                size_t bytes = result_count(&p, pass) * sizeof(float);
                if (!algorithm->supports(&p.shape, pass) || strcmp(algorithm->name, "reference") == 0) {
                    continue;
                }
                float *one = sm_alloc_zeroed(bytes), *several = sm_alloc_zeroed(bytes);
                run(algorithm, &p, pass, 0, 0, one, 1);
                for (int threads = 2; threads <= 3; threads++) {
                    run(algorithm, &p, pass, 0, 0, several, threads);
                    CU_ASSERT(memcmp(one, several, bytes) == 0);
                }
                sm_free(one);
                sm_free(several);
            }
        }
        problem_free(&p);
    }
}

static double inner_product(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
    }
    return sum;
}

/* <conv(x, w), y> = <x, data gradient(y, w)> = <w, weight gradient(x, y)>, for every algorithm with itself. */
static void gradients_are_adjoint(void)
{
    sm_random random = sm_random_new(13, 0, 0);
    const int rounds = sm_test_rounds(40);
    for (int done = 0; done < rounds;) {
        sm_conv2d_shape shape;
        if (!random_shape(&random, &shape)) {
            continue;
        }
        problem p = problem_rounded(shape, 2, (unsigned)done++);
        for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
            double product[SM_CONV2D_PASSES], size = 0;
            const float *other[SM_CONV2D_PASSES] = {p.output, p.input, p.weight};
            int supported = 1;
            for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
                supported &= algorithm->supports(&shape, pass);
            }
            for (int pass = 0; supported && pass < SM_CONV2D_PASSES; pass++) {
                size_t count = result_count(&p, pass);
                float *result = sm_alloc_zeroed(count * sizeof(float));
                run(algorithm, &p, pass, 0, 0, result, 1);
                product[pass] = inner_product(result, other[pass], count);
                size = fmax(
                    size, sqrt(inner_product(result, result, count) * inner_product(other[pass], other[pass], count)));
                sm_free(result);
            }
            if (supported) {
                double bound = size * tolerance(algorithm, 9); /* errors of many elements average out in the product */
                SM_TEST_AT_MOST(fabs(product[0] - product[1]), bound);
                SM_TEST_AT_MOST(fabs(product[0] - product[2]), bound);
            }
        }
        problem_free(&p);
    }
}

/* The loss sum(output * y) is linear in each operand, so a difference quotient is exact up to rounding, whatever the
 * step. */
static void gradients_equal_finite_differences(void)
{
    problem p = problem_new(sm_conv2d_square(6, 5, 2, 3, 3, 2, 1, 1), 2, 5);
    const sm_conv2d_algorithm *reference = sm_conv2d_find("reference");
    for (int pass = SM_CONV2D_BACKWARD_DATA; pass <= SM_CONV2D_BACKWARD_WEIGHT; pass++) {
        float *operand = pass == SM_CONV2D_BACKWARD_DATA ? p.input : p.weight;
        size_t count = result_count(&p, pass);
        float *gradient = sm_alloc_zeroed(count * sizeof(float)),
              *output = sm_alloc_zeroed(p.output_count * sizeof(float));
        run(reference, &p, pass, 0, 0, gradient, 1);
        for (size_t i = 0; i < count; i++) {
            float kept = operand[i];
            operand[i] = kept + 1;
            run(reference, &p, SM_CONV2D_FORWARD, 0, 0, output, 1);
            double above = inner_product(output, p.output, p.output_count);
            operand[i] = kept - 1;
            run(reference, &p, SM_CONV2D_FORWARD, 0, 0, output, 1);
            double below = inner_product(output, p.output, p.output_count);
            operand[i] = kept;
            SM_TEST_AT_MOST(fabs((above - below) / 2 - gradient[i]), 1e-4); /* eps * about 100 terms of size 1 to 4 */
        }
        sm_free(gradient);
        sm_free(output);
    }
    problem_free(&p);
}

static void the_chosen_algorithm_supports_the_pass(void)
{
    sm_random random = sm_random_new(14, 0, 0);
    for (int i = 0; i < 2000; i++) {
        sm_conv2d_shape shape;
        if (!random_shape(&random, &shape)) {
            continue;
        }
        for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
            for (int precision = SM_CONV2D_HIGHEST; precision <= SM_CONV2D_BF16; precision++) {
                const sm_conv2d_algorithm *algorithm =
                    sm_conv2d_choose(&shape, pass, 2, (sm_conv2d_precision)precision);
                CU_ASSERT_FATAL(algorithm != NULL && algorithm->supports(&shape, pass));
                CU_ASSERT(precision == SM_CONV2D_BF16 ? algorithm->precision == SM_CONV2D_BF16
                                                      : (int)algorithm->precision <= precision);
                CU_ASSERT(strcmp(algorithm->name, "reference") != 0);
                CU_ASSERT(algorithm->macs(&shape, pass) >= 0 && algorithm->cost(&shape, pass, 2) >= 0);
            }
        }
    }
    sm_conv2d_shape huge_kernel = sm_conv2d_square(40, 40, 2, 2, 33, 1, 16, 1);
    CU_ASSERT_STRING_EQUAL(sm_conv2d_choose(&huge_kernel, SM_CONV2D_FORWARD, 1, 0)->name, "reference");
}

static void sizes_follow_the_formula(void)
{
    sm_conv2d_shape stem = sm_conv2d_square(128, 255, 3, 64, 7, 2, 3, 1);
    CU_ASSERT_EQUAL(stem.out_height, 64);
    CU_ASSERT_EQUAL(stem.out_width, 128);
    sm_conv2d_shape same = sm_conv2d_square(16, 32, 8, 8, 3, 1, 36, 36);
    CU_ASSERT_EQUAL(same.out_height, 16);
    CU_ASSERT_EQUAL(same.out_width, 32);
    sm_conv2d_shape too_small = sm_conv2d_square(4, 9, 1, 1, 3, 1, 0, 2);
    CU_ASSERT_EQUAL(sm_conv2d_infer(&too_small), 0);
    CU_ASSERT_PTR_NULL(sm_conv2d_find("no such algorithm"));
}

static void bias_gradient_is_the_sum_over_pixels(void)
{
    enum { ROWS = 1000, CHANNELS = 70 };
    float *grad = sm_alloc(ROWS * CHANNELS * sizeof(float)), found[CHANNELS];
    sm_test_fill(grad, ROWS * CHANNELS, 3);
    for (int beta = 0; beta <= 1; beta++) {
        for (int o = 0; o < CHANNELS; o++) {
            found[o] = beta ? 1 : NAN;
        }
        sm_bias_backward(ROWS, CHANNELS, grad, (float)beta, found, 2);
        for (int o = 0; o < CHANNELS; o++) {
            double sum = beta;
            for (int row = 0; row < ROWS; row++) {
                sum += grad[row * CHANNELS + o];
            }
            SM_TEST_AT_MOST(fabs(found[o] - sum), 1e-5); /* one rounding of a number near sqrt(1000) */
        }
    }
    sm_bias_backward(0, CHANNELS, grad, 0, found, 1);
    CU_ASSERT_EQUAL(found[CHANNELS - 1], 0);
    sm_free(grad);
}

/* ---- channels that are the same at every pixel ------------------------------------------------------------------- */

/* The vectors of p->input's images, and the map that has them at every pixel. */
static float *vectors_to_map(problem *p)
{
    size_t pixels = (size_t)p->shape.height * p->shape.width, channels = (size_t)p->shape.channels_in;
    float *vectors = sm_alloc((size_t)p->batch * channels * sizeof *vectors + 64);
    sm_test_fill(vectors, (size_t)p->batch * channels, 77);
    for (size_t i = 0; i < p->input_count; i++) {
        p->input[i] = vectors[i / channels / pixels * channels + i % channels];
    }
    return vectors;
}

/* What the reference computes for the map; of the data gradient the sum over pixels. */
static void expect_uniform(const problem *p, sm_conv2d_pass pass, float beta, float *expected)
{
    size_t pixels = (size_t)p->shape.height * p->shape.width, channels = (size_t)p->shape.channels_in;
    if (pass != SM_CONV2D_BACKWARD_DATA) {
        run(sm_conv2d_find("reference"), p, pass, 0, beta, expected, 1);
        return;
    }
    float *map = result_new(p->input_count, 0);
    run(sm_conv2d_find("reference"), p, pass, 0, 0, map, 1);
    for (size_t i = 0; i < (size_t)p->batch * channels; i++) {
        double sum = beta == 0 ? 0 : expected[i];
        for (size_t pixel = 0; pixel < pixels; pixel++) {
            sum += map[(i / channels * pixels + pixel) * channels + i % channels];
        }
        expected[i] = (float)sum;
    }
    sm_free(map);
}

static void run_uniform(const problem *p, sm_conv2d_pass pass, const float *vectors, float beta, float *result,
                        int threads)
{
    size_t bytes = sm_conv2d_uniform_workspace(&p->shape, p->batch);
    void *workspace = guarded_new(bytes);
    if (pass == SM_CONV2D_FORWARD) {
        sm_conv2d_uniform_forward(&p->shape, p->batch, vectors, p->weight, result, workspace, threads);
    } else if (pass == SM_CONV2D_BACKWARD_DATA) {
        sm_conv2d_uniform_backward_data(&p->shape, p->batch, p->weight, p->output, beta, result, workspace, threads);
    } else {
        sm_conv2d_uniform_backward_weight(&p->shape, p->batch, vectors, p->output, beta, result, workspace, threads);
    }
    guarded_free(workspace, bytes);
}

static void compare_uniform(problem *p, sm_conv2d_pass pass, const float *vectors, float beta)
{
    size_t count = pass == SM_CONV2D_BACKWARD_DATA ? (size_t)p->batch * p->shape.channels_in : result_count(p, pass);
    float *expected = result_new(count, beta), *found = result_new(count, beta), *other = result_new(count, beta);
    expect_uniform(p, pass, beta, expected);
    run_uniform(p, pass, vectors, beta, found, 1);
    run_uniform(p, pass, vectors, beta, other, 3);
    double k = terms(&p->shape, pass, p->batch);
    if (pass == SM_CONV2D_BACKWARD_DATA) {
        k *= p->shape.height * p->shape.width;
    }
    /* a sum of k products of standard normal numbers has rms sqrt(k); its rounding in another order, some 1e-6 of that */
    SM_TEST_AT_MOST(count ? sm_test_max_error(found, expected, count) : 0, 2e-5 * sqrt(k + 9));
    CU_ASSERT(count == 0 || memcmp(found, other, count * sizeof *found) == 0);
    sm_free(expected);
    sm_free(found);
    sm_free(other);
}

static void a_vector_equals_a_map_that_has_it_everywhere(void)
{
    sm_random random = sm_random_new(11, 9, 0);
    const int rounds = sm_test_rounds(60);
    for (int done = 0; done < rounds;) {
        sm_conv2d_shape shape;
        if (!random_shape(&random, &shape)) {
            continue;
        }
        problem p = problem_new(shape, done % 4, (unsigned)done);
        float *vectors = vectors_to_map(&p);
        for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
            compare_uniform(&p, pass, vectors, pass == SM_CONV2D_FORWARD ? 0 : (float)(done / 4 % 2));
        }
        sm_free(vectors);
        problem_free(&p);
        done++;
    }
}

/* What the table of sets promises, of those that this CPU has. */
static void a_set_is_its_kernels_and_no_wider_vectors(void)
{
    static const struct {
        const char *name, *floats, *bf16;
        sm_vectors vectors;
    } sets[] = {
        {"amx", "avx512", "amx", SM_VECTORS_AVX512},      {"avx512bf16", "avx512", "avx512bf16", SM_VECTORS_AVX512},
        {"avx512", "avx512", "plain", SM_VECTORS_AVX512}, {"avx2", "avx2", "plain", SM_VECTORS_AVX2},
        {"blis", "blis", "plain", SM_VECTORS_AVX512},     {"plain", "plain", "plain", SM_VECTORS_PLAIN},
    };
    char *supported = sm_isa_supported(), *padded = sm_format(" %s,", supported);
    const sm_vectors widest = sm_vectors_of_cpu();
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char *word = sm_format(" %s,", sets[i].name);
        int has = strstr(padded, word) != NULL;
        CU_ASSERT_EQUAL(sm_isa_select(sets[i].name), has);
        if (has) {
            CU_ASSERT_STRING_EQUAL(sm_isa_name(), sets[i].name);
            CU_ASSERT_STRING_EQUAL(sm_conv2d_instructions(sm_conv2d_find("taps")), sets[i].floats);
            CU_ASSERT_STRING_EQUAL(sm_conv2d_instructions(sm_conv2d_find("bf16_taps")), sets[i].bf16);
            CU_ASSERT_EQUAL(sm_vectors_in_use, sets[i].vectors < widest ? sets[i].vectors : widest);
            CU_ASSERT(sm_bf16_kernel_get(2) == NULL || strcmp(sets[i].name, "amx") == 0);
        }
        sm_free(word);
    }
    CU_ASSERT_FALSE(sm_isa_select("avx"));
    CU_ASSERT_STRING_EQUAL(sm_isa_name(), "plain"); /* still */
    sm_free(supported);
    sm_free(padded);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(sizes_follow_the_formula);
    SM_TEST(gradients_equal_finite_differences);
    SM_TEST(a_set_is_its_kernels_and_no_wider_vectors);
    SM_TEST_BY_SETS(every_algorithm_equals_the_reference);
    SM_TEST(bf16_parts_by_loops_equal_the_reference);
    SM_TEST_BY_SETS(large_layers_equal_the_reference);
    SM_TEST_BY_SETS(a_nan_stays_one);
    SM_TEST_BY_SETS(bits_do_not_depend_on_the_number_of_threads);
    SM_TEST_BY_SETS(gradients_are_adjoint);
    SM_TEST_BY_SETS(the_chosen_algorithm_supports_the_pass);
    SM_TEST_BY_SETS(bias_gradient_is_the_sum_over_pixels);
    SM_TEST_BY_SETS(a_vector_equals_a_map_that_has_it_everywhere);
    return sm_test_end();
}
