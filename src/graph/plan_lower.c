/* Lowering: each op emits its forward calls in graph order and its backward calls in reverse order.
 *
 * A value's place is a buffer; several values share one when an op works in place.
 *
 * A forgotten value is computed again where backward first asks for it, from inputs that may be forgotten too: what leaves a recompute block is kept, so the chain ends
 * there. Each is computed once more and then lives to its last use. */
#include "graph/lowering_private.h"

#include <sigmatic/base/memory.h>

#include <assert.h>

/* The reads of an op's inputs are over once it is lowered. */
static void end_reads(sm_lowering *lowering, const sm_op *op)
{
    for (int i = 0; i < op->input_count; i++) {
        lowering->values[op->inputs[i]].reads_left--;
    }
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
    for (int v = 0; v < graph->value_count; v++) {
        lowering->values[v].forgettable &= !lowering->values[v].is_shared;
    }
}

/* Backward reads what is forgotten in another place; what its computation reads again has to stay. */
static void count_backward_reads(sm_lowering *lowering, const sm_op *op, int wanted)
{
    sm_value_state *output = &lowering->values[op->output];
    for (int j = 0; j < op->input_count; j++) {
        sm_value_state *input = &lowering->values[op->inputs[j]];
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

/* A seed that a later pass reads again has a reader that never comes: nobody writes where it lies. */
static void place_seeds(sm_lowering *lowering)
{
    sm_plan *plan = lowering->plan;
    for (int i = 0; i < plan->graph->output_count; i++) {
        int value = plan->graph->outputs[i].value;
        if (lowering->values[value].wants_gradient) {
            sm_operand place = sm_lowering_buffer(lowering, sm_lowering_value_bytes(lowering, value), 0);
            sm_lowering_set_gradient(lowering, value, place);
            lowering->readers[place.buffer] += plan->options.repeat_backward || plan->options.task_gradients;
            plan->output_gradients[i] = place;
        }
    }
}

static void lower_backward(sm_lowering *lowering)
{
    lowering->pass = SM_PASS_BACKWARD;
    for (int v = 0; v < lowering->graph->value_count; v++) {
        lowering->values[v].defined = !lowering->values[v].recomputed_by;
    }
    place_seeds(lowering);
    if (lowering->plan->options.task_gradients) {
        sm_lowering_task_gradients(lowering);
    } else {
        sm_lowering_backward_of(lowering, SM_EVERY_TASK);
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

    sm_lowering_find_shared(&lowering);
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
