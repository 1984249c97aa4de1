/* Real values of any meaning and number: of every pixel, or of the sample. */
#include <sigmatic/task/task_kinds.h>

#include <math.h>

static const sm_metric metrics[] = {
    {"error", NULL, 0, "mean error, summed over components", "no value is valid"},
    {"rms", NULL, 0, "root of the mean squared error, summed over components", "no value is valid"},
    {"r2", "", SM_HIGHER_WITHOUT_RATIO,
     "1 - squared error / variance (coefficient of determination), mean of the components",
     "no component has two different true values"},
    {0},
};

/* Of each component after the others: squared errors, true values, their squares. */
enum { ABSOLUTE, SQUARED, COMPONENTS };
enum { ERROR, VALUE, VALUE_SQUARED, OF_COMPONENT };

static size_t count_numbers(const sm_task *task)
{
    (void)task;
    return 1;
}

static size_t sum_numbers(const sm_task *task)
{
    return COMPONENTS + OF_COMPONENT * (size_t)task->channels;
}

static void add_sample(const sm_task *task, size_t items, const float *logits, const void *target, double metres_pixels,
                       int64_t *counts, double *sums)
{
    (void)metres_pixels;
    const float *truth = target;
    size_t components = (size_t)task->channels;
    for (size_t i = 0; i < items * components; i++) {
        if (!isnan(truth[i])) { /* all components of an item, or none */
            double error = (double)logits[i] - truth[i];
            counts[0] += i % components == 0;
            sums[ABSOLUTE] += fabs(error);
            sums[SQUARED] += error * error;
            double *own = sums + COMPONENTS + OF_COMPONENT * (i % components), value = truth[i];
            own[ERROR] += error * error;
            own[VALUE] += value;
            own[VALUE_SQUARED] += value * value;
        }
    }
}

/* Components whose true values are all one, but for rounding, are left out. */
static double determination(const double *sums, int components, double count)
{
    const double rounding = 1e-12;
    double sum = 0;
    int present = 0;
    for (int c = 0; c < components; c++, sums += OF_COMPONENT) {
        double spread = sums[VALUE_SQUARED] - sums[VALUE] * sums[VALUE] / count;
        if (spread > rounding * sums[VALUE_SQUARED]) {
            sum += 1 - sums[ERROR] / spread;
            present++;
        }
    }
    return present > 0 ? sum / present : NAN;
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    values[0] = counts[0] > 0 ? sums[ABSOLUTE] / (double)counts[0] : NAN;
    values[1] = counts[0] > 0 ? sqrt(sums[SQUARED] / (double)counts[0]) : NAN;
    values[2] = counts[0] > 0 ? determination(sums + COMPONENTS, task->channels, (double)counts[0]) : NAN;
}

/* Between the bounds that the target has, so that pictures compare; without, between the ends of each picture's own. */
static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    static const double unbounded = 1e18;
    (void)thing;
    double least = task->target->least, most = task->target->most;
    if (least <= -unbounded || most >= unbounded) {
        const float *values = logits ? logits : target;
        least = INFINITY;
        most = -INFINITY;
        for (size_t i = 0; i < (size_t)height * (size_t)width * (size_t)task->channels; i++) {
            least = values[i] < least ? values[i] : least; /* neither of a NaN */
            most = values[i] > most ? values[i] : most;
        }
    }
    sm_draw_decoded(task, height, width, logits, target, least, most > least ? most : least + 1, rgb);
}

/* \param picture_of  NULL: a value a sample has none */
#define REGRESSION(scope_of, picture_of)                                                                               \
    {                                                                                                                  \
        .name = "regression", .learns = SM_TARGET_REAL, .scope = scope_of, .scaling = SM_SCALINGS,                     \
        .losses = "l1|l2|huber", .build_target = sm_build_reals, .metric_counts = count_numbers,                       \
        .metric_sums = sum_numbers, .metric_add = add_sample, .metric_values = find_values, .metrics = metrics,        \
        .picture = picture_of,                                                                                         \
    }

const sm_task_kind sm_regression_kind = REGRESSION(SM_SCOPE_PIXEL, draw),
                   sm_value_regression_kind = REGRESSION(SM_SCOPE_SAMPLE, NULL);
