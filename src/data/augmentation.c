/* Images are sampled in two passes: the stored rows under an output row are blended into one row of floats, then its
 * columns into output pixels. */
#include <sigmatic/base/clones.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/augmentation.h>

#include <assert.h>
#include <math.h>
#include <string.h>

/* Origin of a crop along one axis: uniform over the whole pixels that keep the smaller of the two inside the larger. */
static double crop_origin(sm_random *random, double scaled, int crop)
{
    double room = floor(scaled) - crop;
    if (room >= 0) {
        return sm_random_below(random, (uint32_t)room + 1);
    }
    double margin = crop - ceil(scaled);
    return margin > 0 ? -(double)sm_random_below(random, (uint32_t)margin + 1) : 0;
}

sm_geometry sm_augmentation_geometry(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                     int64_t sample_index, int stored_height, int stored_width)
{
    uint64_t stream = (uint64_t)epoch ^ (uint64_t)sample_index >> 32 << 32;
    sm_random random = sm_random_new(seed ^ sm_hash("augmentation"), stream, (uint32_t)sample_index);
    int mirrored = (int)(sm_random_u32(&random) & 1);
    double scale = augmentation->scale_min +
                   (augmentation->scale_max - augmentation->scale_min) * (double)sm_random_uniform(&random);
    sm_geometry geometry = {.out_height = augmentation->crop_height,
                            .out_width = augmentation->crop_width,
                            .scale_x = augmentation->width * scale / stored_width,
                            .scale_y = augmentation->height * scale / stored_height,
                            .flip = augmentation->flip && mirrored};
    geometry.offset_x = crop_origin(&random, augmentation->width * scale, augmentation->crop_width);
    geometry.offset_y = crop_origin(&random, augmentation->height * scale, augmentation->crop_height);
    return geometry;
}

static double triangle_radius(double scale)
{
    return scale < 1 ? 1 / scale : 1;
}

/* Stored pixels less than a radius from a coordinate. */
static int max_taps(double scale)
{
    return (int)(2 * triangle_radius(scale)) + 2;
}

/* Weights of the stored pixels around coordinate `centre`: a triangle, cut at the edges, of sum 1. Returns how many. */
static int triangle_taps(double centre, double scale, int extent, int *first, float *weights)
{
    double radius = triangle_radius(scale), sum = 0;
    int low = (int)floor(centre - radius) + 1, high = (int)ceil(centre + radius) - 1;
    low = low < 0 ? 0 : low;
    high = high >= extent ? extent - 1 : high;
    for (int i = low; i <= high; i++) {
        sum += 1 - fabs(i - centre) / radius;
    }
    for (int i = low; i <= high; i++) {
        weights[i - low] = (float)((1 - fabs(i - centre) / radius) / sum);
    }
    *first = low;
    return high - low + 1;
}

static int is_inside(double coordinate, int extent)
{
    double nearest = floor(coordinate + 0.5); /* as sm_geometry_nearest() */
    return nearest >= 0 && nearest < extent;
}

/* The columns of an output row. */
typedef struct columns {
    int taps;       /* room for weights a column */
    int *first;     /* (out_width) first stored column */
    int *count;     /* (out_width) taps in use; 0 outside */
    float *weights; /* (out_width, taps) */
    int low, high;  /* stored columns [low, high) that any output column needs */
} columns;

size_t sm_image_sample_workspace(int height, int width, int out_height, int out_width, double scale_min)
{
    (void)height;
    (void)out_height;
    size_t taps = (size_t)max_taps(scale_min) + 1; /* the caller's scale may be a rounding error larger */
    return (size_t)width * 3 + (size_t)out_width * (2 + taps) + taps;
}

