#include "graph/plan_internal.h"

#include <sigmatic/base/plural.h>
#include <string.h>

/* What an op's passes compute with; NULL where there is no such call. */
typedef struct op_algorithms {
    const char *forward, *backward_data, *backward_weight;
} op_algorithms;

/* Algorithm of a call of this op and pass, NULL if there is none. */
static const char *algorithm_of(const sm_plan *plan, int pass, int op, const char *label)
{
    for (int i = 0; i < plan->passes[pass].count; i++) {
        const sm_call *call = &plan->passes[pass].items[i];
        if (call->op == op && call->algorithm && strcmp(call->label, label) == 0) {
            return call->algorithm;
        }
    }
    return NULL;
}

static op_algorithms algorithms_of(const sm_plan *plan, int op)
{
    return (op_algorithms){algorithm_of(plan, SM_PASS_FORWARD, op, "forward"),
                           algorithm_of(plan, SM_PASS_BACKWARD, op, "backward data"),
                           algorithm_of(plan, SM_PASS_BACKWARD, op, "backward weight")};
}

/* Ops that nobody named carry their kind's name. */
static const char *name_of(const sm_op *op)
{
    return strcmp(op->name, op->kind->name) ? op->name : "";
}

static double macs_of(const sm_plan *plan, const sm_op *op)
{
    return op->kind->macs ? op->kind->macs(plan->graph, op) : 0;
}

static size_t parameters_of(const sm_plan *plan, const sm_op *op)
{
    size_t count = 0;
    for (int i = 0; i < op->parameter_count; i++) {
        count += plan->graph->parameters->parameters.items[op->parameters[i]].count;
    }
    return count;
}

static const char *or_dash(const char *text)
{
    return text ? text : "-";
}

static void print_ops(const sm_plan *plan, FILE *file)
{
    const sm_graph *graph = plan->graph;
    fprintf(file, "%-4s %-19s %-36s %16s %-4s %11s %10s  %s\n", "op", "kind", "name", "output", "type", "parameters",
            "MMAC", plan->options.training ? "forward / data / weight gradient" : "forward");
    for (int i = 0; i < graph->op_count; i++) {
        const sm_op *op = &graph->ops[i];
        sm_value_shape shape = graph->values[op->output].shape;
        op_algorithms algorithms = algorithms_of(plan, i);
        char size[48];
        snprintf(size, sizeof size, "%dx%dx%d", shape.height, shape.width, shape.channels);
        fprintf(file, "%-4d %-19s %-36s %16s %-4s %11zu %10.2f", i, op->kind->name, name_of(op), size,
                sm_dtype_name(plan->types[op->output]), parameters_of(plan, op), 1e-6 * macs_of(plan, op));
        if (algorithms.forward) {
            fprintf(file, "  %s", algorithms.forward);
            if (plan->options.training) {
                fprintf(file, " / %s / %s", or_dash(algorithms.backward_data), or_dash(algorithms.backward_weight));
            }
        }
        fputc('\n', file);
    }
}

typedef struct plan_totals {
    size_t trained, frozen;                                        /* parameters */
    double forward, forward_executed, backward, backward_executed; /* multiply-adds an image */
} plan_totals;

static void sum_macs(const sm_plan *plan, int pass, double *nominal, double *executed)
{
    *nominal = *executed = 0;
    for (int i = 0; i < plan->passes[pass].count; i++) {
        *nominal += plan->passes[pass].items[i].macs;
        *executed += plan->passes[pass].items[i].macs_executed;
    }
}

static plan_totals totals_of(const sm_plan *plan)
{
    const sm_slices *parameters = &plan->graph->parameters->parameters;
    plan_totals totals = {0};
    for (int i = 0; i < parameters->count; i++) {
        *(parameters->items[i].frozen ? &totals.frozen : &totals.trained) += parameters->items[i].count;
    }
    sum_macs(plan, SM_PASS_FORWARD, &totals.forward, &totals.forward_executed);
    sum_macs(plan, SM_PASS_BACKWARD, &totals.backward, &totals.backward_executed);
    return totals;
}

static void print_totals(const sm_plan *plan, FILE *file)
{
    plan_totals totals = totals_of(plan);
    int tensors = plan->graph->parameters->parameters.count;
    fprintf(file, "\nparameters: %zu trained, %zu frozen, in %d %s\n", totals.trained, totals.frozen, tensors,
            sm_plural(tensors, "tensor", "tensors"));
    fprintf(file, "\nGFLOP an image: forward %.2f nominal, %.2f executed", 2e-9 * totals.forward,
            2e-9 * totals.forward_executed);
    if (plan->options.training) {
        fprintf(file, "; backward %.2f nominal, %.2f executed; step %.2f nominal, %.2f executed",
                2e-9 * totals.backward, 2e-9 * totals.backward_executed, 2e-9 * (totals.forward + totals.backward),
                2e-9 * (totals.forward_executed + totals.backward_executed));
    }
    fprintf(file, "\ncalls: %d packing, %d forward, %d backward\n", plan->passes[SM_PASS_PREPARE].count,
            plan->passes[SM_PASS_FORWARD].count, plan->passes[SM_PASS_BACKWARD].count);
}

void sm_plan_print(const sm_plan *plan, FILE *file)
{
    print_ops(plan, file);
    print_totals(plan, file);
}

/* ---- JSON ---- */

static void set_op(sm_json *json, const sm_plan *plan, int index)
{
    const sm_op *op = &plan->graph->ops[index];
    sm_value_shape shape = plan->graph->values[op->output].shape;
    op_algorithms algorithms = algorithms_of(plan, index);
    sm_json_set_text(json, "kind", op->kind->name);
    sm_json_set_text(json, "name", name_of(op));
    sm_json_set_integer(json, "height", shape.height);
    sm_json_set_integer(json, "width", shape.width);
    sm_json_set_integer(json, "channels", shape.channels);
    sm_json_set_text(json, "type", sm_dtype_name(plan->types[op->output]));
    sm_json_set_integer(json, "parameters", (int64_t)parameters_of(plan, op));
    sm_json_set_integer(json, "multiply_adds", (int64_t)macs_of(plan, op));
    const struct {
        const char *key, *algorithm;
    } passes[] = {{"forward", algorithms.forward},
                  {"backward_data", algorithms.backward_data},
                  {"backward_weight", algorithms.backward_weight}};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        if (passes[i].algorithm) {
            sm_json_set_text(json, passes[i].key, passes[i].algorithm);
        }
    }
}

void sm_plan_set_json(const sm_plan *plan, sm_json *json)
{
    plan_totals totals = totals_of(plan);
    sm_json_set_integer(json, "parameters_trained", (int64_t)totals.trained);
    sm_json_set_integer(json, "parameters_frozen", (int64_t)totals.frozen);
    sm_json_set_real(json, "gflop_forward", 2e-9 * totals.forward);
    sm_json_set_real(json, "gflop_forward_executed", 2e-9 * totals.forward_executed);
    sm_json_set_real(json, "gflop_backward", 2e-9 * totals.backward);
    sm_json_set_real(json, "gflop_backward_executed", 2e-9 * totals.backward_executed);
    sm_json *ops = sm_json_set_array(json, "ops");
    for (int i = 0; i < plan->graph->op_count; i++) {
        set_op(sm_json_set_object(ops, NULL), plan, i);
    }
}
