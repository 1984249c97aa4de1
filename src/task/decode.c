#include "task/task_kinds.h"

#include <string.h>

int sm_likeliest_class(int classes, const float *logits)
{
    int best = 0;
    for (int c = 1; c < classes; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    return best;
}

int sm_task_finds_things(const sm_task *task)
{
    const sm_class_list *classes = task->target->classes;
    return sm_task_is_classification(task) && task->target->scope == SM_SCOPE_PIXEL && classes->thing &&
           memchr(classes->thing, 1, (size_t)classes->count);
}

void sm_task_thing_mask(const sm_task *task, size_t items, const float *logits, uint8_t *thing)
{
    for (size_t i = 0; i < items; i++) {
        thing[i] =
            task->target->classes->thing[sm_likeliest_class(task->channels, logits + i * (size_t)task->channels)];
    }
}

void sm_task_decode(const sm_task *task, size_t items, const float *logits, void *prediction)
{
    uint8_t *ids = prediction;
    if (!sm_task_is_classification(task)) {
        memcpy(prediction, logits, items * (size_t)task->channels * sizeof *logits);
        return;
    }
    for (size_t i = 0; i < items; i++) {
        ids[i] = (uint8_t)sm_likeliest_class(task->channels, logits + i * (size_t)task->channels);
    }
}
