/* ranks: 1 */
#include "golden.h"
#include "harness.h"
#include "task/optics.h"
#include "task/point_tree.h"

#include <sigmatic/base/random.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a golden group gives and asks for. */
typedef struct example {
    double (*points)[2];
    size_t count;
    sm_optics expected; /* core_distance is NULL in ELKI's */
} example;

static example read_example(golden_case *from)
{
    sm_h5_info info;
    example one = {.points = golden_read(from->file, from->group, "points", SM_H5_DOUBLE, &info)};
    one.count = info.shape[0];
    one.expected = (sm_optics){.count = one.count,
                               .order = golden_read(from->file, from->group, "order", SM_H5_INT32, NULL),
                               .reachability = golden_read(from->file, from->group, "reachability", SM_H5_DOUBLE, NULL),
                               .predecessor = golden_read(from->file, from->group, "predecessor", SM_H5_INT32, NULL)};
    return one;
}

static sm_optics run_example(golden_case *from, const example *one)
{
    return sm_optics_new(one->count, (const double(*)[2])one->points,
                         (int)golden_number(from->file, from->group, "min_samples"),
                         golden_number(from->file, from->group, "max_distance"));
}

static void free_example(example *one)
{
    sm_free(one->points);
    sm_optics_free(&one->expected);
}

#define EXPECT_SAME(found, expected, count, what)                                                                      \
    do {                                                                                                               \
        size_t same = 0;                                                                                               \
        while (same < (count) && (found)[same] == (expected)[same]) {                                                  \
            same++;                                                                                                    \
        }                                                                                                              \
        if (same < (count)) {                                                                                          \
            fprintf(stderr, "%s: %s[%zu] is %.17g, expected %.17g\n", from->group, what, same, (double)(found)[same],  \
                    (double)(expected)[same]);                                                                         \
        }                                                                                                              \
        CU_ASSERT_EQUAL(same, (count));                                                                                \
    } while (0)

static void compare_to_sklearn(golden_case *from)
{
    example one = read_example(from);
    one.expected.core_distance = golden_read(from->file, from->group, "core_distance", SM_H5_DOUBLE, NULL);
    int32_t *expected = golden_read(from->file, from->group, "labels", SM_H5_INT32, NULL), most = -1;
    int32_t *labels = sm_alloc(one.count * sizeof *labels);
    sm_optics found = run_example(from, &one);
    int clusters = sm_optics_clusters(&found, golden_number(from->file, from->group, "threshold"), labels);

    EXPECT_SAME(found.core_distance, one.expected.core_distance, one.count, "core distance");
    EXPECT_SAME(found.order, one.expected.order, one.count, "order");
    EXPECT_SAME(found.reachability, one.expected.reachability, one.count, "reachability");
    EXPECT_SAME(found.predecessor, one.expected.predecessor, one.count, "predecessor");
    EXPECT_SAME(labels, expected, one.count, "label");
    for (size_t i = 0; i < one.count; i++) {
        most = expected[i] > most ? expected[i] : most;
    }
    CU_ASSERT_EQUAL(clusters, most + 1);
    sm_optics_free(&found);
    sm_free(labels);
    sm_free(expected);
    free_example(&one);
}

static void everything_equals_sklearn_bit_for_bit(void)
{
    sm_h5 *file = golden_open("optics.h5");
    CU_ASSERT_EQUAL(golden_for_each(file, "cases", compare_to_sklearn), 22);
    sm_h5_close(file);
}

/* ELKI lists reachability and predecessor in processing order. Its distances are not rounded to 15 decimals. */
static void compare_to_elki(golden_case *from)
{
    example one = read_example(from);
    sm_optics found = run_example(from, &one);
    EXPECT_SAME(found.order, one.expected.order, one.count, "order");
    for (size_t i = 0; i < one.count; i++) {
        int32_t point = found.order[i];
        double expected = one.expected.reachability[i];
        CU_ASSERT_EQUAL(found.predecessor[point], one.expected.predecessor[i]);
        CU_ASSERT_TRUE(found.reachability[point] == expected || fabs(found.reachability[point] - expected) < 1e-14);
    }
    sm_optics_free(&found);
    free_example(&one);
}

static void order_and_reachability_equal_elki(void)
{
    sm_h5 *file = golden_open("optics.h5");
    CU_ASSERT_EQUAL(golden_for_each(file, "elki", compare_to_elki), 2);
    sm_h5_close(file);
}

