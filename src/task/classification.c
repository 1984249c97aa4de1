/* The class of a whole sample. */
#include <sigmatic/task/task_kinds.h>

#include <math.h>

static const char no_sample[] = "no sample has a class";

static const sm_metric metrics[] = {
    {"accuracy", "%", 1, "samples whose class is right", no_sample},
    {"top5", "%", 1, "samples whose class is among the five likeliest", NULL}, /* of more classes than that */
    {0},
};

static const sm_metric class_metrics[] = {{"recall", "%", 1, "samples of the class that are found", no_sample}, {0}};

/* Then of each class: samples, and those that are right. */
enum { SAMPLES, RIGHT, AMONG_BEST, COUNTS, BEST = 5 };

static size_t count_numbers(const sm_task *task)
{
    return COUNTS + 2 * (size_t)task->channels;
}

static size_t sum_numbers(const sm_task *task)
{
    (void)task;
    return 0;
}

/* \return classes that come before the true one: likelier, or as likely and earlier in the list. */
static int place_of(int classes, const float *logits, int truth)
{
    int before = 0;
    for (int c = 0; c < classes; c++) {
        before += logits[c] > logits[truth] || (c < truth && logits[c] == logits[truth]);
    }
    return before;
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)metres_pixels;
    (void)sums;
    const uint8_t *truth = target;
    for (size_t i = 0; i < items; i++, logits += task->channels) {
        if (truth[i] != SM_CLASS_IGNORED) {
            counts[SAMPLES]++;
            int right = sm_likeliest_class(task->channels, logits) == truth[i];
            counts[RIGHT] += right;
            counts[COUNTS + 2 * truth[i]]++;
            counts[COUNTS + 2 * truth[i] + 1] += right;
            counts[AMONG_BEST] += place_of(task->channels, logits, truth[i]) < BEST;
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)sums;
    for (int i = 0; i < 2; i++) {
        int asked = i == 0 || task->channels > BEST;
        values[i] = counts[SAMPLES] > 0 && asked ? 100 * (double)counts[RIGHT + i] / (double)counts[SAMPLES] : NAN;
    }
}

static void find_recall(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)sums;
    for (int c = 0; c < task->channels; c++) {
        const int64_t *own = counts + COUNTS + 2 * c;
        values[c] = own[0] > 0 ? 100 * (double)own[1] / (double)own[0] : NAN;
    }
}

const sm_task_kind sm_classification_kind = {
    .name = "classification",
    .learns = SM_TARGET_CLASS,
    .scope = SM_SCOPE_SAMPLE,
    .components = 1,
    .losses = "cross_entropy",
    .build_target = sm_build_classes,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .class_metrics = class_metrics,
    .class_values = find_recall,
};
