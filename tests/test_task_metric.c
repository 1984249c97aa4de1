/* ranks: 1 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/target_picture.h>
#include <sigmatic/task/task.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t palette[5][3] = {{90, 2, 3}, {4, 95, 6}, {7, 8, 99}, {80, 81, 12}, {200, 1, 200}};
static const uint8_t thing[5] = {0, 0, 1, 1, 0};
static const char *const class_names[5] = {"a", "b", "c", "d", "e"};
static const sm_class_list classes = {.count = 5, .names = class_names, .palette = palette, .thing = thing};
static sm_target target_of_classes = {
    .name = "semantic", .type = SM_TARGET_CLASS, .components = 1, .classes = &classes};

static sm_task task_of(const char *name)
{
    return (sm_task){.kind = sm_task_kind_find(name), .target = &target_of_classes, .channels = 5};
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

/* The matrix, each IoU, mean IoU and accuracy; accumulated over two halves of the map. */
static void compare_confusion(const sm_h5 *file, const char *group)
{
    sm_h5_info shape, present_info;
    sm_task task = task_of("semantic");
    float *logits = golden_read(file, group, "logits", SM_H5_FLOAT, &shape);
    uint8_t *target = golden_read(file, group, "target", SM_H5_U8, NULL);
    int64_t *matrix = golden_read(file, group, "matrix", SM_H5_INT64, NULL);
    int64_t *present = golden_read(file, group, "present", SM_H5_INT64, &present_info);
    double *expected = golden_read(file, group, "iou", SM_H5_DOUBLE, NULL);
    int height = (int)shape.shape[0], width = (int)shape.shape[1], half = height / 3;
    double values[8], iou[256];

    task.channels = (int)shape.shape[2];
    size_t entries = task.kind->metric_counts(&task), split = (size_t)half * (size_t)width;
    int64_t *counts = sm_alloc_zeroed(entries * sizeof *counts);
    task.kind->metric_add(&task, split, logits, target, NAN, counts, NULL);
    task.kind->metric_add(&task, (size_t)(height - half) * (size_t)width, logits + split * (size_t)task.channels,
                          target + split, NAN, counts, NULL);
    CU_ASSERT_EQUAL(memcmp(counts, matrix, entries * sizeof *counts), 0);
    task.kind->metric_values(&task, counts, NULL, values);
    SM_TEST_AT_MOST(fabs(values[0] - golden_number(file, group, "miou")), 1e-10);
    SM_TEST_AT_MOST(fabs(values[1] - golden_number(file, group, "accuracy")), 1e-10);
    task.kind->class_values(&task, counts, NULL, iou);
    size_t found = 0;
    for (int c = 0; c < task.channels; c++) {
        if (found < present_info.count && present[found] == c) {
            SM_TEST_AT_MOST(fabs(iou[c] / 100 - expected[found++]), 1e-12);
        } else {
            CU_ASSERT_TRUE(isnan(iou[c]));
        }
    }
    CU_ASSERT_EQUAL(found, present_info.count);
    sm_free(counts);
    sm_free(expected);
    sm_free(present);
    sm_free(matrix);
    sm_free(target);
    sm_free(logits);
}

static void semantic_metrics_equal_sklearn(void)
{
    sm_h5 *file = golden_open("tasks.h5");
    compare_confusion(file, "confusion/some");
    compare_confusion(file, "confusion/all");
    sm_h5_close(file);
}

/* A class that is only predicted counts with IoU 0, as in the official Cityscapes evaluation. */
static void a_class_only_predicted_counts_as_zero(void)
{
    sm_task task = task_of("semantic");
    int64_t counts[25] = {0};
    double values[8];
    counts[0 * 5 + 0] = 3;
    counts[0 * 5 + 2] = 1;
    task.kind->metric_values(&task, counts, NULL, values);
    SM_TEST_AT_MOST(fabs(values[0] - 100 * (0.75 + 0) / 2), 1e-12);
    SM_TEST_AT_MOST(fabs(values[1] - 75), 1e-12);
}

static void instance_error_is_the_sum_of_both_components(void)
{
    sm_task task = task_of("instance");
    const float target[] = {1, 2, NAN, NAN, -3, 4, 0, 0}, logits[] = {1.5f, 1, 9, 9, -5, 4.25f, 0, 0};
    int64_t counts[1] = {0};
    double sums[1] = {0}, value;
    CU_ASSERT_EQUAL(task.kind->metric_counts(&task), 1);
    CU_ASSERT_EQUAL(task.kind->metric_sums(&task), 1);
    task.kind->metric_add(&task, 4, logits, target, NAN, counts, sums);
    task.kind->metric_values(&task, counts, sums, &value);
    CU_ASSERT_EQUAL(counts[0], 3);
    SM_TEST_AT_MOST(fabs(value - (1.5 + 2.25 + 0) / 3), 1e-12);
}

