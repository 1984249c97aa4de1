#include "task/loss.h"

#include <sigmatic/base/clones.h>

#include <assert.h>
#include <math.h>
#include <string.h>

enum { IGNORED = 255, SLICES = 64 };

static float greatest(int count, const float *values)
{
    float most = values[0];
    for (int i = 1; i < count; i++) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

/* Logits are taken relative to the greatest, so that no exponential overflows and the slope does not cancel:
 * d/ds of log sum exp(z) - z_t at z = exp(-s) logits is z_t - sum_c softmax_c z_c, whatever is subtracted from all z. */
static sm_loss_sums cross_entropy_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const uint8_t *target = maps->target;
    int classes = maps->channels;
    sm_loss_sums sums = {0, 0};
    for (size_t i = begin; i < end; i++) {
        if (target[i] == IGNORED) {
            continue;
        }
        const float *logits = maps->logits + i * (size_t)classes;
        float most = greatest(classes, logits);
        float sum = 0, expected = 0;
        for (int c = 0; c < classes; c++) {
            float z = (logits[c] - most) * maps->inverse_temperature;
            float exponential = expf(z);
            sum += exponential;
            expected += exponential * z;
        }
        double weight = maps->class_weights ? maps->class_weights[target[i]] : 1;
        double truth = (logits[target[i]] - most) * maps->inverse_temperature;
        sums.loss += weight * (logf(sum) - truth);
        sums.slope += weight * (truth - expected / sum);
    }
    return sums;
}

static void cross_entropy_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const uint8_t *target = maps->target;
    int classes = maps->channels;
    for (size_t i = begin; i < end; i++) {
        const float *logits = maps->logits + i * (size_t)classes;
        float *grad = maps->grad_logits + i * (size_t)classes;
        if (target[i] == IGNORED) {
            memset(grad, 0, (size_t)classes * sizeof *grad);
            continue;
        }
        float most = greatest(classes, logits);
        float sum = 0;
        for (int c = 0; c < classes; c++) {
            grad[c] = expf((logits[c] - most) * maps->inverse_temperature);
            sum += grad[c];
        }
        float weight = maps->class_weights ? maps->class_weights[target[i]] : 1;
        float factor = maps->scale * maps->inverse_temperature * weight;
        for (int c = 0; c < classes; c++) {
            grad[c] *= factor / sum;
        }
        grad[target[i]] -= factor;
    }
}

static sm_loss_sums l1_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double sum = 0;
    for (size_t i = begin * channels; i < end * channels; i++) {
        sum += isnan(target[i]) ? 0.0 : fabs((double)maps->logits[i] - target[i]);
    }
    return (sm_loss_sums){sum, 0};
}

SM_CLONES static void l1_gradient(size_t count, const float *restrict logits, const float *restrict target, float scale,
                                  float *restrict grad)
{
    for (size_t i = 0; i < count; i++) {
        float difference = logits[i] - target[i];
        float sign = difference > 0 ? 1.0f : difference < 0 ? -1.0f : difference; /* 0, or NaN from the logits */
        grad[i] = isnan(target[i]) ? 0.0f : scale * sign;
    }
}

static void l1_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    size_t first = begin * (size_t)maps->channels, count = (end - begin) * (size_t)maps->channels;
    l1_gradient(count, maps->logits + first, (const float *)maps->target + first, maps->scale,
                maps->grad_logits + first);
}

static sm_loss_sums l2_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const float *target = maps->target;
    size_t channels = (size_t)maps->channels;
    double sum = 0;
    for (size_t i = begin * channels; i < end * channels; i++) {
        double difference = (double)maps->logits[i] - target[i];
        sum += isnan(target[i]) ? 0.0 : difference * difference;
    }
    return (sm_loss_sums){sum, 0};
}

SM_CLONES static void l2_gradient(size_t count, const float *restrict logits, const float *restrict target, float scale,
                                  float *restrict grad)
{
    for (size_t i = 0; i < count; i++) {
        grad[i] = isnan(target[i]) ? 0.0f : 2 * scale * (logits[i] - target[i]);
    }
}

static void l2_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    size_t first = begin * (size_t)maps->channels, count = (end - begin) * (size_t)maps->channels;
    l2_gradient(count, maps->logits + first, (const float *)maps->target + first, maps->scale,
                maps->grad_logits + first);
}

const sm_loss sm_losses[] = {
    {"cross_entropy", cross_entropy_forward, cross_entropy_backward},
    {"l1", l1_forward, l1_backward},
    {"l2", l2_forward, l2_backward},
    {0},
};

static const sm_loss *loss_of(const sm_task *task)
{
    const sm_loss *loss = sm_losses;
    while (loss->name && strcmp(loss->name, task->loss) != 0) {
        loss++;
    }
    assert(loss->name && "a task without a loss of the table");
    return loss;
}

static size_t slice_begin(size_t pixels, int slice)
{
    return pixels / SLICES * (size_t)slice + pixels % SLICES * (size_t)slice / SLICES;
}

sm_loss_sums sm_loss_forward(const sm_task *task, size_t pixels, const float *logits, const void *target,
                             double inverse_temperature, int threads)
{
    const sm_loss *loss = loss_of(task);
    const sm_loss_maps maps = {.channels = task->channels,
                               .logits = logits,
                               .target = target,
                               .class_weights = task->class_weights,
                               .inverse_temperature = (float)inverse_temperature};
    sm_loss_sums slices[SLICES], sums = {0, 0};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int slice = 0; slice < SLICES; slice++) {
        slices[slice] = loss->forward(&maps, slice_begin(pixels, slice), slice_begin(pixels, slice + 1));
    }
    for (int slice = 0; slice < SLICES; slice++) {
        sums.loss += slices[slice].loss;
        sums.slope += slices[slice].slope;
    }
    return sums;
}

void sm_loss_backward(const sm_task *task, size_t pixels, const float *logits, const void *target,
                      double inverse_temperature, double scale, float *grad_logits, int threads)
{
    const sm_loss *loss = loss_of(task);
    const sm_loss_maps maps = {.channels = task->channels,
                               .logits = logits,
                               .target = target,
                               .class_weights = task->class_weights,
                               .inverse_temperature = (float)inverse_temperature,
                               .scale = (float)scale,
                               .grad_logits = grad_logits};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int slice = 0; slice < SLICES; slice++) {
        loss->backward(&maps, slice_begin(pixels, slice), slice_begin(pixels, slice + 1));
    }
}
