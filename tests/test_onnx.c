/* ranks: 1 */
/* The ops against the test vectors of ONNX (Debian package libonnx-testdata), which tests/golden/export_onnx.py makes
 * readable. */
#include "golden_shapes.h"

#include <sigmatic/ops/batch_norm.h>
#include <sigmatic/ops/global_average_pool.h>
#include <sigmatic/ops/relu.h>
#include <sigmatic/ops/resize.h>
#include <sigmatic/tensor/gemm.h>

#include <string.h>

/* Relative L2 errors. The vectors are float32 results of other float32 programs, so twice our rounding. Winograd
 * F(4x4) loses two digits more by its transforms; factors rounded to bfloat16 are off by up to 2^-9, each, and by
 * sqrt(2 / 3) of that on average. */
static const double rounding = 2e-6, rounding_of[] = {2e-6, 1e-4, 5e-3};

enum { THREADS = 2 };

static sm_h5 *file;

/* Cases that we do not run: the start of a name, and why. */
static const struct {
    const char *name, *reason;
} left_out[] = {
    {"/conv2d/pytorch-converted_test_Conv3d", "three dimensions"},
    {"/conv2d/pytorch-converted_test_Conv1d_groups", "groups"},
    {"/conv2d/pytorch-converted_test_Conv2d_groups", "groups"},
    {"/conv2d/pytorch-converted_test_Conv2d_depthwise", "groups"},
    {"/max_pool/node_test_maxpool_3d", "three dimensions"},
    {"/max_pool/pytorch-converted_test_MaxPool3d", "three dimensions"},
    {"/max_pool/node_test_maxpool_2d_uint8", "not float"},
    {"/resize/node_test_resize_downsample_scales_cubic", "cubic"},
    {"/resize/node_test_resize_upsample_scales_cubic", "cubic"},
    {"/resize/node_test_resize_downsample_sizes_cubic", "cubic"},
    {"/resize/node_test_resize_upsample_sizes_cubic", "cubic"},
    {"/resize/node_test_resize_downsample_scales_nearest", "nearest pixel"},
    {"/resize/node_test_resize_upsample_scales_nearest", "nearest pixel"},
    {"/resize/node_test_resize_downsample_sizes_nearest", "nearest pixel"},
    {"/resize/node_test_resize_upsample_sizes_nearest", "nearest pixel"},
    {"/resize/node_test_resize_tf_crop_and_resize", "crops while resizing"},
    /* 0.6 of 2 x 4 pixels is 1 x 2; positions there follow the factor 0.6, here the sizes. */
    {"/resize/node_test_resize_downsample_scales_linear", "positions from a factor"},
    /* To one pixel: the first one there; PyTorch itself mixes the middle two, as tests/golden/ops.h5 says. */
    {"/resize/node_test_resize_downsample_sizes_linear", "one pixel: not PyTorch's"},
};

static int is_left_out(const golden_case *from)
{
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (strncmp(from->group, left_out[i].name, strlen(left_out[i].name)) == 0) {
            return 1;
        }
    }
    return 0;
}

/* At least this many cases were run, so that an empty file does not pass. */
static int ran;

static void at_least(const char *group, void (*test)(golden_case *), int count)
{
    ran = 0;
    file = golden_onnx();
    if (!file) {
        return;
    }
    golden_for_each(file, group, test);
    CU_ASSERT_TRUE(ran >= count);
}

static void conv2d_case(golden_case *from)
{
    if (is_left_out(from)) {
        return;
    }
    ran++;
    sm_h5_info input_info, output_info;
    const float *input = golden_array(from, "input", &input_info);
    golden_array(from, "output", &output_info);
    sm_conv2d_shape shape = golden_conv2d_shape(from, &input_info, &output_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && golden_attribute(from, "group") == 1 && sm_conv2d_infer(&shape));
    CU_ASSERT_EQUAL_FATAL(shape.out_height, (int)output_info.shape[1]);
    CU_ASSERT_EQUAL_FATAL(shape.out_width, (int)output_info.shape[2]);
    sm_conv2d_operands operands = {.batch = (int)input_info.shape[0],
                                   .input = input,
                                   .weight = golden_reorder_weight(from, golden_array(from, "weight", NULL), &shape, 0),
                                   .bias = golden_has(from, "bias") ? golden_array(from, "bias", NULL) : NULL};
    int kept = from->array_count;
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        if (algorithm->supports(&shape, SM_CONV2D_FORWARD)) {
            operands.result = golden_result(from, output_info.count);
            golden_run_conv2d(algorithm, &shape, SM_CONV2D_FORWARD, operands, THREADS);
            golden_compare(from, "output", operands.result, rounding_of[algorithm->precision]);
            golden_release(from, kept);
        }
    }
}

