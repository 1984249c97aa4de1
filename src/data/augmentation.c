/* Images are sampled in two passes: the stored rows under an output row are blended into one row of floats, then its
 * columns into output pixels. In turned pictures every output pixel has stored rows of its own. */
#define _XOPEN_SOURCE 700
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

/* The numbers of one kind of change. */
static sm_random random_of(const char *change, uint64_t seed, int64_t epoch, int64_t sample_index)
{
    uint64_t stream = (uint64_t)epoch ^ (uint64_t)sample_index >> 32 << 32;
    return sm_random_new(seed ^ sm_hash(change), stream, (uint32_t)sample_index);
}

sm_geometry sm_augmentation_geometry(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                     int64_t sample_index, int stored_height, int stored_width)
{
    sm_random random = random_of("augmentation", seed, epoch, sample_index);
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
    if (augmentation->rotation_degrees > 0) {
        sm_random turns = random_of("rotation", seed, epoch, sample_index);
        double share = 2 * (double)sm_random_uniform(&turns) - 1;
        geometry.sine = sin(share * augmentation->rotation_degrees * (M_PI / 180));
    }
    return geometry;
}

sm_colour_change sm_augmentation_colours(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                         int64_t sample_index)
{
    sm_random random = random_of("colours", seed, epoch, sample_index);
    sm_colour_change change = {0};
    for (int i = 0; i < SM_COLOUR_CHANGES;
         i++) { /* each place takes the new one or, at random, that of an earlier place */
        int place = (int)sm_random_below(&random, (uint32_t)i + 1);
        change.order[i] = change.order[place];
        change.order[place] = i;
    }
    for (int i = 0; i < SM_COLOUR_CHANGES; i++) {
        double range = augmentation->colour[i], share = (double)sm_random_uniform(&random);
        double least = i == SM_COLOUR_HUE ? -range : fmax(0, 1 - range), most = i == SM_COLOUR_HUE ? range : 1 + range;
        change.factor[i] = range > 0 ? least + (most - least) * share : i != SM_COLOUR_HUE;
    }
    return change;
}

