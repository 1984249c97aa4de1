/* Convolution: forward, data gradient, weight gradient and bias gradient are steps of their own, each with the algorithm that suits its shape. */
#include <sigmatic/graph/lowering.h>
#include <sigmatic/ops/conv2d.h>

#include <math.h>
#include <stdio.h>

typedef struct pass_config {
    sm_conv2d_shape shape;
    sm_conv2d_pass pass;
    const sm_conv2d_algorithm *algorithm;
} pass_config;

static sm_conv2d_shape shape_of(const sm_graph *graph, const sm_op *op)
{
    const sm_conv2d_options *options = op->config;
    sm_value_shape input = graph->values[op->inputs[0]].shape;
    return sm_conv2d_square(input.height, input.width, input.channels, options->channels, options->kernel,
                            options->stride, options->pad, options->dilation);
}

static sm_status infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    sm_conv2d_shape shape = shape_of(graph, op);
    if (!sm_conv2d_infer(&shape)) {
        return sm_fail(SM_ERR_CONFIG, "%s: a %dx%d kernel with dilation %d and padding %d does not fit a %dx%d map",
                       op->name, shape.kernel_height, shape.kernel_width, shape.dilation_height, shape.pad_top,
                       shape.height, shape.width);
    }
    *output = (sm_value_shape){shape.out_height, shape.out_width, shape.channels_out};
    return SM_OK;
}

static double macs_of(const sm_conv2d_shape *shape)
{
    return (double)shape->out_height * shape->out_width * shape->channels_out * shape->kernel_height *
           shape->kernel_width * shape->channels_in;
}

static double macs(const sm_graph *graph, const sm_op *op)
{
    sm_conv2d_shape shape = shape_of(graph, op);
    sm_conv2d_infer(&shape);
    return macs_of(&shape);
}

/* Operands: 0 input, 1 weight, 2 packed weight, 3 bias, 4 grad_output, 5 result, 6 workspace */
static void run_pass(const sm_step *step, const sm_run *run)
{
    const pass_config *config = step->config;
    const sm_conv2d_operands operands = {
        .batch = run->batch,
        .input = sm_operand_address(run, step->operand[0]),
        .weight = sm_operand_address(run, step->operand[1]),
        .prepared = sm_operand_address(run, step->operand[2]),
        .bias = sm_operand_address(run, step->operand[3]),
        .grad_output = sm_operand_address(run, step->operand[4]),
        .result = sm_operand_address(run, step->operand[5]),
        .beta = sm_step_beta(step, run),
        .workspace = run->base[SM_REGION_WORKSPACE],
        .threads = run->threads,
    };
    config->algorithm->run(&config->shape, config->pass, &operands);
}

static void run_prepare(const sm_step *step, const sm_run *run)
{
    const pass_config *config = step->config;
    config->algorithm->prepare(&config->shape, config->pass, sm_operand_address(run, step->operand[1]),
                               sm_operand_address(run, step->operand[2]), run->threads);
}

static void run_bias(const sm_step *step, const sm_run *run)
{
    const pass_config *config = step->config;
    size_t rows = (size_t)run->batch * (size_t)config->shape.out_height * (size_t)config->shape.out_width;
    sm_bias_backward(rows, config->shape.channels_out, sm_operand_address(run, step->operand[4]),
                     sm_step_beta(step, run), sm_operand_address(run, step->operand[5]), run->threads);
}

/* The same of one sample, for sums in an order that does not depend on the batch. */
static void weight_of_sample(const void *config, const sm_step *step, const sm_run *run, int sample, float *result)
{
    const pass_config *c = config;
    const sm_conv2d_shape *s = &c->shape;
    size_t input = (size_t)s->height * (size_t)s->width * (size_t)s->channels_in;
    size_t output = (size_t)s->out_height * (size_t)s->out_width * (size_t)s->channels_out;
    const sm_conv2d_operands operands = {
        .batch = 1,
        .input = (const float *)sm_operand_address(run, step->operand[0]) + (size_t)sample * input,
        .grad_output = (const float *)sm_operand_address(run, step->operand[4]) + (size_t)sample * output,
        .result = result,
        .workspace = run->base[SM_REGION_WORKSPACE],
        .threads = run->threads,
    };
    c->algorithm->run(s, c->pass, &operands);
}

static void bias_of_sample(const void *config, const sm_step *step, const sm_run *run, int sample, float *result)
{
    const sm_conv2d_shape *s = &((const pass_config *)config)->shape;
    size_t rows = (size_t)s->out_height * (size_t)s->out_width, floats = rows * (size_t)s->channels_out;
    const float *grad_output = sm_operand_address(run, step->operand[4]);
    sm_bias_backward(rows, s->channels_out, grad_output + (size_t)sample * floats, 0, result, run->threads);
}

static const sm_conv2d_algorithm *choose(const sm_plan_options *options, const sm_conv2d_shape *shape,
                                         sm_conv2d_pass pass)
{
    const sm_conv2d_algorithm *named = options->conv2d_algorithm ? sm_conv2d_find(options->conv2d_algorithm) : NULL;
    if (named && named->supports(shape, pass)) {
        return named;
    }
    int one_by_one = options->reproducible && pass == SM_CONV2D_BACKWARD_WEIGHT;
    return sm_conv2d_choose(shape, pass, one_by_one ? 1 : options->batch_typical, options->precision);
}

static const char *const pass_labels[SM_CONV2D_PASSES] = {"forward", "backward data", "backward weight"};

