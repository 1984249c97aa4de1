/* A task kind: the logarithm of the disparity, so that an error is a share of the distance, near or far. With a key of its
 * own, [task.NAME] least_disparity, and a metric of its own. */
#include "own_kinds.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/task/task_kinds.h>

#include <math.h>

static const sm_key keys[] = {
    {"task.NAME", "least_disparity", SM_KEY_REAL, "0.5", 0.01, 1000, NULL, "px",
     "log_disparity: smaller ones are not learnt"},
    {0},
};

static sm_status configure(const sm_config *config, const char *section, sm_task *task)
{
    double *least = sm_alloc(sizeof *least);
    *least = sm_config_real(config, section, "least_disparity");
    task->own = least; /* freed with the task */
    return SM_OK;
}

/* The disparity as sm_build_reals() flips, scales and crops it, then its logarithm. NaN is "not valid". */
static int64_t build(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    const sm_task *task = user;
    const double *least = task->own;
    size_t items = sm_scope_items(task->target->scope, geometry->out_height, geometry->out_width);
    float *value = built;
    int64_t valid = 0;

    sm_build_reals(user, sample, geometry, built);
    for (size_t i = 0; i < items; i++) {
        value[i] = value[i] >= *least ? logf(value[i]) : NAN;
        valid += !isnan(value[i]);
    }
    return valid;
}

/* Back to pixels, for predictions and everything that compares them. */
static void decode(const sm_task *task, size_t items, const float *values, float *out)
{
    (void)task;
    for (size_t i = 0; i < items; i++) {
        out[i] = expf(values[i]);
    }
}

static const sm_metric metrics[] = {
    {"relative_error", "%", 0, "mean of |predicted - true| / true", "no pixel has a valid disparity"},
    {0},
};

static size_t one(const sm_task *task)
{
    (void)task;
    return 1;
}

/* Counts and sums of this call are added over samples and ranks. */
static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)task;
    (void)metres_pixels;
    const float *truth = target;
    for (size_t i = 0; i < items; i++) {
        if (!isnan(truth[i])) {
            counts[0]++;
            sums[0] += fabs(exp((double)logits[i] - truth[i]) - 1);
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    values[0] = counts[0] > 0 ? 100 * sums[0] / (double)counts[0] : NAN;
}

/* Disparities from 0 to 1/24 of the width, from dark to bright. */
static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    (void)thing;
    sm_draw_decoded(task, height, width, logits, target, 0, width / 24.0, rgb);
}

const sm_task_kind own_log_disparity = {
    .name = "log_disparity",
    .target = "disparity",
    .learns = SM_TARGET_REAL,
    .scope = SM_SCOPE_PIXEL,
    .scaling = SM_SCALING_WIDTH,
    .components = 1,
    .losses = "l1|l2|huber",
    .unit = "log px",
    .build_target = build,
    .keys = keys,
    .configure = configure,
    .decode = decode,
    .metric_counts = one,
    .metric_sums = one,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .picture = draw,
};
