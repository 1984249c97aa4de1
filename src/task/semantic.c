#include "task/categories.h"
#include "task/measured_mean.h"

#include <sigmatic/task/task_kinds.h>

#include <math.h>

static const char no_pixel[] = "no pixel is labelled";

static const sm_metric metrics[] = {
    {"miou", "%", 1, "intersection over union, mean of the classes", no_pixel},
    {"pixel_accuracy", "%", 1, "labelled pixels whose class is right", no_pixel},
    {"category_iou", "%", 1, "intersection over union, mean of the categories", NULL},
    {0},
};

static const sm_metric class_metrics[] = {{"iou", "%", 1, "intersection over union", no_pixel}, {0}};

static size_t count_numbers(const sm_task *task)
{
    return (size_t)task->channels * (size_t)task->channels;
}

static size_t sum_numbers(const sm_task *task)
{
    (void)task;
    return 0;
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)metres_pixels;
    (void)sums;
    const uint8_t *labels = target;
    size_t classes = (size_t)task->channels;
    for (size_t i = 0; i < items; i++) {
        if (labels[i] != SM_CLASS_IGNORED) {
            counts[labels[i] * classes + (size_t)sm_likeliest_class(task->channels, logits + i * classes)]++;
        }
    }
}

/* In per cent; NaN for a class that is neither in the truth nor predicted. */
static void find_class_iou(const sm_task *task, const int64_t *counts, const double *sums, double *iou)
{
    (void)sums;
    size_t classes = (size_t)task->channels;
    for (size_t c = 0; c < classes; c++) {
        int64_t in_union = -counts[c * classes + c];
        for (size_t other = 0; other < classes; other++) {
            in_union += counts[c * classes + other] + counts[other * classes + c];
        }
        iou[c] = in_union > 0 ? 100 * (double)counts[c * classes + c] / (double)in_union : NAN;
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    double iou[SM_CLASSES_MAX];
    int64_t right = 0, pixels = 0;
    find_class_iou(task, counts, sums, iou);
    for (int c = 0; c < task->channels; c++) {
        right += counts[c * task->channels + c];
    }
    for (size_t i = 0; i < count_numbers(task); i++) {
        pixels += counts[i];
    }
    values[0] = sm_measured_mean(iou, task->channels);
    values[1] = pixels > 0 ? 100 * (double)right / (double)pixels : NAN;
    values[2] = 100 * sm_categories_mean_iou(task->target->classes, counts);
}

static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    (void)thing;
    sm_draw_decoded(task, height, width, logits, target, 0, 1, rgb);
}

const sm_task_kind sm_semantic_kind = {
    .name = "semantic",
    .target = "semantic",
    .learns = SM_TARGET_CLASS,
    .losses = "cross_entropy",
    .build_target = sm_build_classes,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .class_metrics = class_metrics,
    .class_values = find_class_iou,
    .joint = &sm_joint_instance_iou,
    .picture = draw,
};
