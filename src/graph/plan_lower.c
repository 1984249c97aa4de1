/* Lowering: each op emits its forward calls in graph order and its backward calls in reverse order.
 *
 * A value's place is a buffer; several values share one when an op works in place. A gradient's place is a buffer too; several values share one when a gradient
 * is passed on unchanged (add). `readers` of a gradient buffer counts the values whose gradient it is and whose backward is still to come: it may be overwritten
 * only by its last reader, and is copied before something is added to it while others still read it.
 *
 * A forgotten value is computed again where backward first asks for it, from inputs that may be forgotten too: what leaves a recompute block is kept, so the chain ends
 * there. Each is computed once more and then lives to its last use. */
#include <sigmatic/base/memory.h>
#include <sigmatic/ops/add.h>

#include "graph/plan_internal.h"

#include <assert.h>
#include <string.h>

typedef struct value_state {
    sm_operand place;
    int defined;
    int reads_left; /* by consumers, by backward, as an output */
    int wants_gradient;
    int forgettable;            /* inside a block that is computed again */
    const sm_op *recomputed_by; /* NULL: kept */
    sm_operand gradient;        /* NONE until the first writer */
} value_state;

typedef struct op_state {
    int head;     /* op that does this op's work; itself unless absorbed */
    int last;     /* of a head: the last op that it absorbed */
    void *memory; /* sm_lowering_state() */
} op_state;

struct sm_lowering {
    sm_plan *plan;
    const sm_graph *graph;
    value_state *values;
    op_state *ops;
    int *readers; /* of each buffer, as gradient */
    int op;       /* being lowered */
    int pass;
    int recomputing; /* depth */
};

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
    value_state *state = &lowering->values[value];
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
    lowering->values[value].recomputed_by = op;
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

static size_t value_bytes(const sm_lowering *lowering, int value)
{
    sm_extent extent = sm_lowering_extent(lowering, value);
    return extent.elements * sm_dtype_bytes(extent.type);
}

sm_operand sm_lowering_define(sm_lowering *lowering, int value, int input)
{
    value_state *state = &lowering->values[value];
    const sm_plan *plan = lowering->plan;
    state->defined = 1;
    if (input >= 0 && !plan->options.no_reuse && !lowering->recomputing) {
        sm_operand place = lowering->values[input].place;
        /* the op being lowered still has its own read of `input` on the count */
        if (place.buffer >= 0 && buffer_reads_left(lowering, place.buffer) == 1 &&
            plan->buffers[place.buffer].bytes >= value_bytes(lowering, value) * (size_t)plan->options.capacity) {
            return state->place = place;
        }
    }
    return state->place = sm_lowering_buffer(lowering, value_bytes(lowering, value), 0);
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
                return op->kind == kind && lowering->ops[i].head == i ? op : NULL;
            }
        }
    }
    return NULL;
}

/* The reads of an op's inputs are over once it is lowered. */
static void end_reads(sm_lowering *lowering, const sm_op *op)
{
    for (int i = 0; i < op->input_count; i++) {
        lowering->values[op->inputs[i]].reads_left--;
    }
}

void sm_lowering_absorb(sm_lowering *lowering, const sm_op *op)
{
    int index = (int)(op - lowering->graph->ops);
    lowering->ops[index].head = lowering->op;
    lowering->ops[lowering->op].last = index;
}