static void convolutions(void)
{
    at_least("/conv2d", conv2d_case, 18);
}

static void max_pool_case(golden_case *from)
{
    if (is_left_out(from)) {
        return;
    }
    ran++;
    sm_h5_info input_info, output_info;
    const float *input = golden_array(from, "input", &input_info);
    golden_array(from, "output", &output_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && input_info.rank == 4);
    sm_max_pool_shape shape = golden_max_pool_shape(from, &input_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && sm_max_pool_infer(&shape));
    CU_ASSERT_EQUAL_FATAL(shape.out_height, (int)output_info.shape[1]);
    CU_ASSERT_EQUAL_FATAL(shape.out_width, (int)output_info.shape[2]);
    float *output = golden_result(from, output_info.count);
    int32_t *index = sm_alloc(output_info.count * sizeof(int32_t));
    sm_max_pool_forward(&shape, SM_F32, (int)input_info.shape[0], input, output, index, THREADS);
    golden_compare(from, "output", output, 0.0);
    if (golden_has(from, "index")) {
        int32_t *expected = sm_alloc(output_info.count * sizeof(int32_t));
        char *path = sm_format("%s/index", from->group);
        SM_TEST_OK(sm_h5_read(file, path, SM_H5_INT32, output_info.rank, output_info.shape, expected));
        CU_ASSERT_EQUAL(memcmp(index, expected, output_info.count * sizeof(int32_t)), 0);
        sm_free(expected);
        sm_free(path);
    }
    sm_free(index);
}

static void max_pooling(void)
{
    at_least("/max_pool", max_pool_case, 15);
}

/* ONNX keeps the variance of the population; we the unbiased one. */
static void unbiased(float *variance, const float *old, size_t channels, double momentum, double count)
{
    for (size_t c = 0; c < channels; c++) {
        double kept = momentum * (double)old[c];
        variance[c] = (float)(kept + ((double)variance[c] - kept) * count / (count - 1.0));
    }
}

static void batch_norm_running(golden_case *from, size_t rows, size_t channels, const float *input, float *mean,
                               float *inverse_std)
{
    double *sums = sm_alloc(2 * channels * sizeof(double)), momentum = golden_attribute_double(from, "momentum");
    float *running_mean = golden_array(from, "running_mean", NULL);
    float *running_variance = golden_array(from, "running_variance", NULL);
    float *expected_variance = golden_array(from, "new_running_variance", NULL);
    unbiased(expected_variance, running_variance, channels, momentum, (double)rows);
    sm_batch_norm_statistics(SM_F32, rows, (int)channels, input, sums, THREADS);
    sm_batch_norm_finalise((int)channels, (double)rows, sums, (float)golden_attribute_double(from, "epsilon"),
                           (float)(1.0 - momentum), mean, inverse_std, running_mean, running_variance);
    golden_compare(from, "new_running_mean", running_mean, rounding);
    SM_TEST_AT_MOST(sm_test_relative_error(running_variance, expected_variance, channels), rounding);
    sm_free(sums);
}

static void batch_norm_case(golden_case *from)
{
    ran++;
    sm_h5_info info;
    const float *input = golden_array(from, "input", &info), *scale = golden_array(from, "scale", NULL);
    const float *shift = golden_array(from, "shift", NULL);
    CU_ASSERT_TRUE_FATAL(!from->broken && info.rank >= 2);
    size_t channels = info.shape[info.rank - 1], rows = info.count / channels;
    float *mean = golden_result(from, channels), *inverse_std = golden_result(from, channels);
    if (golden_attribute(from, "training")) {
        batch_norm_running(from, rows, channels, input, mean, inverse_std);
    } else {
        sm_batch_norm_from_running((int)channels, golden_array(from, "running_mean", NULL),
                                   golden_array(from, "running_variance", NULL),
                                   (float)golden_attribute_double(from, "epsilon"), mean, inverse_std);
    }
    float *output = golden_result(from, info.count);
    sm_batch_norm_apply(SM_F32, rows, (int)channels, input, mean, inverse_std, scale, shift, NULL, 0, output, THREADS);
    golden_compare(from, "output", output, rounding);
}