/* metres = 100 / disparity, at most 80; nothing predicted or infinitely far is 80. Disparity 0 (sky) has none. */
static void depth_metrics_follow_their_definitions(void)
{
    sm_task task = task_of("depth");
    const float target[] = {10, NAN, 0, 1, 50}, logits[] = {12.5f, 3, 2, -4, 50};
    int64_t counts[8] = {0};
    double sums[8] = {0}, values[3];
    CU_ASSERT_TRUE(task.kind->metric_counts(&task) <= 8 && task.kind->metric_sums(&task) <= 8);
    task.kind->metric_add(&task, 5, logits, target, 100, counts, sums);
    task.kind->metric_values(&task, counts, sums, values);
    SM_TEST_AT_MOST(fabs(values[0] - (2.5 + 2 + 5 + 0) / 4), 1e-12);
    SM_TEST_AT_MOST(fabs(values[1] - (2 + 0 + 0) / 3.0), 1e-12);
    SM_TEST_AT_MOST(fabs(values[2] - sqrt((6.25 + 4 + 25 + 0) / 4)), 1e-12);

    memset(counts, 0, sizeof counts);
    memset(sums, 0, sizeof sums);
    task.kind->metric_add(&task, 5, logits, target, NAN, counts, sums);
    task.kind->metric_values(&task, counts, sums, values);
    SM_TEST_AT_MOST(fabs(values[0] - 9.5 / 4), 1e-12);
    CU_ASSERT_TRUE(isnan(values[1])); /* camera unknown */

    const float broken[] = {NAN, 0, 0, 0, 0};
    task.kind->metric_add(&task, 5, broken, target, 100, counts, sums);
    task.kind->metric_values(&task, counts, sums, values);
    CU_ASSERT_TRUE(isnan(values[0]) && isnan(values[1]) && isnan(values[2]));
}

static void nothing_measured_is_nan(void)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        const sm_task_kind *kind = sm_task_kinds[k];
        sm_task task = task_of(kind->name);
        static int64_t counts[20000];
        double sums[64] = {0}, values[16];
        int count = 0;
        CU_ASSERT_TRUE_FATAL(kind->metric_counts(&task) <= 20000 && kind->metric_sums(&task) <= 64);
        kind->metric_values(&task, counts, sums, values);
        for (const sm_metric *metric = kind->metrics; metric->name; metric++) {
            CU_ASSERT_TRUE(isnan(values[count++]));
            CU_ASSERT_TRUE(metric->unit || strcmp(kind->name, "regression") == 0); /* the target's */
        }
        CU_ASSERT_TRUE(count >= 1);
    }
}

/* ---- decoding and pictures --------------------------------------------------------------------------------------- */

enum { HEIGHT = 64, WIDTH = 128, OBJECTS = 4 };
static const int boxes[OBJECTS][4] = {{5, 8, 30, 25}, {20, 40, 50, 60}, {20, 66, 50, 86}, {40, 100, 60, 125}};

/* Vectors of four boxes with normal noise; elsewhere they point far away. */
static void draw_boxes(float noise, float *vectors, int *objects)
{
    sm_random random = sm_random_new(77, 0, 0);
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        int y = i / WIDTH, x = i % WIDTH;
        objects[i] = -1;
        vectors[2 * i] = vectors[2 * i + 1] = 300;
        for (int k = 0; k < OBJECTS; k++) {
            const int *box = boxes[k];
            if (y >= box[0] && y < box[2] && x >= box[1] && x < box[3]) {
                objects[i] = k;
                vectors[2 * i] = (float)(box[1] + box[3] - 1) / 2 - (float)x + noise * sm_random_normal(&random);
                vectors[2 * i + 1] = (float)(box[0] + box[2] - 1) / 2 - (float)y + noise * sm_random_normal(&random);
            }
        }
    }
}

static int same_colour(const uint8_t *a, const uint8_t *b, int tolerance)
{
    return abs(a[0] - b[0]) <= tolerance && abs(a[1] - b[1]) <= tolerance && abs(a[2] - b[2]) <= tolerance;
}

