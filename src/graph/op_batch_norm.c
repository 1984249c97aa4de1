/* Batch normalisation: statistics, sum over ranks, finalise, apply; backward: statistics, parameters, sum over ranks, apply.
 *
 * The head of a fused group: bn -> relu, or bn -> add -> relu, is applied in one pass when each link has a single consumer.
 * The ReLU's mask is then read from the output, which the next layer keeps anyway. */
#include <sigmatic/graph/lowering.h>
#include <sigmatic/ops/batch_norm.h>
#include <sigmatic/ops/relu.h>

#include "graph/op_kinds.h"

#include <assert.h>
#include <stdio.h>

static const float EPSILON = 1e-5f, MOMENTUM = 0.1f;

/* Whose statistics normalise. */
typedef enum { STATISTICS_GLOBAL, STATISTICS_LOCAL, STATISTICS_RUNNING } statistics;

typedef struct bn_config {
    sm_dtype type;
    size_t pixels;
    int channels, relu;
    statistics statistics;
    int by_sample; /* sums are rows, one a sample, until they are reduced */
} bn_config;

/* Kept from forward to backward. */
typedef struct bn_state {
    sm_operand mean, inverse_std;
    int add_output, relu_output; /* values of the fused group; -1 = not in it */
    int residual;                /* value added before the ReLU; -1 */
} bn_state;

static double rows_behind_statistics(const bn_config *config, const sm_run *run)
{
    double samples = config->statistics == STATISTICS_GLOBAL ? (double)run->batch_global : run->batch;
    return samples * (double)config->pixels;
}

/* One row has no variance: the running values stand in, forward and backward. */
static int uses_running(const bn_config *config, const sm_run *run)
{
    return config->statistics == STATISTICS_RUNNING || rows_behind_statistics(config, run) <= 1;
}

static size_t local_rows(const bn_config *config, const sm_run *run)
{
    return (size_t)run->batch * config->pixels;
}

/* The sums are made in pieces, each a row of the result. */
static int pieces(const bn_config *config, const sm_run *run)
{
    return config->by_sample ? run->batch : 1;
}

static size_t piece_rows(const bn_config *config, const sm_run *run)
{
    return config->by_sample ? config->pixels : local_rows(config, run);
}

#define ADDRESS(i) sm_operand_address(run, call->operand[i])

/* \return where a piece begins; NULL stays NULL */
static void *piece_at(const bn_config *config, void *map, const sm_run *run, int piece)
{
    size_t elements = (size_t)piece * piece_rows(config, run) * (size_t)config->channels;
    return map ? (char *)map + elements * sm_dtype_bytes(config->type) : NULL;
}

/* 0 input, 1 sums */
static void run_statistics(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    double *sums = ADDRESS(1);
    size_t rows = piece_rows(config, run), channels = (size_t)config->channels;
    for (int i = 0; i < pieces(config, run); i++) {
        sm_batch_norm_statistics(config->type, rows, config->channels, piece_at(config, ADDRESS(0), run, i),
                                 sums + (size_t)i * 2 * channels, run->threads);
    }
}

/* 0 sums */
static void run_reduce(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    if (config->by_sample) {
        sm_sum_sample_rows(run, ADDRESS(0), 2 * (size_t)config->channels);
    } else if (run->reduce) {
        run->reduce(run->user, ADDRESS(0), 2 * (size_t)config->channels);
    }
}

/* 0 sums (or none), 1 mean, 2 inverse_std, 3 running mean, 4 running variance */
static void run_finalise(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    if (uses_running(config, run)) {
        sm_batch_norm_from_running(config->channels, ADDRESS(3), ADDRESS(4), EPSILON, ADDRESS(1), ADDRESS(2));
    } else {
        sm_batch_norm_finalise(config->channels, rows_behind_statistics(config, run), ADDRESS(0), EPSILON, MOMENTUM,
                               ADDRESS(1), ADDRESS(2), ADDRESS(3), ADDRESS(4));
    }
}