static void batch_normalisation(void)
{
    at_least("/batch_norm", batch_norm_case, 9);
}

static void global_average_pool_case(golden_case *from)
{
    ran++;
    sm_h5_info info;
    const float *input = golden_array(from, "input", &info);
    CU_ASSERT_TRUE_FATAL(!from->broken && info.rank == 4);
    float *output = golden_result(from, info.shape[0] * info.shape[3]);
    sm_global_average_pool_forward(SM_F32, (int)info.shape[0], info.shape[1] * info.shape[2], (int)info.shape[3], input,
                                   output, THREADS);
    golden_compare(from, "output", output, rounding);
}

static void global_average_pooling(void)
{
    at_least("/global_average_pool", global_average_pool_case, 2);
}

static void relu_case(golden_case *from)
{
    ran++;
    sm_h5_info info;
    const float *input = golden_array(from, "input", &info);
    float *output = golden_result(from, info.count);
    sm_relu_forward(SM_F32, info.count, input, output, THREADS);
    golden_compare(from, "output", output, 0.0);
}

static void rectified_linear_units(void)
{
    at_least("/relu", relu_case, 2);
}

static void gemm_case(golden_case *from)
{
    ran++;
    sm_h5_info a_info, b_info, c_info;
    const float *a = golden_array(from, "a", &a_info), *b = golden_array(from, "b", &b_info);
    float *c = golden_array(from, "c", &c_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && a_info.rank == 2 && b_info.rank == 2 && c_info.rank == 2);
    int transpose_a = golden_attribute(from, "transpose_a");
    sm_gemm(transpose_a, golden_attribute(from, "transpose_b"), (int64_t)c_info.shape[0], (int64_t)c_info.shape[1],
            (int64_t)a_info.shape[transpose_a ? 0 : 1], (float)golden_attribute_double(from, "alpha"), a,
            (int64_t)a_info.shape[1], b, (int64_t)b_info.shape[1], (float)golden_attribute_double(from, "beta"), c,
            (int64_t)c_info.shape[1]);
    golden_compare(from, "output", c, rounding);
}

static void matrix_products(void)
{
    at_least("/gemm", gemm_case, 11);
}

static void resize_case(golden_case *from)
{
    if (is_left_out(from)) {
        return;
    }
    ran++;
    sm_h5_info input_info, output_info;
    const float *input = golden_array(from, "input", &input_info);
    golden_array(from, "output", &output_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && golden_attribute_is(from, "mode", "linear"));
    sm_resize_shape shape = {.height = (int)input_info.shape[1],
                             .width = (int)input_info.shape[2],
                             .out_height = (int)output_info.shape[1],
                             .out_width = (int)output_info.shape[2],
                             .channels = (int)input_info.shape[3],
                             .align_corners = golden_attribute_is(from, "coordinates", "align_corners")};
    float *output = golden_result(from, output_info.count);
    void *workspace = golden_result(from, sm_resize_forward_workspace_bytes(&shape, THREADS) / sizeof(float));
    sm_resize_forward(&shape, (int)input_info.shape[0], input, output, workspace, THREADS);
    golden_compare(from, "output", output, rounding);
}

static void bilinear_resizing(void)
{
    at_least("/resize", resize_case, 2);
}

/* Every row of left_out must name something, or it hides nothing but a mistake. */
static int named;
static const char *prefix;

static void count_named(golden_case *from)
{
    named += strncmp(from->group, prefix, strlen(prefix)) == 0;
}

static void list_of_left_out_cases_is_true(void)
{
    static const char *const groups[] = {"/conv2d", "/max_pool", "/resize"};
    file = golden_onnx();
    for (size_t i = 0; file && i < sizeof left_out / sizeof *left_out; i++) {
        named = 0;
        prefix = left_out[i].name;
        for (int g = 0; g < 3; g++) {
            golden_for_each(file, groups[g], count_named);
        }
        CU_ASSERT_TRUE(named > 0);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST_BY_SETS(convolutions);
    SM_TEST_BY_SETS(max_pooling);
    SM_TEST_BY_SETS(batch_normalisation);
    SM_TEST_BY_SETS(global_average_pooling);
    SM_TEST_BY_SETS(rectified_linear_units);
    SM_TEST_BY_SETS(matrix_products);
    SM_TEST_BY_SETS(bilinear_resizing);
    SM_TEST_BY_SETS(list_of_left_out_cases_is_true);
    int failed = sm_test_end();
    (void)sm_h5_close(file);
    return failed;
}
