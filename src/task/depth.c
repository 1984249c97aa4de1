#include <sigmatic/data/target_picture.h>
#include <sigmatic/task/task_kinds.h>

#include <math.h>

/* Distances are compared up to here, as usual for street scenes: beyond, a fraction of a pixel is many metres. */
static const double farthest_metres = 80;

/* The disparity that pictures show brightest, as a fraction of the width: 85 of 2048 pixels, 5.5 m in Cityscapes. */
static const double nearest_share = 1.0 / 24;

enum { VALID, WITH_METRES, COUNTS };
enum { ABSOLUTE, SQUARED, METRES, SUMS };

static const char no_pixel[] = "no pixel has a valid disparity";

static const sm_metric metrics[] = {
    {"error_pixels", "px", 0, "mean error of the disparity", no_pixel},
    {"error_metres", "m", 0, "mean error of the distance, each capped at 80 m",
     "no sample has baseline_metres, fx_pixels and a valid disparity above 0"},
    {"rms_pixels", "px", 0, "root of the mean squared error of the disparity", no_pixel},
    {0},
};

static sm_status configure(const sm_config *config, const char *section, sm_task *task)
{
    if (sm_config_choice(config, section, "encoding") != SM_DEPTH_LINEAR) {
        return sm_config_fail(config, section, "encoding",
                              "'%s' is a disparity, which is learnt as it is: expected linear, or as target a depth in "
                              "metres (scaling 'none')",
                              task->target->name);
    }
    return SM_OK;
}

static size_t count_numbers(const sm_task *task)
{
    (void)task;
    return COUNTS;
}

static size_t sum_numbers(const sm_task *task)
{
    (void)task;
    return SUMS;
}

/* \return the distance, at most farthest_metres, which no or a negative disparity also means; NaN stays. */
static double metres_of(double disparity, double metres_pixels)
{
    if (disparity * farthest_metres <= metres_pixels) {
        return farthest_metres;
    }
    return metres_pixels / disparity;
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)task;
    const float *truth = target;
    for (size_t i = 0; i < items; i++) {
        if (isnan(truth[i])) {
            continue;
        }
        double error = fabs((double)logits[i] - truth[i]);
        counts[VALID]++;
        sums[ABSOLUTE] += error;
        sums[SQUARED] += error * error;
        if (metres_pixels > 0 && truth[i] > 0) {
            counts[WITH_METRES]++;
            sums[METRES] += fabs(metres_of(logits[i], metres_pixels) - metres_of(truth[i], metres_pixels));
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    values[0] = counts[VALID] > 0 ? sums[ABSOLUTE] / (double)counts[VALID] : NAN;
    values[1] = counts[WITH_METRES] > 0 ? sums[METRES] / (double)counts[WITH_METRES] : NAN;
    values[2] = counts[VALID] > 0 ? sqrt(sums[SQUARED] / (double)counts[VALID]) : NAN;
}

/* The root of the disparity spreads the far half of a street over more than the darkest colours. The scale depends on
 * the width only: pictures of one data set compare. */
static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    (void)task;
    (void)thing;
    const float *disparities = logits ? logits : target;
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        double fraction = disparities[i] / (nearest_share * width);
        sm_picture_ramp(fraction < 0 ? 0 : sqrt(fraction), rgb + 3 * i);
    }
}

const sm_task_kind sm_depth_kind = {
    .name = "depth",
    .target = "disparity",
    .learns = SM_TARGET_REAL,
    .scaling = SM_SCALING_WIDTH, /* a disparity: depth_metres.c takes metres */
    .components = 1,
    .losses = "l1|l2|huber",
    .build_target = sm_build_reals,
    .configure = configure,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .picture = draw,
};