/* 0 input, 1 mean, 2 inverse_std, 3 scale, 4 shift, 5 residual, 6 output */
static void run_apply(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    sm_batch_norm_apply(config->type, local_rows(config, run), config->channels, ADDRESS(0), ADDRESS(1), ADDRESS(2),
                        ADDRESS(3), ADDRESS(4), ADDRESS(5), config->relu, ADDRESS(6), run->threads);
}

/* 0 output, 1 grad_output, 2 result */
static void run_mask(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    size_t count = local_rows(config, run) * (size_t)config->channels;
    sm_relu_backward(config->type, count, ADDRESS(0), ADDRESS(1), 0, ADDRESS(2), run->threads);
}

/* 0 input, 1 grad_output, 2 mask, 3 mean, 4 inverse_std, 5 sums, 6 masked grad_output */
static void run_backward_statistics(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    double *sums = ADDRESS(5);
    size_t rows = piece_rows(config, run), channels = (size_t)config->channels;
    for (int i = 0; i < pieces(config, run); i++) {
        sm_batch_norm_backward_statistics(config->type, rows, config->channels, piece_at(config, ADDRESS(0), run, i),
                                          piece_at(config, ADDRESS(1), run, i), piece_at(config, ADDRESS(2), run, i),
                                          ADDRESS(3), ADDRESS(4), sums + (size_t)i * 2 * channels,
                                          piece_at(config, ADDRESS(6), run, i), run->threads);
    }
}

/* 0 sums, 1 grad_scale, 2 grad_shift */
static void run_backward_parameters(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    sm_batch_norm_backward_parameters(config->channels, ADDRESS(0), sm_call_beta(call, run), ADDRESS(1), ADDRESS(2));
}

/* 0 rows of sums, not yet reduced */
static void shift_of_sample(const void *config, const sm_call *call, const sm_run *run, int sample, float *result)
{
    size_t channels = (size_t)((const bn_config *)config)->channels;
    const double *sums = ADDRESS(0);
    for (size_t c = 0; c < channels; c++) {
        result[c] = (float)sums[(size_t)sample * 2 * channels + c];
    }
}

static void scale_of_sample(const void *config, const sm_call *call, const sm_run *run, int sample, float *result)
{
    size_t channels = (size_t)((const bn_config *)config)->channels;
    const double *sums = ADDRESS(0);
    for (size_t c = 0; c < channels; c++) {
        result[c] = (float)sums[(size_t)sample * 2 * channels + channels + c];
    }
}

/* 0 input, 1 grad_output, 2 mask, 3 mean, 4 inverse_std, 5 scale, 6 sums, 7 result */
static void run_backward_apply(const sm_call *call, const sm_run *run)
{
    const bn_config *config = call->config;
    sm_batch_norm_backward_apply(config->type, local_rows(config, run), config->channels, ADDRESS(0), ADDRESS(1),
                                 ADDRESS(2), ADDRESS(3), ADDRESS(4), ADDRESS(5), rows_behind_statistics(config, run),
                                 uses_running(config, run) ? NULL : ADDRESS(6), call->beta, ADDRESS(7), run->threads);
}

static const bn_config *config_of(sm_lowering *lowering, const sm_op *op, int relu)
{
    const sm_plan_options *options = sm_lowering_options(lowering);
    sm_value_shape shape = sm_lowering_graph(lowering)->values[op->output].shape;
    int never_local = *(const int *)op->config;
    bn_config config = {sm_lowering_type(lowering, op->output),
                        sm_value_pixels(shape),
                        shape.channels,
                        relu,
                        STATISTICS_RUNNING,
                        options->reproducible};
    int frozen = sm_lowering_graph(lowering)->parameters->buffers.items[op->buffers[0]].frozen;
    if (options->training && options->batch_norm != SM_BATCH_NORM_FROZEN && !frozen) {
        int local = options->batch_norm == SM_BATCH_NORM_LOCAL && !never_local;
        config.statistics = local ? STATISTICS_LOCAL : STATISTICS_GLOBAL;
    }
    return sm_lowering_config(lowering, &config, sizeof config);
}

