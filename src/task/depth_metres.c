/* Depth in metres: what is learnt may be its logarithm or its inverse, what is measured is metres. */
#include <sigmatic/data/target_picture.h>

#include "task/task_kinds.h"

#include <math.h>

/* Distances are compared up to here, as those that disparities mean (depth.c). */
static const double farthest_metres = 80;

/* The depths that pictures show brightest and darkest, by their logarithm: a desk's and a street's. */
static const double nearest_shown = 0.5, farthest_shown = 80;

static const char no_pixel[] = "no pixel has a valid depth";

static const sm_metric metrics[] = {
    {"error_metres", "m", 0, "mean error of the distance, each capped at 80 m", no_pixel},
    {"rms_metres", "m", 0, "root of the mean squared error of the distance, each capped at 80 m", no_pixel},
    {0},
};

enum { ABSOLUTE, SQUARED, SUMS };

static sm_status configure(const sm_config *config, const char *section, sm_task *task)
{
    task->encoding = (sm_depth_encoding)sm_config_choice(config, section, "encoding");
    if (task->encoding != SM_DEPTH_LINEAR && !(task->target->least > 0)) {
        return sm_config_fail(config, section, "encoding",
                              "'%s' may be 0 or less (its attribute 'least' is %g), which has no logarithm or inverse: "
                              "expected linear, or a dataset whose 'least' is above 0",
                              task->target->name, task->target->least);
    }
    return SM_OK;
}

static int64_t build(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    const sm_task *task = user;
    int64_t valid = sm_build_reals(user, sample, geometry, built);
    size_t items = sm_scope_items(task->target->scope, geometry->out_height, geometry->out_width);
    float *values = built;
    for (size_t i = 0; i < items && task->encoding == SM_DEPTH_LOG; i++) {
        values[i] = logf(values[i]); /* NaN stays */
    }
    for (size_t i = 0; i < items && task->encoding == SM_DEPTH_INVERSE; i++) {
        values[i] = 1 / values[i];
    }
    return valid;
}

/* \return metres, at most `most`, which also no or a negative inverse means; NaN stays. */
static double metres_of(const sm_task *task, double value, double most)
{
    double metres = task->encoding == SM_DEPTH_LOG       ? exp(value)
                    : task->encoding == SM_DEPTH_INVERSE ? (value * most <= 1 ? most : 1 / value)
                                                         : value;
    return metres > most ? most : metres;
}

static void decode(const sm_task *task, size_t items, const float *values, float *out)
{
    for (size_t i = 0; i < items; i++) {
        out[i] = (float)metres_of(task, values[i], task->target->most);
    }
}

static size_t count_numbers(const sm_task *task)
{
    (void)task;
    return 1;
}

static size_t sum_numbers(const sm_task *task)
{
    (void)task;
    return SUMS;
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)metres_pixels;
    const float *truth = target;
    for (size_t i = 0; i < items; i++) {
        if (!isnan(truth[i])) {
            double error = metres_of(task, logits[i], farthest_metres) - metres_of(task, truth[i], farthest_metres);
            counts[0]++;
            sums[ABSOLUTE] += fabs(error);
            sums[SQUARED] += error * error;
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    values[0] = counts[0] > 0 ? sums[ABSOLUTE] / (double)counts[0] : NAN;
    values[1] = counts[0] > 0 ? sqrt(sums[SQUARED] / (double)counts[0]) : NAN;
}

static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    (void)thing;
    const float *values = logits ? logits : target;
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        double metres = metres_of(task, values[i], farthest_shown);
        double far = metres > nearest_shown ? log(metres / nearest_shown) : metres * 0; /* NaN stays */
        sm_picture_ramp(1 - far / log(farthest_shown / nearest_shown), rgb + 3 * i);
    }
}

const sm_task_kind sm_depth_metres_kind = {
    .name = "depth",
    .target = "depth",
    .learns = SM_TARGET_REAL,
    .components = 1,
    .losses = "l1|l2|huber",
    .build_target = build,
    .configure = configure,
    .decode = decode,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .picture = draw,
};
