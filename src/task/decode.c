#include <sigmatic/base/memory.h>
#include <sigmatic/data/target_picture.h>
#include <sigmatic/task/task_kinds.h>

#include "task/softmax.h"

#include <float.h>
#include <math.h>
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
    return sm_task_maps_classes(task) && classes->thing && memchr(classes->thing, 1, (size_t)classes->count);
}

void sm_task_thing_mask(const sm_task *task, size_t items, const float *logits, uint8_t *thing)
{
    for (size_t i = 0; i < items; i++) {
        int id = sm_likeliest_class(task->channels, logits + i * (size_t)task->channels);
        thing[i] = task->target->classes->thing[id] ? (uint8_t)(1 + id) : 0;
    }
}

size_t sm_task_item_bytes(const sm_task *task)
{
    return sm_task_is_classification(task) ? 1
                                           : (size_t)task->channels * (sm_task_is_labelling(task) ? 1 : sizeof(float));
}

void sm_task_take_logits(const sm_task *task, size_t items, float *output)
{
    size_t channels = (size_t)task->channels, outputs = (size_t)sm_task_outputs(task);
    for (size_t i = 0; i < items && outputs > channels; i++) {
        memmove(output + i * channels, output + i * outputs, channels * sizeof *output);
    }
}

void sm_task_sigma(const sm_task *task, size_t items, const float *output, float *sigma)
{
    size_t outputs = (size_t)sm_task_outputs(task);
    for (size_t i = 0; i < items; i++) {
        sigma[i] = expf(output[i * outputs + outputs - 1] / 2);
    }
}

static void decode_values(const sm_task *task, size_t items, const float *values, float *out)
{
    if (task->kind->decode) {
        task->kind->decode(task, items, values, out);
    } else {
        memcpy(out, values, items * (size_t)task->channels * sizeof *values);
    }
}

const char *sm_task_decoding(const sm_task *task)
{
    const sm_task_kind *kind = task->kind;
    return !kind->decode ? "none" : kind->decoding ? kind->decoding(task) : "other";
}

void sm_task_decode_truth(const sm_task *task, size_t items, const void *target, void *truth)
{
    if (task->kind->learns == SM_TARGET_CLASS || task->kind->learns == SM_TARGET_LABELS) {
        memcpy(truth, target, items * sm_task_item_bytes(task));
    } else {
        decode_values(task, items, target, truth);
    }
}

void sm_task_decode(const sm_task *task, size_t items, const float *logits, void *prediction)
{
    uint8_t *ids = prediction;
    if (sm_task_is_labelling(task)) {
        for (size_t i = 0; i < items * (size_t)task->channels; i++) {
            ids[i] = logits[i] > 0;
        }
        return;
    }
    if (!sm_task_is_classification(task)) {
        decode_values(task, items, logits, prediction);
        return;
    }
    for (size_t i = 0; i < items; i++) {
        ids[i] = (uint8_t)sm_likeliest_class(task->channels, logits + i * (size_t)task->channels);
    }
}

static void take_softmax(int classes, const float *logits, float *probabilities)
{
    double values[SM_CLASSES_MAX];
    for (int c = 0; c < classes; c++) {
        values[c] = logits[c];
    }
    sm_softmax(classes, values, NULL);
    for (int c = 0; c < classes; c++) {
        probabilities[c] = (float)values[c];
    }
}

void sm_task_values(const sm_task *task, size_t items, const float *logits, float *values)
{
    size_t channels = (size_t)task->channels;
    if (sm_task_is_regression(task)) {
        decode_values(task, items, logits, values);
    } else if (sm_task_is_classification(task)) {
        for (size_t i = 0; i < items; i++) {
            take_softmax(task->channels, logits + i * channels, values + i * channels);
        }
    } else {
        for (size_t i = 0; i < items * channels; i++) {
            values[i] = (float)sm_logistic(logits[i]);
        }
    }
}

/* NaN stays. \return the logarithm; of 0 that of `least` */
static float log_from(float probability, float least)
{
    return logf(probability < least ? least : probability);
}

void sm_task_logits(const sm_task *task, size_t items, const float *values, float *logits)
{
    size_t count = items * (size_t)task->channels;
    if (sm_task_is_classification(task)) {
        for (size_t i = 0; i < count; i++) {
            logits[i] = log_from(values[i], FLT_MIN);
        }
    } else if (sm_task_is_labelling(task)) {
        for (size_t i = 0; i < count; i++) { /* a probability nearer to 1 than half an epsilon is 1 */
            logits[i] = log_from(values[i], FLT_MIN) - log_from(1 - values[i], FLT_EPSILON / 2);
        }
    } else if (task->kind->encode) {
        task->kind->encode(task, items, values, logits);
    } else {
        memmove(logits, values, count * sizeof *values);
    }
}

void sm_draw_decoded(const sm_task *task, int height, int width, const float *logits, const void *target, double least,
                     double most, uint8_t *rgb)
{
    size_t items = (size_t)height * (size_t)width;
    void *decoded = sm_alloc(items * sm_task_item_bytes(task));
    if (logits) {
        sm_task_decode(task, items, logits, decoded);
    } else {
        sm_task_decode_truth(task, items, target, decoded);
    }
    sm_target_picture(task->target, height, width, decoded, least, most, rgb);
    sm_free(decoded);
}
