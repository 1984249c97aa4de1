#include <sigmatic/ops/conv2d.h>

#include "ops/bf16_kernel.h"
#include "ops/conv2d_algorithms.h"
#include "ops/microkernel.h"

#include <string.h>

const char *const sm_conv2d_precision_names[] = {
    [SM_CONV2D_HIGHEST] = "highest", [SM_CONV2D_HIGH] = "high", [SM_CONV2D_BF16] = "bf16"};

const sm_conv2d_algorithm sm_conv2d_algorithms[] = {
    {.name = "implicit_gemm",
     .precision = SM_CONV2D_HIGHEST,
     .supports = sm_conv2d_direct_supports,
     .cost = sm_conv2d_gemm_cost,
     .macs = sm_conv2d_gemm_macs,
     .prepared_bytes = sm_conv2d_direct_prepared,
     .prepare = sm_conv2d_direct_prepare,
     .workspace_bytes = sm_conv2d_direct_workspace,
     .run = sm_conv2d_gemm_run},
    {.name = "taps",
     .precision = SM_CONV2D_HIGHEST,
     .supports = sm_conv2d_direct_supports,
     .cost = sm_conv2d_taps_cost,
     .macs = sm_conv2d_taps_macs,
     .prepared_bytes = sm_conv2d_direct_prepared,
     .prepare = sm_conv2d_direct_prepare,
     .workspace_bytes = sm_conv2d_direct_workspace,
     .run = sm_conv2d_taps_run},
    {.name = "bf16x3_gemm",
     .precision = SM_CONV2D_HIGHEST,
     .bf16_parts = 3,
     .supports = sm_conv2d_bf16x3_gemm_supports,
     .cost = sm_conv2d_bf16x3_gemm_cost,
     .macs = sm_conv2d_bf16x3_gemm_macs,
     .workspace_bytes = sm_conv2d_bf16_parts_workspace,
     .run = sm_conv2d_bf16x3_gemm_run},
    {.name = "bf16x3_taps",
     .precision = SM_CONV2D_HIGHEST,
     .bf16_parts = 3,
     .supports = sm_conv2d_bf16x3_taps_supports,
     .cost = sm_conv2d_bf16x3_taps_cost,
     .macs = sm_conv2d_bf16x3_taps_macs,
     .workspace_bytes = sm_conv2d_bf16_parts_workspace,
     .run = sm_conv2d_bf16x3_taps_run},
    {.name = "winograd2",
     .precision = SM_CONV2D_HIGHEST,
     .supports = sm_conv2d_winograd2_supports,
     .cost = sm_conv2d_winograd2_cost,
     .macs = sm_conv2d_winograd2_macs,
     .workspace_bytes = sm_conv2d_winograd2_workspace,
     .run = sm_conv2d_winograd2_run},
    {.name = "winograd4",
     .precision = SM_CONV2D_HIGH,
     .supports = sm_conv2d_winograd4_supports,
     .cost = sm_conv2d_winograd4_cost,
     .macs = sm_conv2d_winograd4_macs,
     .workspace_bytes = sm_conv2d_winograd4_workspace,
     .run = sm_conv2d_winograd4_run},
    {.name = "bf16x2_gemm",
     .precision = SM_CONV2D_HIGH,
     .bf16_parts = 2,
     .supports = sm_conv2d_bf16x2_gemm_supports,
     .cost = sm_conv2d_bf16x2_gemm_cost,
     .macs = sm_conv2d_bf16x2_gemm_macs,
     .workspace_bytes = sm_conv2d_bf16_parts_workspace,
     .run = sm_conv2d_bf16x2_gemm_run},
    {.name = "bf16x2_taps",
     .precision = SM_CONV2D_HIGH,
     .bf16_parts = 2,
     .supports = sm_conv2d_bf16x2_taps_supports,
     .cost = sm_conv2d_bf16x2_taps_cost,
     .macs = sm_conv2d_bf16x2_taps_macs,
     .workspace_bytes = sm_conv2d_bf16_parts_workspace,
     .run = sm_conv2d_bf16x2_taps_run},
    {.name = "bf16_gemm",
     .precision = SM_CONV2D_BF16,
     .bf16_parts = 1,
     .supports = sm_conv2d_bf16_gemm_supports,
     .cost = sm_conv2d_bf16_gemm_cost,
     .macs = sm_conv2d_bf16_gemm_macs,
     .workspace_bytes = sm_conv2d_bf16_workspace,
     .run = sm_conv2d_bf16_gemm_run},
    {.name = "bf16_taps",
     .precision = SM_CONV2D_BF16,
     .bf16_parts = 1,
     .supports = sm_conv2d_bf16_taps_supports,
     .cost = sm_conv2d_bf16_taps_cost,
     .macs = sm_conv2d_bf16_taps_macs,
     .workspace_bytes = sm_conv2d_bf16_workspace,
     .run = sm_conv2d_bf16_taps_run},
    {.name = "reference",
     .precision = SM_CONV2D_HIGHEST,
     .supports = sm_conv2d_reference_supports,
     .cost = sm_conv2d_reference_cost,
     .macs = sm_conv2d_reference_macs,
     .workspace_bytes = sm_conv2d_reference_workspace,
     .run = sm_conv2d_reference_run},
    {.name = NULL},
};

