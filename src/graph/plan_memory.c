/* Places buffers in the activations region: largest first, each at the lowest offset where nothing that lives at the same time lies. */
#include <sigmatic/base/memory.h>

#include "graph/plan_internal.h"

#include <stdlib.h>

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

void sm_plan_place_buffers(sm_plan *plan)
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
