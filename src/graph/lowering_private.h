/** \file
 * The state of a plan being lowered, shared by what op kinds use (lowering.c), the order of ops (plan_lower.c,
 * plan_backward.c) and the gradients of single tasks (plan_tasks.c). */
#ifndef SIGMATIC_GRAPH_LOWERING_PRIVATE_H
#define SIGMATIC_GRAPH_LOWERING_PRIVATE_H

#include "graph/plan_internal.h"

typedef struct sm_value_state {
    sm_operand place;
    int defined;
    int reads_left; /* by consumers, by backward, as an output */
    int wants_gradient;
    int forgettable;            /* inside a block that is computed again */
    int is_shared;              /* of a plan with task gradients: made by no task, read by some */
    const sm_op *recomputed_by; /* NULL: kept */
    sm_operand gradient;        /* NONE until the first writer */
} sm_value_state;

typedef struct sm_op_state {
    int head;     /* op that does this op's work; itself unless absorbed */
    int last;     /* of a head: the last op that it absorbed */
    void *memory; /* sm_lowering_state() */
} sm_op_state;

struct sm_lowering {
    sm_plan *plan;
    const sm_graph *graph;
    sm_value_state *values;
    sm_op_state *ops;
    int *readers; /* of each buffer, as gradient */
    int op;       /* being lowered */
    int pass;
    int recomputing; /* depth */
};

/** \return bytes of one sample's value. */
size_t sm_lowering_value_bytes(const sm_lowering *lowering, int value);

/** Says where a value's gradient lies, and that its backward will read it there. */
void sm_lowering_set_gradient(sm_lowering *lowering, int value, sm_operand place);

enum { SM_EVERY_TASK = -2 };

/** Lowers backward, in reverse order, of the ops of one task; -1: of no task. */
void sm_lowering_backward_of(sm_lowering *lowering, int task);

/** Finds the values that are shared: before anything is lowered. */
void sm_lowering_find_shared(sm_lowering *lowering);

/** Lowers backward in sections: each task's, then that of all of them together. */
void sm_lowering_task_gradients(sm_lowering *lowering);

#endif
