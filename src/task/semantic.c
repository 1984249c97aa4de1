#include "task/picture.h"
#include "task/pixel_lookup.h"
#include "task/task_kinds.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { IGNORED = 255 };

static const char no_pixel[] = "no pixel is labelled";

const sm_metric sm_semantic_metrics[] = {
    {"miou", "%", 1, "intersection over union, mean of the classes", no_pixel},
    {"pixel_accuracy", "%", 1, "labelled pixels whose class is right", no_pixel},
    {0},
};

/* Class ids that the task does not know (the dataset's own `ignore`, and anything beyond its classes) become 255. */
int64_t sm_semantic_build(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *target)
{
    const sm_task *task = user;
    size_t width = (size_t)geometry->out_width;
    uint8_t *labels = target;
    int64_t valid = 0;

    memset(labels, IGNORED, width * (size_t)geometry->out_height);
    if (!sample->semantic) {
        return 0;
    }
    int *columns = sm_lookup_columns(geometry, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        int row = sm_lookup_row(geometry, sample->height, y);
        for (size_t x = 0; x < width && row >= 0; x++) {
            if (columns[x] >= 0) {
                uint8_t label = sample->semantic[(size_t)row * (size_t)sample->width + (size_t)columns[x]];
                int known = label < task->channels && label != task->classes->ignore;
                labels[(size_t)y * width + x] = known ? label : IGNORED;
                valid += known;
            }
        }
    }
    sm_free(columns);
    return valid;
}

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

void sm_semantic_add(const sm_task *task, int height, int width, const float *logits, const void *target,
                     double metres_pixels, int64_t *counts, double *sums)
{
    (void)metres_pixels;
    (void)sums;
    const uint8_t *labels = target;
    size_t classes = (size_t)task->channels;
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        if (labels[i] != IGNORED) {
            counts[labels[i] * classes + (size_t)most_likely(task->channels, logits + i * classes)]++;
        }
    }
}

void sm_task_class_iou(const sm_task *semantic, const int64_t *counts, double *iou)
{
    size_t classes = (size_t)semantic->channels;
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
    double iou[256];
    double iou_sum = 0;
    int present = 0;
    int64_t right = 0, pixels = 0;
    assert(task->channels <= 256);
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
        if (label == IGNORED) {
            memset(rgb + 3 * i, 0, 3);
        } else if (task->classes->palette) {
            memcpy(rgb + 3 * i, task->classes->palette[label], 3);
        } else {
            sm_picture_hue((double)label / task->channels, 0.85, rgb + 3 * i);
        }
    }
}

void sm_task_thing_mask(const sm_task *semantic, int height, int width, const float *logits, const void *target,
                        uint8_t *thing)
{
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        int label = class_at(semantic, i, logits, target);
        thing[i] = label != IGNORED && semantic->classes->thing && semantic->classes->thing[label];
    }
}
