/* The memory map of finished lists of calls: from when to when each buffer is used, and where in the activations region it lies: largest first, each at the
 * lowest offset where nothing that lives at the same time lies. */
#include <sigmatic/base/memory.h>

#include "graph/plan_internal.h"

#include <stdlib.h>

static void touch(sm_buffer *buffer, int time)
{
    if (buffer->first < 0) {
        buffer->first = time;
    }
    if (time > buffer->last) {
        buffer->last = time;
    }
}

static void keep(sm_buffer *buffer, int first, int last)
{
    touch(buffer, first);
    touch(buffer, last);
    buffer->first = first < buffer->first ? first : buffer->first;
}

/* What backward reads from before it stays as long as a pass may run again: to the end of backward if that is repeated,
 * else, for tasks whose passes come in any order, to the end of those. So do the outputs, which seeds are made of, and
 * from the first of these passes on the gradients that they leave. What a pass both writes and reads is its own. */
static void keep_for_later_passes(sm_plan *plan, int loss_time)
{
    int begin = loss_time + 1, end = begin + plan->passes[SM_PASS_BACKWARD].count;
    int until = plan->options.repeat_backward ? end : begin + plan->shared_section.begin;
    if (!plan->options.repeat_backward && !plan->options.task_gradients) {
        return;
    }
    for (int i = 0; i < plan->buffer_count; i++) {
        sm_buffer *buffer = &plan->buffers[i];
        if (buffer->first >= 0 && buffer->first <= loss_time && buffer->last > loss_time && buffer->last < until) {
            buffer->last = until;
        }
    }
    for (int i = 0; i < plan->graph->output_count; i++) {
        keep(&plan->buffers[plan->outputs[i].buffer], loss_time, until);
    }
    for (int i = 0; i < plan->task_count * plan->shared_count; i++) {
        if (plan->task_gradients[i].region != SM_REGION_NONE) {
            keep(&plan->buffers[plan->task_gradients[i].buffer], begin, until);
        }
    }
}

/* Lifetimes: time is the index of the call; the loss stands between forward and backward. */
static void find_lifetimes(sm_plan *plan)
{
    int time = 0, loss_time = 0;
    for (int pass = SM_PASS_FORWARD; pass <= SM_PASS_BACKWARD; pass++) {
        for (int i = 0; i < plan->passes[pass].count; i++, time++) {
            for (int j = 0; j < SM_CALL_OPERANDS; j++) {
                sm_operand operand = plan->passes[pass].items[i].operand[j];
                if (operand.region == SM_REGION_ACTIVATIONS) {
                    touch(&plan->buffers[operand.buffer], time);
                }
            }
        }
        if (pass == SM_PASS_FORWARD) {
            loss_time = time++;
            for (int i = 0; i < plan->graph->output_count; i++) {
                touch(&plan->buffers[plan->outputs[i].buffer], loss_time);
            }
        }
    }
    for (int i = 0; i < plan->graph->output_count; i++) {
        if (plan->output_gradients[i].region != SM_REGION_NONE) {
            sm_buffer *buffer = &plan->buffers[plan->output_gradients[i].buffer];
            touch(buffer, loss_time);
            buffer->first = loss_time;
        }
    }
    keep_for_later_passes(plan, loss_time);
}

static int by_size_then_time(const void *a, const void *b)
{
    const sm_buffer *x = *(sm_buffer *const *)a, *y = *(sm_buffer *const *)b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : (x > y) - (x < y);
}

static int by_offset(const void *a, const void *b)
{
    const sm_buffer *x = *(sm_buffer *const *)a, *y = *(sm_buffer *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The lowest gap of buffer->bytes between the placed buffers (sorted by offset) that overlap it in time. */
static size_t lowest_gap(const sm_buffer *buffer, sm_buffer *const *placed, int count, int no_reuse)
{
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        const sm_buffer *other = placed[i];
        int overlaps = no_reuse || (other->first <= buffer->last && buffer->first <= other->last);
        if (!overlaps || other->offset + other->bytes <= offset) {
            continue;
        }
        if (other->offset >= offset + buffer->bytes) {
            break;
        }
        offset = other->offset + other->bytes;
    }
    return offset;
}

static void place_buffers(sm_plan *plan)
{
    size_t count = (size_t)plan->buffer_count;
    sm_buffer **order = sm_alloc(count * sizeof *order), **placed = sm_alloc(count * sizeof *placed);
    int used = 0, placed_count = 0;
    for (int i = 0; i < plan->buffer_count; i++) {
        if (plan->buffers[i].first >= 0) {
            order[used++] = &plan->buffers[i];
        }
    }
    qsort(order, (size_t)used, sizeof *order, by_size_then_time);
    size_t *total = &plan->region_bytes[SM_REGION_ACTIVATIONS];
    for (int i = 0; i < used; i++) {
        order[i]->offset = lowest_gap(order[i], placed, placed_count, plan->options.no_reuse);
        placed[placed_count++] = order[i];
        qsort(placed, (size_t)placed_count, sizeof *placed, by_offset);
        if (order[i]->offset + order[i]->bytes > *total) {
            *total = order[i]->offset + order[i]->bytes;
        }
    }
    sm_free(order);
    sm_free(placed);
}

/* Parameters and gradients of an op are its slices; activations are buffers. */
static size_t operand_bytes(const sm_plan *plan, const sm_call *call, sm_operand operand)
{
    const sm_op *op = &plan->graph->ops[call->op];
    if (operand.region == SM_REGION_ACTIVATIONS) {
        return plan->buffers[operand.buffer].bytes;
    }
    if (operand.region == SM_REGION_INPUT) {
        return plan->region_bytes[SM_REGION_INPUT];
    }
    for (int i = 0; i < op->parameter_count; i++) {
        const sm_slice *slice = &plan->graph->parameters->parameters.items[op->parameters[i]];
        if ((operand.region == SM_REGION_PARAMETERS || operand.region == SM_REGION_GRADIENTS) &&
            operand.offset == slice->offset * sizeof(float)) {
            return slice->count * sizeof(float);
        }
    }
    return 0;
}

static void count_bytes(sm_plan *plan)
{
    for (int pass = 0; pass < SM_PASSES; pass++) {
        for (int i = 0; i < plan->passes[pass].count; i++) {
            sm_call *call = &plan->passes[pass].items[i];
            for (int j = 0; j < SM_CALL_OPERANDS; j++) {
                call->bytes += operand_bytes(plan, call, call->operand[j]);
            }
        }
    }
}

static void resolve(const sm_plan *plan, sm_operand *operand)
{
    if (operand->region == SM_REGION_ACTIVATIONS) {
        operand->offset = plan->buffers[operand->buffer].offset;
    }
}

static void resolve_operands(sm_plan *plan)
{
    for (int pass = 0; pass < SM_PASSES; pass++) {
        for (int i = 0; i < plan->passes[pass].count; i++) {
            for (int j = 0; j < SM_CALL_OPERANDS; j++) {
                resolve(plan, &plan->passes[pass].items[i].operand[j]);
            }
        }
    }
    for (int i = 0; i < plan->graph->output_count; i++) {
        resolve(plan, &plan->outputs[i]);
        resolve(plan, &plan->output_gradients[i]);
    }
    for (int i = 0; i < plan->task_count * plan->shared_count; i++) {
        resolve(plan, &plan->task_gradients[i]);
    }
}

void sm_plan_map_memory(sm_plan *plan)
{
    count_bytes(plan);
    find_lifetimes(plan);
    place_buffers(plan);
    resolve_operands(plan);
}
