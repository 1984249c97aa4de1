/* Of what type each value is: bfloat16 where everything that touches it can work with that. */
#include <sigmatic/base/memory.h>

#include "graph/plan_internal.h"

static int is_vector(const sm_plan *plan, int value)
{
    return sm_value_pixels(plan->graph->values[value].shape) == 1;
}

/* \return 1 if the value was not a float before */
static int make_float(sm_plan *plan, int value)
{
    int changes = plan->types[value] != SM_F32;
    plan->types[value] = SM_F32;
    return changes;
}

static int make_inputs_float(sm_plan *plan, const sm_op *op)
{
    int changes = 0;
    for (int i = 0; i < op->input_count; i++) {
        changes |= make_float(plan, op->inputs[i]);
    }
    return changes;
}

static int has_float_map(const sm_plan *plan, const sm_op *op)
{
    int found = !is_vector(plan, op->output) && plan->types[op->output] == SM_F32;
    for (int i = 0; i < op->input_count; i++) {
        found |= !is_vector(plan, op->inputs[i]) && plan->types[op->inputs[i]] == SM_F32;
    }
    return found;
}

/* \return 1 if a value became a float for the op's sake */
static int satisfy(sm_plan *plan, const sm_op *op)
{
    sm_map_types types = op->kind->types ? op->kind->types(plan->graph, op, &plan->options) : SM_MAPS_FLOAT;
    int all = types == SM_MAPS_FLOAT || (types == SM_MAPS_ALIKE && has_float_map(plan, op)), changes = 0;
    if (all) {
        changes |= make_inputs_float(plan, op);
    }
    if (all || types == SM_MAPS_INPUT) {
        changes |= make_float(plan, op->output);
    }
    return changes;
}

void sm_plan_find_types(sm_plan *plan)
{
    const sm_graph *graph = plan->graph;
    plan->types = sm_alloc_zeroed((size_t)graph->value_count * sizeof *plan->types); /* SM_F32 */
    if (plan->options.precision != SM_CONV2D_BF16) {
        return;
    }
    for (int v = 1; v < graph->value_count; v++) {
        plan->types[v] = is_vector(plan, v) ? SM_F32 : SM_BF16;
    }
    for (int i = 0; i < graph->output_count; i++) {
        plan->types[graph->outputs[i].value] = SM_F32;
    }
    for (int changes = 1; changes;) {
        changes = 0;
        for (int i = 0; i < graph->op_count; i++) {
            changes |= satisfy(plan, &graph->ops[i]);
        }
    }
}
