/* Surface normals: the direction of three numbers. */
#include <sigmatic/task/task_kinds.h>

#include <math.h>

static const char no_normal[] = "no pixel has a valid normal";

static const sm_metric metrics[] = {
    {"mean_degrees", "deg", 0, "mean angle between predicted and true normal", no_normal},
    {"median_degrees", "deg", 0, "median angle, to 0.005", no_normal},
    {"within_11", "%", 1, "angles below 11.25 degrees", no_normal},
    {"within_22", "%", 1, "angles below 22.5 degrees", no_normal},
    {"within_30", "%", 1, "angles below 30 degrees", no_normal},
    {0},
};

static const double limits_degrees[] = {11.25, 22.5, 30};

/* The median is that of angles rounded to the middles of bins of a hundredth of a degree. */
static const double bins_a_degree = 100;

enum { AXES = 3, LIMITS = sizeof limits_degrees / sizeof *limits_degrees, BINS = 18001 };
enum { VALID, WITHIN, HISTOGRAM = WITHIN + LIMITS, COUNTS = HISTOGRAM + BINS };

/* What has no length has no direction: it is no normal. */
static int64_t build(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    int64_t valid = sm_build_reals(user, sample, geometry, built);
    float *normal = built;
    for (int64_t i = 0; i < (int64_t)geometry->out_height * geometry->out_width; i++, normal += AXES) {
        if (normal[0] == 0 && normal[1] == 0 && normal[2] == 0) {
            normal[0] = normal[1] = normal[2] = NAN;
            valid--;
        }
    }
    return valid;
}

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

static const char *decoding(const sm_task *task)
{
    (void)task;
    return "unit_vector";
}

static size_t count_numbers(const sm_task *task)
{
    (void)task;
    return COUNTS;
}

static size_t sum_numbers(const sm_task *task)
{
    (void)task;
    return 1;
}

static void add_angle(double degrees, int64_t *counts, double *sums)
{
    counts[VALID]++;
    sums[0] += degrees;
    for (int l = 0; l < LIMITS; l++) {
        counts[WITHIN + l] += degrees < limits_degrees[l];
    }
    if (!isnan(degrees)) {
        counts[HISTOGRAM + (int)(degrees * bins_a_degree)]++;
    }
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
            add_angle(degrees_between(predicted, truth), counts, sums);
        }
    }
}

/* \return the middle of the bin of the angle with `before` others below it */
static double angle_at(const int64_t *histogram, int64_t before)
{
    int bin = 0;
    for (int64_t seen = histogram[0]; seen <= before && bin < BINS - 1; seen += histogram[bin]) {
        bin++;
    }
    return (bin + 0.5) / bins_a_degree;
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    int64_t valid = counts[VALID];
    values[0] = valid > 0 ? sums[0] / (double)valid : NAN;
    values[1] = isnan(values[0])
                    ? NAN
                    : (angle_at(counts + HISTOGRAM, (valid - 1) / 2) + angle_at(counts + HISTOGRAM, valid / 2)) / 2;
    for (int l = 0; l < LIMITS; l++) {
        values[2 + l] = valid > 0 ? 100 * (double)counts[WITHIN + l] / (double)valid : NAN;
    }
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
    .build_target = build,
    .decode = decode,
    .decoding = decoding,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .picture = draw,
};
