#include "golden_shapes.h"

#include <sigmatic/base/memory.h>

float *golden_reorder_weight(golden_case *from, const float *weight, const sm_conv2d_shape *s, int to_file)
{
    int taps = s->kernel_height * s->kernel_width;
    float *result = golden_result(from, (size_t)taps * s->channels_in * s->channels_out);
    for (int o = 0; o < s->channels_out; o++) {
        for (int i = 0; i < s->channels_in; i++) {
            for (int t = 0; t < taps; t++) {
                size_t in_file = ((size_t)o * s->channels_in + i) * taps + t;
                size_t inside = ((size_t)t * s->channels_in + i) * s->channels_out + o;
                result[to_file ? in_file : inside] = weight[to_file ? inside : in_file];
            }
        }
    }
    return result;
}

sm_conv2d_shape golden_conv2d_shape(golden_case *from, const sm_h5_info *input, const sm_h5_info *output)
{
    return (sm_conv2d_shape){.height = (int)input->shape[1],
                             .width = (int)input->shape[2],
                             .channels_in = (int)input->shape[3],
                             .channels_out = (int)output->shape[3],
                             .kernel_height = golden_attribute(from, "kernel_height"),
                             .kernel_width = golden_attribute(from, "kernel_width"),
                             .stride_height = golden_attribute(from, "stride_height"),
                             .stride_width = golden_attribute(from, "stride_width"),
                             .dilation_height = golden_attribute(from, "dilation_height"),
                             .dilation_width = golden_attribute(from, "dilation_width"),
                             .pad_top = golden_attribute(from, "pad_top"),
                             .pad_left = golden_attribute(from, "pad_left"),
                             .pad_bottom = golden_attribute(from, "pad_bottom"),
                             .pad_right = golden_attribute(from, "pad_right")};
}

void golden_run_conv2d(const sm_conv2d_algorithm *algorithm, const sm_conv2d_shape *shape, sm_conv2d_pass pass,
                       sm_conv2d_operands operands, int threads)
{
    size_t prepared_bytes = algorithm->prepared_bytes ? algorithm->prepared_bytes(shape, pass) : 0;
    void *prepared = sm_alloc(prepared_bytes + 64);
    operands.workspace = sm_alloc(algorithm->workspace_bytes(shape, pass, operands.batch, threads) + 64);
    operands.threads = threads;
    if (prepared_bytes > 0) {
        algorithm->prepare(shape, pass, operands.weight, prepared, threads);
        operands.prepared = prepared;
    }
    algorithm->run(shape, pass, &operands);
    sm_free(prepared);
    sm_free(operands.workspace);
}

sm_max_pool_shape golden_max_pool_shape(golden_case *from, const sm_h5_info *input)
{
    return (sm_max_pool_shape){.height = (int)input->shape[1],
                               .width = (int)input->shape[2],
                               .channels = (int)input->shape[3],
                               .kernel_height = golden_attribute(from, "kernel_height"),
                               .kernel_width = golden_attribute(from, "kernel_width"),
                               .stride_height = golden_attribute(from, "stride_height"),
                               .stride_width = golden_attribute(from, "stride_width"),
                               .dilation_height = golden_attribute(from, "dilation_height"),
                               .dilation_width = golden_attribute(from, "dilation_width"),
                               .pad_top = golden_attribute(from, "pad_top"),
                               .pad_left = golden_attribute(from, "pad_left"),
                               .pad_bottom = golden_attribute(from, "pad_bottom"),
                               .pad_right = golden_attribute(from, "pad_right"),
                               .ceil_mode = golden_attribute(from, "ceil_mode")};
}
