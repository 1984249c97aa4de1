#include "task/loss_item.h"

#include <assert.h>
#include <string.h>

enum { SLICES = 64 };

/* A row is its file's own; its name is also a choice of the key `loss`, in the same order. */
extern const sm_loss sm_loss_cross_entropy, sm_loss_binary_cross_entropy, sm_loss_l1, sm_loss_l2, sm_loss_huber,
    sm_loss_cosine;

const sm_loss *const sm_losses[] = {
    &sm_loss_cross_entropy,
    &sm_loss_binary_cross_entropy,
    &sm_loss_l1,
    &sm_loss_l2,
    &sm_loss_huber,
    &sm_loss_cosine,
    NULL,
};

static const sm_loss *loss_of(const sm_task *task)
{
    const sm_loss *const *loss = sm_losses;
    while (*loss && strcmp((*loss)->name, task->loss) != 0) {
        loss++;
    }
    assert(*loss && "a task without a loss of the table");
    return *loss;
}

static size_t slice_begin(size_t items, int slice)
{
    return items / SLICES * (size_t)slice + items % SLICES * (size_t)slice / SLICES;
}

sm_loss_sums sm_task_loss(const sm_task *task, size_t items, const float *logits, const void *target,
                          const sm_loss_place *place, double inverse_temperature, int threads)
{
    const sm_loss *loss = loss_of(task);
    const sm_loss_maps maps = {.channels = task->channels,
                               .logits = logits,
                               .target = target,
                               .class_weights = task->class_weights,
                               .delta = (float)task->huber_delta,
                               .inverse_temperature = (float)inverse_temperature};
    sm_loss_sums slices[SLICES], sums = {0, 0};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int slice = 0; slice < SLICES; slice++) {
        size_t begin = slice_begin(items, slice), end = slice_begin(items, slice + 1);
        slices[slice] = task->is_heteroscedastic ? sm_item_loss_forward(task, loss, &maps, place, begin, end)
                                                 : loss->forward(&maps, begin, end);
    }
    for (int slice = 0; slice < SLICES; slice++) {
        sums.loss += slices[slice].loss;
        sums.slope += slices[slice].slope;
    }
    return sums;
}

void sm_task_loss_gradient(const sm_task *task, size_t items, const float *logits, const void *target,
                           const sm_loss_place *place, double inverse_temperature, double scale, float *grad_logits,
                           int threads)
{
    const sm_loss *loss = loss_of(task);
    const sm_loss_maps maps = {.channels = task->channels,
                               .logits = logits,
                               .target = target,
                               .class_weights = task->class_weights,
                               .delta = (float)task->huber_delta,
                               .inverse_temperature = (float)inverse_temperature,
                               .scale = (float)scale,
                               .grad_logits = grad_logits};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int slice = 0; slice < SLICES; slice++) {
        size_t begin = slice_begin(items, slice), end = slice_begin(items, slice + 1);
        if (task->is_heteroscedastic) {
            sm_item_loss_backward(task, loss, &maps, place, begin, end);
        } else {
            loss->backward(&maps, begin, end);
        }
    }
}
