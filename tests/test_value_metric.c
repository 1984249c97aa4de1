/* ranks: 1 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/task/task.h>

#include <math.h>
#include <string.h>

enum { VALUES_MOST = 16, CLASSES_MOST = 64, COUNTS_MOST = 20000, SUMS_MOST = 64 };

/* Whole metrics of a case, accumulated over two halves. */
static void compare(const char *group, const char *kind, const char *target_name, const double *tolerance)
{
    static int64_t counts[COUNTS_MOST];
    double sums[SUMS_MOST] = {0}, values[VALUES_MOST], classes[CLASSES_MOST];
    sm_h5 *file = golden_open("metrics.h5");
    sm_h5_info shape, info;
    float *logits = golden_read(file, group, "logits", SM_H5_FLOAT, &shape);
    double *expected = golden_read(file, group, "expected", SM_H5_DOUBLE, &info);
    const sm_task_kind *row = NULL;
    for (int k = 0; sm_task_kinds[k] && !row; k++) {
        int is_row = strcmp(sm_task_kinds[k]->name, kind) == 0 &&
                     (!target_name || (sm_task_kinds[k]->target && strcmp(sm_task_kinds[k]->target, target_name) == 0));
        row = is_row ? sm_task_kinds[k] : NULL;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    int is_real = row->learns == SM_TARGET_REAL;
    char *target = golden_read(file, group, "target", is_real ? SM_H5_FLOAT : SM_H5_U8, NULL);
    sm_target described = {.name = "x", .type = row->learns, .components = 1, .unit = "", .most = 1e18};
    sm_task task = {.kind = row, .target = &described, .channels = shape.rank > 1 ? (int)shape.shape[1] : 1};
    size_t items = shape.shape[0], first = items / 3, bytes = sm_task_item_bytes(&task);
    CU_ASSERT_TRUE_FATAL(row->metric_counts(&task) <= COUNTS_MOST && row->metric_sums(&task) <= SUMS_MOST);
    memset(counts, 0, sizeof counts);
    row->metric_add(&task, first, logits, target, NAN, counts, sums);
    row->metric_add(&task, items - first, logits + first * (size_t)task.channels, target + first * bytes, NAN, counts,
                    sums);
    row->metric_values(&task, counts, sums, values);
    for (size_t i = 0; i < info.count; i++) {
        CU_ASSERT_PTR_NOT_NULL(row->metrics[i].name);
        CU_ASSERT_EQUAL(!isnan(values[i]), !isnan(expected[i]));
        CU_ASSERT_TRUE(isnan(expected[i]) || fabs(values[i] - expected[i]) <= tolerance[i] * (1 + fabs(expected[i])));
    }
    CU_ASSERT_PTR_NULL(row->metrics[info.count].name);
    if (row->class_values) {
        double *of_class = golden_read(file, group, "classes", SM_H5_DOUBLE, &info);
        row->class_values(&task, counts, sums, classes);
        for (size_t i = 0; i < info.count; i++) {
            CU_ASSERT_EQUAL(!isnan(classes[i]), !isnan(of_class[i]));
            CU_ASSERT_TRUE(isnan(of_class[i]) || fabs(classes[i] - of_class[i]) <= 1e-10);
        }
        sm_free(of_class);
    }
    sm_free(target);
    sm_free(expected);
    sm_free(logits);
    sm_h5_close(file);
}

/* Sums in double of floats; the variance is a difference of sums of squares 50 times as large. */
static const double rounding[VALUES_MOST] = {1e-12, 1e-12, 1e-10, 1e-12, 1e-12, 1e-12, 1e-12, 1e-12};

static void values_equal_sklearn(void)
{
    compare("regression", "regression", NULL, rounding);
    compare("regression3", "regression", NULL, rounding);
}

static void depths_equal_sklearn(void)
{
    compare("depth", "depth", "depth", rounding);
}

/* The arc cosine of the golden is good to 1e-6 degrees at small angles; the median is one of bins. */
static void normals_equal_numpy(void)
{
    static const double tolerance[VALUES_MOST] = {1e-7, 0.005 / 10, 1e-12, 1e-12, 1e-12};
    compare("normals", "normals", NULL, tolerance);
}

static void classes_of_samples_equal_sklearn(void)
{
    compare("classification", "classification", NULL, rounding);
    compare("classification4", "classification", NULL, rounding);
}

static void labels_equal_sklearn(void)
{
    compare("labels", "labels", NULL, rounding);
}

/* Components that are constant have no R2; a NaN among the predictions is seen. */
static void values_without_variance_have_no_determination(void)
{
    const sm_task_kind *kind = sm_task_kind_find("regression");
    sm_task task = {.kind = kind, .channels = 1};
    const float truth[3] = {0.1f, 0.1f, 0.1f}, found[3] = {1, 2, NAN};
    int64_t counts[1] = {0};
    double sums[8] = {0}, values[3];
    kind->metric_add(&task, 2, found, truth, NAN, counts, sums);
    kind->metric_values(&task, counts, sums, values);
    CU_ASSERT_TRUE(isfinite(values[0]) && isfinite(values[1]) && isnan(values[2]));
    kind->metric_add(&task, 1, found + 2, truth, NAN, counts, sums);
    kind->metric_values(&task, counts, sums, values);
    CU_ASSERT_TRUE(isnan(values[0]) && isnan(values[1]));
}

static void measure(const sm_task *task, size_t items, const float *found, const float *truth, double *values)
{
    int64_t counts[COUNTS_MOST] = {0};
    double sums[SUMS_MOST] = {0};
    task->kind->metric_add(task, items, found, truth, NAN, counts, sums);
    task->kind->metric_values(task, counts, sums, values);
}

/* Only the component with two true values counts: its squared error over its variance. A spread of a millionth is one. */
static void components_without_variance_are_left_out(void)
{
    const sm_task task = {.kind = sm_task_kind_find("regression"), .channels = 2};
    const float truth[] = {5, 1, 5, 3}, found[] = {9, 1, 9, 2};
    const float near[] = {5, 1000, 5, 1000.01f}, same[] = {5, 1000, 5, 1000};
    double values[VALUES_MOST];
    measure(&task, 2, found, truth, values);
    SM_TEST_AT_MOST(fabs(values[2] - (1 - 1 / 2.0)), 1e-12);
    measure(&task, 2, near, near, values);
    CU_ASSERT_TRUE(values[2] == 1);
    measure(&task, 2, near, same, values);
    CU_ASSERT_TRUE(isnan(values[2]));
}

/* Distances of 0 or less: as they are for errors in metres, as 1 mm for relative ones; an inverse of 0 or less is as far as
 * is measured. */
static void predictions_of_no_distance_have_metrics(void)
{
    static sm_target target = {.name = "depth", .type = SM_TARGET_REAL, .components = 1, .unit = "m", .most = 1e6};
    sm_task task = {.target = &target, .channels = 1};
    for (int k = 0; sm_task_kinds[k]; k++) {
        task.kind = sm_task_kinds[k]->encode ? sm_task_kinds[k] : task.kind;
    }
    const float truth[] = {10, 10}, found[] = {-5, 0};
    double values[VALUES_MOST];
    measure(&task, 2, found, truth, values);
    SM_TEST_AT_MOST(fabs(values[0] - (15 + 10) / 2.0), 1e-12);
    SM_TEST_AT_MOST(fabs(values[1] - sqrt((225 + 100) / 2.0)), 1e-12);
    SM_TEST_AT_MOST(fabs(values[2] - 9.999 / 10), 1e-12);
    SM_TEST_AT_MOST(fabs(values[3] - 9.999 * 9.999 / 10), 1e-12);
    SM_TEST_AT_MOST(fabs(values[4] - log(10 / 0.001)), 1e-12);
    CU_ASSERT_TRUE(values[5] == 0 && values[6] == 0 && values[7] == 0);
    task.encoding = SM_DEPTH_INVERSE;
    const float inverse_truth[] = {0.1f, 0.1f};
    measure(&task, 2, found, inverse_truth, values);
    SM_TEST_AT_MOST(fabs(values[0] - 70), 1e-5);
    SM_TEST_AT_MOST(fabs(values[2] - 7), 1e-6);
}

/* Five of five would be right whatever is predicted. */
static void few_classes_have_no_top5(void)
{
    for (int classes = 2; classes <= 6; classes++) {
        const sm_task task = {.kind = sm_task_kind_find("classification"), .channels = classes};
        const float logits[6] = {6, 5, 4, 3, 2, 1};
        const uint8_t truth[1] = {(uint8_t)(classes - 1)};
        int64_t counts[COUNTS_MOST] = {0};
        double values[VALUES_MOST];
        task.kind->metric_add(&task, 1, logits, truth, NAN, counts, NULL);
        task.kind->metric_values(&task, counts, NULL, values);
        CU_ASSERT_TRUE(values[0] == 0 && (classes > 5 ? values[1] == 0 : isnan(values[1])));
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(values_equal_sklearn);
    SM_TEST(depths_equal_sklearn);
    SM_TEST(normals_equal_numpy);
    SM_TEST(classes_of_samples_equal_sklearn);
    SM_TEST(labels_equal_sklearn);
    SM_TEST(values_without_variance_have_no_determination);
    SM_TEST(components_without_variance_are_left_out);
    SM_TEST(predictions_of_no_distance_have_metrics);
    SM_TEST(few_classes_have_no_top5);
    return sm_test_end();
}
