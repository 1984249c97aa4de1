/** \file
 * The plan's own struct, shared by lowering (plan_lower.c), memory map (plan_memory.c), running (plan.c) and printing (plan_print.c). */
#ifndef SIGMATIC_GRAPH_PLAN_INTERNAL_H
#define SIGMATIC_GRAPH_PLAN_INTERNAL_H

#include <sigmatic/graph/lowering.h>

enum { SM_PASS_PREPARE, SM_PASS_FORWARD, SM_PASS_BACKWARD, SM_PASSES };

typedef struct sm_step_list {
    sm_step *items;
    int count;
} sm_step_list;

/** A planned place in the activations region. Time runs over the forward steps, the loss, the backward steps. */
typedef struct sm_buffer {
    size_t bytes;
    int first, last; /* time of first and last use; first = -1: never used */
    size_t offset;
} sm_buffer;

struct sm_plan {
    const sm_graph *graph;
    sm_plan_options options;
    sm_step_list passes[SM_PASSES];
    sm_buffer *buffers;
    int buffer_count;
    sm_operand *outputs, *output_gradients; /* one an output of the graph */
    sm_dtype *types;                        /* of each value */
    size_t region_bytes[SM_REGIONS];
    void **configs;
    int config_count;
};

/** Says of what type each value is: plan_types.c. */
void sm_plan_find_types(sm_plan *plan);

/** Gives every buffer its offset. */
void sm_plan_place_buffers(sm_plan *plan);

/** Reorders the forward steps so that sums over ranks share messages; before buffers are placed. */
void sm_plan_gather_sums(sm_lowering *lowering, sm_plan *plan);

/** Fills the lists of steps. */
void sm_plan_lower(sm_plan *plan);

#endif
