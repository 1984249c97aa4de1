/* ReLU, add and dropout: a value in, a value of the same shape out. */
#include <sigmatic/graph/lowering.h>
#include <sigmatic/ops/add.h>
#include <sigmatic/ops/dropout.h>
#include <sigmatic/ops/relu.h>

#include "graph/op_kinds.h"

#include <stdio.h>

#define ADDRESS(i) sm_operand_address(run, call->operand[i])

static sm_status infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    sm_value_shape first = graph->values[op->inputs[0]].shape;
    for (int i = 1; i < op->input_count; i++) {
        sm_value_shape shape = graph->values[op->inputs[i]].shape;
        if (shape.height != first.height || shape.width != first.width || shape.channels != first.channels) {
            return sm_fail(SM_ERR_CONFIG, "%s: %dx%dx%d and %dx%dx%d cannot be added", op->name, first.height,
                           first.width, first.channels, shape.height, shape.width, shape.channels);
        }
    }
    *output = first;
    return SM_OK;
}

/* The config of the calls of ReLU and add. */
static const void *extent_of(sm_lowering *lowering, const sm_op *op)
{
    sm_extent extent = sm_lowering_extent(lowering, op->output);
    return sm_lowering_config(lowering, &extent, sizeof extent);
}

static size_t count_of(const sm_call *call, const sm_run *run)
{
    return ((const sm_extent *)call->config)->elements * (size_t)run->batch;
}

static sm_dtype type_of(const sm_call *call)
{
    return ((const sm_extent *)call->config)->type;
}

/* ---- ReLU: 0 input, 1 output; backward 0 output, 1 grad_output, 2 result ---- */

static void run_relu(const sm_call *call, const sm_run *run)
{
    sm_relu_forward(type_of(call), count_of(call, run), ADDRESS(0), ADDRESS(1), run->threads);
}

static void run_relu_backward(const sm_call *call, const sm_run *run)
{
    sm_relu_backward(type_of(call), count_of(call, run), ADDRESS(0), ADDRESS(1), call->beta, ADDRESS(2), run->threads);
}

static void relu_forward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_operand output = sm_lowering_define(lowering, op->output, op->inputs[0]);
    sm_lowering_emit(
        lowering,
        &(sm_call){.run = run_relu, .label = "forward", .config = extent_of(lowering, op), .operand = {input, output}});
}

static void relu_backward(sm_lowering *lowering, const sm_op *op)
{
    sm_call call = {
        .run = run_relu_backward,
        .label = "backward",
        .config = extent_of(lowering, op),
        .operand = {sm_lowering_value(lowering, op->output), sm_lowering_value_gradient(lowering, op->output)}};
    call.operand[2] = sm_lowering_write_gradient(lowering, op->inputs[0], op->output, &call.beta);
    sm_lowering_emit(lowering, &call);
}

const sm_op_kind sm_relu_kind = {.name = "relu",
                                 .saves_output = 1,
                                 .infer = infer,
                                 .types = sm_maps_alike,
                                 .forward = relu_forward,
                                 .backward = relu_backward,
                                 .recompute = relu_forward};

int sm_graph_relu(sm_graph *graph, int input)
{
    return sm_graph_append(graph, &(sm_op){.kind = &sm_relu_kind, .name = "relu", .inputs = {input}, .input_count = 1},
                           NULL, 0);
}

/* ---- Add: 0 a, 1 b, 2 output ---- */

static void run_add(const sm_call *call, const sm_run *run)
{
    sm_add_forward(type_of(call), count_of(call, run), ADDRESS(0), ADDRESS(1), 0, ADDRESS(2), run->threads);
}

static void add_forward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand a = sm_lowering_value(lowering, op->inputs[0]), b = sm_lowering_value(lowering, op->inputs[1]);
    sm_operand output = sm_lowering_define(lowering, op->output, op->inputs[0]);
    sm_lowering_emit(
        lowering,
        &(sm_call){.run = run_add, .label = "forward", .config = extent_of(lowering, op), .operand = {a, b, output}});
}

static void add_backward(sm_lowering *lowering, const sm_op *op)
{
    sm_lowering_pass_gradient(lowering, op->inputs[0], op->output);
    sm_lowering_pass_gradient(lowering, op->inputs[1], op->output);
}

const sm_op_kind sm_add_kind = {.name = "add",
                                .infer = infer,
                                .types = sm_maps_alike,
                                .forward = add_forward,
                                .backward = add_backward,
                                .recompute = add_forward};

int sm_graph_add(sm_graph *graph, int a, int b)
{
    return sm_graph_append(graph, &(sm_op){.kind = &sm_add_kind, .name = "add", .inputs = {a, b}, .input_count = 2},
                           NULL, 0);
}

/* ---- Dropout: 0 input, 1 output; the identity when not training, unless it is kept ---- */

typedef struct dropout_config {
    size_t floats;
    float probability;
} dropout_config;

static sm_dropout mask_of(const sm_call *call, const sm_run *run)
{
    const dropout_config *config = call->config;
    return (sm_dropout){config->probability, run->seed, (uint32_t)run->step, (uint32_t)call->op};
}

static void run_dropout(const sm_call *call, const sm_run *run)
{
    sm_dropout mask = mask_of(call, run);
    sm_dropout_forward(&mask, (uint32_t)run->first_sample, run->batch, ((const dropout_config *)call->config)->floats,
                       ADDRESS(0), ADDRESS(1), run->threads);
}

static void run_dropout_backward(const sm_call *call, const sm_run *run)
{
    sm_dropout mask = mask_of(call, run);
    sm_dropout_backward(&mask, (uint32_t)run->first_sample, run->batch, ((const dropout_config *)call->config)->floats,
                        ADDRESS(0), call->beta, ADDRESS(1), run->threads);
}

static int drops(sm_lowering *lowering)
{
    return sm_lowering_options(lowering)->training || sm_lowering_options(lowering)->keep_dropout;
}

static const void *dropout_config_of(sm_lowering *lowering, const sm_op *op)
{
    dropout_config config = {sm_value_elements(sm_lowering_graph(lowering)->values[op->output].shape),
                             drops(lowering) ? *(const float *)op->config : 0};
    return sm_lowering_config(lowering, &config, sizeof config);
}

static void dropout_forward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_operand output = sm_lowering_define(lowering, op->output, op->inputs[0]);
    if (drops(lowering) || output.buffer != input.buffer) {
        sm_lowering_emit(lowering, &(sm_call){.run = run_dropout,
                                              .label = "forward",
                                              .config = dropout_config_of(lowering, op),
                                              .operand = {input, output}});
    }
}

static void dropout_backward(sm_lowering *lowering, const sm_op *op)
{
    sm_call call = {.run = run_dropout_backward,
                    .label = "backward",
                    .config = dropout_config_of(lowering, op),
                    .operand = {sm_lowering_value_gradient(lowering, op->output)}};
    call.operand[1] = sm_lowering_write_gradient(lowering, op->inputs[0], op->output, &call.beta);
    sm_lowering_emit(lowering, &call);
}

static const sm_op_kind sm_dropout_kind = {.name = "dropout",
                                           .infer = infer,
                                           .forward = dropout_forward,
                                           .backward = dropout_backward,
                                           .recompute = dropout_forward};

int sm_graph_dropout(sm_graph *graph, int input, double probability)
{
    float config = (float)probability;
    return sm_graph_append(graph,
                           &(sm_op){.kind = &sm_dropout_kind, .name = "dropout", .inputs = {input}, .input_count = 1},
                           &config, sizeof config);
}
