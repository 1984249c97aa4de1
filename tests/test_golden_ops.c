/* ranks: 1 */
/* Every op and its gradients against PyTorch in float64: tests/golden/ops.h5, made by tests/golden/make_ops.py. */
#include "golden_shapes.h"

#include <sigmatic/ops/add.h>
#include <sigmatic/ops/batch_norm.h>
#include <sigmatic/ops/concat.h>
#include <sigmatic/ops/global_average_pool.h>
#include <sigmatic/ops/linear.h>
#include <sigmatic/ops/relu.h>
#include <sigmatic/ops/resize.h>

#include <string.h>

/* Relative L2 errors. A float carries 6e-8; sums of up to a few hundred products add some units to that, so 1e-6
 * leaves room for rounding and for nothing else. Winograd F(4x4) loses two digits more by its transforms (3.3e-5 was
 * measured); factors rounded to bfloat16 are each off by up to 2^-9, and by 0.6 of that on average. */
static const double rounding = 1e-6, rounding_of[] = {1e-6, 1e-4, 5e-3};

enum { THREADS = 2 };

static sm_h5 *file;

static void golden_file_opens(void)
{
    file = golden_open("ops.h5");
    CU_ASSERT_PTR_NOT_NULL(file);
}

/* ---- convolution: every algorithm that can compute it ------------------------------------------------------------ */

static void conv2d_pass(golden_case *from, const sm_conv2d_algorithm *algorithm, const sm_conv2d_shape *shape,
                        sm_conv2d_pass pass, const sm_conv2d_operands *operands, size_t result_count)
{
    static const char *const names[SM_CONV2D_PASSES] = {"output", "grad_input", "grad_weight"};
    if (!algorithm->supports(shape, pass)) {
        return;
    }
    int kept = from->array_count;
    sm_conv2d_operands with_result = *operands;
    with_result.bias = pass == SM_CONV2D_FORWARD ? operands->bias : NULL;
    float *result = with_result.result = golden_result(from, result_count);
    golden_run_conv2d(algorithm, shape, pass, with_result, THREADS);
    if (pass == SM_CONV2D_BACKWARD_WEIGHT) {
        result = golden_reorder_weight(from, result, shape, 1);
    }
    CU_ASSERT_FALSE(from->broken);
    golden_compare(from, names[pass], result, rounding_of[algorithm->precision]);
    golden_release(from, kept);
}

static void conv2d_case(golden_case *from)
{
    sm_h5_info input_info, output_info;
    const float *input = golden_array(from, "input", &input_info);
    const float *grad_output = golden_array(from, "grad_output", &output_info);
    sm_conv2d_shape shape = golden_conv2d_shape(from, &input_info, &output_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && sm_conv2d_infer(&shape));
    CU_ASSERT_EQUAL_FATAL(shape.out_height, (int)output_info.shape[1]);
    CU_ASSERT_EQUAL_FATAL(shape.out_width, (int)output_info.shape[2]);
    sm_conv2d_operands operands = {.batch = (int)input_info.shape[0],
                                   .input = input,
                                   .weight = golden_reorder_weight(from, golden_array(from, "weight", NULL), &shape, 0),
                                   .bias = golden_has(from, "bias") ? golden_array(from, "bias", NULL) : NULL,
                                   .grad_output = grad_output};
    size_t weights = (size_t)shape.kernel_height * shape.kernel_width * shape.channels_in * shape.channels_out;
    size_t counts[SM_CONV2D_PASSES] = {output_info.count, input_info.count, weights};
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        for (int pass = 0; pass < SM_CONV2D_PASSES; pass++) {
            conv2d_pass(from, algorithm, &shape, (sm_conv2d_pass)pass, &operands, counts[pass]);
        }
    }
    if (operands.bias) {
        float *grad_bias = golden_result(from, (size_t)shape.channels_out);
        sm_bias_backward(output_info.count / (size_t)shape.channels_out, shape.channels_out, grad_output, 0.0f,
                         grad_bias, THREADS);
        golden_compare(from, "grad_bias", grad_bias, rounding);
    }
}

static void conv2d_is_pytorchs_by_every_algorithm(void)
{
    CU_ASSERT_TRUE(file && golden_for_each(file, "/conv2d", conv2d_case) >= 60);
}

/* ---- batch normalisation ----------------------------------------------------------------------------------------- */

typedef struct batch_norm_state {
    size_t rows;
    int channels;
    double sums[2 * 256];
    float *mean, *inverse_std;
} batch_norm_state;