/* ---- what scikit-learn refuses ----------------------------------------------------------------------------------- */

static void too_few_points_are_noise(void)
{
    const double points[3][2] = {{1, 1}, {1, 1}, {1, 1}};
    int32_t labels[3];
    for (size_t count = 0; count <= 3; count++) {
        sm_optics found = sm_optics_new(count, points, 4, INFINITY);
        CU_ASSERT_EQUAL(sm_optics_clusters(&found, 1, labels), 0);
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL(found.order[i], (int32_t)i);
            CU_ASSERT_TRUE(isinf(found.core_distance[i]) && isinf(found.reachability[i]));
            CU_ASSERT_EQUAL(found.predecessor[i], -1);
            CU_ASSERT_EQUAL(labels[i], -1);
        }
        sm_optics_free(&found);
    }
}

static void points_that_are_not_finite_change_nothing(void)
{
    enum { POINTS = 200 };
    static double clean[POINTS][2], dirty[POINTS + 3][2];
    sm_random random = sm_random_new(5, 0, 0);
    for (int i = 0; i < POINTS; i++) {
        clean[i][0] = sm_random_normal(&random);
        clean[i][1] = sm_random_normal(&random);
    }
    memcpy(dirty, clean, sizeof clean);
    const double bad[3][2] = {{NAN, 0}, {0, INFINITY}, {-INFINITY, NAN}};
    memcpy(dirty[POINTS], bad, sizeof bad);
    sm_optics without = sm_optics_new(POINTS, (const double(*)[2])clean, 5, 1);
    sm_optics with = sm_optics_new(POINTS + 3, (const double(*)[2])dirty, 5, 1);
    CU_ASSERT_EQUAL(memcmp(with.order, without.order, POINTS * sizeof *with.order), 0);
    CU_ASSERT_EQUAL(memcmp(with.reachability, without.reachability, POINTS * sizeof *with.reachability), 0);
    CU_ASSERT_EQUAL(memcmp(with.core_distance, without.core_distance, POINTS * sizeof *with.core_distance), 0);
    for (int i = POINTS; i < POINTS + 3; i++) {
        CU_ASSERT_EQUAL(with.order[i], i);
        CU_ASSERT_TRUE(isinf(with.core_distance[i]) && isinf(with.reachability[i]) && with.predecessor[i] == -1);
    }
    sm_optics_free(&without);
    sm_optics_free(&with);
}

/* ---- properties -------------------------------------------------------------------------------------------------- */

/* The definition: the minimum over all that were processed before, by two loops. */
static void reachability_follows_its_definition(void)
{
    enum { POINTS = 900 };
    static double points[POINTS][2];
    const double max_distance = 0.6;
    sm_random random = sm_random_new(6, 0, 0);
    for (int i = 0; i < POINTS; i++) { /* on a coarse grid, so that many coincide */
        points[i][0] = rint(8 * sm_random_normal(&random)) / 8;
        points[i][1] = rint(8 * sm_random_normal(&random)) / 8;
    }
    sm_optics found = sm_optics_new(POINTS, (const double(*)[2])points, 6, max_distance);
    for (int k = 0; k < POINTS; k++) {
        const double *here = points[found.order[k]];
        double least = INFINITY;
        for (int before = 0; before < k; before++) {
            const double *from = points[found.order[before]];
            double away = hypot(here[0] - from[0], here[1] - from[1]);
            double core = found.core_distance[found.order[before]];
            least = away <= max_distance ? fmin(least, fmax(core, away)) : least;
        }
        double reachability = found.reachability[found.order[k]];
        CU_ASSERT_TRUE(reachability == least || fabs(reachability - least) < 1e-14);
    }
    sm_optics_free(&found);
}

