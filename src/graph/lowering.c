/* What op kinds use while a plan is lowered: places of values and gradients, and the lists of calls. */
#include "graph/lowering_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/ops/add.h>

#include <assert.h>
#include <string.h>

const sm_plan_options *sm_lowering_options(const sm_lowering *lowering)
{
    return &lowering->plan->options;
}

const sm_graph *sm_lowering_graph(const sm_lowering *lowering)
{
    return lowering->graph;
}

sm_dtype sm_lowering_type(const sm_lowering *lowering, int value)
{
    return lowering->plan->types[value];
}

sm_extent sm_lowering_extent(const sm_lowering *lowering, int value)
{
    return (sm_extent){lowering->plan->types[value], sm_value_elements(lowering->graph->values[value].shape)};
}

sm_operand sm_lowering_none(void)
{
    return (sm_operand){SM_REGION_NONE, 0, -1};
}

sm_operand sm_lowering_buffer(sm_lowering *lowering, size_t bytes_per_sample, size_t bytes_fixed)
{
    sm_plan *plan = lowering->plan;
    size_t count = (size_t)plan->buffer_count + 1;
    size_t bytes = bytes_per_sample * (size_t)plan->options.capacity + bytes_fixed;
    plan->buffers = sm_realloc(plan->buffers, count * sizeof *plan->buffers);
    lowering->readers = sm_realloc(lowering->readers, count * sizeof *lowering->readers);
    plan->buffers[plan->buffer_count] = (sm_buffer){sm_round_up(bytes, SM_ALIGNMENT_BYTES), -1, -1, 0};
    lowering->readers[plan->buffer_count] = 0;
    return (sm_operand){SM_REGION_ACTIVATIONS, 0, plan->buffer_count++};
}

sm_operand sm_lowering_prepared(sm_lowering *lowering, size_t bytes)
{
    size_t *end = &lowering->plan->region_bytes[SM_REGION_PREPARED];
    if (lowering->plan->options.training) {
        return sm_lowering_buffer(lowering, 0, bytes);
    }
    sm_operand operand = {SM_REGION_PREPARED, *end, -1};
    *end += sm_round_up(bytes, SM_ALIGNMENT_BYTES);
    return operand;
}

sm_operand sm_lowering_value(sm_lowering *lowering, int value)
{
    sm_value_state *state = &lowering->values[value];
    if (!state->defined && state->recomputed_by) {
        int op = lowering->op;
        lowering->op = (int)(state->recomputed_by - lowering->graph->ops);
        lowering->recomputing++;
        state->recomputed_by->kind->recompute(lowering, state->recomputed_by);
        lowering->recomputing--;
        lowering->op = op;
    }
    assert(state->defined);
    return state->place;
}

void sm_lowering_forget(sm_lowering *lowering, int value, const sm_op *op)
{
    if (!lowering->values[value].is_shared) {
        lowering->values[value].recomputed_by = op;
    }
}

int sm_lowering_is_defined(const sm_lowering *lowering, int value)
{
    return lowering->values[value].defined;
}

static int buffer_reads_left(const sm_lowering *lowering, int buffer)
{
    int reads = 0;
    for (int v = 0; v < lowering->graph->value_count; v++) {
        if (lowering->values[v].defined && lowering->values[v].place.buffer == buffer) {
            reads += lowering->values[v].reads_left;
        }
    }
    return reads;
}

size_t sm_lowering_value_bytes(const sm_lowering *lowering, int value)
{
    sm_extent extent = sm_lowering_extent(lowering, value);
    return extent.elements * sm_dtype_bytes(extent.type);
}

sm_operand sm_lowering_define(sm_lowering *lowering, int value, int input)
{
    sm_value_state *state = &lowering->values[value];
    const sm_plan *plan = lowering->plan;
    state->defined = 1;
    if (input >= 0 && !plan->options.no_reuse && !lowering->recomputing) {
        sm_operand place = lowering->values[input].place;
        /* the op being lowered still has its own read of `input` on the count */
        if (place.buffer >= 0 && buffer_reads_left(lowering, place.buffer) == 1 &&
            plan->buffers[place.buffer].bytes >=
                sm_lowering_value_bytes(lowering, value) * (size_t)plan->options.capacity) {
            return state->place = place;
        }
    }
    return state->place = sm_lowering_buffer(lowering, sm_lowering_value_bytes(lowering, value), 0);
}

sm_operand sm_lowering_parameter(const sm_lowering *lowering, int parameter)
{
    size_t offset = lowering->graph->parameters->parameters.items[parameter].offset;
    return (sm_operand){SM_REGION_PARAMETERS, offset * sizeof(float), -1};
}

sm_operand sm_lowering_gradient(const sm_lowering *lowering, int parameter)
{
    size_t offset = lowering->graph->parameters->parameters.items[parameter].offset;
    return (sm_operand){SM_REGION_GRADIENTS, offset * sizeof(float), -1};
}

sm_operand sm_lowering_running(const sm_lowering *lowering, int buffer)
{
    size_t offset = lowering->graph->parameters->buffers.items[buffer].offset;
    return (sm_operand){SM_REGION_BUFFERS, offset * sizeof(float), -1};
}

int sm_lowering_is_trained(const sm_lowering *lowering, int parameter)
{
    return lowering->plan->options.training && !lowering->graph->parameters->parameters.items[parameter].frozen;
}

