/* Backward of ops in reverse order: of all of them, or of one task's.
 *
 * A gradient's place is a buffer; several values share one when a gradient is passed on unchanged (add). `readers` of a
 * gradient buffer counts the values whose gradient it is and whose backward is still to come: it may be overwritten only
 * by its last reader, and is copied before something is added to it while others still read it. */
#include "graph/lowering_private.h"

static void release_gradient(sm_lowering *lowering, int value)
{
    sm_operand gradient = lowering->values[value].gradient;
    if (gradient.region != SM_REGION_NONE) {
        lowering->readers[gradient.buffer]--;
    }
}

void sm_lowering_backward_of(sm_lowering *lowering, int task)
{
    const sm_graph *graph = lowering->graph;
    for (int i = graph->op_count - 1; i >= 0; i--) {
        int head = lowering->ops[i].head;
        if (lowering->ops[head].last != i || (task != SM_EVERY_TASK && graph->ops[head].task != task)) {
            continue; /* a member of a group whose last member's turn it was, or another task's turn */
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
