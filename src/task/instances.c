#include <sigmatic/base/memory.h>
#include <sigmatic/task/instances.h>
#include <sigmatic/task/task_kinds.h>

#include "task/optics.h"
#include "task/point_tree.h"
#include "task/softmax.h"

#include <limits.h>
#include <math.h>

enum { NO_THING = 255 };

/* ---- options ----------------------------------------------------------------------------------------------------- */

static int stride_for(const sm_instance_options *options, int width)
{
    return options->stride > 0 ? options->stride : width >= 1024 ? width / 512 : 1;
}

sm_instance_options sm_instance_options_for(const sm_instance_options *options, int height, int width)
{
    sm_instance_options chosen = *options;
    double scale = width / 256.0, area = (double)height * width / (128 * 256);
    chosen.stride = stride_for(options, width);
    if (chosen.distance == 0) {
        chosen.distance = chosen.max_distance > 0 ? fmin(1.5 * scale, chosen.max_distance) : 1.5 * scale;
    }
    if (chosen.max_distance == 0) {
        chosen.max_distance = fmax(8 * scale, chosen.distance);
    }
    if (chosen.min_samples == 0) {
        chosen.min_samples = (int)fmax(2, rint(10 * area / (chosen.stride * chosen.stride)));
    }
    if (chosen.min_pixels == 0) {
        chosen.min_pixels = (int)fmax(1, rint(10 * area));
    }
    return chosen;
}

/* More than the image's pixels are as good as one more. */
static int grown_count(int count, double growth, int least, double pixels)
{
    double most = fmin(pixels + 1, INT_MAX);
    return count == 0 ? 0 : (int)fmax(least, fmin(ceil(count * growth), most));
}

sm_instance_options sm_instance_options_grown(const sm_instance_options *options, int width, int height, int new_width,
                                              double growth_x, double growth_y)
{
    sm_instance_options grown = *options;
    double area = growth_x * growth_y, pixels = (double)height * new_width;
    double sparser = (double)stride_for(options, new_width) / stride_for(options, width);
    grown.distance *= growth_x;
    grown.max_distance *= growth_x;
    grown.min_samples = grown_count(options->min_samples, area / (sparser * sparser), 2, pixels);
    grown.min_pixels = grown_count(options->min_pixels, area, 1, pixels);
    return grown;
}

/* ---- pixels that are clustered together -------------------------------------------------------------------------- */

typedef struct pixel_group {
    size_t count;
    size_t *pixel;
    double (*centroid)[2]; /* predicted */
    int32_t *label;        /* cluster, -1 none */
} pixel_group;

/* \return the class of each pixel's thing, or NO_THING; without classes one less than its mark. */
static uint8_t *find_things(const sm_instance_input *input)
{
    size_t pixels = (size_t)input->height * (size_t)input->width;
    uint8_t *things = sm_alloc(pixels);
    for (size_t i = 0; i < pixels; i++) {
        if (input->classes) {
            int count = input->classes->count, id = sm_likeliest_class(count, input->class_logits + i * (size_t)count);
            things[i] = input->classes->thing && input->classes->thing[id] ? (uint8_t)id : NO_THING;
        } else {
            things[i] = !input->thing ? 0 : input->thing[i] ? (uint8_t)(input->thing[i] - 1) : NO_THING;
        }
    }
    return things;
}

/* \param wanted  a class, or NO_THING for all */
static int belongs(const sm_instance_input *input, const uint8_t *things, int wanted, size_t pixel)
{
    const float *vector = input->vectors + 2 * pixel;
    return things[pixel] != NO_THING && (wanted == NO_THING || things[pixel] == wanted) && isfinite(vector[0]) &&
           isfinite(vector[1]);
}

static pixel_group gather(const sm_instance_input *input, const uint8_t *things, int wanted)
{
    size_t width = (size_t)input->width, pixels = (size_t)input->height * width, count = 0;
    for (size_t i = 0; i < pixels; i++) {
        count += (size_t)belongs(input, things, wanted, i);
    }
    pixel_group group = {0, sm_alloc(count * sizeof *group.pixel), sm_alloc(count * sizeof *group.centroid),
                         sm_alloc(count * sizeof *group.label)};
    for (size_t i = 0; i < pixels; i++) {
        if (belongs(input, things, wanted, i)) {
            size_t x = i % width, y = i / width;
            group.pixel[group.count] = i;
            group.centroid[group.count][0] = (double)x + input->vectors[2 * i];
            group.centroid[group.count][1] = (double)y + input->vectors[2 * i + 1];
            group.label[group.count++] = -1;
        }
    }
    return group;
}

