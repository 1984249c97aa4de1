/* Convolution: forward, data gradient, weight gradient and bias gradient are calls of their own, each with the algorithm that suits its shape.
 * What a second input adds, a vector that stands at every pixel, is written before the map's part is added to it. */
#include <sigmatic/base/memory.h>
#include <sigmatic/graph/lowering.h>
#include <sigmatic/ops/conv2d_uniform.h>

#include <math.h>
#include <stdio.h>

typedef struct pass_config {
    sm_conv2d_shape shape;
    sm_conv2d_pass pass;
    const sm_conv2d_algorithm *algorithm;
    sm_dtype input_type, output_type;
    sm_conv2d_shape vector;  /* the same convolution of the second input; channels_in = 0: there is none */
    size_t vector_workspace; /* bytes: where its workspace begins */
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
    if (op->input_count > 1 && sm_value_pixels(graph->values[op->inputs[1]].shape) != 1) {
        return sm_fail(SM_ERR_CONFIG, "%s: the second input must be a vector", op->name);
    }
    if (!sm_conv2d_infer(&shape)) {
        return sm_fail(SM_ERR_CONFIG, "%s: a %dx%d kernel with dilation %d and padding %d does not fit a %dx%d map",
                       op->name, shape.kernel_height, shape.kernel_width, shape.dilation_height, shape.pad_top,
                       shape.height, shape.width);
    }
    *output = (sm_value_shape){shape.out_height, shape.out_width, shape.channels_out};
    return SM_OK;
}

/* \return the shape with the channels of the second input, 0 if there is none */
static sm_conv2d_shape vector_shape_of(const sm_graph *graph, const sm_op *op)
{
    sm_conv2d_shape shape = shape_of(graph, op);
    sm_conv2d_infer(&shape);
    shape.channels_in = op->input_count > 1 ? graph->values[op->inputs[1]].shape.channels : 0;
    return shape;
}

static double macs_of(const sm_conv2d_shape *shape)
{
    return (double)shape->out_height * shape->out_width * shape->channels_out * shape->kernel_height *
           shape->kernel_width * shape->channels_in;
}

static size_t weights_of(const sm_conv2d_shape *shape)
{
    return (size_t)shape->kernel_height * shape->kernel_width * shape->channels_in * shape->channels_out;
}

static double macs(const sm_graph *graph, const sm_op *op)
{
    sm_conv2d_shape shape = shape_of(graph, op), vector = vector_shape_of(graph, op);
    sm_conv2d_infer(&shape);
    return macs_of(&shape) + macs_of(&vector);
}

/* Operands: 0 input, 1 weight, 2 packed weight, 3 bias, 4 grad_output, 5 result, 6 vector (backward data: its gradient) */
static sm_conv2d_operands operands_of(const pass_config *config, const sm_call *call, const sm_run *run)
{
    return (sm_conv2d_operands){
        .batch = run->batch,
        .input = sm_operand_address(run, call->operand[0]),
        .weight = sm_operand_address(run, call->operand[1]),
        .prepared = sm_operand_address(run, call->operand[2]),
        .bias = sm_operand_address(run, call->operand[3]),
        .grad_output = sm_operand_address(run, call->operand[4]),
        .result = sm_operand_address(run, call->operand[5]),
        .input_type = config->input_type,
        .output_type = config->output_type,
        .beta = sm_call_beta(call, run),
        .workspace = run->base[SM_REGION_WORKSPACE],
        .threads = run->threads,
    };
}

/* Leaves one sample of the input and of grad_output. */
static void take_sample(const sm_conv2d_shape *s, int sample, sm_conv2d_operands *operands)
{
    size_t input = (size_t)sample * (size_t)s->height * (size_t)s->width * (size_t)s->channels_in;
    size_t output = (size_t)sample * (size_t)s->out_height * (size_t)s->out_width * (size_t)s->channels_out;
    operands->batch = 1;
    operands->input = (const char *)operands->input + input * sm_dtype_bytes(operands->input_type);
    operands->grad_output = (const char *)operands->grad_output + output * sm_dtype_bytes(operands->output_type);
}

static void *vector_workspace(const pass_config *config, const sm_run *run)
{
    return run->base[SM_REGION_WORKSPACE] + config->vector_workspace;
}

static void run_pass(const sm_call *call, const sm_run *run)
{
    const pass_config *config = call->config;
    const sm_conv2d_operands operands = operands_of(config, call, run);
    config->algorithm->run(&config->shape, config->pass, &operands);
}

