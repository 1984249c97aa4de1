#include "task/picture.h"
#include "task/task_kinds.h"

#include <math.h>
#include <string.h>

static const char no_pixel[] = "no pixel is labelled";

const sm_metric sm_semantic_metrics[] = {
    {"miou", "%", 1, "intersection over union, mean of the classes", no_pixel},
    {"pixel_accuracy", "%", 1, "labelled pixels whose class is right", no_pixel},
    {0},
};

static int most_likely(int classes, const float *logits)
{
    int best = 0;
    for (int c = 1; c < classes; c++) {
        best = logits[c] > logits[best] ? c : best;
    }
    return best;
}

size_t sm_semantic_counts(const sm_task *task)
{
    return (size_t)task->channels * (size_t)task->channels;
}

size_t sm_semantic_sums(const sm_task *task)
{
    (void)task;
    return 0;
}

void sm_semantic_add(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                     int64_t *counts, double *sums)
{
    (void)metres_pixels;
    (void)sums;
    const uint8_t *labels = target;
    size_t classes = (size_t)task->channels;
    for (size_t i = 0; i < items; i++) {
        if (labels[i] != SM_CLASS_IGNORED) {
            counts[labels[i] * classes + (size_t)most_likely(task->channels, logits + i * classes)]++;
        }
    }
}

void sm_task_class_iou(const sm_task *task, const int64_t *counts, double *iou)
{
    size_t classes = (size_t)task->channels;
    for (size_t c = 0; c < classes; c++) {
        int64_t in_union = -counts[c * classes + c];
        for (size_t other = 0; other < classes; other++) {
            in_union += counts[c * classes + other] + counts[other * classes + c];
        }
        iou[c] = in_union > 0 ? (double)counts[c * classes + c] / (double)in_union : NAN;
    }
}

void sm_semantic_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)sums;
    double iou[SM_CLASSES_MAX];
    double iou_sum = 0;
    int present = 0;
    int64_t right = 0, pixels = 0;
    sm_task_class_iou(task, counts, iou);
    for (int c = 0; c < task->channels; c++) {
        right += counts[c * task->channels + c];
        if (!isnan(iou[c])) {
            iou_sum += iou[c];
            present++;
        }
    }
    for (size_t i = 0; i < sm_semantic_counts(task); i++) {
        pixels += counts[i];
    }
    values[0] = present > 0 ? 100 * iou_sum / present : NAN;
    values[1] = pixels > 0 ? 100 * (double)right / (double)pixels : NAN;
}

static int class_at(const sm_task *task, size_t pixel, const float *logits, const uint8_t *labels)
{
    return logits ? most_likely(task->channels, logits + pixel * (size_t)task->channels) : labels[pixel];
}

void sm_semantic_picture(const sm_task *task, int height, int width, const float *logits, const void *target,
                         const uint8_t *thing, uint8_t *rgb)
{
    (void)thing;
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        int label = class_at(task, i, logits, target);
        if (label == SM_CLASS_IGNORED) {
            memset(rgb + 3 * i, 0, 3);
        } else if (task->target->classes->palette) {
            memcpy(rgb + 3 * i, task->target->classes->palette[label], 3);
        } else {
            sm_picture_hue((double)label / task->channels, 0.85, rgb + 3 * i);
        }
    }
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
        thing[i] = task->target->classes->thing[most_likely(task->channels, logits + i * (size_t)task->channels)];
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
        ids[i] = (uint8_t)most_likely(task->channels, logits + i * (size_t)task->channels);
    }
}