static batch_norm_state batch_norm_statistics(golden_case *from, const float *input, const sm_h5_info *info)
{
    batch_norm_state state = {.rows = info->count / info->shape[3], .channels = (int)info->shape[3]};
    float *running_mean = golden_array(from, "running_mean", NULL);
    float *running_variance = golden_array(from, "running_variance", NULL);
    state.mean = golden_result(from, info->shape[3]);
    state.inverse_std = golden_result(from, info->shape[3]);
    if (golden_attribute(from, "training")) {
        sm_batch_norm_statistics(SM_F32, state.rows, state.channels, input, state.sums, THREADS);
        sm_batch_norm_finalise(state.channels, (double)state.rows, state.sums, 1e-5f, 0.1f, state.mean,
                               state.inverse_std, running_mean, running_variance);
    } else {
        sm_batch_norm_from_running(state.channels, running_mean, running_variance, 1e-5f, state.mean,
                                   state.inverse_std);
    }
    golden_compare(from, "new_running_mean", running_mean, rounding);
    golden_compare(from, "new_running_variance", running_variance, rounding);
    return state;
}

static void batch_norm_backward(golden_case *from, batch_norm_state *state, const float *input, const float *output,
                                const float *scale, double bound)
{
    int training = golden_attribute(from, "training");
    size_t channels = (size_t)state->channels;
    const float *grad_output = golden_array(from, "grad_output", NULL);
    float *grad_scale = golden_result(from, channels), *grad_shift = golden_result(from, channels);
    float *grad_input = golden_result(from, state->rows * channels);
    sm_batch_norm_backward_statistics(SM_F32, state->rows, state->channels, input, grad_output, output, state->mean,
                                      state->inverse_std, state->sums, NULL, THREADS);
    sm_batch_norm_backward_parameters(state->channels, state->sums, 0.0f, grad_scale, grad_shift);
    sm_batch_norm_backward_apply(SM_F32, state->rows, state->channels, training ? input : NULL, grad_output, output,
                                 state->mean, state->inverse_std, scale, (double)state->rows,
                                 training ? state->sums : NULL, 0.0f, grad_input, THREADS);
    golden_compare(from, "grad_scale", grad_scale, bound);
    golden_compare(from, "grad_shift", grad_shift, rounding);
    golden_compare(from, "grad_input", grad_input, bound);
}

static void batch_norm_case(golden_case *from)
{
    sm_h5_info info;
    const float *input = golden_array(from, "input", &info), *scale = golden_array(from, "scale", NULL);
    const float *shift = golden_array(from, "shift", NULL);
    const float *residual = golden_has(from, "residual") ? golden_array(from, "residual", NULL) : NULL;
    CU_ASSERT_TRUE_FATAL(!from->broken && info.rank == 4 && info.shape[3] <= 256);
    batch_norm_state state = batch_norm_statistics(from, input, &info);
    float *output = golden_result(from, info.count);
    int relu = golden_attribute(from, "relu");
    sm_batch_norm_apply(SM_F32, state.rows, state.channels, input, state.mean, state.inverse_std, scale, shift,
                        residual, relu, output, THREADS);
    /* A mean of 1000 standard deviations is rounded, as a float, by up to 3e-5 of one: xhat cannot be better. */
    double bound = state.mean[0] > 500.0f ? 1e-4 : 2 * rounding;
    golden_compare(from, "output", output, bound);
    batch_norm_backward(from, &state, input, relu ? output : NULL, scale, bound);
    if (residual) {
        float *grad_residual = golden_result(from, info.count);
        const float *grad_output = golden_array(from, "grad_output", NULL);
        if (relu) {
            sm_relu_backward(SM_F32, info.count, output, grad_output, 0.0f, grad_residual, THREADS);
        } else {
            sm_accumulate(SM_F32, info.count, grad_output, 0.0f, grad_residual, THREADS);
        }
        golden_compare(from, "grad_residual", grad_residual, 0.0);
    }
}