static void run_forward_with_vector(const sm_call *call, const sm_run *run)
{
    const pass_config *config = call->config;
    sm_conv2d_operands operands = operands_of(config, call, run);
    sm_conv2d_uniform_forward(&config->vector, run->batch, sm_operand_address(run, call->operand[6]),
                              operands.weight + weights_of(&config->shape), operands.result,
                              vector_workspace(config, run), run->threads);
    operands.beta = 1;
    config->algorithm->run(&config->shape, config->pass, &operands);
}

/* Both parts of the weights. */
static void run_weight_with_vector(const sm_call *call, const sm_run *run)
{
    const pass_config *config = call->config;
    const sm_conv2d_operands operands = operands_of(config, call, run);
    config->algorithm->run(&config->shape, config->pass, &operands);
    sm_conv2d_uniform_backward_weight(
        &config->vector, run->batch, sm_operand_address(run, call->operand[6]), operands.grad_output, operands.beta,
        (float *)operands.result + weights_of(&config->shape), vector_workspace(config, run), run->threads);
}

static void run_vector_gradient(const sm_call *call, const sm_run *run)
{
    const pass_config *config = call->config;
    const float *weight = sm_operand_address(run, call->operand[1]);
    sm_conv2d_uniform_backward_data(
        &config->vector, run->batch, weight + weights_of(&config->shape), sm_operand_address(run, call->operand[4]),
        call->beta, sm_operand_address(run, call->operand[6]), vector_workspace(config, run), run->threads);
}

static void run_prepare(const sm_call *call, const sm_run *run)
{
    const pass_config *config = call->config;
    config->algorithm->prepare(&config->shape, config->pass, sm_operand_address(run, call->operand[1]),
                               sm_operand_address(run, call->operand[2]), run->threads);
}

static void run_bias(const sm_call *call, const sm_run *run)
{
    const pass_config *config = call->config;
    size_t rows = (size_t)run->batch * (size_t)config->shape.out_height * (size_t)config->shape.out_width;
    sm_bias_backward(rows, config->shape.channels_out, sm_operand_address(run, call->operand[4]),
                     sm_call_beta(call, run), sm_operand_address(run, call->operand[5]), run->threads);
}

/* The same of one sample, for sums in an order that does not depend on the batch. */
static void weight_of_sample(const void *config, const sm_call *call, const sm_run *run, int sample, float *result)
{
    const pass_config *c = config;
    const sm_conv2d_shape *s = &c->shape;
    sm_conv2d_operands operands = operands_of(c, call, run);
    take_sample(s, sample, &operands);
    operands.result = result;
    operands.beta = 0;
    c->algorithm->run(s, c->pass, &operands);
    if (c->vector.channels_in > 0) {
        const float *vector = sm_operand_address(run, call->operand[6]);
        sm_conv2d_uniform_backward_weight(&c->vector, 1, vector + (size_t)sample * (size_t)c->vector.channels_in,
                                          operands.grad_output, 0, result + weights_of(s), vector_workspace(c, run),
                                          run->threads);
    }
}

static void bias_of_sample(const void *config, const sm_call *call, const sm_run *run, int sample, float *result)
{
    const sm_conv2d_shape *s = &((const pass_config *)config)->shape;
    size_t rows = (size_t)s->out_height * (size_t)s->out_width, floats = rows * (size_t)s->channels_out;
    const float *grad_output = sm_operand_address(run, call->operand[4]);
    sm_bias_backward(rows, s->channels_out, grad_output + (size_t)sample * floats, 0, result, run->threads);
}

/* \return the samples of a run to choose for */
static int batch_of(const sm_plan_options *options, sm_conv2d_pass pass)
{
    int one_by_one = options->reproducible && pass == SM_CONV2D_BACKWARD_WEIGHT;
    return one_by_one ? 1 : options->batch_typical;
}

static const sm_conv2d_algorithm *choose(const sm_plan_options *options, const sm_conv2d_shape *shape,
                                         sm_conv2d_pass pass)
{
    const sm_conv2d_algorithm *named = options->conv2d_algorithm ? sm_conv2d_find(options->conv2d_algorithm) : NULL;
    if (named && named->supports(shape, pass)) {
        return named;
    }
    return sm_conv2d_choose(shape, pass, batch_of(options, pass), options->precision);
}