static int out_size(int size, int pad, int dilation, int kernel, int stride)
{
    int last = size + pad - dilation * (kernel - 1) - 1;
    return last < 0 ? 0 : last / stride + 1;
}

int sm_conv2d_infer(sm_conv2d_shape *shape)
{
    shape->out_height = out_size(shape->height, shape->pad_top + shape->pad_bottom, shape->dilation_height,
                                 shape->kernel_height, shape->stride_height);
    shape->out_width = out_size(shape->width, shape->pad_left + shape->pad_right, shape->dilation_width,
                                shape->kernel_width, shape->stride_width);
    return shape->out_height > 0 && shape->out_width > 0;
}

sm_conv2d_shape sm_conv2d_square(int height, int width, int channels_in, int channels_out, int kernel, int stride,
                                 int pad, int dilation)
{
    sm_conv2d_shape shape = {.height = height,
                             .width = width,
                             .channels_in = channels_in,
                             .channels_out = channels_out,
                             .kernel_height = kernel,
                             .kernel_width = kernel,
                             .stride_height = stride,
                             .stride_width = stride,
                             .dilation_height = dilation,
                             .dilation_width = dilation,
                             .pad_top = pad,
                             .pad_left = pad,
                             .pad_bottom = pad,
                             .pad_right = pad};
    sm_conv2d_infer(&shape);
    return shape;
}

const sm_conv2d_algorithm *sm_conv2d_find(const char *name)
{
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        if (strcmp(algorithm->name, name) == 0) {
            return algorithm;
        }
    }
    return NULL;
}

const char *sm_conv2d_instructions(const sm_conv2d_algorithm *algorithm)
{
    if (algorithm->run == sm_conv2d_reference_run) {
        return "plain";
    }
    return algorithm->bf16_parts ? sm_bf16_kernel_get(algorithm->bf16_parts)->name : sm_microkernel_get()->name;
}

static int is_allowed(const sm_conv2d_algorithm *algorithm, sm_conv2d_precision precision)
{
    return precision == SM_CONV2D_BF16 ? algorithm->precision == precision : algorithm->precision <= precision;
}

const sm_conv2d_algorithm *sm_conv2d_choose(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch,
                                            sm_conv2d_precision precision)
{
    const sm_conv2d_algorithm *best = NULL, *last_resort = sm_conv2d_find("reference");
    double least = 0;
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        if (algorithm == last_resort || !is_allowed(algorithm, precision) || !algorithm->supports(shape, pass)) {
            continue;
        }
        double cost = algorithm->cost(shape, pass, batch);
        if (!best || cost < least) {
            best = algorithm;
            least = cost;
        }
    }
    return best ? best : last_resort;
}
