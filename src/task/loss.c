#include "task/loss.h"

#include <sigmatic/base/clones.h>

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 32, SLICES = 64 };

static float greatest(int count, const float *values)
{
    float most = values[0];
    for (int i = 1; i < count; i++) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

/* \return exp(z) for z <= 0, good to 2e-7; 0 below -64, which vanishes beside the 1 of the greatest logit and keeps
 * gradients out of the slow subnormal numbers. NaN stays. By exp(z) = 2^n exp(z - n log 2) and the exponential's
 * series. */
static inline float exponential(float z)
{
    const float log2_high = 0.693359375f, log2_low = -2.12194440e-4f; /* n times the first is exact */
    const float to_integer = 12582912.0f;                             /* 1.5 * 2^23: its unit is 1 */
    float shifted = z * 1.44269504f + to_integer;
    float n = shifted - to_integer;
    float r = z - n * log2_high - n * log2_low;
    float series = 1.0f / 5040;
    series = series * r + 1.0f / 720;
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    series = series * r + 1;
    series = series * r + 1;
    union {
        float number;
        uint32_t bits;
    } power = {.number = shifted};
    power.bits = (power.bits + 127) << 23;
    return z < -64 ? 0 : series * power.number;
}

SM_CLONES static void exponentials(size_t count, const float *restrict z, float *restrict out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = exponential(z[i]);
    }
}

/* z = inverse_temperature * (logits - the item's greatest) and exp(z) of a block of items, so that no exponential
 * overflows. Exponentials are most of the work: a block gives them long loops. */
static void take_exponentials(const sm_loss_maps *maps, size_t first, size_t items, float *z, float *exp_z)
{
    int classes = maps->channels;
    assert(classes > 0);
    for (size_t i = 0; i < items; i++) {
        const float *logits = maps->logits + (first + i) * (size_t)classes;
        float most = greatest(classes, logits);
        for (int c = 0; c < classes; c++) {
            z[i * (size_t)classes + (size_t)c] = (logits[c] - most) * maps->inverse_temperature;
        }
    }
    exponentials(items * (size_t)classes, z, exp_z);
}

static float sum_of(int count, const float *values)
{
    float sum = 0;
    for (int i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum;
}

/* d/ds of log sum exp(z) - z_t at z = exp(-s) logits is z_t - sum_c softmax_c z_c, whatever is taken from all z. */
static sm_loss_sums cross_entropy_item(int classes, const float *z, const float *exp_z, uint8_t truth, double weight)
{
    float sum = sum_of(classes, exp_z), expected = 0;
    for (int c = 0; c < classes; c++) {
        expected += exp_z[c] * z[c];
    }
    return (sm_loss_sums){weight * ((double)logf(sum) - z[truth]), weight * ((double)z[truth] - expected / sum)};
}

static sm_loss_sums cross_entropy_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const uint8_t *target = maps->target;
    size_t classes = (size_t)maps->channels;
    float z[BLOCK * SM_CLASSES_MAX], exp_z[BLOCK * SM_CLASSES_MAX];
    sm_loss_sums sums = {0, 0};
    for (size_t first = begin; first < end; first += BLOCK) {
        size_t items = end - first < BLOCK ? end - first : BLOCK;
        take_exponentials(maps, first, items, z, exp_z);
        for (size_t i = 0; i < items; i++) {
            uint8_t truth = target[first + i];
            if (truth != SM_CLASS_IGNORED) {
                double weight = maps->class_weights ? maps->class_weights[truth] : 1;
                sm_loss_sums one =
                    cross_entropy_item(maps->channels, z + i * classes, exp_z + i * classes, truth, weight);
                sums.loss += one.loss;
                sums.slope += one.slope;
            }
        }
    }
    return sums;
}

static void cross_entropy_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const uint8_t *target = maps->target;
    size_t classes = (size_t)maps->channels;
    float z[BLOCK * SM_CLASSES_MAX], exp_z[BLOCK * SM_CLASSES_MAX];
    for (size_t first = begin; first < end; first += BLOCK) {
        size_t items = end - first < BLOCK ? end - first : BLOCK;
        take_exponentials(maps, first, items, z, exp_z);
        for (size_t i = 0; i < items; i++) {
            uint8_t truth = target[first + i];
            float *grad = maps->grad_logits + (first + i) * classes;
            if (truth == SM_CLASS_IGNORED) {
                memset(grad, 0, classes * sizeof *grad);
                continue;
            }
            float weight = maps->class_weights ? maps->class_weights[truth] : 1;
            float factor = maps->scale * maps->inverse_temperature * weight;
            float scale = factor / sum_of(maps->channels, exp_z + i * classes);
            for (size_t c = 0; c < classes; c++) {
                grad[c] = exp_z[i * classes + c] * scale;
            }
            grad[truth] -= factor;
        }
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

static size_t slice_begin(size_t items, int slice)
{
    return items / SLICES * (size_t)slice + items % SLICES * (size_t)slice / SLICES;
}

sm_loss_sums sm_task_loss(const sm_task *task, size_t items, const float *logits, const void *target,
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
        slices[slice] = loss->forward(&maps, slice_begin(items, slice), slice_begin(items, slice + 1));
    }
    for (int slice = 0; slice < SLICES; slice++) {
        sums.loss += slices[slice].loss;
        sums.slope += slices[slice].slope;
    }
    return sums;
}

void sm_task_loss_gradient(const sm_task *task, size_t items, const float *logits, const void *target,
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
        loss->backward(&maps, slice_begin(items, slice), slice_begin(items, slice + 1));
    }
}
