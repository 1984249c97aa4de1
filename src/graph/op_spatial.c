/* Max pool, global average pool, bilinear resize and concatenation: ops without parameters that change the shape. */
#include <sigmatic/graph/lowering.h>
#include <sigmatic/ops/concat.h>
#include <sigmatic/ops/global_average_pool.h>
#include <sigmatic/ops/max_pool.h>
#include <sigmatic/ops/resize.h>

#include "graph/op_kinds.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS(i) sm_operand_address(run, call->operand[i])

static sm_value_shape shape_of(const sm_graph *graph, const sm_op *op, int input)
{
    return graph->values[op->inputs[input]].shape;
}

/* ---- max pool: 0 input, 1 output, 2 index; backward 0 grad_output, 1 index, 2 result ---- */

typedef struct pool_options {
    int kernel, stride, pad;
} pool_options;

static sm_max_pool_shape pool_shape(const sm_graph *graph, const sm_op *op)
{
    const pool_options *options = op->config;
    sm_value_shape input = shape_of(graph, op, 0);
    return sm_max_pool_square(input.height, input.width, input.channels, options->kernel, options->stride,
                              options->pad);
}

static sm_status pool_infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    sm_max_pool_shape shape = pool_shape(graph, op);
    if (!sm_max_pool_infer(&shape)) {
        return sm_fail(SM_ERR_CONFIG, "%s: a %dx%d window does not fit a %dx%d map", op->name, shape.kernel_height,
                       shape.kernel_width, shape.height, shape.width);
    }
    *output = (sm_value_shape){shape.out_height, shape.out_width, shape.channels};
    return SM_OK;
}

typedef struct pool_config {
    sm_max_pool_shape shape;
    sm_dtype type;
} pool_config;

static const void *pool_config_of(sm_lowering *lowering, const sm_op *op)
{
    pool_config config = {pool_shape(sm_lowering_graph(lowering), op), sm_lowering_type(lowering, op->output)};
    sm_max_pool_infer(&config.shape);
    return sm_lowering_config(lowering, &config, sizeof config);
}

/* A map that is pooled to a vector is of floats, as its vector is. */
static sm_map_types pool_types(const sm_graph *graph, const sm_op *op, const sm_plan_options *options)
{
    (void)options;
    return sm_value_pixels(graph->values[op->output].shape) == 1 ? SM_MAPS_FLOAT : SM_MAPS_ALIKE;
}

static void run_pool(const sm_call *call, const sm_run *run)
{
    const pool_config *config = call->config;
    sm_max_pool_forward(&config->shape, config->type, run->batch, ADDRESS(0), ADDRESS(1), ADDRESS(2), run->threads);
}

static void run_pool_backward(const sm_call *call, const sm_run *run)
{
    const pool_config *config = call->config;
    sm_max_pool_backward(&config->shape, config->type, run->batch, ADDRESS(0), ADDRESS(1), call->beta, ADDRESS(2),
                         run->threads);
}

static void pool_forward(sm_lowering *lowering, const sm_op *op)
{
    const sm_graph *graph = sm_lowering_graph(lowering);
    sm_operand *index = sm_lowering_state(lowering, op, sizeof *index);
    *index = sm_lowering_none();
    if (sm_lowering_options(lowering)->training && sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        *index = sm_lowering_buffer(lowering, sm_value_elements(graph->values[op->output].shape) * sizeof(int32_t), 0);
    }
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_lowering_emit(lowering, &(sm_call){.run = run_pool,
                                          .label = "forward",
                                          .config = pool_config_of(lowering, op),
                                          .operand = {input, sm_lowering_define(lowering, op->output, -1), *index}});
}

static void pool_backward(sm_lowering *lowering, const sm_op *op)
{
    if (!sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        return;
    }
    sm_call call = {.run = run_pool_backward,
                    .label = "backward",
                    .config = pool_config_of(lowering, op),
                    .operand = {sm_lowering_value_gradient(lowering, op->output),
                                *(sm_operand *)sm_lowering_state(lowering, op, sizeof(sm_operand))}};
    call.operand[2] = sm_lowering_write_gradient(lowering, op->inputs[0], -1, &call.beta);
    sm_lowering_emit(lowering, &call);
}

static const sm_op_kind sm_max_pool_kind = {.name = "max_pool",
                                            .infer = pool_infer,
                                            .types = pool_types,
                                            .forward = pool_forward,
                                            .backward = pool_backward,
                                            .recompute = pool_forward};

int sm_graph_max_pool(sm_graph *graph, int input, int kernel, int stride, int pad)
{
    pool_options options = {kernel, stride, pad};
    return sm_graph_append(graph,
                           &(sm_op){.kind = &sm_max_pool_kind, .name = "max_pool", .inputs = {input}, .input_count = 1},
                           &options, sizeof options);
}