/* Floats unless all of its passes can work with bfloat16. Bias and vector are added to floats. */
static sm_map_types types(const sm_graph *graph, const sm_op *op, const sm_plan_options *options)
{
    sm_conv2d_shape shape = shape_of(graph, op);
    sm_conv2d_infer(&shape);
    for (int pass = 0; pass < (options->training ? SM_CONV2D_PASSES : 1); pass++) {
        if (choose(options, &shape, pass)->precision != SM_CONV2D_BF16) {
            return SM_MAPS_FLOAT;
        }
    }
    return op->parameter_count > 1 || op->input_count > 1 ? SM_MAPS_INPUT : SM_MAPS_ANY;
}

static const char *const pass_labels[SM_CONV2D_PASSES] = {"forward", "backward data", "backward weight"};

/* Fills in what all passes have in common; the caller adds the operands of its pass. */
static sm_call pass_call(sm_lowering *lowering, const sm_op *op, sm_conv2d_pass pass)
{
    const sm_plan_options *options = sm_lowering_options(lowering);
    pass_config config = {.shape = shape_of(sm_lowering_graph(lowering), op), .pass = pass};
    sm_conv2d_infer(&config.shape);
    config.vector = vector_shape_of(sm_lowering_graph(lowering), op);
    config.algorithm = choose(options, &config.shape, pass);
    config.input_type = sm_lowering_type(lowering, op->inputs[0]);
    config.output_type = sm_lowering_type(lowering, op->output);
    config.vector_workspace =
        sm_round_up(config.algorithm->workspace_bytes(&config.shape, pass, options->capacity, options->threads),
                    SM_ALIGNMENT_BYTES);
    sm_call call = {.run = run_pass, .label = pass_labels[pass], .algorithm = config.algorithm->name};
    call.config = sm_lowering_config(lowering, &config, sizeof config);
    call.macs = macs_of(&config.shape) + macs_of(&config.vector);
    call.macs_executed = config.algorithm->macs(&config.shape, pass) + (double)weights_of(&config.vector);
    call.cost = config.algorithm->cost(&config.shape, pass, batch_of(options, pass));
    call.workspace_bytes = config.vector_workspace;
    if (op->input_count > 1 && pass != SM_CONV2D_BACKWARD_DATA) {
        call.workspace_bytes += sm_conv2d_uniform_workspace(&config.vector, options->capacity);
    }
    size_t prepared = config.algorithm->prepared_bytes ? config.algorithm->prepared_bytes(&config.shape, pass) : 0;
    if (pass != SM_CONV2D_BACKWARD_WEIGHT) {
        call.operand[1] = sm_lowering_parameter(lowering, op->parameters[0]);
        if (prepared > 0) {
            call.operand[2] = sm_lowering_prepared(lowering, prepared);
            sm_call prepare = call;
            prepare.run = run_prepare;
            prepare.label = "pack weights";
            prepare.macs = prepare.macs_executed = prepare.cost = 0;
            sm_lowering_emit_prepare(lowering, &prepare);
        }
    }
    return call;
}

static void forward(sm_lowering *lowering, const sm_op *op)
{
    sm_call call = pass_call(lowering, op, SM_CONV2D_FORWARD);
    call.operand[0] = sm_lowering_value(lowering, op->inputs[0]);
    if (op->parameter_count > 1) {
        call.operand[3] = sm_lowering_parameter(lowering, op->parameters[1]);
    }
    if (op->input_count > 1) {
        call.run = run_forward_with_vector;
        call.operand[6] = sm_lowering_value(lowering, op->inputs[1]);
    }
    call.operand[5] = sm_lowering_define(lowering, op->output, -1);
    sm_lowering_emit(lowering, &call);
}

static void emit_vector_gradient(sm_lowering *lowering, const sm_op *op, sm_operand grad_output)
{
    pass_config config = {.shape = shape_of(sm_lowering_graph(lowering), op),
                          .vector = vector_shape_of(sm_lowering_graph(lowering), op)};
    sm_call call = {.run = run_vector_gradient, .label = "backward vector"};
    call.config = sm_lowering_config(lowering, &config, sizeof config);
    call.workspace_bytes = sm_conv2d_uniform_workspace(&config.vector, sm_lowering_options(lowering)->capacity);
    call.operand[1] = sm_lowering_parameter(lowering, op->parameters[0]);
    call.operand[4] = grad_output;
    call.operand[6] = sm_lowering_write_gradient(lowering, op->inputs[1], -1, &call.beta);
    sm_lowering_emit(lowering, &call);
}

