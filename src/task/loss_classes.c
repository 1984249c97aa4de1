/* Losses of classes and of labels. Exponentials are most of the work. */
#include "task/loss.h"

#include <sigmatic/base/clones.h>

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 32 };

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

SM_CLONES(void, sm_exponentials, (size_t count, const float *restrict z, float *restrict out), (count, z, out))
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
    sm_exponentials(items * (size_t)classes, z, exp_z);
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

const sm_loss sm_loss_cross_entropy = {"cross_entropy", cross_entropy_forward, cross_entropy_backward};

/* ---- labels ------------------------------------------------------------------------------------------------------ */

/* z = inverse_temperature * logits and exp(-|z|), which no logit overflows, of a run of numbers. */
static void take_magnitudes(const sm_loss_maps *maps, size_t first, size_t count, float *z, float *exp_minus)
{
    float magnitudes[BLOCK];
    for (size_t i = 0; i < count; i++) {
        z[i] = maps->logits[first + i] * maps->inverse_temperature;
        magnitudes[i] = -fabsf(z[i]);
    }
    sm_exponentials(count, magnitudes, exp_minus);
}

static float sigmoid(float z, float exp_minus)
{
    return (z >= 0 ? 1 : exp_minus) / (1 + exp_minus);
}

/* d loss / dz of one label */
static float label_gradient(float z, float exp_minus, int is_there, float weight)
{
    return is_there ? weight * (sigmoid(z, exp_minus) - 1) : sigmoid(z, exp_minus);
}

static float weight_of(const sm_loss_maps *maps, size_t number)
{
    return maps->class_weights ? maps->class_weights[number % (size_t)maps->channels] : 1;
}

/* log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)); dz/ds at z = exp(-s) logits is -z. */
static sm_loss_sums binary_cross_entropy_forward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const uint8_t *target = maps->target;
    size_t channels = (size_t)maps->channels, last = end * channels;
    float z[BLOCK], exp_minus[BLOCK];
    sm_loss_sums sums = {0, 0};
    for (size_t first = begin * channels; first < last; first += BLOCK) {
        size_t count = last - first < BLOCK ? last - first : BLOCK;
        take_magnitudes(maps, first, count, z, exp_minus);
        for (size_t i = 0; i < count; i++) {
            if (target[first + i] != SM_CLASS_IGNORED) {
                int is_there = target[first + i] != 0;
                float weight = weight_of(maps, first + i), wrong = is_there ? -z[i] : z[i];
                double loss = (wrong > 0 || isnan(wrong) ? (double)wrong : 0) + (double)log1pf(exp_minus[i]);
                sums.loss += is_there ? weight * loss : loss;
                sums.slope -= (double)z[i] * label_gradient(z[i], exp_minus[i], is_there, weight);
            }
        }
    }
    return sums;
}

static void binary_cross_entropy_backward(const sm_loss_maps *maps, size_t begin, size_t end)
{
    const uint8_t *target = maps->target;
    size_t channels = (size_t)maps->channels, last = end * channels;
    float z[BLOCK], exp_minus[BLOCK], factor = maps->scale * maps->inverse_temperature;
    for (size_t first = begin * channels; first < last; first += BLOCK) {
        size_t count = last - first < BLOCK ? last - first : BLOCK;
        take_magnitudes(maps, first, count, z, exp_minus);
        for (size_t i = 0; i < count; i++) {
            uint8_t truth = target[first + i];
            maps->grad_logits[first + i] =
                truth == SM_CLASS_IGNORED
                    ? 0
                    : factor * label_gradient(z[i], exp_minus[i], truth != 0, weight_of(maps, first + i));
        }
    }
}

const sm_loss sm_loss_binary_cross_entropy = {"binary_cross_entropy", binary_cross_entropy_forward,
                                              binary_cross_entropy_backward};