/* ---- global average pool: 0 input, 1 output; backward 0 grad_output, 1 result ---- */

static sm_status average_infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    *output = (sm_value_shape){1, 1, shape_of(graph, op, 0).channels};
    return SM_OK;
}

typedef struct average_config {
    sm_dtype type; /* of the map */
    size_t pixels;
    int channels;
} average_config;

static void run_average(const sm_call *call, const sm_run *run)
{
    const average_config *config = call->config;
    sm_global_average_pool_forward(config->type, run->batch, config->pixels, config->channels, ADDRESS(0), ADDRESS(1),
                                   run->threads);
}

static void run_average_backward(const sm_call *call, const sm_run *run)
{
    const average_config *config = call->config;
    sm_global_average_pool_backward(config->type, run->batch, config->pixels, config->channels, ADDRESS(0), call->beta,
                                    ADDRESS(1), run->threads);
}

static const void *average_config_of(sm_lowering *lowering, const sm_op *op)
{
    sm_value_shape shape = shape_of(sm_lowering_graph(lowering), op, 0);
    average_config config = {sm_lowering_type(lowering, op->inputs[0]), sm_value_pixels(shape), shape.channels};
    return sm_lowering_config(lowering, &config, sizeof config);
}

static void average_forward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_lowering_emit(lowering, &(sm_call){.run = run_average,
                                          .label = "forward",
                                          .config = average_config_of(lowering, op),
                                          .operand = {input, sm_lowering_define(lowering, op->output, -1)}});
}

static void average_backward(sm_lowering *lowering, const sm_op *op)
{
    if (!sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        return;
    }
    sm_call call = {.run = run_average_backward,
                    .label = "backward",
                    .config = average_config_of(lowering, op),
                    .operand = {sm_lowering_value_gradient(lowering, op->output)}};
    call.operand[1] = sm_lowering_write_gradient(lowering, op->inputs[0], -1, &call.beta);
    sm_lowering_emit(lowering, &call);
}

static const sm_op_kind sm_global_average_pool_kind = {.name = "global_average_pool",
                                                       .infer = average_infer,
                                                       .types = sm_maps_alike,
                                                       .forward = average_forward,
                                                       .backward = average_backward,
                                                       .recompute = average_forward};

int sm_graph_global_average_pool(sm_graph *graph, int input)
{
    return sm_graph_append(
        graph,
        &(sm_op){
            .kind = &sm_global_average_pool_kind, .name = "global_average_pool", .inputs = {input}, .input_count = 1},
        NULL, 0);
}

/* ---- bilinear resize: 0 input, 1 output; backward 0 grad_output, 1 result ---- */

typedef struct resize_options {
    int height, width, align_corners;
} resize_options;

static sm_status resize_infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    const resize_options *options = op->config;
    *output = (sm_value_shape){options->height, options->width, shape_of(graph, op, 0).channels};
    return SM_OK;
}

static sm_resize_shape resize_shape(const sm_graph *graph, const sm_op *op)
{
    const resize_options *options = op->config;
    sm_value_shape input = shape_of(graph, op, 0);
    return (sm_resize_shape){input.height,   input.width,    options->height,
                             options->width, input.channels, options->align_corners};
}

static void run_resize(const sm_call *call, const sm_run *run)
{
    sm_resize_forward(call->config, run->batch, ADDRESS(0), ADDRESS(1), run->base[SM_REGION_WORKSPACE], run->threads);
}

static void run_resize_backward(const sm_call *call, const sm_run *run)
{
    sm_resize_backward(call->config, run->batch, ADDRESS(0), call->beta, ADDRESS(1), run->base[SM_REGION_WORKSPACE],
                       run->threads);
}

static void resize_forward(sm_lowering *lowering, const sm_op *op)
{
    sm_resize_shape shape = resize_shape(sm_lowering_graph(lowering), op);
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_lowering_emit(lowering, &(sm_call){.run = run_resize,
                                          .label = "forward",
                                          .config = sm_lowering_config(lowering, &shape, sizeof shape),
                                          .workspace_bytes = sm_resize_forward_workspace_bytes(
                                              &shape, sm_lowering_options(lowering)->threads),
                                          .operand = {input, sm_lowering_define(lowering, op->output, -1)}});
}

static void resize_backward(sm_lowering *lowering, const sm_op *op)
{
    if (!sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        return;
    }
    sm_resize_shape shape = resize_shape(sm_lowering_graph(lowering), op);
    sm_call call = {.run = run_resize_backward,
                    .label = "backward",
                    .config = sm_lowering_config(lowering, &shape, sizeof shape),
                    .workspace_bytes = sm_resize_backward_workspace_bytes(&shape),
                    .operand = {sm_lowering_value_gradient(lowering, op->output)}};
    call.operand[1] = sm_lowering_write_gradient(lowering, op->inputs[0], -1, &call.beta);
    sm_lowering_emit(lowering, &call);
}

