/* Surface normals: the direction of three numbers. */
#include "task/task_kinds.h"

#include <math.h>

static const sm_metric metrics[] = {
    {"mean_degrees", "deg", 0, "mean angle between predicted and true normal", "no pixel has a valid normal"},
    {0},
};

enum { AXES = 3 };

/* A prediction of no length points along the first axis. */
static void decode(const sm_task *task, size_t items, const float *values, float *out)
{
    (void)task;
    for (size_t i = 0; i < items; i++, values += AXES, out += AXES) {
        double x = values[0], y = values[1], z = values[2], length = sqrt(x * x + y * y + z * z);
        out[0] = length == 0 ? 1 : (float)(x / length);
        out[1] = length == 0 ? 0 : (float)(y / length);
        out[2] = length == 0 ? 0 : (float)(z / length);
    }
}

/* By the arc tangent, which is exact at small angles too. */
static double degrees_between(const float *a, const float *b)
{
    double dot = (double)a[0] * b[0] + (double)a[1] * b[1] + (double)a[2] * b[2];
    double x = (double)a[1] * b[2] - (double)a[2] * b[1], y = (double)a[2] * b[0] - (double)a[0] * b[2];
    double z = (double)a[0] * b[1] - (double)a[1] * b[0];
    return atan2(sqrt(x * x + y * y + z * z), dot) * 57.295779513082320877;
}

static size_t count_numbers(const sm_task *task)
{
    (void)task;
    return 1;
}

static size_t sum_numbers(const sm_task *task)
{
    (void)task;
    return 1;
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)metres_pixels;
    const float *truth = target;
    float predicted[AXES];
    for (size_t i = 0; i < items; i++, truth += AXES, logits += AXES) {
        if (!isnan(truth[0])) {
            decode(task, 1, logits, predicted);
            counts[0]++;
            sums[0] += degrees_between(predicted, truth);
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    values[0] = counts[0] > 0 ? sums[0] / (double)counts[0] : NAN;
}

/* x, y, z as red, green, blue. */
static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    (void)thing;
    sm_draw_decoded(task, height, width, logits, target, -1, 1, rgb);
}

const sm_task_kind sm_normals_kind = {
    .name = "normals",
    .target = "normal",
    .learns = SM_TARGET_REAL,
    .components = AXES,
    .losses = "cosine|l1|l2|huber",
    .build_target = sm_build_reals,
    .decode = decode,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .picture = draw,
};
