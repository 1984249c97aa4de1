/* ranks: 1 */
#define _POSIX_C_SOURCE 200809L
#include "golden.h"
#include "harness.h"
#include "task/average_precision.h"

#include <sigmatic/data/cityscapes.h>
#include <sigmatic/task/task.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = SM_CITYSCAPES_CLASSES };

/* What the scripts print has three decimals; the sums differ only in their order. */
static const double rounding = 1e-12;

static const sm_target target = {
    .name = "semantic", .type = SM_TARGET_CLASS, .components = 1, .unit = "", .classes = &sm_cityscapes_classes};

/* All that a set of images accumulates. */
typedef struct accumulated {
    int64_t confusion[CLASSES * CLASSES];
    sm_metric_numbers iou, precision;
} accumulated;

static sm_metric_numbers make_numbers(size_t counts, size_t sums)
{
    return (sm_metric_numbers){.counts = sm_alloc_zeroed((counts + 1) * sizeof(int64_t)),
                               .sums = sm_alloc_zeroed((sums + 1) * sizeof(double))};
}

static void free_numbers(sm_metric_numbers *numbers)
{
    sm_free(numbers->counts);
    sm_free(numbers->sums);
    sm_free(numbers->records.numbers);
}

static sm_task semantic_task(void)
{
    return (sm_task){.kind = sm_task_kind_find("semantic"), .target = sm_target_copy(&target), .channels = CLASSES};
}

static void add_confusion(const sm_joint_sample *sample, int64_t *confusion)
{
    size_t pixels = (size_t)sample->height * (size_t)sample->width;
    sm_task task = semantic_task();
    float *logits = sm_alloc_zeroed(pixels * CLASSES * sizeof *logits);
    for (size_t i = 0; i < pixels; i++) {
        logits[i * CLASSES + sample->class_predicted[i]] = 1;
    }
    task.kind->metric_add(&task, pixels, logits, sample->class_truth, NAN, confusion, NULL);
    sm_free(logits);
    sm_free(task.target);
}

static void add_precision(golden_case *image, const sm_joint_sample *sample, sm_metric_numbers *numbers)
{
    sm_h5_info info;
    int64_t *pixel_counts = golden_read(image->file, image->group, "pixel_counts", SM_H5_INT64, &info);
    int64_t *classes = golden_read(image->file, image->group, "classes", SM_H5_INT64, NULL);
    double *confidences = golden_read(image->file, image->group, "confidences", SM_H5_DOUBLE, NULL);
    int32_t *pixels = golden_read(image->file, image->group, "pixels", SM_H5_INT32, NULL), *next = pixels;
    sm_instance_guess *guesses = sm_alloc((info.count + 1) * sizeof *guesses);
    for (size_t g = 0; g < info.count; g++) {
        guesses[g] = (sm_instance_guess){(int)classes[g], confidences[g], (size_t)pixel_counts[g], (uint32_t *)next};
        next += pixel_counts[g];
    }
    sm_precision_add(sample, sm_precision_least_pixels, guesses, (int)info.count, numbers);
    sm_free(guesses);
    sm_free(pixels);
    sm_free(confidences);
    sm_free(classes);
    sm_free(pixel_counts);
}

static void add_image(golden_case *image, accumulated *all)
{
    sm_h5_info shape;
    uint8_t *truth = golden_read(image->file, image->group, "semantic", SM_H5_U8, &shape);
    uint8_t *predicted = golden_read(image->file, image->group, "predicted", SM_H5_U8, NULL);
    uint16_t *ids = golden_read(image->file, image->group, "instance", SM_H5_U16, NULL);
    const sm_joint_sample sample = {.height = (int)shape.shape[0],
                                    .width = (int)shape.shape[1],
                                    .area_scale = 1,
                                    .classes = &sm_cityscapes_classes,
                                    .class_truth = truth,
                                    .class_predicted = predicted,
                                    .instance_truth = ids};
    add_confusion(&sample, all->confusion);
    sm_joint_instance_iou.add(NULL, &sample, &all->iou);
    add_precision(image, &sample, &all->precision);
    sm_free(ids);
    sm_free(predicted);
    sm_free(truth);
}

/* \param factor  of what we find, for what the scripts say in [0, 1] */
static void compare(golden_case *set, const char *name, const double *found, size_t count, double factor)
{
    sm_h5_info info;
    double *expected = golden_read(set->file, set->group, name, SM_H5_DOUBLE, &info);
    CU_ASSERT_EQUAL(info.count, count);
    for (size_t i = 0; i < count && i < info.count; i++) {
        CU_ASSERT_EQUAL(!isnan(found[i]), !isnan(expected[i]));
        if (!isnan(expected[i])) {
            SM_TEST_AT_MOST(fabs(factor * found[i] - expected[i]), rounding);
        }
    }
    sm_free(expected);
}

static void compare_pixels(golden_case *set, accumulated *all)
{
    sm_task task = semantic_task();
    double values[8], joint[2], of_class[2 * CLASSES], iou[CLASSES];
    task.kind->metric_values(&task, all->confusion, NULL, values);
    task.kind->class_values(&task, all->confusion, NULL, iou);
    compare(set, "miou", &values[0], 1, 0.01);
    compare(set, "category_iou", &values[2], 1, 0.01);
    compare(set, "class_iou", iou, CLASSES, 0.01);
    sm_joint_instance_iou.values(&sm_cityscapes_classes, &all->iou, joint, of_class);
    compare(set, "iiou", &joint[0], 1, 0.01);
    compare(set, "category_iiou", &joint[1], 1, 0.01);
    compare(set, "class_iiou", of_class, CLASSES, 0.01);
    sm_free(task.target);
}

static void compare_precision(golden_case *set, accumulated *all)
{
    double precision[CLASSES * SM_PRECISION_OVERLAPS], values[2], of_class[2 * CLASSES];
    sm_precision_find(&sm_cityscapes_classes, &all->precision, precision);
    sm_precision_average(&sm_cityscapes_classes, precision, values, of_class);
    compare(set, "ap", &values[0], 1, 1);
    compare(set, "ap50", &values[1], 1, 1);
    compare(set, "class_ap", of_class, CLASSES, 1);
    compare(set, "class_ap50", of_class + CLASSES, CLASSES, 1);
}

static void compare_set(golden_case *set)
{
    accumulated *all = sm_alloc_zeroed(sizeof *all);
    char *names = NULL, *rest;
    all->iou = make_numbers(sm_joint_instance_iou.counts(&sm_cityscapes_classes),
                            sm_joint_instance_iou.sums(&sm_cityscapes_classes));
    all->precision = make_numbers(sm_precision_counts(&sm_cityscapes_classes), 0);
    SM_TEST_OK(sm_h5_read_attribute_text(set->file, set->group, "images", &names));
    for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        char group[64];
        snprintf(group, sizeof group, "images/%s", name);
        add_image(&(golden_case){.file = set->file, .group = group}, all);
    }
    compare_pixels(set, all);
    compare_precision(set, all);
    free_numbers(&all->iou);
    free_numbers(&all->precision);
    sm_free(names);
    sm_free(all);
}

static void metrics_equal_the_official_scripts(void)
{
    sm_h5 *file = golden_open("cityscapes.h5");
    CU_ASSERT_EQUAL(golden_for_each(file, "sets", compare_set), 5);
    sm_h5_close(file);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(metrics_equal_the_official_scripts);
    return sm_test_end();
}
