/* Fully connected layer on 1 x 1 values. */
#include <sigmatic/graph/lowering.h>
#include <sigmatic/ops/linear.h>

#include <math.h>
#include <stdio.h>

#define ADDRESS(i) sm_operand_address(run, call->operand[i])

typedef struct linear_config {
    int channels_in, channels_out;
} linear_config;

static sm_status infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    sm_value_shape input = graph->values[op->inputs[0]].shape;
    if (sm_value_pixels(input) != 1) {
        return sm_fail(SM_ERR_CONFIG, "%s: a linear layer takes 1x1 maps, found %dx%d", op->name, input.height,
                       input.width);
    }
    *output = (sm_value_shape){1, 1, ((const linear_config *)op->config)->channels_out};
    return SM_OK;
}

static double macs(const sm_graph *graph, const sm_op *op)
{
    (void)graph;
    const linear_config *config = op->config;
    return (double)config->channels_in * config->channels_out;
}

/* 0 input, 1 weight, 2 bias, 3 output */
static void run_forward(const sm_call *call, const sm_run *run)
{
    const linear_config *c = call->config;
    sm_linear_forward(run->batch, c->channels_in, c->channels_out, ADDRESS(0), ADDRESS(1), ADDRESS(2), ADDRESS(3),
                      run->threads);
}

/* Reproducible: BLIS takes its path, and with it the rounding, by the number of rows. */
static void run_forward_by_sample(const sm_call *call, const sm_run *run)
{
    const linear_config *c = call->config;
    const float *input = ADDRESS(0);
    float *output = ADDRESS(3);
    for (int i = 0; i < run->batch; i++) {
        sm_linear_forward(1, c->channels_in, c->channels_out, input + (size_t)i * c->channels_in, ADDRESS(1),
                          ADDRESS(2), output + (size_t)i * c->channels_out, run->threads);
    }
}

/* 0 grad_output, 1 weight or input, 2 result */
static void run_backward_data(const sm_call *call, const sm_run *run)
{
    const linear_config *c = call->config;
    sm_linear_backward_data(run->batch, c->channels_in, c->channels_out, ADDRESS(0), ADDRESS(1), call->beta, ADDRESS(2),
                            run->threads);
}

static void run_backward_data_by_sample(const sm_call *call, const sm_run *run)
{
    const linear_config *c = call->config;
    const float *grad_output = ADDRESS(0);
    float *result = ADDRESS(2);
    for (int i = 0; i < run->batch; i++) {
        sm_linear_backward_data(1, c->channels_in, c->channels_out, grad_output + (size_t)i * c->channels_out,
                                ADDRESS(1), call->beta, result + (size_t)i * c->channels_in, run->threads);
    }
}

static void weight_of_sample(const void *config, const sm_call *call, const sm_run *run, int sample, float *result)
{
    const linear_config *c = config;
    const float *grad_output = ADDRESS(0), *input = ADDRESS(1);
    sm_linear_backward_weight(1, c->channels_in, c->channels_out, input + (size_t)sample * c->channels_in,
                              grad_output + (size_t)sample * c->channels_out, 0, result, run->threads);
}

static void bias_of_sample(const void *config, const sm_call *call, const sm_run *run, int sample, float *result)
{
    const linear_config *c = config;
    const float *grad_output = ADDRESS(0);
    sm_linear_backward_bias(1, c->channels_out, grad_output + (size_t)sample * c->channels_out, 0, result,
                            run->threads);
}

static void run_backward_weight(const sm_call *call, const sm_run *run)
{
    const linear_config *c = call->config;
    sm_linear_backward_weight(run->batch, c->channels_in, c->channels_out, ADDRESS(1), ADDRESS(0),
                              sm_call_beta(call, run), ADDRESS(2), run->threads);
}

static void run_backward_bias(const sm_call *call, const sm_run *run)
{
    const linear_config *c = call->config;
    sm_linear_backward_bias(run->batch, c->channels_out, ADDRESS(0), sm_call_beta(call, run), ADDRESS(2), run->threads);
}