void *sm_lowering_state(sm_lowering *lowering, const sm_op *op, size_t bytes)
{
    op_state *state = &lowering->ops[op - lowering->graph->ops];
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

static void set_gradient(sm_lowering *lowering, int value, sm_operand place)
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
    value_state *state = &lowering->values[value];
    assert(state->wants_gradient);
    if (state->gradient.region == SM_REGION_NONE) {
        sm_operand place = sm_lowering_none();
        if (in_place_of >= 0 && !lowering->plan->options.no_reuse) {
            place = lowering->values[in_place_of].gradient;
        }
        if (place.region == SM_REGION_NONE || lowering->readers[place.buffer] > 1 ||
            value_bytes(lowering, value) != value_bytes(lowering, in_place_of)) {
            place = sm_lowering_buffer(lowering, value_bytes(lowering, value), 0);
        }
        set_gradient(lowering, value, place);
        *beta = 0;
    } else {
        *beta = 1;
        if (lowering->readers[state->gradient.buffer] > 1) {
            sm_operand shared = state->gradient;
            lowering->readers[shared.buffer]--;
            set_gradient(lowering, value, sm_lowering_buffer(lowering, value_bytes(lowering, value), 0));
            emit_accumulate(lowering, value, shared, 0, state->gradient);
        }
    }
    return state->gradient;
}