static sm_operand sums_buffer(sm_lowering *lowering, const bn_config *config)
{
    size_t bytes = 2 * (size_t)config->channels * sizeof(double);
    return sm_lowering_buffer(lowering, config->by_sample ? bytes : 0, config->by_sample ? 0 : bytes);
}

/* Finds bn -> relu or bn -> add -> relu and takes it over. */
static void fuse(sm_lowering *lowering, const sm_op *op, bn_state *state)
{
    state->add_output = state->relu_output = state->residual = -1;
    if (sm_lowering_options(lowering)->no_fusion) {
        return;
    }
    const sm_op *relu = sm_lowering_sole_consumer(lowering, op->output, &sm_relu_kind);
    if (relu) {
        state->relu_output = relu->output;
        sm_lowering_absorb(lowering, relu);
        return;
    }
    const sm_op *add = sm_lowering_sole_consumer(lowering, op->output, &sm_add_kind);
    relu = add ? sm_lowering_sole_consumer(lowering, add->output, &sm_relu_kind) : NULL;
    int other = add ? add->inputs[add->inputs[0] == op->output] : -1;
    if (relu && sm_lowering_is_defined(lowering, other)) {
        state->add_output = add->output;
        state->relu_output = relu->output;
        state->residual = other;
        sm_lowering_absorb(lowering, add);
        sm_lowering_absorb(lowering, relu);
    }
}

/* \return the value that the op, with what it took over, computes */
static int output_of(const sm_op *op, const bn_state *state)
{
    return state->relu_output >= 0 ? state->relu_output : op->output;
}

static void emit_apply(sm_lowering *lowering, const sm_op *op, const bn_config *config, int in_place_of)
{
    const bn_state *state = sm_lowering_state(lowering, op, sizeof *state);
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_operand residual = state->residual >= 0 ? sm_lowering_value(lowering, state->residual) : sm_lowering_none();
    sm_lowering_emit(lowering,
                     &(sm_call){.run = run_apply,
                                .label = "apply",
                                .config = config,
                                .operand = {input, state->mean, state->inverse_std,
                                            sm_lowering_parameter(lowering, op->parameters[0]),
                                            sm_lowering_parameter(lowering, op->parameters[1]), residual,
                                            sm_lowering_define(lowering, output_of(op, state), in_place_of)}});
}

static void forward(sm_lowering *lowering, const sm_op *op)
{
    bn_state *state = sm_lowering_state(lowering, op, sizeof *state);
    fuse(lowering, op, state);
    const bn_config *config = config_of(lowering, op, state->relu_output >= 0);
    size_t channels = (size_t)config->channels;
    sm_operand input = sm_lowering_value(lowering, op->inputs[0]);
    sm_operand sums = sm_lowering_none();
    state->mean = sm_lowering_buffer(lowering, 0, channels * sizeof(float));
    state->inverse_std = sm_lowering_buffer(lowering, 0, channels * sizeof(float));

    if (config->statistics != STATISTICS_RUNNING) {
        sums = sums_buffer(lowering, config);
        sm_lowering_emit(
            lowering,
            &(sm_call){.run = run_statistics, .label = "statistics", .config = config, .operand = {input, sums}});
    }
    if (config->statistics == STATISTICS_GLOBAL) {
        sm_lowering_emit(lowering, &(sm_call){.run = run_reduce,
                                              .label = "reduce",
                                              .config = config,
                                              .summed_doubles = 2 * channels,
                                              .operand = {sums}});
    }
    sm_lowering_emit(lowering, &(sm_call){.run = run_finalise,
                                          .label = "finalise",
                                          .config = config,
                                          .operand = {sums, state->mean, state->inverse_std,
                                                      sm_lowering_running(lowering, op->buffers[0]),
                                                      sm_lowering_running(lowering, op->buffers[1])}});
    emit_apply(lowering, op, config, op->inputs[0]);
    if (sm_lowering_options(lowering)->training && !sm_lowering_options(lowering)->keep_normalised &&
        state->residual < 0) {
        sm_lowering_forget(lowering, output_of(op, state), op);
    }
}

