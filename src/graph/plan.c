#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>

#include "graph/plan_internal.h"

#include <assert.h>

const char *const sm_region_names[SM_REGIONS] = {
    [SM_REGION_NONE] = "none",
    [SM_REGION_PARAMETERS] = "parameters",
    [SM_REGION_GRADIENTS] = "gradients",
    [SM_REGION_BUFFERS] = "buffers",
    [SM_REGION_PREPARED] = "packed weights",
    [SM_REGION_INPUT] = "input",
    [SM_REGION_ACTIVATIONS] = "activations",
    [SM_REGION_WORKSPACE] = "workspace",
    [SM_REGION_PARTIALS] = "partial sums",
};

static int shares_gradients(const sm_plan *plan)
{
    const sm_call_list *list = &plan->passes[SM_PASS_BACKWARD];
    for (int i = 0; i < list->count; i++) {
        if (list->items[i].parameter_gradient && list->items[i].beta > 0) {
            return 1;
        }
    }
    return 0;
}

sm_status sm_plan_new(const sm_graph *graph, const sm_plan_options *options, sm_plan **out)
{
    if (sm_graph_status(graph) != SM_OK) {
        return sm_graph_status(graph);
    }
    if (options->capacity < 1 || options->threads < 1) {
        return sm_fail(SM_ERR_CONFIG, "a plan needs at least 1 sample and 1 thread, found %d and %d", options->capacity,
                       options->threads);
    }
    if (options->training && options->task_gradients && sm_plan_check_tasks(graph) != SM_OK) {
        return SM_ERR_CONFIG;
    }
    sm_parameters_finish(graph->parameters);
    sm_plan *plan = sm_alloc_zeroed(sizeof *plan);
    plan->graph = graph;
    plan->options = *options;
    if (plan->options.batch_typical < 1) { /* reproducible: the capacity follows from the number of ranks */
        plan->options.batch_typical = options->reproducible ? 1 : options->capacity;
    }
    size_t outputs = (size_t)graph->output_count;
    plan->outputs = sm_alloc_zeroed(outputs * sizeof *plan->outputs);
    plan->output_gradients = sm_alloc_zeroed(outputs * sizeof *plan->output_gradients);
    plan->region_bytes[SM_REGION_PARAMETERS] = graph->parameters->parameters.floats * sizeof(float);
    plan->region_bytes[SM_REGION_GRADIENTS] = options->training ? plan->region_bytes[SM_REGION_PARAMETERS] : 0;
    plan->region_bytes[SM_REGION_BUFFERS] = graph->parameters->buffers.floats * sizeof(float);
    plan->region_bytes[SM_REGION_INPUT] =
        sm_value_elements(graph->values[0].shape) * sizeof(float) * (size_t)options->capacity;
    if (options->reproducible && options->training) {
        size_t others = options->sum_subtrees > 1 ? (size_t)options->sum_subtrees - 1 : 0;
        plan->region_bytes[SM_REGION_PARTIALS] = others * plan->region_bytes[SM_REGION_GRADIENTS] + options->sum_bytes;
    }
    sm_plan_count_tasks(plan);
    sm_plan_find_types(plan);
    sm_plan_lower(plan);
    if (options->reproducible && shares_gradients(plan)) {
        sm_plan_free(plan);
        return sm_fail(SM_ERR_CONFIG, "reproducible sums: a parameter of several ops has no gradient a sample");
    }
    *out = plan;
    return SM_OK;
}

void sm_plan_free(sm_plan *plan)
{
    if (!plan) {
        return;
    }
    for (int i = 0; i < plan->config_count; i++) {
        sm_free(plan->configs[i]);
    }
    for (int pass = 0; pass < SM_PASSES; pass++) {
        sm_free(plan->passes[pass].items);
    }
    sm_free(plan->configs);
    sm_free(plan->buffers);
    sm_free(plan->outputs);
    sm_free(plan->types);
    sm_free(plan->output_gradients);
    sm_free(plan->shared);
    sm_free(plan->task_gradients);
    sm_free(plan->task_sections);
    sm_free(plan);
}