static void forward(sm_lowering *lowering, const sm_op *op)
{
    const linear_config *c = op->config;
    int by_sample = sm_lowering_options(lowering)->reproducible;
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_lowering_emit(lowering, &(sm_call){.run = by_sample ? run_forward_by_sample : run_forward,
                                          .label = "forward",
                                          .config = c,
                                          .macs = (double)c->channels_in * c->channels_out,
                                          .operand = {input, sm_lowering_parameter(lowering, op->parameters[0]),
                                                      sm_lowering_parameter(lowering, op->parameters[1]),
                                                      sm_lowering_define(lowering, op->output, -1)}});
}

static void emit_parameter_gradient(sm_lowering *lowering, int parameter, sm_call *call, sm_sample_summand *summand)
{
    call->parameter_gradient = 1;
    call->operand[2] = sm_lowering_gradient(lowering, parameter);
    if (sm_lowering_options(lowering)->reproducible) {
        sm_lowering_sum_samples(lowering, call, parameter, summand);
    }
    sm_lowering_emit(lowering, call);
}

static void backward(sm_lowering *lowering, const sm_op *op)
{
    const linear_config *c = op->config;
    int by_sample = sm_lowering_options(lowering)->reproducible;
    double count = (double)c->channels_in * c->channels_out;
    sm_operand grad_output = sm_lowering_value_gradient(lowering, op->output);
    if (sm_lowering_is_trained(lowering, op->parameters[1])) {
        sm_call call = {.run = run_backward_bias, .label = "backward bias", .config = c, .operand = {grad_output}};
        emit_parameter_gradient(lowering, op->parameters[1], &call, bias_of_sample);
    }
    if (sm_lowering_is_trained(lowering, op->parameters[0])) {
        sm_call call = {.run = run_backward_weight,
                        .label = "backward weight",
                        .config = c,
                        .macs = count,
                        .operand = {grad_output, sm_lowering_value(lowering, op->inputs[0])}};
        emit_parameter_gradient(lowering, op->parameters[0], &call, weight_of_sample);
    }
    if (sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        sm_call call = {.run = by_sample ? run_backward_data_by_sample : run_backward_data,
                        .label = "backward data",
                        .config = c,
                        .macs = count,
                        .operand = {grad_output, sm_lowering_parameter(lowering, op->parameters[0])}};
        call.operand[2] = sm_lowering_write_gradient(lowering, op->inputs[0], -1, &call.beta);
        sm_lowering_emit(lowering, &call);
    }
}

static const sm_op_kind sm_linear_kind = {.name = "linear",
                                          .saves_input = 1,
                                          .infer = infer,
                                          .macs = macs,
                                          .forward = forward,
                                          .backward = backward,
                                          .recompute = forward};

int sm_graph_linear(sm_graph *graph, int input, const char *name, int channels)
{
    if (sm_graph_status(graph) != SM_OK) {
        return -1;
    }
    linear_config config = {graph->values[input].shape.channels, channels};
    sm_slice weight = {.dimensions = 2,
                       .shape = {channels, config.channels_in},
                       .layout = SM_LAYOUT_LINEAR,
                       .initial_std = (float)sqrt(2.0 / config.channels_in),
                       .decay = 1,
                       .task = graph->task};
    sm_slice bias = {.dimensions = 1, .shape = {channels}, .task = graph->task};
    snprintf(weight.name, sizeof weight.name, "%s.weight", name);
    snprintf(bias.name, sizeof bias.name, "%s.bias", name);
    sm_op op = {.kind = &sm_linear_kind, .inputs = {input}, .input_count = 1, .parameter_count = 2};
    snprintf(op.name, sizeof op.name, "%s", name);
    op.parameters[0] = sm_parameters_add(graph->parameters, &weight);
    op.parameters[1] = sm_parameters_add(graph->parameters, &bias);
    return sm_graph_append(graph, &op, &config, sizeof config);
}