/* Half of what a plain plan keeps is normalised activations, which one pass over the convolution's output gives again. */
static void recompute(sm_lowering *lowering, const sm_op *op)
{
    const bn_state *state = sm_lowering_state(lowering, op, sizeof *state);
    emit_apply(lowering, op, config_of(lowering, op, state->relu_output >= 0), -1);
}

/* Where a pass backward reads and writes. */
typedef struct bn_gradients {
    sm_operand input, grad_output, mask, sums;
    int summed; /* 1: it needs the sums */
} bn_gradients;

/* With a residual the masked gradient is wanted by both addends: the pass that sums it also writes it out, or else one
 * of its own. */
static void emit_masked(sm_lowering *lowering, const sm_op *op, const bn_config *config, bn_gradients *at)
{
    const bn_state *state = sm_lowering_state(lowering, op, sizeof *state);
    float beta;
    sm_operand masked = sm_lowering_write_gradient(lowering, state->add_output, state->relu_output, &beta);
    assert(beta == 0.0f && "the ReLU is the sum's only reader");
    if (at->summed) {
        sm_lowering_emit(lowering, &(sm_call){.run = run_backward_statistics,
                                              .label = "backward relu, statistics",
                                              .config = config,
                                              .operand = {at->input, at->grad_output, at->mask, state->mean,
                                                          state->inverse_std, at->sums, masked}});
    } else {
        sm_lowering_emit(lowering, &(sm_call){.run = run_mask,
                                              .label = "backward relu",
                                              .config = config,
                                              .operand = {at->mask, at->grad_output, masked}});
    }
    sm_lowering_pass_gradient(lowering, state->residual, state->add_output);
    if (sm_lowering_wants_gradient(lowering, op->output)) {
        sm_lowering_pass_gradient(lowering, op->output, state->add_output);
        at->grad_output = sm_lowering_value_gradient(lowering, op->output);
        at->mask = sm_lowering_none();
    }
}

static void emit_parameter_by_sample(sm_lowering *lowering, int parameter, const bn_config *config, sm_operand sums,
                                     sm_sample_summand *summand)
{
    sm_call call = {.label = "backward parameters",
                    .config = config,
                    .parameter_gradient = 1,
                    .operand = {sums, sm_lowering_gradient(lowering, parameter)}};
    sm_lowering_sum_samples(lowering, &call, parameter, summand);
    sm_lowering_emit(lowering, &call);
}

static void emit_parameters(sm_lowering *lowering, const sm_op *op, const bn_config *config, sm_operand sums)
{
    if (config->by_sample) {
        emit_parameter_by_sample(lowering, op->parameters[1], config, sums, shift_of_sample);
        emit_parameter_by_sample(lowering, op->parameters[0], config, sums, scale_of_sample);
        return;
    }
    sm_lowering_emit(lowering, &(sm_call){.run = run_backward_parameters,
                                          .label = "backward parameters",
                                          .config = config,
                                          .parameter_gradient = 1,
                                          .operand = {sums, sm_lowering_gradient(lowering, op->parameters[0]),
                                                      sm_lowering_gradient(lowering, op->parameters[1])}});
}

