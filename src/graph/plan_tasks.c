/* Gradients of single tasks: backward in sections, one for the head of each task and one for what they share.
 *
 * A section writes the gradients of shared values to places of its own; the shared section begins with their weighted
 * sum. Sections of heads run in any order and more than once, so each computes again for itself what forward did not keep
 * of its head, and shared values, which several of them read, are kept. */
#include "graph/lowering_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/ops/weighted_sum.h>

#include <assert.h>

enum { TASKS_MOST = 64, SUMMANDS_MOST = SM_CALL_OPERANDS - 1 };

static int task_of(const sm_graph *graph, int value)
{
    int producer = graph->values[value].producer;
    return producer >= 0 ? graph->ops[producer].task : -1;
}

static int count_tasks(const sm_graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->op_count; i++) {
        count = graph->ops[i].task >= count ? graph->ops[i].task + 1 : count;
    }
    return count;
}

/* ---- which graphs have them -------------------------------------------------------------------------------------- */

static sm_status check_inputs(const sm_graph *graph, const sm_op *op)
{
    for (int i = 0; i < op->input_count; i++) {
        int task = task_of(graph, op->inputs[i]);
        if (task >= 0 && task != op->task) {
            return sm_fail(SM_ERR_CONFIG, "gradients of single tasks: %s reads what the head of task %d computes",
                           op->name, task);
        }
    }
    return SM_OK;
}

static int uses_parameter(const sm_op *op, int parameter)
{
    for (int i = 0; i < op->parameter_count; i++) {
        if (op->parameters[i] == parameter) {
            return 1;
        }
    }
    return 0;
}

static sm_status check_parameters(const sm_graph *graph, const sm_op *op)
{
    for (int i = 0; i < op->parameter_count; i++) {
        for (const sm_op *other = graph->ops; other < op; other++) {
            if (other->task != op->task && uses_parameter(other, op->parameters[i])) {
                return sm_fail(SM_ERR_CONFIG, "gradients of single tasks: %s is a parameter of more than one task",
                               graph->parameters->parameters.items[op->parameters[i]].name);
            }
        }
    }
    return SM_OK;
}

sm_status sm_plan_check_tasks(const sm_graph *graph)
{
    sm_status status = SM_OK;
    for (int i = 0; i < graph->output_count; i++) {
        if (task_of(graph, graph->outputs[i].value) < 0) {
            SM_TRY(sm_fail(SM_ERR_CONFIG, "gradients of single tasks: the output '%s' belongs to none",
                           graph->outputs[i].name));
        }
    }
    if (count_tasks(graph) > TASKS_MOST) {
        SM_TRY(sm_fail(SM_ERR_CONFIG, "gradients of single tasks: at most %d tasks, found %d", TASKS_MOST,
                       count_tasks(graph)));
    }
    for (int i = 0; i < graph->op_count; i++) {
        SM_TRY(check_inputs(graph, &graph->ops[i]));
        SM_TRY(check_parameters(graph, &graph->ops[i]));
    }
done:
    return status;
}

void sm_plan_count_tasks(sm_plan *plan)
{
    if (plan->options.training && plan->options.task_gradients) {
        plan->task_count = count_tasks(plan->graph);
    }
}

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

void sm_lowering_find_shared(sm_lowering *lowering)
{
    const sm_graph *graph = lowering->graph;
    for (int i = 0; i < graph->op_count && lowering->plan->task_count > 0; i++) {
        const sm_op *op = &graph->ops[i];
        for (int j = 0; j < op->input_count && op->task >= 0; j++) {
            lowering->values[op->inputs[j]].is_shared |= task_of(graph, op->inputs[j]) < 0;
        }
    }
}

static void list_shared(sm_lowering *lowering)
{
    sm_plan *plan = lowering->plan;
    int values = lowering->graph->value_count;
    plan->shared = sm_alloc((size_t)values * sizeof *plan->shared);
    for (int v = 0; v < values; v++) {
        if (lowering->values[v].is_shared && lowering->values[v].wants_gradient) {
            plan->shared[plan->shared_count++] = v;
        }
    }
    plan->task_gradients =
        sm_alloc((size_t)plan->task_count * (size_t)plan->shared_count * sizeof *plan->task_gradients);
    plan->task_sections = sm_alloc((size_t)plan->task_count * sizeof *plan->task_sections);
}

