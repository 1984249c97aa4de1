/** \file
 * The plan's own struct, shared by what makes it (plan_types.c, plan_lower.c, plan_backward.c, plan_tasks.c, plan_gather.c, plan_gradients.c, plan_memory.c, in this order), runs it (plan.c) and prints it (plan_print.c). */
#ifndef SIGMATIC_GRAPH_PLAN_INTERNAL_H
#define SIGMATIC_GRAPH_PLAN_INTERNAL_H

#include <sigmatic/graph/lowering.h>

enum { SM_PASS_PREPARE, SM_PASS_FORWARD, SM_PASS_BACKWARD, SM_PASSES };

typedef struct sm_call_list {
    sm_call *items;
    int count;
} sm_call_list;

/** A planned place in the activations region. Time runs over the forward calls, the loss, the backward calls. */
typedef struct sm_buffer {
    size_t bytes;
    int first, last; /* time of first and last use; first = -1: never used */
    size_t offset;
} sm_buffer;

/** Calls of the backward list: begin .. end. */
typedef struct sm_section {
    int begin, end;
} sm_section;

struct sm_plan {
    const sm_graph *graph;
    sm_plan_options options;
    sm_call_list passes[SM_PASSES];
    sm_buffer *buffers;
    int buffer_count;
    sm_operand *outputs, *output_gradients; /* one an output of the graph */
    sm_dtype *types;                        /* of each value */
    int task_count;                         /* with task gradients; else 0, and nothing of these: */
    int shared_count;                       /* shared values whose gradient is wanted */
    int *shared;                            /* those values */
    sm_operand *task_gradients;             /* (task, shared value): NONE if the task does not read it */
    sm_section *task_sections;              /* backward of each task */
    sm_section shared_section;              /* of all of them together, the sum of their gradients first */
    size_t region_bytes[SM_REGIONS];
    void **configs;
    int config_count;
};

/** Says of what type each value is: plan_types.c. */
void sm_plan_find_types(sm_plan *plan);

/** Says of each backward call whether it overwrites or adds to a parameter's gradient, and what is final after it. */
void sm_plan_find_gradient_writers(sm_plan *plan);

/** Gives every buffer its lifetime and place, and every operand its address in its region. */
void sm_plan_map_memory(sm_plan *plan);

/** Reorders the forward calls so that sums over ranks share messages; before buffers are placed. */
void sm_plan_gather_sums(sm_lowering *lowering, sm_plan *plan);

/** Fills the lists of calls. */
void sm_plan_lower(sm_plan *plan);

/** \return SM_ERR_CONFIG for a graph that has no gradients of single tasks: plan_tasks.c. */
sm_status sm_plan_check_tasks(const sm_graph *graph);
/** Makes room for what a plan with task gradients knows of its tasks. */
void sm_plan_count_tasks(sm_plan *plan);

#endif
