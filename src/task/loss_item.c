#include "task/loss_item.h"

#include <math.h>
#include <string.h>

/* Beyond, a factor exp(-s) says nothing any more and its products leave the range of a float. */
static const double least_s = -20, most_s = 20;

static double bounded(double s)
{
    return s < least_s ? least_s : s > most_s ? most_s : s; /* NaN stays */
}

/* A gradient that would lead further out of the bounds is 0. */
static float projected(double s, double grad)
{
    return (s <= least_s && grad > 0) || (s >= most_s && grad < 0) ? 0 : (float)grad;
}

static int is_valid(const sm_task *task, const void *target, size_t item)
{
    const uint8_t *ids = target;
    size_t channels = (size_t)task->channels;
    int known = 0;
    if (sm_task_is_classification(task)) {
        return ids[item] != SM_CLASS_IGNORED;
    }
    if (!sm_task_is_labelling(task)) {
        return !isnan(((const float *)target)[item * channels]);
    }
    for (size_t c = 0; c < channels; c++) {
        known = known || ids[item * channels + c] != SM_CLASS_IGNORED;
    }
    return known;
}

/* ---- real values ------------------------------------------------------------------------------------------------- */

/* The item alone, as the loss itself sees it. */
static sm_loss_maps one_item(const sm_loss_maps *maps, const float *logits, size_t item)
{
    sm_loss_maps one = *maps;
    one.logits = logits;
    one.target = (const float *)maps->target + item * (size_t)maps->channels;
    return one;
}

static sm_loss_shape shape_of(const sm_task *task)
{
    return (sm_loss_shape){task->channels, task->huber_delta};
}

static double value_loss(const sm_task *task, const sm_loss *loss, const sm_loss_maps *maps, const float *logits,
                         double s, size_t item)
{
    const sm_loss_maps one = one_item(maps, logits, item);
    return task->likelihood->term(loss->forward(&one, 0, 1).loss, s, shape_of(task));
}

static double value_gradient(const sm_task *task, const sm_loss *loss, const sm_loss_maps *maps, const float *logits,
                             double s, size_t item, float *grad)
{
    sm_loss_maps one = one_item(maps, logits, item);
    one.grad_logits = grad;
    one.scale = (float)(maps->scale * task->likelihood->weight(s));
    loss->backward(&one, 0, 1);
    return maps->scale * task->likelihood->slope(loss->forward(&one, 0, 1).loss, 0, s, shape_of(task));
}

/* ---- the maps ---------------------------------------------------------------------------------------------------- */

/* \param grad    NULL: the loss alone is wanted */
static double class_loss(const sm_task *task, const sm_loss_maps *maps, const sm_loss_place *place, const float *logits,
                         double s, size_t item, float *grad, double *grad_s)
{
    float noise[SM_NOISE_DRAWS_MAX * SM_CLASSES_MAX + 3];
    size_t channels = (size_t)task->channels;
    const uint8_t *target = maps->target;
    sm_item_noise(task, place, item, channels * (size_t)task->noise_draws, noise);
    if (sm_task_is_labelling(task)) {
        return sm_sampled_binary_cross_entropy(task->channels, task->noise_draws, logits, s, target + item * channels,
                                               maps->class_weights, noise, maps->scale, grad, grad_s);
    }
    double weight = maps->class_weights ? maps->class_weights[target[item]] : 1;
    return weight * sm_sampled_cross_entropy(task->channels, task->noise_draws, logits, s, target[item], noise,
                                             weight * maps->scale, grad, grad_s);
}

sm_loss_sums sm_item_loss_forward(const sm_task *task, const sm_loss *loss, const sm_loss_maps *maps,
                                  const sm_loss_place *place, size_t begin, size_t end)
{
    size_t channels = (size_t)task->channels;
    sm_loss_sums sums = {0, 0};
    for (size_t i = begin; i < end; i++) {
        const float *logits = maps->logits + i * (channels + 1);
        double s = bounded(logits[channels]);
        if (is_valid(task, maps->target, i)) {
            sums.loss += task->likelihood ? value_loss(task, loss, maps, logits, s, i)
                                          : class_loss(task, maps, place, logits, s, i, NULL, NULL);
            sums.slope += s;
        }
    }
    return sums;
}

void sm_item_loss_backward(const sm_task *task, const sm_loss *loss, const sm_loss_maps *maps,
                           const sm_loss_place *place, size_t begin, size_t end)
{
    size_t channels = (size_t)task->channels;
    for (size_t i = begin; i < end; i++) {
        const float *logits = maps->logits + i * (channels + 1);
        float *grad = maps->grad_logits + i * (channels + 1);
        double s = bounded(logits[channels]), grad_s = 0;
        if (!is_valid(task, maps->target, i)) {
            memset(grad, 0, (channels + 1) * sizeof *grad);
            continue;
        }
        if (task->likelihood) {
            grad_s = value_gradient(task, loss, maps, logits, s, i, grad);
        } else {
            class_loss(task, maps, place, logits, s, i, grad, &grad_s);
        }
        grad[channels] = projected(logits[channels], grad_s);
    }
}