typedef struct summands {
    sm_extent extent;
    int count, task[SUMMANDS_MOST];
} summands;

/* 0 the sum, then each task's gradient */
static void run_sum(const sm_call *call, const sm_run *run)
{
    const summands *all = call->config;
    const void *gradients[SUMMANDS_MOST];
    float coefficients[SUMMANDS_MOST];
    int count = 0;
    for (int i = 0; i < all->count; i++) {
        double coefficient = run->coefficients[all->task[i]];
        if (coefficient != 0) {
            gradients[count] = sm_operand_address(run, call->operand[1 + i]);
            coefficients[count++] = (float)coefficient;
        }
    }
    sm_weighted_sum(all->extent.type, all->extent.elements * (size_t)run->batch, count, gradients, coefficients,
                    call->beta, sm_operand_address(run, call->operand[0]), run->threads);
}

static void emit_summands(sm_lowering *lowering, sm_call *call, summands *all)
{
    call->config = sm_lowering_config(lowering, all, sizeof *all);
    sm_lowering_emit(lowering, call);
    call->beta = 1;
    all->count = 0;
}

/* The gradient of a shared value: in as many calls as its summands need operands. */
static void join_gradients(sm_lowering *lowering, int shared)
{
    const sm_plan *plan = lowering->plan;
    int value = plan->shared[shared];
    summands all = {.extent = sm_lowering_extent(lowering, value)};
    sm_call call = {.run = run_sum, .label = "join gradients"};
    call.operand[0] = sm_lowering_buffer(lowering, sm_lowering_value_bytes(lowering, value), 0);
    lowering->op = lowering->graph->values[value].producer;
    for (int task = 0; task < plan->task_count; task++) {
        sm_operand gradient = plan->task_gradients[task * plan->shared_count + shared];
        if (gradient.region == SM_REGION_NONE) {
            continue;
        }
        if (all.count == SUMMANDS_MOST) {
            emit_summands(lowering, &call, &all);
        }
        all.task[all.count++] = task;
        call.operand[all.count] = gradient;
    }
    if (all.count > 0) {
        emit_summands(lowering, &call, &all);
        sm_lowering_set_gradient(lowering, value, call.operand[0]);
    }
}

static void lower_head(sm_lowering *lowering, int task)
{
    sm_plan *plan = lowering->plan;
    const sm_call_list *list = &plan->passes[SM_PASS_BACKWARD];
    plan->task_sections[task].begin = list->count;
    sm_lowering_backward_of(lowering, task);
    plan->task_sections[task].end = list->count;
    for (int i = 0; i < plan->shared_count; i++) {
        sm_operand *gradient = &lowering->values[plan->shared[i]].gradient;
        plan->task_gradients[task * plan->shared_count + i] = *gradient;
        *gradient = sm_lowering_none(); /* the next task's is another */
    }
}

void sm_lowering_task_gradients(sm_lowering *lowering)
{
    sm_plan *plan = lowering->plan;
    const sm_call_list *list = &plan->passes[SM_PASS_BACKWARD];
    list_shared(lowering);
    for (int task = plan->task_count - 1; task >= 0; task--) {
        lower_head(lowering, task);
    }
    plan->shared_section.begin = list->count;
    for (int i = 0; i < plan->shared_count; i++) {
        join_gradients(lowering, i);
    }
    sm_lowering_backward_of(lowering, -1);
    plan->shared_section.end = list->count;
}

/* ---- what callers see -------------------------------------------------------------------------------------------- */

int sm_plan_shared_values(const sm_plan *plan)
{
    return plan->shared_count;
}

sm_task_gradient sm_plan_task_gradient(const sm_plan *plan, const sm_run *run, int task, int shared)
{
    assert(task >= 0 && task < plan->task_count && shared >= 0 && shared < plan->shared_count);
    int value = plan->shared[shared];
    return (sm_task_gradient){sm_operand_address(run, plan->task_gradients[task * plan->shared_count + shared]),
                              plan->types[value], sm_value_elements(plan->graph->values[value].shape)};
}