static void instance_pictures_of_truth_and_prediction_agree(void)
{
    static float target[HEIGHT * WIDTH * 2], logits[HEIGHT * WIDTH * 2];
    static int objects[HEIGHT * WIDTH];
    static uint8_t mask[HEIGHT * WIDTH], truth[HEIGHT * WIDTH * 3], predicted[HEIGHT * WIDTH * 3];
    sm_task task = task_of("instance");

    draw_boxes(0.5f, logits, objects);
    draw_boxes(0, target, objects);
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        mask[i] = objects[i] >= 0;
        if (!mask[i]) {
            target[2 * i] = target[2 * i + 1] = NAN;
        }
    }
    task.kind->picture(&task, HEIGHT, WIDTH, NULL, target, NULL, truth);
    task.kind->picture(&task, HEIGHT, WIDTH, logits, NULL, mask, predicted);
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        int first = boxes[objects[i] >= 0 ? objects[i] : 0][0] * WIDTH + boxes[objects[i] >= 0 ? objects[i] : 0][1];
        CU_ASSERT_TRUE(same_colour(truth + 3 * i, predicted + 3 * i, 45));
        if (objects[i] >= 0) {
            CU_ASSERT_TRUE(same_colour(truth + 3 * i, truth + 3 * first, 1));
        } else {
            CU_ASSERT_TRUE(truth[3 * i] < 40 && truth[3 * i + 1] < 40 && truth[3 * i + 2] < 40);
        }
    }
    for (int a = 0; a < OBJECTS; a++) {
        for (int b = 0; b < a; b++) {
            CU_ASSERT_FALSE(same_colour(truth + 3 * (boxes[a][0] * WIDTH + boxes[a][1]),
                                        truth + 3 * (boxes[b][0] * WIDTH + boxes[b][1]), 45));
        }
    }
}

static void semantic_pictures_show_the_palette(void)
{
    sm_task task = task_of("semantic");
    const uint8_t target[4] = {0, 3, 255, 2};
    uint8_t rgb[12], mask[4];
    float logits[20] = {0};
    task.kind->picture(&task, 2, 2, NULL, target, NULL, rgb);
    const uint8_t expected[12] = {90, 2, 3, 80, 81, 12, 0, 0, 0, 7, 8, 99};
    CU_ASSERT_EQUAL(memcmp(rgb, expected, 12), 0);

    logits[0 + 0] = logits[5 + 3] = logits[10 + 4] = logits[15 + 2] = 2;
    task.kind->picture(&task, 2, 2, logits, NULL, NULL, rgb);
    const uint8_t likely[12] = {90, 2, 3, 80, 81, 12, 200, 1, 200, 7, 8, 99};
    CU_ASSERT_EQUAL(memcmp(rgb, likely, 12), 0);
    CU_ASSERT_TRUE(sm_task_finds_things(&task));
    sm_task_thing_mask(&task, 4, logits, mask);
    CU_ASSERT_EQUAL(memcmp(mask, (const uint8_t[]){0, 4, 0, 3}, 4), 0);
}

static double luminance(const uint8_t *rgb)
{
    return 0.2126 * pow(rgb[0] / 255.0, 2.2) + 0.7152 * pow(rgb[1] / 255.0, 2.2) + 0.0722 * pow(rgb[2] / 255.0, 2.2);
}

static void depth_pictures_brighten_with_disparity(void)
{
    enum { COLUMNS = 64 };
    sm_task task = task_of("depth");
    float disparity[COLUMNS];
    uint8_t rgb[3 * COLUMNS], again[3 * COLUMNS];
    for (int x = 0; x < COLUMNS; x++) {
        disparity[x] = (float)x / 24; /* up to 1/24 of the width */
    }
    disparity[1] = NAN;
    disparity[2] = -1;
    task.kind->picture(&task, 1, COLUMNS, NULL, disparity, NULL, rgb);
    task.kind->picture(&task, 1, COLUMNS, disparity, NULL, NULL, again);
    CU_ASSERT_EQUAL(memcmp(rgb, again, sizeof rgb), 0);
    CU_ASSERT_TRUE(luminance(rgb) > 0);
    CU_ASSERT_EQUAL(luminance(rgb + 3), 0);
    CU_ASSERT_EQUAL(memcmp(rgb, rgb + 6, 3), 0);
    for (int x = 4; x < COLUMNS; x++) {
        CU_ASSERT_TRUE(luminance(rgb + 3 * x) > luminance(rgb + 3 * (x - 1)) - 2e-3); /* rounding to 8 bits */
        CU_ASSERT_TRUE(x % 4 != 0 || luminance(rgb + 3 * x) > luminance(rgb + 3 * (x - 4 ? x - 4 : 0)));
    }
    CU_ASSERT_TRUE(luminance(rgb + 3 * (COLUMNS - 1)) > 0.7);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(semantic_metrics_equal_sklearn);
    SM_TEST(a_class_only_predicted_counts_as_zero);
    SM_TEST(instance_error_is_the_sum_of_both_components);
    SM_TEST(depth_metrics_follow_their_definitions);
    SM_TEST(nothing_measured_is_nan);
    SM_TEST(instance_pictures_of_truth_and_prediction_agree);
    SM_TEST(semantic_pictures_show_the_palette);
    SM_TEST(depth_pictures_brighten_with_disparity);
    return sm_test_end();
}