static void batch_norm_is_pytorchs(void)
{
    CU_ASSERT_TRUE(file && golden_for_each(file, "/batch_norm", batch_norm_case) >= 16);
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static void max_pool_case(golden_case *from)
{
    sm_h5_info input_info, output_info;
    const float *input = golden_array(from, "input", &input_info);
    const float *grad_output = golden_array(from, "grad_output", &output_info);
    sm_max_pool_shape shape = golden_max_pool_shape(from, &input_info);
    CU_ASSERT_TRUE_FATAL(!from->broken && sm_max_pool_infer(&shape));
    CU_ASSERT_EQUAL_FATAL(shape.out_height, (int)output_info.shape[1]);
    CU_ASSERT_EQUAL_FATAL(shape.out_width, (int)output_info.shape[2]);
    int batch = (int)input_info.shape[0];
    float *output = golden_result(from, output_info.count), *grad_input = golden_result(from, input_info.count);
    int32_t *index = sm_alloc(output_info.count * sizeof(int32_t));
    sm_max_pool_forward(&shape, SM_F32, batch, input, output, NULL, THREADS);
    golden_compare(from, "output", output, 0.0);
    sm_max_pool_forward(&shape, SM_F32, batch, input, output, index, THREADS);
    golden_compare(from, "output", output, 0.0);
    sm_max_pool_backward(&shape, SM_F32, batch, grad_output, index, 0.0f, grad_input, THREADS);
    golden_compare(from, "grad_input", grad_input, rounding);
    sm_free(index);
}

static void max_pool_is_pytorchs(void)
{
    CU_ASSERT_TRUE(file && golden_for_each(file, "/max_pool", max_pool_case) >= 10);
}

static void resize_case(golden_case *from)
{
    sm_h5_info input_info, output_info;
    const float *input = golden_array(from, "input", &input_info);
    const float *grad_output = golden_array(from, "grad_output", &output_info);
    CU_ASSERT_FALSE_FATAL(from->broken);
    sm_resize_shape shape = {.height = (int)input_info.shape[1],
                             .width = (int)input_info.shape[2],
                             .out_height = (int)output_info.shape[1],
                             .out_width = (int)output_info.shape[2],
                             .channels = (int)input_info.shape[3],
                             .align_corners = golden_attribute(from, "align_corners")};
    int batch = (int)input_info.shape[0];
    float *output = golden_result(from, output_info.count), *grad_input = golden_result(from, input_info.count);
    void *workspace = golden_result(from, sm_resize_forward_workspace_bytes(&shape, THREADS) / sizeof(float));
    sm_resize_forward(&shape, batch, input, output, workspace, THREADS);
    golden_compare(from, "output", output, rounding);
    workspace = golden_result(from, sm_resize_backward_workspace_bytes(&shape) / sizeof(float));
    sm_resize_backward(&shape, batch, grad_output, 0.0f, grad_input, workspace, THREADS);
    golden_compare(from, "grad_input", grad_input, rounding);
}

static void resize_is_pytorchs(void)
{
    CU_ASSERT_TRUE(file && golden_for_each(file, "/resize", resize_case) >= 30);
}

static void global_average_pool_case(golden_case *from)
{
    sm_h5_info info, output_info;
    const float *input = golden_array(from, "input", &info);
    const float *grad_output = golden_array(from, "grad_output", &output_info);
    int batch = (int)info.shape[0], channels = (int)info.shape[3];
    size_t pixels = info.shape[1] * info.shape[2];
    float *output = golden_result(from, output_info.count), *grad_input = golden_result(from, info.count);
    sm_global_average_pool_forward(SM_F32, batch, pixels, channels, input, output, THREADS);
    golden_compare(from, "output", output, rounding);
    sm_global_average_pool_backward(SM_F32, batch, pixels, channels, grad_output, 0.0f, grad_input, THREADS);
    golden_compare(from, "grad_input", grad_input, rounding);
}

static void relu_case(golden_case *from)
{
    sm_h5_info info;
    const float *input = golden_array(from, "input", &info), *grad_output = golden_array(from, "grad_output", NULL);
    float *output = golden_result(from, info.count), *grad_input = golden_result(from, info.count);
    sm_relu_forward(SM_F32, info.count, input, output, THREADS);
    golden_compare(from, "output", output, 0.0);
    sm_relu_backward(SM_F32, info.count, output, grad_output, 0.0f, grad_input, THREADS);
    golden_compare(from, "grad_input", grad_input, 0.0);
}

static void add_case(golden_case *from)
{
    sm_h5_info info;
    const float *a = golden_array(from, "a", &info), *b = golden_array(from, "b", NULL);
    const float *grad_output = golden_array(from, "grad_output", NULL);
    float *output = golden_result(from, info.count), *gradient = golden_result(from, info.count);
    int relu = golden_attribute(from, "relu");
    sm_add_forward(SM_F32, info.count, a, b, relu, output, THREADS);
    golden_compare(from, "output", output, rounding);
    if (relu) {
        sm_relu_backward(SM_F32, info.count, output, grad_output, 0.0f, gradient, THREADS);
    } else {
        sm_accumulate(SM_F32, info.count, grad_output, 0.0f, gradient, THREADS);
    }
    golden_compare(from, "grad_a", gradient, 0.0);
    golden_compare(from, "grad_b", gradient, 0.0);
}

/* a and b have the size of the result, c is one vector an image. */
static void concat_case(golden_case *from)
{
    sm_h5_info a_info, b_info, c_info;
    const float *a = golden_array(from, "a", &a_info), *b = golden_array(from, "b", &b_info);
    const float *c = golden_array(from, "c", &c_info), *grad_output = golden_array(from, "grad_output", NULL);
    int na = (int)a_info.shape[3], nb = (int)b_info.shape[3], nc = (int)c_info.shape[3], total = na + nb + nc;
    int batch = (int)a_info.shape[0];
    size_t pixels = a_info.shape[1] * a_info.shape[2], rows = (size_t)batch * pixels;
    float *output = golden_result(from, rows * (size_t)total), *grad_a = golden_result(from, a_info.count);
    float *grad_b = golden_result(from, b_info.count), *grad_c = golden_result(from, c_info.count);
    sm_concat_copy(SM_F32, rows, na, a, total, 0, output, THREADS);
    sm_concat_copy(SM_F32, rows, nb, b, total, na, output, THREADS);
    sm_concat_broadcast(SM_F32, batch, pixels, nc, c, total, na + nb, output, THREADS);
    golden_compare(from, "output", output, 0.0);
    sm_concat_extract(SM_F32, rows, na, total, 0, grad_output, 0.0f, grad_a, THREADS);
    sm_concat_extract(SM_F32, rows, nb, total, na, grad_output, 0.0f, grad_b, THREADS);
    sm_concat_broadcast_backward(SM_F32, batch, pixels, nc, total, na + nb, grad_output, 0.0f, grad_c, THREADS);
    golden_compare(from, "grad_a", grad_a, 0.0);
    golden_compare(from, "grad_b", grad_b, 0.0);
    golden_compare(from, "grad_c", grad_c, rounding);
}

/* (rows, columns) -> (columns, rows) */
static float *transpose(golden_case *from, const float *matrix, int rows, int columns)
{
    float *result = golden_result(from, (size_t)rows * columns);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
            result[(size_t)c * rows + r] = matrix[(size_t)r * columns + c];
        }
    }
    return result;
}