/* Of coinciding points the least index; none beyond the limit. */
static void the_nearest_point_is_that_of_a_loop(void)
{
    enum { POINTS = 800, PLACES = 500 };
    static double points[POINTS][2];
    const double limit = 0.02;
    sm_random random = sm_random_new(9, 0, 0);
    int wrong = 0, none = 0;
    for (int i = 0; i < POINTS; i++) {
        points[i][0] = rint(8 * sm_random_normal(&random)) / 8;
        points[i][1] = rint(8 * sm_random_normal(&random)) / 8;
    }
    sm_point_tree tree = sm_point_tree_new(POINTS, (const double(*)[2])points);
    for (int k = 0; k < PLACES; k++) { /* a quarter of them half-way between points */
        double from[2] = {sm_random_normal(&random), sm_random_normal(&random)}, least = limit;
        from[0] = k % 4 ? from[0] : rint(16 * from[0]) / 16;
        from[1] = k % 4 ? from[1] : rint(16 * from[1]) / 16;
        int32_t nearest = -1;
        for (int32_t i = POINTS - 1; i >= 0; i--) {
            double x = points[i][0] - from[0], y = points[i][1] - from[1];
            if (x * x + y * y <= least) {
                least = x * x + y * y;
                nearest = i;
            }
        }
        wrong += sm_point_tree_nearest(&tree, from, limit) != nearest;
        none += nearest < 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(none > 10 && none < PLACES - 100);
    sm_point_tree_free(&tree);
}

/* A shift by a power of two of points on a grid rounds nothing. */
static void translation_changes_nothing(void)
{
    enum { POINTS = 700 };
    static double points[POINTS][2];
    int32_t labels[2][POINTS];
    sm_optics found[2];
    sm_random random = sm_random_new(7, 0, 0);
    for (int i = 0; i < POINTS; i++) {
        points[i][0] = rint(64 * sm_random_normal(&random)) / 16;
        points[i][1] = rint(64 * sm_random_normal(&random)) / 16;
    }
    for (int k = 0; k < 2; k++) {
        found[k] = sm_optics_new(POINTS, (const double(*)[2])points, 8, 3);
        sm_optics_clusters(&found[k], 0.5, labels[k]);
        for (int i = 0; i < POINTS; i++) {
            points[i][0] += 4096;
            points[i][1] -= 1024;
        }
    }
    CU_ASSERT_EQUAL(memcmp(found[0].order, found[1].order, POINTS * sizeof(int32_t)), 0);
    CU_ASSERT_EQUAL(memcmp(found[0].reachability, found[1].reachability, POINTS * sizeof(double)), 0);
    CU_ASSERT_EQUAL(memcmp(labels[0], labels[1], sizeof labels[0]), 0);
    sm_optics_free(&found[0]);
    sm_optics_free(&found[1]);
}

/* ---- speed: figures to read, not to assert ------------------------------------------------------------------------ */

static void time_objects(size_t count, double spread, double max_distance)
{
    enum { OBJECTS = 10, MIN_SAMPLES = 10 };
    double(*points)[2] = sm_alloc(count * sizeof *points);
    int32_t *labels = sm_alloc(count * sizeof *labels);
    sm_random random = sm_random_new(8, 0, 0);
    for (size_t i = 0; i < count; i++) {
        points[i][0] = 25.0 * (double)(i % OBJECTS) + spread * sm_random_normal(&random);
        points[i][1] = spread * sm_random_normal(&random);
    }
    clock_t begin = clock();
    sm_optics found = sm_optics_new(count, (const double(*)[2])points, MIN_SAMPLES, max_distance);
    int clusters = sm_optics_clusters(&found, max_distance < 1 ? max_distance : 1, labels);
    printf("OPTICS: %zu points of %d objects, spread %g, max_distance %g: %d clusters, %.1f ms of the processor\n",
           count, OBJECTS, spread, max_distance, clusters, 1e3 * (double)(clock() - begin) / CLOCKS_PER_SEC);
    CU_ASSERT_EQUAL(clusters, OBJECTS);
    sm_optics_free(&found);
    sm_free(labels);
    sm_free(points);
}

static void speed_is_reported(void)
{
    time_objects(5000, 1, 4);
    time_objects(5000, 1, INFINITY);
    time_objects(5000, 0, 4);
    time_objects(100000, 1, 4);
    time_objects(100000, 0, 4);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(everything_equals_sklearn_bit_for_bit);
    SM_TEST(order_and_reachability_equal_elki);
    SM_TEST(too_few_points_are_noise);
    SM_TEST(points_that_are_not_finite_change_nothing);
    SM_TEST(reachability_follows_its_definition);
    SM_TEST(the_nearest_point_is_that_of_a_loop);
    SM_TEST(translation_changes_nothing);
    SM_TEST(speed_is_reported);
    return sm_test_end();
}