static void free_group(pixel_group *group)
{
    sm_free(group->pixel);
    sm_free(group->centroid);
    sm_free(group->label);
}

/* ---- clusters ---------------------------------------------------------------------------------------------------- */

/* OPTICS on every stride-th pixel of every stride-th row. \return the number of clusters */
static int cluster_samples(const sm_instance_options *options, int width, pixel_group *group)
{
    size_t stride = (size_t)options->stride, samples = 0;
    size_t *member = sm_alloc(group->count * sizeof *member);
    double(*points)[2] = sm_alloc(group->count * sizeof *points);
    int32_t *labels = sm_alloc(group->count * sizeof *labels);
    for (size_t i = 0; i < group->count; i++) {
        size_t row = group->pixel[i] / (size_t)width, column = group->pixel[i] % (size_t)width;
        if (row % stride == stride / 2 && column % stride == stride / 2) {
            points[samples][0] = group->centroid[i][0];
            points[samples][1] = group->centroid[i][1];
            member[samples++] = i;
        }
    }
    sm_optics optics = sm_optics_new(samples, (const double(*)[2])points, options->min_samples, options->distance);
    int clusters = sm_optics_clusters(&optics, options->distance, labels);
    for (size_t i = 0; i < samples; i++) {
        group->label[member[i]] = labels[i];
    }
    sm_optics_free(&optics);
    sm_free(labels);
    sm_free(points);
    sm_free(member);
    return clusters;
}

/* Pixels in no cluster, noise or not sampled, join the cluster of the nearest centroid. */
static void join_nearest(const sm_instance_options *options, pixel_group *group)
{
    double(*points)[2] = sm_alloc(group->count * sizeof *points);
    int32_t *labels = sm_alloc(group->count * sizeof *labels);
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++) {
        if (group->label[i] >= 0) {
            points[count][0] = group->centroid[i][0];
            points[count][1] = group->centroid[i][1];
            labels[count++] = group->label[i];
        }
    }
    sm_point_tree tree = sm_point_tree_new(count, (const double(*)[2])points);
    for (size_t i = 0; i < group->count; i++) {
        if (group->label[i] < 0) {
            int32_t nearest =
                sm_point_tree_nearest(&tree, group->centroid[i], options->max_distance * options->max_distance);
            group->label[i] = nearest >= 0 ? labels[nearest] : -1;
        }
    }
    sm_point_tree_free(&tree);
    sm_free(labels);
    sm_free(points);
}

/* Clusters the pixels of one class (or NO_THING: all) and numbers the clusters from `clusters` on.
 * \return how many there are then */
static int cluster_class(const sm_instance_options *options, const sm_instance_input *input, const uint8_t *things,
                         int wanted, int clusters, int32_t *labels)
{
    pixel_group group = gather(input, things, wanted);
    int found = cluster_samples(options, input->width, &group);
    join_nearest(options, &group);
    for (size_t i = 0; i < group.count; i++) {
        labels[group.pixel[i]] = group.label[i] < 0 ? -1 : clusters + group.label[i];
    }
    free_group(&group);
    return clusters + found;
}

static int cluster_all(const sm_instance_options *options, const sm_instance_input *input, const uint8_t *things,
                       int32_t *labels)
{
    int clusters = 0, occurs[NO_THING + 1] = {0};
    for (size_t i = 0; i < (size_t)input->height * (size_t)input->width; i++) {
        labels[i] = -1;
        occurs[things[i]] = 1;
    }
    if (!options->by_class) {
        return cluster_class(options, input, things, NO_THING, 0, labels);
    }
    for (int c = 0; c < NO_THING; c++) {
        if (occurs[c]) {
            clusters = cluster_class(options, input, things, c, clusters, labels);
        }
    }
    return clusters;
}

/* ---- instances --------------------------------------------------------------------------------------------------- */

