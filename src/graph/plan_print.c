#include "graph/plan_internal.h"

#include <string.h>

/* Algorithm of a call of this op and pass, "-" if there is none. */
static const char *algorithm_of(const sm_plan *plan, int pass, int op, const char *label)
{
    for (int i = 0; i < plan->passes[pass].count; i++) {
        const sm_call *call = &plan->passes[pass].items[i];
        if (call->op == op && call->algorithm && strcmp(call->label, label) == 0) {
            return call->algorithm;
        }
    }
    return "-";
}

static size_t parameters_of(const sm_plan *plan, const sm_op *op)
{
    size_t count = 0;
    for (int i = 0; i < op->parameter_count; i++) {
        count += plan->graph->parameters->parameters.items[op->parameters[i]].count;
    }
    return count;
}

static void print_ops(const sm_plan *plan, FILE *file)
{
    const sm_graph *graph = plan->graph;
    fprintf(file, "%-4s %-19s %-36s %16s %-4s %11s %10s  %s\n", "op", "kind", "name", "output", "type", "parameters",
            "MMAC", plan->options.training ? "forward / data / weight gradient" : "forward");
    for (int i = 0; i < graph->op_count; i++) {
        const sm_op *op = &graph->ops[i];
        sm_value_shape shape = graph->values[op->output].shape;
        char size[48];
        snprintf(size, sizeof size, "%dx%dx%d", shape.height, shape.width, shape.channels);
        fprintf(file, "%-4d %-19s %-36s %16s %-4s %11zu %10.2f", i, op->kind->name,
                strcmp(op->name, op->kind->name) ? op->name : "", size, sm_dtype_name(plan->types[op->output]),
                parameters_of(plan, op), op->kind->macs ? op->kind->macs(graph, op) * 1e-6 : 0);
        const char *forward = algorithm_of(plan, SM_PASS_FORWARD, i, "forward");
        if (forward[0] != '-') {
            fprintf(file, "  %s", forward);
            if (plan->options.training) {
                fprintf(file, " / %s / %s", algorithm_of(plan, SM_PASS_BACKWARD, i, "backward data"),
                        algorithm_of(plan, SM_PASS_BACKWARD, i, "backward weight"));
            }
        }
        fputc('\n', file);
    }
}

static void sum_macs(const sm_plan *plan, int pass, double *nominal, double *executed)
{
    *nominal = *executed = 0;
    for (int i = 0; i < plan->passes[pass].count; i++) {
        *nominal += plan->passes[pass].items[i].macs;
        *executed += plan->passes[pass].items[i].macs_executed;
    }
}

static void print_totals(const sm_plan *plan, FILE *file)
{
    const sm_parameters *parameters = plan->graph->parameters;
    size_t trained = 0, frozen = 0;
    for (int i = 0; i < parameters->parameters.count; i++) {
        *(parameters->parameters.items[i].frozen ? &frozen : &trained) += parameters->parameters.items[i].count;
    }
    fprintf(file, "\nparameters: %zu trained, %zu frozen, in %d tensors\n", trained, frozen,
            parameters->parameters.count);
    double forward[2], backward[2];
    sum_macs(plan, SM_PASS_FORWARD, &forward[0], &forward[1]);
    sum_macs(plan, SM_PASS_BACKWARD, &backward[0], &backward[1]);
    fprintf(file, "\nGFLOP an image: forward %.2f nominal, %.2f executed", 2e-9 * forward[0], 2e-9 * forward[1]);
    if (plan->options.training) {
        fprintf(file, "; backward %.2f nominal, %.2f executed; step %.2f nominal, %.2f executed", 2e-9 * backward[0],
                2e-9 * backward[1], 2e-9 * (forward[0] + backward[0]), 2e-9 * (forward[1] + backward[1]));
    }
    fprintf(file, "\nsteps: %d packing, %d forward, %d backward\n", plan->passes[SM_PASS_PREPARE].count,
            plan->passes[SM_PASS_FORWARD].count, plan->passes[SM_PASS_BACKWARD].count);
}

void sm_plan_print(const sm_plan *plan, FILE *file)
{
    print_ops(plan, file);
    print_totals(plan, file);
}