static const sm_op_kind sm_resize_kind = {.name = "resize",
                                          .infer = resize_infer,
                                          .forward = resize_forward,
                                          .backward = resize_backward,
                                          .recompute = resize_forward};

int sm_graph_resize(sm_graph *graph, int input, int height, int width, int align_corners)
{
    resize_options options = {height, width, align_corners};
    return sm_graph_append(graph,
                           &(sm_op){.kind = &sm_resize_kind, .name = "resize", .inputs = {input}, .input_count = 1},
                           &options, sizeof options);
}

/* ---- concat: 0 part, 1 whole; a 1 x 1 part is spread over the pixels ---- */

typedef struct part_config {
    sm_dtype type; /* of maps */
    size_t pixels;
    int channels, channels_total, offset, spread;
} part_config;

static sm_status concat_infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    *output = shape_of(graph, op, 0);
    for (int i = 1; i < op->input_count; i++) {
        sm_value_shape part = shape_of(graph, op, i);
        if ((part.height != output->height || part.width != output->width) && sm_value_pixels(part) != 1) {
            return sm_fail(SM_ERR_CONFIG, "%s: part %d is %dx%d, part 0 is %dx%d", op->name, i, part.height, part.width,
                           output->height, output->width);
        }
        output->channels += part.channels;
    }
    return SM_OK;
}

static void run_part(const sm_call *call, const sm_run *run)
{
    const part_config *c = call->config;
    if (c->spread) {
        sm_concat_broadcast(c->type, run->batch, c->pixels, c->channels, ADDRESS(0), c->channels_total, c->offset,
                            ADDRESS(1), run->threads);
    } else {
        sm_concat_copy(c->type, (size_t)run->batch * c->pixels, c->channels, ADDRESS(0), c->channels_total, c->offset,
                       ADDRESS(1), run->threads);
    }
}

static void run_part_backward(const sm_call *call, const sm_run *run)
{
    const part_config *c = call->config;
    if (c->spread) {
        sm_concat_broadcast_backward(c->type, run->batch, c->pixels, c->channels, c->channels_total, c->offset,
                                     ADDRESS(1), call->beta, ADDRESS(0), run->threads);
    } else {
        sm_concat_extract(c->type, (size_t)run->batch * c->pixels, c->channels, c->channels_total, c->offset,
                          ADDRESS(1), call->beta, ADDRESS(0), run->threads);
    }
}

static const void *part_config_of(sm_lowering *lowering, const sm_op *op, int input, int offset)
{
    const sm_graph *graph = sm_lowering_graph(lowering);
    sm_value_shape whole = graph->values[op->output].shape, part = shape_of(graph, op, input);
    part_config config = {sm_lowering_type(lowering, op->output),
                          sm_value_pixels(whole),
                          part.channels,
                          whole.channels,
                          offset,
                          sm_value_pixels(part) == 1 && sm_value_pixels(whole) > 1};
    return sm_lowering_config(lowering, &config, sizeof config);
}

static void concat_forward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand whole = sm_lowering_define(lowering, op->output, -1);
    for (int i = 0, offset = 0; i < op->input_count;
         offset += shape_of(sm_lowering_graph(lowering), op, i++).channels) {
        sm_lowering_emit(lowering, &(sm_call){.run = run_part,
                                              .label = "forward",
                                              .config = part_config_of(lowering, op, i, offset),
                                              .operand = {sm_lowering_value(lowering, op->inputs[i]), whole}});
    }
}

static void concat_backward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand whole = sm_lowering_value_gradient(lowering, op->output);
    for (int i = 0, offset = 0; i < op->input_count;
         offset += shape_of(sm_lowering_graph(lowering), op, i++).channels) {
        if (sm_lowering_wants_gradient(lowering, op->inputs[i])) {
            sm_call call = {
                .run = run_part_backward, .label = "backward", .config = part_config_of(lowering, op, i, offset)};
            call.operand[0] = sm_lowering_write_gradient(lowering, op->inputs[i], -1, &call.beta);
            call.operand[1] = whole;
            sm_lowering_emit(lowering, &call);
        }
    }
}

static const sm_op_kind sm_concat_kind = {.name = "concat",
                                          .infer = concat_infer,
                                          .types = sm_maps_alike,
                                          .forward = concat_forward,
                                          .backward = concat_backward,
                                          .recompute = concat_forward};

int sm_graph_concat(sm_graph *graph, const int *inputs, int count)
{
    sm_op op = {.kind = &sm_concat_kind, .name = "concat", .input_count = count};
    memcpy(op.inputs, inputs, (size_t)count * sizeof *inputs);
    return sm_graph_append(graph, &op, NULL, 0);
}