/* Bias, weights, data: the flat gradient is laid out in this order, so that it is complete from its start. */
static void backward(sm_lowering *lowering, const sm_op *op)
{
    sm_operand grad_output = sm_lowering_value_gradient(lowering, op->output);
    if (op->parameter_count > 1 && sm_lowering_is_trained(lowering, op->parameters[1])) {
        sm_call call = pass_call(lowering, op, SM_CONV2D_BACKWARD_WEIGHT);
        call.run = run_bias;
        call.label = "backward bias";
        call.algorithm = NULL;
        call.macs = call.macs_executed = call.cost = 0;
        call.operand[4] = grad_output;
        call.operand[5] = sm_lowering_gradient(lowering, op->parameters[1]);
        call.parameter_gradient = 1;
        if (sm_lowering_options(lowering)->reproducible) {
            sm_lowering_sum_samples(lowering, &call, op->parameters[1], bias_of_sample);
        }
        sm_lowering_emit(lowering, &call);
    }
    if (sm_lowering_is_trained(lowering, op->parameters[0])) {
        sm_call call = pass_call(lowering, op, SM_CONV2D_BACKWARD_WEIGHT);
        call.operand[0] = sm_lowering_value(lowering, op->inputs[0]);
        call.operand[4] = grad_output;
        call.operand[5] = sm_lowering_gradient(lowering, op->parameters[0]);
        call.parameter_gradient = 1;
        if (op->input_count > 1) {
            call.run = run_weight_with_vector;
            call.operand[6] = sm_lowering_value(lowering, op->inputs[1]);
        }
        if (sm_lowering_options(lowering)->reproducible) {
            sm_lowering_sum_samples(lowering, &call, op->parameters[0], weight_of_sample);
        }
        sm_lowering_emit(lowering, &call);
    }
    if (sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        sm_call call = pass_call(lowering, op, SM_CONV2D_BACKWARD_DATA);
        call.operand[4] = grad_output;
        call.operand[5] = sm_lowering_write_gradient(lowering, op->inputs[0], -1, &call.beta);
        sm_lowering_emit(lowering, &call);
    }
    if (op->input_count > 1 && sm_lowering_wants_gradient(lowering, op->inputs[1])) {
        emit_vector_gradient(lowering, op, grad_output);
    }
}

static const sm_op_kind sm_conv2d_kind = {.name = "conv2d",
                                          .saves_input = 1,
                                          .infer = infer,
                                          .macs = macs,
                                          .types = types,
                                          .forward = forward,
                                          .backward = backward,
                                          .recompute = forward};

int sm_graph_conv2d_features(sm_graph *graph, sm_features input, const char *name, const sm_conv2d_options *options)
{
    if (sm_graph_status(graph) != SM_OK) {
        return -1;
    }
    int kernel = options->kernel, together = graph->values[input.map].shape.channels;
    int channels_in = together + (input.vector >= 0 ? graph->values[input.vector].shape.channels : 0);
    double fan_out = (double)options->channels * kernel * kernel;
    sm_slice weight = {.dimensions = 4,
                       .shape = {options->channels, channels_in, kernel, kernel},
                       .layout = SM_LAYOUT_CONV2D,
                       .inputs_together = together,
                       .initial_std = (float)(options->initial_std > 0 ? options->initial_std : sqrt(2 / fan_out)),
                       .decay = 1,
                       .task = graph->task};
    snprintf(weight.name, sizeof weight.name, "%s.weight", name);
    sm_op op = {.kind = &sm_conv2d_kind,
                .inputs = {input.map, input.vector},
                .input_count = input.vector >= 0 ? 2 : 1,
                .parameter_count = options->bias ? 2 : 1};
    snprintf(op.name, sizeof op.name, "%s", name);
    op.parameters[0] = sm_parameters_add(graph->parameters, &weight);
    if (options->bias) {
        sm_slice bias = {.dimensions = 1, .shape = {options->channels}, .task = graph->task};
        snprintf(bias.name, sizeof bias.name, "%s.bias", name);
        op.parameters[1] = sm_parameters_add(graph->parameters, &bias);
    }
    return sm_graph_append(graph, &op, options, sizeof *options);
}

int sm_graph_conv2d(sm_graph *graph, int input, const char *name, const sm_conv2d_options *options)
{
    return sm_graph_conv2d_features(graph, (sm_features){input, -1}, name, options);
}
