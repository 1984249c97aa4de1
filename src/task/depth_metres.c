/* Depth in metres: what is learnt may be its logarithm or its inverse, what is measured is metres. */
#include <sigmatic/data/target_picture.h>
#include <sigmatic/task/task_kinds.h>

#include <math.h>

/* Distances are compared up to here, as those that disparities mean (depth.c). */
static const double farthest_metres = 80;

/* The depths that pictures show brightest and darkest, by their logarithm: a desk's and a street's. */
static const double nearest_shown = 0.5, farthest_shown = 80;

static const char no_pixel[] = "no pixel has a valid depth";

static const char no_distance[] = "no pixel has a valid depth above 0";

static const sm_metric metrics[] = {
    {"error_metres", "m", 0, "mean error of the distance, each capped at 80 m", no_pixel},
    {"rms_metres", "m", 0, "root of the mean squared error of the distance, each capped at 80 m", no_pixel},
    {"abs_rel", "", 0, "mean of |error| / true distance, predictions from 1 mm to 80 m, as the next", no_distance},
    {"sq_rel", "m", 0, "mean of error^2 / true distance", no_distance},
    {"log_rms", "", 0, "root of the mean squared error of the natural logarithm of the distance", no_distance},
    {"delta1", "%", 1, "distances that are right but for a factor below 1.25", no_distance},
    {"delta2", "%", 1, "for a factor below 1.25^2", no_distance},
    {"delta3", "%", 1, "for a factor below 1.25^3", no_distance},
    {0},
};

/* Relative errors, of distances above 0, are measured no nearer than this: a logarithm needs a prediction above 0. */
static const double nearest_metres = 0.001;

enum { DELTAS = 3 };
enum { VALID, DISTANCES, WITHIN, COUNTS = WITHIN + DELTAS };
enum { ABSOLUTE, SQUARED, ABSOLUTE_RELATIVE, SQUARED_RELATIVE, SQUARED_LOG, SUMS };

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

/* NaN stays. */
static void encode(const sm_task *task, size_t items, const float *values, float *out)
{
    for (size_t i = 0; i < items; i++) {
        out[i] = task->encoding == SM_DEPTH_LOG       ? logf(values[i])
                 : task->encoding == SM_DEPTH_INVERSE ? 1 / values[i]
                                                      : values[i];
    }
}

static int64_t build(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    const sm_task *task = user;
    int64_t valid = sm_build_reals(user, sample, geometry, built);
    encode(task, sm_scope_items(task->target->scope, geometry->out_height, geometry->out_width), built, built);
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

static const char *decoding(const sm_task *task)
{
    static const char *const words[] = {
        [SM_DEPTH_LINEAR] = "metres", [SM_DEPTH_LOG] = "log_metres", [SM_DEPTH_INVERSE] = "inverse_metres"};
    return words[task->encoding];
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

static void add_relative(double predicted, double truth, int64_t *counts, double *sums)
{
    double near = predicted < nearest_metres ? nearest_metres : predicted; /* NaN stays */
    double error = near - truth, ratio = near > truth ? near / truth : truth / near;
    double difference = log(near / truth), limit = 1;
    counts[DISTANCES]++;
    sums[ABSOLUTE_RELATIVE] += fabs(error) / truth;
    sums[SQUARED_RELATIVE] += error * error / truth;
    sums[SQUARED_LOG] += difference * difference;
    for (int d = 0; d < DELTAS; d++) {
        limit *= 1.25;
        counts[WITHIN + d] += ratio < limit;
    }
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)metres_pixels;
    const float *truth = target;
    for (size_t i = 0; i < items; i++) {
        if (!isnan(truth[i])) {
            double predicted = metres_of(task, logits[i], farthest_metres);
            double real = metres_of(task, truth[i], farthest_metres), error = predicted - real;
            counts[VALID]++;
            sums[ABSOLUTE] += fabs(error);
            sums[SQUARED] += error * error;
            if (real > 0) {
                add_relative(predicted, real, counts, sums);
            }
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    double valid = counts[VALID] > 0 ? (double)counts[VALID] : NAN;
    double distances = counts[DISTANCES] > 0 ? (double)counts[DISTANCES] : NAN;
    values[0] = sums[ABSOLUTE] / valid;
    values[1] = sqrt(sums[SQUARED] / valid);
    values[2] = sums[ABSOLUTE_RELATIVE] / distances;
    values[3] = sums[SQUARED_RELATIVE] / distances;
    values[4] = sqrt(sums[SQUARED_LOG] / distances);
    for (int d = 0; d < DELTAS; d++) {
        values[5 + d] = 100 * (double)counts[WITHIN + d] / distances;
    }
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
    .encode = encode,
    .decoding = decoding,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .picture = draw,
};