/* Fills in what all passes have in common; the caller adds the operands of its pass. */
static sm_step pass_step(sm_lowering *lowering, const sm_op *op, sm_conv2d_pass pass)
{
    const sm_plan_options *options = sm_lowering_options(lowering);
    pass_config config = {.shape = shape_of(sm_lowering_graph(lowering), op), .pass = pass};
    sm_conv2d_infer(&config.shape);
    config.algorithm = choose(options, &config.shape, pass);
    sm_step step = {.run = run_pass, .label = pass_labels[pass], .algorithm = config.algorithm->name};
    step.config = sm_lowering_config(lowering, &config, sizeof config);
    step.macs = macs_of(&config.shape);
    step.macs_executed = config.algorithm->macs(&config.shape, pass);
    step.workspace_bytes = config.algorithm->workspace_bytes(&config.shape, pass, options->capacity, options->threads);
    size_t prepared = config.algorithm->prepared_bytes ? config.algorithm->prepared_bytes(&config.shape, pass) : 0;
    if (pass != SM_CONV2D_BACKWARD_WEIGHT) {
        step.operand[1] = sm_lowering_parameter(lowering, op->parameters[0]);
        if (prepared > 0) {
            step.operand[2] = sm_lowering_prepared(lowering, prepared);
            sm_step prepare = step;
            prepare.run = run_prepare;
            prepare.label = "pack weights";
            prepare.macs = prepare.macs_executed = 0;
            sm_lowering_emit_prepare(lowering, &prepare);
        }
    }
    return step;
}

static void forward(sm_lowering *lowering, const sm_op *op)
{
    sm_step step = pass_step(lowering, op, SM_CONV2D_FORWARD);
    step.operand[0] = sm_lowering_value(lowering, op->inputs[0]);
    if (op->parameter_count > 1) {
        step.operand[3] = sm_lowering_parameter(lowering, op->parameters[1]);
    }
    step.operand[5] = sm_lowering_define(lowering, op->output, -1);
    sm_lowering_emit(lowering, &step);
}

/* Bias, weights, data: the flat gradient is laid out in this order, so that it is complete from its start. */
static void backward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand grad_output = sm_lowering_value_gradient(lowering, op->output);
    if (op->parameter_count > 1 && sm_lowering_is_trained(lowering, op->parameters[1])) {
        sm_step step = pass_step(lowering, op, SM_CONV2D_BACKWARD_WEIGHT);
        step.run = run_bias;
        step.label = "backward bias";
        step.algorithm = NULL;
        step.macs = step.macs_executed = 0;
        step.operand[4] = grad_output;
        step.operand[5] = sm_lowering_gradient(lowering, op->parameters[1]);
        step.parameter_gradient = 1;
        if (sm_lowering_options(lowering)->reproducible) {
            sm_lowering_sum_samples(lowering, &step, op->parameters[1], bias_of_sample);
        }
        sm_lowering_emit(lowering, &step);
    }
    if (sm_lowering_is_trained(lowering, op->parameters[0])) {
        sm_step step = pass_step(lowering, op, SM_CONV2D_BACKWARD_WEIGHT);
        step.operand[0] = sm_lowering_value(lowering, op->inputs[0]);
        step.operand[4] = grad_output;
        step.operand[5] = sm_lowering_gradient(lowering, op->parameters[0]);
        step.parameter_gradient = 1;
        if (sm_lowering_options(lowering)->reproducible) {
            sm_lowering_sum_samples(lowering, &step, op->parameters[0], weight_of_sample);
        }
        sm_lowering_emit(lowering, &step);
    }
    if (sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        sm_step step = pass_step(lowering, op, SM_CONV2D_BACKWARD_DATA);
        step.operand[4] = grad_output;
        step.operand[5] = sm_lowering_write_gradient(lowering, op->inputs[0], -1, &step.beta);
        sm_lowering_emit(lowering, &step);
    }
}

static const sm_op_kind sm_conv2d_kind = {.name = "conv2d",
                                          .saves_input = 1,
                                          .infer = infer,
                                          .macs = macs,
                                          .forward = forward,
                                          .backward = backward,
                                          .recompute = forward};

int sm_graph_conv2d(sm_graph *graph, int input, const char *name, const sm_conv2d_options *options)
{
    if (sm_graph_status(graph) != SM_OK) {
        return -1;
    }
    int channels_in = graph->values[input].shape.channels, kernel = options->kernel;
    double fan_out = (double)options->channels * kernel * kernel;
    sm_slice weight = {.dimensions = 4,
                       .shape = {options->channels, channels_in, kernel, kernel},
                       .layout = SM_LAYOUT_CONV2D,
                       .initial_std = (float)(options->initial_std > 0 ? options->initial_std : sqrt(2 / fan_out)),
                       .decay = 1,
                       .task = graph->task};
    snprintf(weight.name, sizeof weight.name, "%s.weight", name);
    sm_op op = {.kind = &sm_conv2d_kind, .inputs = {input}, .input_count = 1, .parameter_count = options->bias ? 2 : 1};
    snprintf(op.name, sizeof op.name, "%s", name);
    op.parameters[0] = sm_parameters_add(graph->parameters, &weight);
    if (options->bias) {
        sm_slice bias = {.dimensions = 1, .shape = {options->channels}, .task = graph->task};
        snprintf(bias.name, sizeof bias.name, "%s.bias", name);
        op.parameters[1] = sm_parameters_add(graph->parameters, &bias);
    }
    return sm_graph_append(graph, &op, options, sizeof *options);
}