static columns plan_columns(const sm_geometry *geometry, int width, float *memory)
{
    int out_width = geometry->out_width;
    columns plan = {.taps = max_taps(geometry->scale_x), .low = width, .high = 0};
    plan.first = (int *)memory;
    plan.count = plan.first + out_width;
    plan.weights = (float *)(plan.count + out_width);
    for (int x = 0; x < out_width; x++) {
        double centre = sm_geometry_source_x(geometry, width, x);
        plan.count[x] = 0;
        if (is_inside(centre, width)) {
            float *weights = plan.weights + (size_t)x * plan.taps;
            plan.count[x] = triangle_taps(centre, geometry->scale_x, width, &plan.first[x], weights);
            plan.low = plan.first[x] < plan.low ? plan.first[x] : plan.low;
            int end = plan.first[x] + plan.count[x];
            plan.high = end > plan.high ? end : plan.high;
        }
    }
    return plan;
}

SM_CLONES static void add_row(float *restrict row, const uint8_t *restrict stored, size_t count, float weight)
{
    for (size_t i = 0; i < count; i++) {
        row[i] += weight * (float)stored[i];
    }
}

static void blend_columns(const columns *plan, const float *row, int out_width, const float gain[3],
                          const float shift[3], float *out)
{
    for (int x = 0; x < out_width; x++) {
        float sum[3] = {0, 0, 0};
        const float *weights = plan->weights + (size_t)x * plan->taps;
        const float *stored = row + 3 * (ptrdiff_t)plan->first[x];
        if (plan->count[x] == 0) {
            memset(out + 3 * x, 0, 3 * sizeof *out);
            continue;
        }
        for (int i = 0; i < plan->count[x]; i++) {
            sum[0] += weights[i] * stored[3 * i];
            sum[1] += weights[i] * stored[3 * i + 1];
            sum[2] += weights[i] * stored[3 * i + 2];
        }
        for (int c = 0; c < 3; c++) {
            out[3 * x + c] = sum[c] * gain[c] + shift[c];
        }
    }
}

/* Whole-pixel shifts at scale 1: every output pixel is one stored pixel, through a table of the 256 values. */
static void copy_pixels(const uint8_t *image, int height, int width, const sm_geometry *geometry, const double mean[3],
                        const double std[3], float *out)
{
    float table[256][3];
    for (int value = 0; value < 256; value++) {
        for (int c = 0; c < 3; c++) {
            table[value][c] = (float)((value / 255.0 - mean[c]) / std[c]);
        }
    }
    for (int y = 0; y < geometry->out_height; y++) {
        for (int x = 0; x < geometry->out_width; x++, out += 3) {
            int64_t from = sm_geometry_nearest(geometry, height, width, x, y);
            for (int c = 0; c < 3; c++) {
                out[c] = from < 0 ? 0 : table[image[3 * from + c]][c];
            }
        }
    }
}

void sm_image_sample(const uint8_t *image, int height, int width, const sm_geometry *geometry, const double mean[3],
                     const double std[3], float *out, float *workspace)
{
    if (geometry->scale_x == 1 && geometry->scale_y == 1 && geometry->offset_x == floor(geometry->offset_x) &&
        geometry->offset_y == floor(geometry->offset_y)) {
        copy_pixels(image, height, width, geometry, mean, std, out);
        return;
    }
    float gain[3], shift[3];
    for (int c = 0; c < 3; c++) {
        gain[c] = (float)(1 / (255 * std[c]));
        shift[c] = (float)(-mean[c] / std[c]);
    }
    float *row = workspace, *row_weights = row + (size_t)width * 3;
    columns plan = plan_columns(geometry, width, row_weights + max_taps(geometry->scale_y));
    size_t out_row = (size_t)geometry->out_width * 3;
    for (int y = 0; y < geometry->out_height; y++, out += out_row) {
        double centre = sm_geometry_source_y(geometry, y);
        if (!is_inside(centre, height) || plan.low >= plan.high) {
            memset(out, 0, out_row * sizeof *out);
            continue;
        }
        int first;
        int rows = triangle_taps(centre, geometry->scale_y, height, &first, row_weights);
        size_t begin = (size_t)plan.low * 3, count = (size_t)(plan.high - plan.low) * 3;
        memset(row + begin, 0, count * sizeof *row);
        for (int i = 0; i < rows; i++) {
            add_row(row + begin, image + ((size_t)(first + i) * (size_t)width) * 3 + begin, count, row_weights[i]);
        }
        blend_columns(&plan, row, geometry->out_width, gain, shift, out);
    }
}
