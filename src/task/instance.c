#include <sigmatic/data/target_picture.h>
#include <sigmatic/task/task_kinds.h>

#include "task/pixel_lookup.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const sm_metric metrics[] = {
    {"error_pixels", "px", 0, "mean of |dx| + |dy| of the error of the vectors to the centroids",
     "no pixel belongs to an instance"},
    {0},
};

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static sm_status read_options(const sm_config *config, const char *section, sm_task *task)
{
    sm_instance_options *options = &task->instances;
    *options = (sm_instance_options){.stride = (int)sm_config_integer(config, section, "cluster_stride"),
                                     .min_samples = (int)sm_config_integer(config, section, "cluster_min_samples"),
                                     .distance = sm_config_real(config, section, "cluster_distance"),
                                     .max_distance = sm_config_real(config, section, "cluster_max_distance"),
                                     .min_pixels = (int)sm_config_integer(config, section, "cluster_min_pixels"),
                                     .by_class = sm_config_bool(config, section, "cluster_by_class")};
    if (options->min_samples == 1) {
        return sm_config_fail(config, section, "cluster_min_samples", "expected 0 or at least 2");
    }
    if (options->max_distance > 0 && options->max_distance < options->distance) {
        return sm_config_fail(config, section, "cluster_max_distance", "expected at least cluster_distance, %g px",
                              options->distance);
    }
    return SM_OK;
}

/* ---- target ------------------------------------------------------------------------------------------------------ */

/* An instance of the uncropped map. */
typedef struct centroid {
    int64_t sum_x, sum_y, pixels;
    double x, y; /* mean pixel position, in the output */
} centroid;

/* The instances that occur, and where each id's is. Ids are any 16-bit numbers, few of which occur. */
typedef struct centroid_table {
    uint16_t *slots; /* 65536: 1 + place in `centroids`, 0 = the id has not occurred */
    centroid *centroids;
    size_t count, capacity;
} centroid_table;

static centroid *centroid_of(centroid_table *table, uint16_t id)
{
    if (table->slots[id] == 0) {
        if (table->count == table->capacity) {
            table->capacity = table->capacity ? 2 * table->capacity : 64;
            table->centroids = sm_realloc(table->centroids, table->capacity * sizeof *table->centroids);
        }
        table->centroids[table->count] = (centroid){0, 0, 0, 0, 0};
        table->slots[id] = (uint16_t)++table->count;
    }
    return &table->centroids[table->slots[id] - 1];
}

/* One pass by runs of equal ids: background costs a comparison a pixel. Sums are integers, exact. */
static void add_row(centroid_table *table, const uint16_t *row, int width, int y)
{
    int begin = 0;
    while (begin < width) {
        int end = begin + 1;
        while (end < width && row[end] == row[begin]) {
            end++;
        }
        if (row[begin] != 0) {
            centroid *one = centroid_of(table, row[begin]);
            int64_t run = end - begin;
            one->sum_x += run * (begin + end - 1) / 2;
            one->sum_y += run * y;
            one->pixels += run;
        }
        begin = end;
    }
}

static centroid_table find_centroids(const sm_sample *sample, const uint16_t *ids, const sm_geometry *geometry)
{
    centroid_table table = {.slots = sm_alloc_zeroed(65536 * sizeof *table.slots)};
    for (int y = 0; y < sample->height; y++) {
        add_row(&table, ids + (size_t)y * (size_t)sample->width, sample->width, y);
    }
    for (size_t i = 0; i < table.count; i++) {
        centroid *one = &table.centroids[i];
        sm_geometry_output(geometry, sample->width, (double)one->sum_x / (double)one->pixels,
                           (double)one->sum_y / (double)one->pixels, &one->x, &one->y);
    }
    return table;
}

/* Noise of the labels, added to every pixel's vector: the target of the instances' name and "_offset". It may be
 * missing. */
enum { NOISE_X, NOISE_Y, NOISE_COMPONENTS };

static const float *noise_of(const sm_sample *sample, const char *instances)
{
    char name[256];
    snprintf(name, sizeof name, "%s_offset", instances);
    const sm_target_view *view = sm_sample_find(sample, name);
    return view ? view->data : NULL;
}