const sm_op *sm_lowering_sole_consumer(const sm_lowering *lowering, int value, const sm_op_kind *kind)
{
    const sm_graph *graph = lowering->graph;
    if (graph->values[value].consumers != 1) {
        return NULL;
    }
    for (int i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i].value == value) {
            return NULL;
        }
    }
    for (int i = lowering->op + 1; i < graph->op_count; i++) {
        const sm_op *op = &graph->ops[i];
        for (int j = 0; j < op->input_count; j++) {
            if (op->inputs[j] == value) {
                int together = !lowering->plan->options.task_gradients || op->task == graph->ops[lowering->op].task;
                return op->kind == kind && lowering->ops[i].head == i && together ? op : NULL;
            }
        }
    }
    return NULL;
}

void sm_lowering_absorb(sm_lowering *lowering, const sm_op *op)
{
    int index = (int)(op - lowering->graph->ops);
    lowering->ops[index].head = lowering->op;
    lowering->ops[lowering->op].last = index;
}

void *sm_lowering_state(sm_lowering *lowering, const sm_op *op, size_t bytes)
{
    sm_op_state *state = &lowering->ops[op - lowering->graph->ops];
    if (!state->memory) {
        state->memory = sm_alloc_zeroed(bytes);
    }
    return state->memory;
}

int sm_lowering_wants_gradient(const sm_lowering *lowering, int value)
{
    return lowering->values[value].wants_gradient;
}

sm_operand sm_lowering_value_gradient(const sm_lowering *lowering, int value)
{
    return lowering->values[value].gradient;
}

void sm_lowering_set_gradient(sm_lowering *lowering, int value, sm_operand place)
{
    lowering->values[value].gradient = place;
    lowering->readers[place.buffer]++;
}

static void run_accumulate(const sm_call *call, const sm_run *run)
{
    const sm_extent *extent = call->config;
    sm_accumulate(extent->type, extent->elements * (size_t)run->batch, sm_operand_address(run, call->operand[0]),
                  call->beta, sm_operand_address(run, call->operand[1]), run->threads);
}

static void emit_accumulate(sm_lowering *lowering, int value, sm_operand from, float beta, sm_operand to)
{
    sm_extent extent = sm_lowering_extent(lowering, value);
    sm_lowering_emit(lowering, &(sm_call){.run = run_accumulate,
                                          .label = beta > 0 ? "add gradient" : "copy gradient",
                                          .operand = {from, to},
                                          .beta = beta,
                                          .config = sm_lowering_config(lowering, &extent, sizeof extent)});
}

sm_operand sm_lowering_write_gradient(sm_lowering *lowering, int value, int in_place_of, float *beta)
{
    sm_value_state *state = &lowering->values[value];
    assert(state->wants_gradient);
    if (state->gradient.region == SM_REGION_NONE) {
        sm_operand place = sm_lowering_none();
        if (in_place_of >= 0 && !lowering->plan->options.no_reuse) {
            place = lowering->values[in_place_of].gradient;
        }
        if (place.region == SM_REGION_NONE || lowering->readers[place.buffer] > 1 ||
            sm_lowering_value_bytes(lowering, value) != sm_lowering_value_bytes(lowering, in_place_of)) {
            place = sm_lowering_buffer(lowering, sm_lowering_value_bytes(lowering, value), 0);
        }
        sm_lowering_set_gradient(lowering, value, place);
        *beta = 0;
    } else {
        *beta = 1;
        if (lowering->readers[state->gradient.buffer] > 1) {
            sm_operand shared = state->gradient;
            lowering->readers[shared.buffer]--;
            sm_lowering_set_gradient(lowering, value,
                                     sm_lowering_buffer(lowering, sm_lowering_value_bytes(lowering, value), 0));
            emit_accumulate(lowering, value, shared, 0, state->gradient);
        }
    }
    return state->gradient;
}

void sm_lowering_pass_gradient(sm_lowering *lowering, int value, int from)
{
    sm_value_state *state = &lowering->values[value];
    sm_operand source = lowering->values[from].gradient;
    if (!state->wants_gradient) {
        return;
    }
    if (state->gradient.region == SM_REGION_NONE && !lowering->plan->options.no_reuse) {
        sm_lowering_set_gradient(lowering, value, source);
    } else {
        float beta;
        sm_operand place = sm_lowering_write_gradient(lowering, value, -1, &beta);
        emit_accumulate(lowering, value, source, beta, place);
    }
}

const void *sm_lowering_config(sm_lowering *lowering, const void *config, size_t bytes)
{
    sm_plan *plan = lowering->plan;
    plan->configs = sm_realloc(plan->configs, (size_t)(plan->config_count + 1) * sizeof *plan->configs);
    return plan->configs[plan->config_count++] = memcpy(sm_alloc(bytes), config, bytes);
}

static void append(sm_lowering *lowering, int pass, const sm_call *call)
{
    sm_call_list *list = &lowering->plan->passes[pass];
    list->items = sm_realloc(list->items, (size_t)(list->count + 1) * sizeof *list->items);
    sm_call *added = &list->items[list->count++];
    *added = *call;
    added->op = lowering->op;
    size_t *workspace = &lowering->plan->region_bytes[SM_REGION_WORKSPACE];
    if (call->workspace_bytes > *workspace) {
        *workspace = call->workspace_bytes;
    }
}

void sm_lowering_emit(sm_lowering *lowering, const sm_call *call)
{
    sm_call emitted = *call;
    if (lowering->recomputing) { /* work that nobody counts twice */
        emitted.label = "recompute";
        emitted.macs = 0;
    }
    append(lowering, lowering->pass, &emitted);
}

void sm_lowering_emit_prepare(sm_lowering *lowering, const sm_call *call)
{
    append(lowering, lowering->plan->options.training ? lowering->pass : SM_PASS_PREPARE, call);
}