size_t sm_plan_region_bytes(const sm_plan *plan, sm_region region)
{
    return plan->region_bytes[region];
}

float *sm_plan_subtree_gradient(const sm_plan *plan, const sm_run *run, int subtree)
{
    size_t floats = plan->region_bytes[SM_REGION_GRADIENTS] / sizeof(float);
    float *others = (float *)(void *)run->base[SM_REGION_PARTIALS];
    return subtree > 0 ? others + (size_t)(subtree - 1) * floats : (float *)(void *)run->base[SM_REGION_GRADIENTS];
}

float *sm_plan_output(const sm_plan *plan, const sm_run *run, int output)
{
    return sm_operand_address(run, plan->outputs[output]);
}

float *sm_plan_output_gradient(const sm_plan *plan, const sm_run *run, int output)
{
    return sm_operand_address(run, plan->output_gradients[output]);
}

const sm_call *sm_plan_calls(const sm_plan *plan, int pass, int *count)
{
    *count = plan->passes[pass].count;
    return plan->passes[pass].items;
}

static void run_calls(const sm_plan *plan, int pass, sm_section section, const sm_run *run)
{
    for (int i = section.begin; i < section.end; i++) {
        const sm_call *call = &plan->passes[pass].items[i];
        double begin = run->observe ? sm_seconds() : 0;
        call->run(call, run);
        if (run->observe) {
            run->observe(run->user, call, begin, sm_seconds());
        }
        if (pass == SM_PASS_BACKWARD && run->progress) {
            run->progress(run->user, call->gradients_complete);
        }
    }
}

static sm_section all_calls(const sm_plan *plan, int pass)
{
    return (sm_section){0, plan->passes[pass].count};
}

void sm_plan_prepare(const sm_plan *plan, const sm_run *run)
{
    run_calls(plan, SM_PASS_PREPARE, all_calls(plan, SM_PASS_PREPARE), run);
}

void sm_plan_forward(const sm_plan *plan, sm_run *run)
{
    run_calls(plan, SM_PASS_FORWARD, all_calls(plan, SM_PASS_FORWARD), run);
    run->backward_is_due = 1;
    run->tasks_ready = 0;
}

/* A pass that may reuse the memory of what it has read. */
static void run_last_pass(const sm_plan *plan, sm_section section, sm_run *run)
{
    assert(run->backward_is_due && "one backward pass after each forward, unless the plan repeats it");
    run->backward_is_due = plan->options.repeat_backward;
    run_calls(plan, SM_PASS_BACKWARD, section, run);
}

void sm_plan_backward(const sm_plan *plan, sm_run *run)
{
    assert(!plan->options.task_gradients && "a plan with gradients of single tasks has passes of its own");
    run_last_pass(plan, all_calls(plan, SM_PASS_BACKWARD), run);
}

void sm_plan_backward_task(const sm_plan *plan, sm_run *run, int task)
{
    assert(task >= 0 && task < plan->task_count && run->backward_is_due);
    sm_run quiet = *run; /* gradients are not yet final in their order */
    quiet.progress = NULL;
    run_calls(plan, SM_PASS_BACKWARD, plan->task_sections[task], &quiet);
    run->tasks_ready |= (uint64_t)1 << task;
}

void sm_plan_backward_shared(const sm_plan *plan, sm_run *run, const double *coefficients)
{
    assert(plan->options.task_gradients);
    for (int task = 0; task < plan->task_count; task++) {
        assert((coefficients[task] == 0 || run->tasks_ready >> task & 1) && "first the task's own pass");
    }
    run->coefficients = coefficients;
    run_last_pass(plan, plan->shared_section, run);
    run->coefficients = NULL;
}
