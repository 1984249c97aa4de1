/* Intersection over union in which every instance counts alike, as the Cityscapes benchmark measures it (cityscapesScripts, evalPixelLevelSemanticLabeling.py): with the
 * weight w = (mean area of the class's instances) / (area of the instance) of an instance's pixels,
 *
 *   iIoU = w TP / (w TP + FP + w FN),
 *
 * TP and FN of the pixels of instances, FP of those of any other class. Pixels of the class outside of instances (groups) count for nothing. Of categories all of whose
 * classes have instances alike: a pixel is right if its category is.
 *
 * The mean area is the class list's, of original images, or that of the instances evaluated. */
#include "task/categories.h"
#include "task/measured_mean.h"
#include "task/truth_instances.h"

#include <sigmatic/base/memory.h>

#include <math.h>

static const sm_metric metrics[] = {
    {"iiou", "%", 1, "IoU in which each instance of a class counts alike, mean of the classes with instances", NULL},
    {"category_iiou", "%", 1, "the same, mean of the categories with instances only", NULL},
    {0},
};
enum { OF_CLASSES, OF_CATEGORIES };

/* Counts: pixels of other classes taken for each class; the same for each category (at most as many). */
static size_t count_numbers(const sm_class_list *classes)
{
    return 2 * (size_t)classes->count;
}

/* Sums of each class over its instances. With s = area_scale of the sample: */
enum {
    INSTANCES,
    AREA,           /* area / s, in pixels of the original */
    SCALE,          /* s */
    RIGHT,          /* s * share of the pixels whose class is right */
    CATEGORY_RIGHT, /* whose category is */
    SUMS
};

static size_t sum_numbers(const sm_class_list *classes)
{
    return SUMS * (size_t)classes->count;
}

static void add_wrong_pixels(const sm_joint_sample *sample, const int *category, int64_t *counts)
{
    int classes = sample->classes->count;
    int64_t *of_category = counts + classes;
    for (size_t i = 0; i < (size_t)sample->height * (size_t)sample->width; i++) {
        uint8_t is = sample->class_truth[i], taken_for = sample->class_predicted[i];
        if (is != SM_CLASS_IGNORED && is != taken_for) {
            counts[taken_for]++;
            if (category[taken_for] >= 0 && category[is] != category[taken_for]) {
                of_category[category[taken_for]]++;
            }
        }
    }
}

typedef struct right_pixels {
    size_t of_class, of_category;
} right_pixels;

static void add_instances(const sm_joint_sample *sample, const int *category, double *sums)
{
    sm_truth_instances truth = sm_truth_instances_find(sample);
    right_pixels *right = sm_alloc_zeroed(((size_t)truth.count + 1) * sizeof *right);
    for (size_t i = 0; i < (size_t)sample->height * (size_t)sample->width; i++) {
        int instance = sample->instance_truth[i] ? truth.of_id[sample->instance_truth[i]] : -1;
        if (instance >= 0) {
            int class = truth.items[instance].class, predicted = sample->class_predicted[i];
            right[instance].of_class += predicted == class;
            right[instance].of_category += category[predicted] == category[class];
        }
    }
    for (int k = 0; k < truth.count; k++) {
        double *sum = sums + SUMS * truth.items[k].class, area = (double)truth.items[k].pixels;
        sum[INSTANCES]++;
        sum[AREA] += area / sample->area_scale;
        sum[SCALE] += sample->area_scale;
        sum[RIGHT] += sample->area_scale * ((double)right[k].of_class / area);
        sum[CATEGORY_RIGHT] += sample->area_scale * ((double)right[k].of_category / area);
    }
    sm_free(right);
    sm_truth_instances_free(&truth);
}

static void add_sample(const struct sm_task *task, const sm_joint_sample *sample, sm_metric_numbers *numbers)
{
    (void)task;
    int category[SM_CLASSES_MAX];
    sm_categories_find(sample->classes, category);
    add_wrong_pixels(sample, category, numbers->counts);
    add_instances(sample, category, numbers->sums);
}

static double mean_area(const sm_class_list *classes, int class, const double *sum)
{
    double known = classes->instance_pixels ? classes->instance_pixels[class] : 0;
    return known > 0 ? known : sum[INSTANCES] > 0 ? sum[AREA] / sum[INSTANCES] : 0;
}

static int is_thing(const sm_class_list *classes, int class)
{
    return classes->thing && classes->thing[class];
}

static double ratio(double right, double all)
{
    return all > 0 ? 100 * right / all : NAN;
}

/* Only of categories in which every class has instances. */
static double mean_of_categories(const sm_class_list *classes, const sm_metric_numbers *numbers)
{
    int category[SM_CLASSES_MAX], count = sm_categories_find(classes, category), left_out[SM_CLASSES_MAX] = {0};
    double right[SM_CLASSES_MAX] = {0}, all[SM_CLASSES_MAX] = {0}, values[SM_CLASSES_MAX];
    for (int c = 0; c < classes->count; c++) {
        if (category[c] >= 0) {
            const double *sum = numbers->sums + SUMS * c;
            double area = mean_area(classes, c, sum);
            right[category[c]] += area * sum[CATEGORY_RIGHT];
            all[category[c]] += area * sum[SCALE];
            left_out[category[c]] |= !is_thing(classes, c);
        }
    }
    for (int k = 0; k < count; k++) {
        values[k] = left_out[k] ? NAN : ratio(right[k], all[k] + (double)numbers->counts[classes->count + k]);
    }
    return sm_measured_mean(values, count);
}

static void find_values(const sm_class_list *classes, const sm_metric_numbers *numbers, double *values,
                        double *class_values)
{
    double of_class[SM_CLASSES_MAX];
    for (int c = 0; c < classes->count; c++) {
        const double *sum = numbers->sums + SUMS * c;
        double area = mean_area(classes, c, sum);
        of_class[c] =
            is_thing(classes, c) ? ratio(area * sum[RIGHT], area * sum[SCALE] + (double)numbers->counts[c]) : NAN;
        if (class_values) {
            class_values[OF_CLASSES * classes->count + c] = of_class[c];
            class_values[OF_CATEGORIES * classes->count + c] = NAN;
        }
    }
    values[OF_CLASSES] = sm_measured_mean(of_class, classes->count);
    values[OF_CATEGORIES] = mean_of_categories(classes, numbers);
}

const sm_joint_metric sm_joint_instance_iou = {
    .metrics = metrics,
    .counts = count_numbers,
    .sums = sum_numbers,
    .add = add_sample,
    .values = find_values,
};
