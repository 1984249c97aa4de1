/* What the backward calls leave in the flat gradient: who overwrites, who adds, and from when on it is final. */
#include "graph/plan_internal.h"

static int writes_gradient_at(const sm_call *call, size_t offset)
{
    for (int j = 0; j < SM_CALL_OPERANDS; j++) {
        if (call->operand[j].region == SM_REGION_GRADIENTS && call->operand[j].offset == offset) {
            return 1;
        }
    }
    return 0;
}

/* Ops may share a slice: the first call that writes its gradient overwrites, the others add. */
static void add_to_shared_gradients(sm_plan *plan)
{
    sm_call_list *list = &plan->passes[SM_PASS_BACKWARD];
    for (int i = 0; i < list->count; i++) {
        sm_call *call = &list->items[i];
        for (int j = 0; j < SM_CALL_OPERANDS && call->parameter_gradient; j++) {
            for (int k = 0; k < i && call->operand[j].region == SM_REGION_GRADIENTS; k++) {
                if (writes_gradient_at(&list->items[k], call->operand[j].offset)) {
                    call->beta = 1;
                }
            }
        }
    }
}

/* The flat gradient is final up to the first float that a later call still writes. */
static void mark_complete_gradients(sm_plan *plan)
{
    size_t complete = plan->region_bytes[SM_REGION_GRADIENTS] / sizeof(float);
    sm_call_list *list = &plan->passes[SM_PASS_BACKWARD];
    for (int i = list->count - 1; i >= 0; i--) {
        list->items[i].gradients_complete = complete;
        for (int j = 0; j < SM_CALL_OPERANDS; j++) {
            sm_operand operand = list->items[i].operand[j];
            if (operand.region == SM_REGION_GRADIENTS && operand.offset / sizeof(float) < complete) {
                complete = operand.offset / sizeof(float);
            }
        }
    }
}

void sm_plan_find_gradient_writers(sm_plan *plan)
{
    add_to_shared_gradients(plan);
    mark_complete_gradients(plan);
}