static int64_t build_vectors(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    static const float no_noise[NOISE_COMPONENTS] = {0, 0};
    const sm_task *task = user;
    const sm_target_view *view = sm_sample_find(sample, task->target->name);
    float *vectors = built;
    int width = geometry->out_width;
    int64_t valid = 0;

    for (size_t i = 0; i < 2 * (size_t)geometry->out_height * (size_t)width; i++) {
        vectors[i] = NAN;
    }
    if (!view) {
        return 0;
    }
    const uint16_t *ids = view->data;
    const float *noises = noise_of(sample, task->target->name);
    centroid_table table = find_centroids(sample, ids, geometry);
    sm_lookup lookup = sm_lookup_new(geometry, sample->height, sample->width);
    double noise_scale = geometry->flip ? -geometry->scale_x : geometry->scale_x;
    for (int y = 0; y < geometry->out_height; y++) {
        size_t first;
        const int *places = sm_lookup_row(&lookup, y, &first);
        for (int x = 0; x < width && places; x++) {
            size_t stored = first + (size_t)places[x];
            if (places[x] < 0 || ids[stored] == 0) {
                continue;
            }
            const centroid *one = &table.centroids[table.slots[ids[stored]] - 1];
            const float *noise = noises ? noises + NOISE_COMPONENTS * stored : no_noise;
            if (isnan(noise[NOISE_X]) || isnan(noise[NOISE_Y])) {
                continue; /* a vector that nobody knows */
            }
            float *vector = vectors + 2 * ((size_t)y * (size_t)width + (size_t)x);
            double to_x = one->x - x, to_y = one->y - y;
            if (geometry->sine == 0) {
                vector[0] = (float)(to_x + noise_scale * noise[NOISE_X]);
                vector[1] = (float)(to_y + geometry->scale_y * noise[NOISE_Y]);
            } else {
                double noise_x = noise_scale * noise[NOISE_X], noise_y = geometry->scale_y * noise[NOISE_Y];
                sm_geometry_turn(geometry, &noise_x, &noise_y);
                vector[0] = (float)(to_x + noise_x);
                vector[1] = (float)(to_y + noise_y);
            }
            valid++;
        }
    }
    sm_lookup_free(&lookup);
    sm_free(table.centroids);
    sm_free(table.slots);
    return valid;
}

/* ---- metric ------------------------------------------------------------------------------------------------------ */

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
    (void)task;
    (void)metres_pixels;
    const float *vectors = target;
    for (size_t i = 0; i < 2 * items; i += 2) {
        if (!isnan(vectors[i])) {
            counts[0]++;
            sums[0] += fabs((double)logits[i] - vectors[i]) + fabs((double)logits[i + 1] - vectors[i + 1]);
        }
    }
}

static void find_values(const sm_task *task, const int64_t *counts, const double *sums, double *values)
{
    (void)task;
    values[0] = counts[0] > 0 ? sums[0] / (double)counts[0] : NAN;
}

/* ---- picture ----------------------------------------------------------------------------------------------------- */

/* An instance's colour is a smooth function of its centroid, so that truth and prediction of one object look alike; hue
 * turns several times over the picture, so that neighbours differ. */
static void colour_of(double x, double y, int height, int width, uint8_t rgb[3])
{
    double across = x / width, down = y / height;
    sm_picture_hue(3.7 * across + 2.3 * down, 0.8 + 0.2 * cos(31 * across + 17 * down), rgb);
}

static void draw_vectors(int height, int width, const float *vectors, const uint8_t *thing, uint8_t *rgb)
{
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        if (!isnan(vectors[2 * i]) && (!thing || thing[i])) {
            size_t row = i / (size_t)width, column = i % (size_t)width;
            colour_of((double)column + vectors[2 * i], (double)row + vectors[2 * i + 1], height, width, rgb + 3 * i);
        }
    }
}

static void draw_decoded(const sm_instance_options *options, int height, int width, const float *vectors,
                         const uint8_t *thing, uint8_t *rgb)
{
    const sm_instance_input input = {height, width, vectors, .thing = thing};
    sm_instance_list *list = sm_instances_decode(options, &input);
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        if (list->labels[i] >= 0) {
            const sm_instance *one = &list->instances[list->labels[i]];
            colour_of(one->x, one->y, height, width, rgb + 3 * i);
        }
    }
    sm_instance_list_free(list);
}

static void draw(const sm_task *task, int height, int width, const float *logits, const void *target,
                 const uint8_t *thing, uint8_t *rgb)
{
    enum { BACKGROUND = 28 };
    memset(rgb, BACKGROUND, 3 * (size_t)height * (size_t)width);
    if (target) {
        draw_vectors(height, width, target, thing, rgb);
    } else {
        draw_decoded(&task->instances, height, width, logits, thing, rgb);
    }
}

const sm_task_kind sm_instance_kind = {
    .name = "instance",
    .target = "instance",
    .learns = SM_TARGET_INSTANCE,
    .losses = "l1|l2|huber",
    .outputs = 2,
    .unit = "px",
    .configure = read_options,
    .build_target = build_vectors,
    .metric_counts = count_numbers,
    .metric_sums = sum_numbers,
    .metric_add = add_sample,
    .metric_values = find_values,
    .metrics = metrics,
    .joint = &sm_joint_average_precision,
    .picture = draw,
};
