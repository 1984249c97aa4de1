/* Sums over ranks that do not wait for each other travel in one message: those of branches (ASPP, the decoders' first
 * layers, a block's shortcut and its first layer).
 *
 * Calls are taken in their order, but a sum waits, and with it every call that touches what it or another waiting call
 * touches, until no other call is left; then all sums that wait for nothing but themselves go together. Only calls that
 * share no memory change their order, so the numbers stay the same. */
#include "graph/plan_internal.h"

#include <sigmatic/base/memory.h>

#include <string.h>

enum { JOINED_MAX = SM_CALL_OPERANDS - 1 };

/* What waiting calls touch: planned buffers, and places of running statistics. */
typedef struct touched {
    char *buffers; /* by index */
    size_t *running;
    int running_count;
} touched;

static int is_running(const sm_operand *operand)
{
    return operand->region == SM_REGION_BUFFERS;
}

static int is_planned(const sm_operand *operand)
{
    return operand->region == SM_REGION_ACTIVATIONS && operand->buffer >= 0;
}

static int meets(const touched *waiting, const sm_call *call)
{
    for (int i = 0; i < SM_CALL_OPERANDS; i++) {
        const sm_operand *operand = &call->operand[i];
        if (is_planned(operand) && waiting->buffers[operand->buffer]) {
            return 1;
        }
        for (int j = 0; is_running(operand) && j < waiting->running_count; j++) {
            if (waiting->running[j] == operand->offset) {
                return 1;
            }
        }
    }
    return 0;
}

static void touch(touched *waiting, const sm_call *call)
{
    for (int i = 0; i < SM_CALL_OPERANDS; i++) {
        const sm_operand *operand = &call->operand[i];
        if (is_planned(operand)) {
            waiting->buffers[operand->buffer] = 1;
        } else if (is_running(operand)) {
            waiting->running[waiting->running_count++] = operand->offset;
        }
    }
}

/* ---- several sums in one call ------------------------------------------------------------------------------------ */

typedef struct joined {
    int count;
    size_t doubles[JOINED_MAX];
} joined;

/* 0 the message, then what is summed */
static void run_joined(const sm_call *call, const sm_run *run)
{
    const joined *parts = call->config;
    double *message = sm_operand_address(run, call->operand[0]);
    size_t total = 0;
    if (!run->reduce) {
        return;
    }
    for (int i = 0; i < parts->count; total += parts->doubles[i++]) {
        memcpy(message + total, sm_operand_address(run, call->operand[1 + i]), parts->doubles[i] * sizeof *message);
    }
    run->reduce(run->user, message, total);
    total = 0;
    for (int i = 0; i < parts->count; total += parts->doubles[i++]) {
        memcpy(sm_operand_address(run, call->operand[1 + i]), message + total, parts->doubles[i] * sizeof *message);
    }
}

static sm_call join(sm_lowering *lowering, const sm_call *sums, int count)
{
    if (count == 1) {
        return sums[0];
    }
    joined parts = {.count = count};
    sm_call call = {.run = run_joined, .label = sums[0].label, .op = sums[0].op};
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        parts.doubles[i] = sums[i].summed_doubles;
        call.operand[1 + i] = sums[i].operand[0];
        total += parts.doubles[i];
    }
    call.operand[0] = sm_lowering_buffer(lowering, 0, total * sizeof(double));
    call.config = sm_lowering_config(lowering, &parts, sizeof parts);
    return call;
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

/* Moves what need not wait from `left` to `out`, then one message of sums. \return how many calls are left */
static int advance(sm_lowering *lowering, touched *waiting, sm_call *left, int count, sm_call_list *out)
{
    sm_call sums[JOINED_MAX];
    int kept = 0, ready = 0;
    waiting->running_count = 0;
    for (int i = 0; i < count; i++) {
        sm_call call = left[i];
        int must_wait = meets(waiting, &call);
        if (!must_wait && call.summed_doubles == 0) {
            out->items[out->count++] = call;
            continue;
        }
        touch(waiting, &call);
        if (!must_wait && ready < JOINED_MAX) {
            sums[ready++] = call;
        } else {
            left[kept++] = call;
        }
    }
    if (ready > 0) {
        out->items[out->count++] = join(lowering, sums, ready);
    }
    return kept;
}

void sm_plan_gather_sums(sm_lowering *lowering, sm_plan *plan)
{
    sm_call_list *list = &plan->passes[SM_PASS_FORWARD];
    int left = list->count, buffers = plan->buffer_count;
    if (plan->options.no_fusion || plan->options.reproducible || left == 0) {
        return;
    }
    sm_call *calls = sm_alloc((size_t)left * sizeof *calls);
    memcpy(calls, list->items, (size_t)left * sizeof *calls);
    touched waiting = {sm_alloc((size_t)buffers + 1), sm_alloc((size_t)left * SM_CALL_OPERANDS * sizeof(size_t)), 0};
    list->count = 0;
    while (left > 0) {
        memset(waiting.buffers, 0, (size_t)buffers + 1);
        left = advance(lowering, &waiting, calls, left, list);
    }
    sm_free(waiting.buffers);
    sm_free(waiting.running);
    sm_free(calls);
}