sm_rectangle sm_augmentation_erasing(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                     int64_t sample_index)
{
    static const double least_area = 0.02, most_aspect = 3.3;
    sm_random random = random_of("erasing", seed, epoch, sample_index);
    int height = augmentation->crop_height, width = augmentation->crop_width;
    double least = fmin(least_area, augmentation->erasing_area), log_aspect = log(most_aspect);
    if ((double)sm_random_uniform(&random) >= augmentation->erasing) {
        return (sm_rectangle){0, 0, 0, 0};
    }
    for (int attempt = 0; attempt < 10; attempt++) {
        double share = least + (augmentation->erasing_area - least) * (double)sm_random_uniform(&random);
        double aspect = exp(log_aspect * (2 * (double)sm_random_uniform(&random) - 1));
        double area = share * height * width, tall = rint(sqrt(area * aspect)), wide = rint(sqrt(area / aspect));
        if (tall >= 1 && wide >= 1 && tall <= height && wide <= width) {
            int top = (int)sm_random_below(&random, (uint32_t)(height - (int)tall + 1));
            int left = (int)sm_random_below(&random, (uint32_t)(width - (int)wide + 1));
            return (sm_rectangle){top, left, (int)tall, (int)wide};
        }
    }
    return (sm_rectangle){0, 0, 0, 0};
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
    double nearest = coordinate + 0.5; /* as sm_geometry_nearest() */
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
        double centre = sm_geometry_column(geometry, width, x);
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

static SM_CLONES(void, add_row, (float *restrict row, const uint8_t *restrict stored, size_t count, float weight),
                 (row, stored, count, weight))
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

/* Of one pixel by its own triangles along rows and columns. */
static void blend_pixel(const uint8_t *image, int height, int width, const sm_geometry *geometry, double xs, double ys,
                        float *row_weights, float *column_weights, float sum[3])
{
    int first_row, first_column;
    int height_taps = triangle_taps(ys, geometry->scale_y, height, &first_row, row_weights);
    int width_taps = triangle_taps(xs, geometry->scale_x, width, &first_column, column_weights);
    sum[0] = sum[1] = sum[2] = 0;
    for (int y = 0; y < height_taps; y++) {
        const uint8_t *stored = image + ((size_t)(first_row + y) * (size_t)width + (size_t)first_column) * 3;
        for (int x = 0; x < width_taps; x++, stored += 3) {
            float weight = row_weights[y] * column_weights[x];
            for (int c = 0; c < 3; c++) {
                sum[c] += weight * (float)stored[c];
            }
        }
    }
}

/* The same where the image does not shrink: of the four pixels around (xs, ys). */
static void blend_four(const uint8_t *image, int height, int width, double xs, double ys, float sum[3])
{
    xs = xs < 0 ? 0 : xs > width - 1 ? width - 1 : xs;
    ys = ys < 0 ? 0 : ys > height - 1 ? height - 1 : ys;
    int x = (int)xs, y = (int)ys;
    size_t right = x + 1 < width ? 3 : 0, down = y + 1 < height ? (size_t)width * 3 : 0;
    float u = (float)(xs - x), v = (float)(ys - y);
    const uint8_t *stored = image + ((size_t)y * (size_t)width + (size_t)x) * 3;
    for (int c = 0; c < 3; c++, stored++) {
        float above = stored[0] + u * (float)(stored[right] - stored[0]);
        float below = stored[down] + u * (float)(stored[down + right] - stored[down]);
        sum[c] = above + v * (below - above);
    }
}

static void sample_turned(const uint8_t *image, int height, int width, const sm_geometry *geometry, const float gain[3],
                          const float shift[3], float *out, float *workspace)
{
    int shrinks = geometry->scale_x < 1 || geometry->scale_y < 1;
    float *row_weights = workspace, *column_weights = row_weights + max_taps(geometry->scale_y);
    for (int y = 0; y < geometry->out_height; y++) {
        for (int x = 0; x < geometry->out_width; x++, out += 3) {
            double xs, ys;
            float sum[3];
            sm_geometry_source(geometry, width, x, y, &xs, &ys);
            if (!is_inside(xs, width) || !is_inside(ys, height)) {
                memset(out, 0, 3 * sizeof *out);
                continue;
            }
            if (shrinks) {
                blend_pixel(image, height, width, geometry, xs, ys, row_weights, column_weights, sum);
            } else {
                blend_four(image, height, width, xs, ys, sum);
            }
            for (int c = 0; c < 3; c++) {
                out[c] = sum[c] * gain[c] + shift[c];
            }
        }
    }
}

void sm_image_sample(const uint8_t *image, int height, int width, const sm_geometry *geometry, const double mean[3],
                     const double std[3], float *out, float *workspace)
{
    if (geometry->sine == 0 && geometry->scale_x == 1 && geometry->scale_y == 1 &&
        geometry->offset_x == floor(geometry->offset_x) && geometry->offset_y == floor(geometry->offset_y)) {
        copy_pixels(image, height, width, geometry, mean, std, out);
        return;
    }
    float gain[3], shift[3];
    for (int c = 0; c < 3; c++) {
        gain[c] = (float)(1 / (255 * std[c]));
        shift[c] = (float)(-mean[c] / std[c]);
    }
    if (geometry->sine != 0) {
        sample_turned(image, height, width, geometry, gain, shift, out, workspace);
        return;
    }
    float *row = workspace, *row_weights = row + (size_t)width * 3;
    columns plan = plan_columns(geometry, width, row_weights + max_taps(geometry->scale_y));
    size_t out_row = (size_t)geometry->out_width * 3;
    for (int y = 0; y < geometry->out_height; y++, out += out_row) {
        double centre = sm_geometry_row(geometry, y);
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