/* \param in_place_of  value whose gradient is read */
static void emit_backward_apply(sm_lowering *lowering, const sm_op *op, const bn_config *config, const bn_gradients *at,
                                int in_place_of)
{
    const bn_state *state = sm_lowering_state(lowering, op, sizeof *state);
    if (config->statistics == STATISTICS_GLOBAL) {
        sm_lowering_emit(
            lowering,
            &(sm_call){.run = run_reduce, .label = "backward reduce", .config = config, .operand = {at->sums}});
    }
    int differentiates_statistics = config->statistics != STATISTICS_RUNNING;
    sm_call call = {.run = run_backward_apply,
                    .label = "backward apply",
                    .config = config,
                    .operand = {at->input, at->grad_output, at->mask, state->mean, state->inverse_std,
                                sm_lowering_parameter(lowering, op->parameters[0]),
                                differentiates_statistics ? at->sums : sm_lowering_none()}};
    call.operand[7] = sm_lowering_write_gradient(lowering, op->inputs[0], in_place_of, &call.beta);
    sm_lowering_emit(lowering, &call);
}

static void backward(sm_lowering *lowering, const sm_op *op)
{
    const bn_state *state = sm_lowering_state(lowering, op, sizeof *state);
    const bn_config *config = config_of(lowering, op, 0);
    int wanted = sm_lowering_wants_gradient(lowering, op->output), output = output_of(op, state);
    int trained =
        sm_lowering_is_trained(lowering, op->parameters[0]) || sm_lowering_is_trained(lowering, op->parameters[1]);
    bn_gradients at = {.grad_output = sm_lowering_value_gradient(lowering, output),
                       .summed = wanted && (trained || config->statistics != STATISTICS_RUNNING)};
    at.mask = state->relu_output >= 0 ? sm_lowering_value(lowering, state->relu_output) : sm_lowering_none();
    if (wanted) {
        at.input = sm_lowering_value(lowering, op->inputs[0]);
        at.sums = sums_buffer(lowering, config);
    }
    if (state->residual >= 0) {
        emit_masked(lowering, op, config, &at);
    } else if (at.summed) {
        sm_lowering_emit(lowering, &(sm_call){.run = run_backward_statistics,
                                              .label = "backward statistics",
                                              .config = config,
                                              .operand = {at.input, at.grad_output, at.mask, state->mean,
                                                          state->inverse_std, at.sums}});
    }
    if (wanted && trained) {
        emit_parameters(lowering, op, config, at.sums);
    }
    if (wanted && sm_lowering_wants_gradient(lowering, op->inputs[0])) {
        emit_backward_apply(lowering, op, config, &at, state->residual >= 0 ? op->output : output);
    }
}

static sm_status infer(const sm_graph *graph, const sm_op *op, sm_value_shape *output)
{
    *output = graph->values[op->inputs[0]].shape;
    return SM_OK;
}

static const sm_op_kind sm_batch_norm_kind = {.name = "batch_norm",
                                              .saves_input = 1,
                                              .infer = infer,
                                              .types = sm_maps_alike,
                                              .forward = forward,
                                              .backward = backward,
                                              .recompute = recompute};

int sm_graph_batch_norm(sm_graph *graph, int input, const char *name, int never_local)
{
    if (sm_graph_status(graph) != SM_OK) {
        return -1;
    }
    static const struct {
        const char *suffix;
        float value;
        int is_buffer;
    } slices[] = {{"weight", 1, 0}, {"bias", 0, 0}, {"running_mean", 0, 1}, {"running_var", 1, 1}};
    sm_op op = {.kind = &sm_batch_norm_kind, .inputs = {input}, .input_count = 1};
    snprintf(op.name, sizeof op.name, "%s", name);
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
        sm_slice slice = {.dimensions = 1,
                          .shape = {graph->values[input].shape.channels},
                          .initial_mean = slices[i].value,
                          .task = graph->task};
        snprintf(slice.name, sizeof slice.name, "%s.%s", name, slices[i].suffix);
        if (slices[i].is_buffer) {
            op.buffers[op.buffer_count++] = sm_parameters_add_buffer(graph->parameters, &slice);
        } else {
            op.parameters[op.parameter_count++] = sm_parameters_add(graph->parameters, &slice);
        }
    }
    return sm_graph_append(graph, &op, &never_local, sizeof never_local);
}