/* Renumbers what has enough pixels by first pixels; the rest is no instance. */
static void number_instances(int clusters, int min_pixels, sm_instance_list *list)
{
    size_t pixels = (size_t)list->height * (size_t)list->width;
    int64_t *sizes = sm_alloc_zeroed((size_t)clusters * sizeof *sizes);
    int32_t *numbers = sm_alloc((size_t)clusters * sizeof *numbers);
    for (int c = 0; c < clusters; c++) {
        numbers[c] = -1;
    }
    for (size_t i = 0; i < pixels; i++) {
        if (list->labels[i] >= 0) {
            sizes[list->labels[i]]++;
        }
    }
    for (size_t i = 0; i < pixels; i++) {
        int32_t c = list->labels[i];
        if (c >= 0 && sizes[c] >= min_pixels && numbers[c] < 0) {
            numbers[c] = list->count++;
        }
        list->labels[i] = c >= 0 ? numbers[c] : -1;
    }
    sm_free(numbers);
    sm_free(sizes);
}

static void measure_shapes(const sm_instance_input *input, sm_instance_list *list)
{
    size_t width = (size_t)list->width, pixels = (size_t)list->height * width;
    for (int k = 0; k < list->count; k++) {
        list->instances[k] = (sm_instance){.class_id = -1, .confidence = 1, .left = list->width, .top = list->height};
    }
    for (size_t i = 0; i < pixels; i++) {
        if (list->labels[i] >= 0) {
            sm_instance *one = &list->instances[list->labels[i]];
            int row = (int)(i / width), column = (int)(i % width);
            one->pixels++;
            one->x += column + (double)input->vectors[2 * i];
            one->y += row + (double)input->vectors[2 * i + 1];
            one->left = column < one->left ? column : one->left;
            one->right = column > one->right ? column : one->right;
            one->top = row < one->top ? row : one->top;
            one->bottom = row > one->bottom ? row : one->bottom;
        }
    }
    for (int k = 0; k < list->count; k++) {
        list->instances[k].x /= (double)list->instances[k].pixels;
        list->instances[k].y /= (double)list->instances[k].pixels;
    }
}

static void vote_classes(const uint8_t *things, int classes, sm_instance_list *list)
{
    size_t pixels = (size_t)list->height * (size_t)list->width;
    int64_t *votes = sm_alloc_zeroed((size_t)list->count * (size_t)classes * sizeof *votes);
    for (size_t i = 0; i < pixels; i++) {
        if (list->labels[i] >= 0) {
            votes[list->labels[i] * classes + things[i]]++;
        }
    }
    for (int k = 0; k < list->count; k++) {
        int best = 0;
        for (int c = 1; c < classes; c++) {
            best = votes[k * classes + c] > votes[k * classes + best] ? c : best;
        }
        list->instances[k].class_id = best;
    }
    sm_free(votes);
}

static double probability(int classes, const float *logits, int id)
{
    double probabilities[SM_CLASSES_MAX];
    for (int c = 0; c < classes; c++) {
        probabilities[c] = logits[c];
    }
    sm_softmax(classes, probabilities, NULL);
    return probabilities[id];
}

static void measure_confidence(const sm_instance_input *input, sm_instance_list *list)
{
    size_t classes = (size_t)input->classes->count;
    for (int k = 0; k < list->count; k++) {
        list->instances[k].confidence = 0;
    }
    for (size_t i = 0; i < (size_t)list->height * (size_t)list->width; i++) {
        if (list->labels[i] >= 0) {
            sm_instance *one = &list->instances[list->labels[i]];
            one->confidence += probability((int)classes, input->class_logits + i * classes, one->class_id);
        }
    }
    for (int k = 0; k < list->count; k++) {
        list->instances[k].confidence /= (double)list->instances[k].pixels;
    }
}

sm_instance_list *sm_instances_decode(const sm_instance_options *options, const sm_instance_input *input)
{
    sm_instance_options chosen = sm_instance_options_for(options, input->height, input->width);
    sm_instance_list *list = sm_alloc_zeroed(sizeof *list);
    uint8_t *things = find_things(input);

    *list = (sm_instance_list){.height = input->height, .width = input->width};
    list->labels = sm_alloc((size_t)input->height * (size_t)input->width * sizeof *list->labels);
    number_instances(cluster_all(&chosen, input, things, list->labels), chosen.min_pixels, list);
    list->instances = sm_alloc((size_t)list->count * sizeof *list->instances);
    measure_shapes(input, list);
    if (input->classes) {
        vote_classes(things, input->classes->count, list);
        measure_confidence(input, list);
    }
    sm_free(things);
    return list;
}

void sm_instance_list_free(sm_instance_list *list)
{
    if (list) {
        sm_free(list->labels);
        sm_free(list->instances);
        sm_free(list);
    }
}