void sm_lowering_pass_gradient(sm_lowering *lowering, int value, int from)
{
    value_state *state = &lowering->values[value];
    sm_operand source = lowering->values[from].gradient;
    if (!state->wants_gradient) {
        return;
    }
    if (state->gradient.region == SM_REGION_NONE && !lowering->plan->options.no_reuse) {
        set_gradient(lowering, value, source);
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

static int is_trained_op(const sm_lowering *lowering, const sm_op *op)
{
    for (int i = 0; i < op->parameter_count; i++) {
        if (sm_lowering_is_trained(lowering, op->parameters[i])) {
            return 1;
        }
    }
    return 0;
}

static int recompute_block_of(const sm_graph *graph, int value)
{
    int producer = graph->values[value].producer;
    return producer >= 0 && graph->ops[producer].kind->recompute ? graph->ops[producer].recompute_block : 0;
}

/* Values that are read inside their recompute block alone. */
static void find_forgettable(sm_lowering *lowering)
{
    const sm_graph *graph = lowering->graph;
    const sm_plan_options *options = &lowering->plan->options;
    if (!options->recompute || !options->training) {
        return;
    }
    for (int v = 0; v < graph->value_count; v++) {
        lowering->values[v].forgettable = recompute_block_of(graph, v) > 0 && graph->values[v].consumers > 0;
    }
    for (int i = 0; i < graph->op_count; i++) {
        for (int j = 0; j < graph->ops[i].input_count; j++) {
            int value = graph->ops[i].inputs[j];
            lowering->values[value].forgettable &= graph->ops[i].recompute_block == recompute_block_of(graph, value);
        }
    }
    for (int i = 0; i < graph->output_count; i++) {
        lowering->values[graph->outputs[i].value].forgettable = 0;
    }
}

/* Backward reads what is forgotten in another place; what its computation reads again has to stay. */
static void count_backward_reads(sm_lowering *lowering, const sm_op *op, int wanted)
{
    value_state *output = &lowering->values[op->output];
    for (int j = 0; j < op->input_count; j++) {
        value_state *input = &lowering->values[op->inputs[j]];
        input->reads_left += !input->forgettable && ((wanted && op->kind->saves_input) || output->forgettable);
    }
    output->reads_left += !output->forgettable && wanted && op->kind->saves_output;
}

/* Which values want gradients, and how often each is read. */
static void count_reads(sm_lowering *lowering)
{
    const sm_graph *graph = lowering->graph;
    for (int i = 0; i < graph->op_count; i++) {
        const sm_op *op = &graph->ops[i];
        int wanted = is_trained_op(lowering, op), wanted_below = 0;
        for (int j = 0; j < op->input_count; j++) {
            wanted_below |= lowering->values[op->inputs[j]].wants_gradient;
            lowering->values[op->inputs[j]].reads_left++;
        }
        wanted |= wanted_below;
        lowering->values[op->output].wants_gradient = wanted;
        count_backward_reads(lowering, op, wanted);
    }
    for (int i = 0; i < graph->output_count; i++) {
        lowering->values[graph->outputs[i].value].reads_left++;
    }
}

/* Of a group that was lowered as one, the last value. */
static void forget_output(sm_lowering *lowering, const sm_op *head)
{
    int output = lowering->graph->ops[lowering->ops[lowering->op].last].output;
    if (lowering->values[output].forgettable) {
        assert(head->kind->recompute);
        sm_lowering_forget(lowering, output, head);
    }
}

static void lower_forward(sm_lowering *lowering)
{
    lowering->pass = SM_PASS_FORWARD;
    for (int i = 0; i < lowering->graph->op_count; i++) {
        const sm_op *op = &lowering->graph->ops[i];
        lowering->op = i;
        if (lowering->ops[i].head == i) {
            op->kind->forward(lowering, op);
            forget_output(lowering, op);
        }
        end_reads(lowering, op);
    }
}

static void release_gradient(sm_lowering *lowering, int value)
{
    sm_operand gradient = lowering->values[value].gradient;
    if (gradient.region != SM_REGION_NONE) {
        lowering->readers[gradient.buffer]--;
    }
}

static void lower_backward(sm_lowering *lowering)
{
    const sm_graph *graph = lowering->graph;
    sm_plan *plan = lowering->plan;
    lowering->pass = SM_PASS_BACKWARD;
    for (int v = 0; v < graph->value_count; v++) {
        lowering->values[v].defined = !lowering->values[v].recomputed_by;
    }
    for (int i = 0; i < graph->output_count; i++) {
        int value = graph->outputs[i].value;
        if (lowering->values[value].wants_gradient) {
            set_gradient(lowering, value, sm_lowering_buffer(lowering, value_bytes(lowering, value), 0));
            plan->output_gradients[i] = lowering->values[value].gradient;
        }
    }
    for (int i = graph->op_count - 1; i >= 0; i--) {
        int head = lowering->ops[i].head;
        if (lowering->ops[head].last != i) {
            continue; /* a member of a group whose last member's turn it was */
        }
        lowering->op = head;
        if (lowering->values[graph->ops[i].output].gradient.region != SM_REGION_NONE) {
            graph->ops[head].kind->backward(lowering, &graph->ops[head]);
        }
        for (int j = head; j <= i; j++) {
            if (lowering->ops[j].head == head) {
                release_gradient(lowering, graph->ops[j].output);
            }
        }
    }
}

void sm_plan_lower(sm_plan *plan)
{
    const sm_graph *graph = plan->graph;
    sm_lowering lowering = {.plan = plan, .graph = graph};
    lowering.values = sm_alloc_zeroed((size_t)graph->value_count * sizeof *lowering.values);
    lowering.ops = sm_alloc_zeroed((size_t)graph->op_count * sizeof *lowering.ops);
    for (int i = 0; i < graph->op_count; i++) {
        lowering.ops[i].head = lowering.ops[i].last = i;
    }
    for (int v = 0; v < graph->value_count; v++) {
        lowering.values[v].gradient = sm_lowering_none();
    }
    lowering.values[0].place = (sm_operand){SM_REGION_INPUT, 0, -1};
    lowering.values[0].defined = 1;
    for (int i = 0; i < graph->output_count; i++) {
        plan->output_gradients[i] = sm_lowering_none();
    }

    find_forgettable(&lowering);
    count_reads(&lowering);
    lower_forward(&lowering);
    sm_plan_gather_sums(&lowering, plan);
    for (int i = 0; i < graph->output_count; i++) {
        plan->outputs[i] = sm_lowering_value(&lowering, graph->outputs[i].value);
    }
    if (plan->options.training) {
        lower_backward(&lowering);
        sm_plan_find_gradient_writers(plan);
    }
    sm_plan_map_memory(plan);

    for (int i = 0; i < graph->op_count; i++) {
        sm_free(lowering.ops[i].memory);
    }
    sm_free(lowering.ops);
    sm_free(lowering.values);
    sm_free(lowering.readers);
}
