/* Any number of several classes at once, each there or not: of every pixel, or of the sample. One class: a binary map. */
#include "task/measured_mean.h"

#include <sigmatic/task/task_kinds.h>

#include <math.h>

static const char no_label[] = "no label is known";

static const sm_metric metrics[] = {
    {"f1", "%", 1, "harmonic mean of precision and recall, mean of the labels that are there or predicted", no_label},
    {"label_accuracy", "%", 1, "known labels that are right", no_label},
    {"label_iou", "%", 1, "intersection over union, mean of the labels that are there or predicted", no_label},
    {0},
};

static const sm_metric class_metrics[] = {
    {"f1", "%", 1, "harmonic mean of precision and recall", no_label},
    {"iou", "%", 1, "intersection over union", no_label},
    {0},
};

/* Of one label: known items by truth and prediction. */
enum { NEITHER, PREDICTED_ONLY, TRUE_ONLY, BOTH, COUNTS };

static size_t count_numbers(const sm_task *task)
{
    return COUNTS * (size_t)task->channels;
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
    const uint8_t *truth = target;
    size_t labels = (size_t)task->channels;
    for (size_t i = 0; i < items * labels; i++) {
        if (truth[i] != SM_CLASS_IGNORED) {
            counts[COUNTS * (i % labels) + (truth[i] ? TRUE_ONLY : 0) + (logits[i] > 0 ? PREDICTED_ONLY : 0)]++;
        }
    }
}

/* F1 of every label, then IoU: NaN of one that is neither there nor predicted. */
static void find_class_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)sums;
    for (int l = 0; l < task->channels; l++, counts += COUNTS) {
        double both = (double)counts[BOTH], wrong = (double)(counts[PREDICTED_ONLY] + counts[TRUE_ONLY]);
        values[l] = both + wrong > 0 ? 100 * 2 * both / (2 * both + wrong) : NAN;
        values[task->channels + l] = both + wrong > 0 ? 100 * both / (both + wrong) : NAN;
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    double of_label[2 * SM_CLASSES_MAX];
    int64_t right = 0, known = 0;
    for (const int64_t *own = counts; own < counts + COUNTS * task->channels; own += COUNTS) {
        right += own[NEITHER] + own[BOTH];
        known += own[NEITHER] + own[BOTH] + own[PREDICTED_ONLY] + own[TRUE_ONLY];
    }
    find_class_values(task, counts, sums, of_label);
    values[0] = sm_measured_mean(of_label, task->channels);
    values[1] = known > 0 ? 100 * (double)right / (double)known : NAN;
    values[2] = sm_measured_mean(of_label + task->channels, task->channels);
}

static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    (void)thing;
    sm_draw_decoded(task, height, width, logits, target, 0, 1, rgb);
}

/* \param picture_of  NULL: labels of a sample have none */
#define LABELS(scope_of, picture_of)                                                                                   \
    {                                                                                                                  \
        .name = "labels", .learns = SM_TARGET_LABELS, .scope = scope_of, .losses = "binary_cross_entropy",             \
        .build_target = sm_build_classes, .metric_counts = count_numbers, .metric_sums = sum_numbers,                  \
        .metric_add = add_sample, .metric_values = find_values, .metrics = metrics, .class_metrics = class_metrics,    \
        .class_values = find_class_values, .picture = picture_of,                                                      \
    }

const sm_task_kind sm_labels_kind = LABELS(SM_SCOPE_PIXEL, draw), sm_value_labels_kind = LABELS(SM_SCOPE_SAMPLE, NULL);