static void linear_case(golden_case *from)
{
    sm_h5_info input_info, weight_info;
    const float *input = golden_array(from, "input", &input_info), *bias = golden_array(from, "bias", NULL);
    const float *file_weight = golden_array(from, "weight", &weight_info);
    const float *grad_output = golden_array(from, "grad_output", NULL);
    int batch = (int)input_info.shape[0], in = (int)weight_info.shape[1], out = (int)weight_info.shape[0];
    const float *weight = transpose(from, file_weight, out, in);
    float *output = golden_result(from, (size_t)batch * out), *grad_input = golden_result(from, input_info.count);
    float *grad_weight = golden_result(from, weight_info.count), *grad_bias = golden_result(from, (size_t)out);
    sm_linear_forward(batch, in, out, input, weight, bias, output, THREADS);
    sm_linear_backward_data(batch, in, out, grad_output, weight, 0.0f, grad_input, THREADS);
    sm_linear_backward_weight(batch, in, out, input, grad_output, 0.0f, grad_weight, THREADS);
    sm_linear_backward_bias(batch, out, grad_output, 0.0f, grad_bias, THREADS);
    golden_compare(from, "output", output, rounding);
    golden_compare(from, "grad_input", grad_input, rounding);
    golden_compare(from, "grad_weight", transpose(from, grad_weight, in, out), rounding);
    golden_compare(from, "grad_bias", grad_bias, rounding);
}

static void small_ops_are_pytorchs(void)
{
    CU_ASSERT_TRUE(file && golden_for_each(file, "/global_average_pool", global_average_pool_case) >= 4);
    CU_ASSERT_TRUE(file && golden_for_each(file, "/relu", relu_case) >= 4);
    CU_ASSERT_TRUE(file && golden_for_each(file, "/add", add_case) >= 8);
    CU_ASSERT_TRUE(file && golden_for_each(file, "/concat", concat_case) >= 4);
    CU_ASSERT_TRUE(file && golden_for_each(file, "/linear", linear_case) >= 4);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(golden_file_opens);
    SM_TEST_BY_SETS(conv2d_is_pytorchs_by_every_algorithm);
    SM_TEST_BY_SETS(batch_norm_is_pytorchs);
    SM_TEST_BY_SETS(max_pool_is_pytorchs);
    SM_TEST_BY_SETS(resize_is_pytorchs);
    SM_TEST_BY_SETS(small_ops_are_pytorchs);
    int failed = sm_test_end();
    (void)sm_h5_close(file);
    return failed;
}
