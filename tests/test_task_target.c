/* ranks: 1 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/task/task.h>

#include <math.h>
#include <string.h>

enum { SEMANTIC, INSTANCE, NOISE, DISPARITY, TARGETS };

static const char *const class_names[] = {"a", "b", "c", "d"};
static const sm_class_list classes = {.count = 4, .names = class_names};
static sm_target targets[TARGETS];

static void describe_targets(void)
{
    targets[SEMANTIC] = *sm_standard_target("semantic");
    targets[SEMANTIC].classes = &classes;
    targets[INSTANCE] = *sm_standard_target("instance");
    targets[NOISE] = *sm_standard_target("instance_offset");
    targets[DISPARITY] = *sm_standard_target("disparity");
}

static int64_t build(const char *kind, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    static const int channels[TARGETS] = {[SEMANTIC] = 4, [INSTANCE] = 2, [DISPARITY] = 1};
    sm_task task = {.kind = sm_task_kind_find(kind)};
    for (int t = 0; t < TARGETS; t++) {
        if (strcmp(targets[t].name, task.kind->target) == 0) {
            task.target = &targets[t];
            task.channels = channels[t];
        }
    }
    memset(built, 0x5a,
           sm_task_item_bytes(&task) * (size_t)geometry->out_height *
               (size_t)geometry->out_width); /* what is not written shows */
    return task.kind->build_target(&task, sample, geometry, built);
}

/* \return a sample of one target. */
static sm_sample sample_of(int height, int width, int target, const void *data)
{
    sm_sample sample = {.height = height, .width = width};
    sm_sample_add(&sample, &targets[target], data);
    return sample;
}

static void compare_vectors(const float *vectors, const double *expected, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(!isnan(vectors[i]), !isnan(expected[i]));
        if (!isnan(expected[i])) {
            SM_TEST_AT_MOST(fabs(vectors[i] - expected[i]), bound);
        }
    }
}

/* SciPy's centres of mass, of the map as it is and of one flipped, enlarged and cropped by array operations:
 * enlarging by whole factors keeps the centre of mass where the geometry says. Coordinates up to 171 in float: 1e-5. */
static void vectors_equal_scipy(void)
{
    sm_h5 *file = golden_open("tasks.h5");
    sm_h5_info whole, cropped;
    uint16_t *instance = golden_read(file, "centroids", "instance", SM_H5_U16, NULL);
    double *expected_whole = golden_read(file, "centroids", "vectors", SM_H5_DOUBLE, &whole);
    double *expected_cropped = golden_read(file, "centroids", "cropped", SM_H5_DOUBLE, &cropped);
    int height = (int)whole.shape[0], width = (int)whole.shape[1];
    float *vectors = sm_alloc((whole.count + cropped.count) * sizeof *vectors);
    sm_sample sample = sample_of(height, width, INSTANCE, instance);

    sm_geometry same = sm_geometry_whole(height, width, height, width);
    int64_t valid = build("instance", &sample, &same, vectors);
    compare_vectors(vectors, expected_whole, whole.count, 1e-5);
    int64_t pixels = 0;
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++) {
        pixels += instance[i] != 0;
    }
    CU_ASSERT_EQUAL(valid, pixels);

    sm_geometry crop = {(int)cropped.shape[0], (int)cropped.shape[1], 3, 2, 40, 9, 1, 0};
    build("instance", &sample, &crop, vectors);
    compare_vectors(vectors, expected_cropped, cropped.count, 1e-5);

    sm_free(vectors);
    sm_free(expected_cropped);
    sm_free(expected_whole);
    sm_free(instance);
    sm_h5_close(file);
}

/* Pixel + vector is the centroid's place x' = (x + 0.5) f - 0.5, carried to the output, wherever the pixel lies: the
 * rectangle of columns 10 .. 13 and rows 2 .. 6 has its centroid at (11.5, 4). Turned by the angles of the triangle of
 * sides 7, 24, 25, what lies (right, down) of the picture's centre comes to (24 right + 7 down, 24 down - 7 right) / 25. */
static void centroid_moves_with_flip_scale_turn_and_crop(void)
{
    enum { HEIGHT = 16, WIDTH = 24, OUT_HEIGHT = 19, OUT_WIDTH = 21 };
    uint16_t instance[HEIGHT * WIDTH] = {0};
    float vectors[OUT_HEIGHT * OUT_WIDTH * 2];
    sm_sample sample = sample_of(HEIGHT, WIDTH, INSTANCE, instance);

    for (int y = 2; y <= 6; y++) {
        for (int x = 10; x <= 13; x++) {
            instance[y * WIDTH + x] = 40000;
        }
    }
    for (int form = 0; form < 12; form++) {
        int flip = form % 2, far = form / 2 % 2, turn = form / 4 - 1;
        double scale_x = 1.37, scale_y = 1.61, offset_x = far ? 15.25 : -3.5, offset_y = far ? 4 : 1;
        sm_geometry geometry = {OUT_HEIGHT, OUT_WIDTH, scale_x, scale_y, offset_x, offset_y, flip, 0.28 * turn};
        double x_stored = flip ? WIDTH - 1 - 11.5 : 11.5;
        double right = (x_stored + 0.5) * scale_x - 0.5 - offset_x - 10;
        double down = (4 + 0.5) * scale_y - 0.5 - offset_y - 9;
        double x_centroid = 10 + (turn ? 0.96 * right + 0.28 * turn * down : right);
        double y_centroid = 9 + (turn ? 0.96 * down - 0.28 * turn * right : down);
        int64_t valid = build("instance", &sample, &geometry, vectors);
        CU_ASSERT_TRUE(valid > 0);
        for (int i = 0; i < OUT_HEIGHT * OUT_WIDTH; i++) {
            CU_ASSERT_EQUAL(!isnan(vectors[2 * i]), !isnan(vectors[2 * i + 1]));
            if (!isnan(vectors[2 * i])) {
                SM_TEST_AT_MOST(fabs((double)vectors[2 * i] + i % OUT_WIDTH - x_centroid), 1e-5);
                SM_TEST_AT_MOST(fabs((double)vectors[2 * i + 1] + i / OUT_WIDTH - y_centroid), 1e-5);
                valid--;
            }
        }
        CU_ASSERT_EQUAL(valid, 0);
    }
}

/* Noise is stored for the stored resolution: it is scaled, and x changes its sign with the mirror. */
static void vector_noise_follows_the_geometry(void)
{
    enum { HEIGHT = 6, WIDTH = 8 };
    uint16_t instance[HEIGHT * WIDTH];
    float noise[HEIGHT * WIDTH * 2], plain[2 * HEIGHT * 3 * WIDTH * 2], noisy[2 * HEIGHT * 3 * WIDTH * 2];
    sm_sample sample = sample_of(HEIGHT, WIDTH, INSTANCE, instance);

    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        instance[i] = (uint16_t)(1 + i % 3);
        noise[2 * i] = 0.25f * (float)i;
        noise[2 * i + 1] = -0.5f * (float)i;
    }
    for (int flip = 0; flip <= 1; flip++) {
        sm_geometry geometry = {2 * HEIGHT, 3 * WIDTH, 3, 2, 0, 0, flip, 0};
        sample.target_count = 1;
        build("instance", &sample, &geometry, plain);
        sm_sample_add(&sample, &targets[NOISE], noise);
        build("instance", &sample, &geometry, noisy);
        for (int y = 0; y < 2 * HEIGHT; y++) {
            for (int x = 0; x < 3 * WIDTH; x++) {
                int at = y * 3 * WIDTH + x, column = flip ? WIDTH - 1 - x / 3 : x / 3;
                int stored = y / 2 * WIDTH + column;
                double dx = noisy[2 * at] - plain[2 * at], dy = noisy[2 * at + 1] - plain[2 * at + 1];
                SM_TEST_AT_MOST(fabs(dx - (flip ? -3 : 3) * 0.25 * stored), 1e-4);
                SM_TEST_AT_MOST(fabs(dy - 2 * -0.5 * stored), 1e-4);
            }
        }
    }
}

/* A vector that nobody knows is no label: it must neither count nor be learnt. */
static void unknown_noise_is_invalid(void)
{
    enum { HEIGHT = 4, WIDTH = 5 };
    uint16_t instance[HEIGHT * WIDTH];
    float noise[HEIGHT * WIDTH * 2] = {0}, vectors[HEIGHT * WIDTH * 2];
    sm_geometry same = sm_geometry_whole(HEIGHT, WIDTH, HEIGHT, WIDTH);
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        instance[i] = 1;
    }
    noise[2 * 7] = NAN;
    noise[2 * 11 + 1] = NAN;
    sm_sample sample = sample_of(HEIGHT, WIDTH, INSTANCE, instance);
    sm_sample_add(&sample, &targets[NOISE], noise);
    CU_ASSERT_EQUAL(build("instance", &sample, &same, vectors), HEIGHT * WIDTH - 2);
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        CU_ASSERT_EQUAL(isnan(vectors[2 * i]) && isnan(vectors[2 * i + 1]), i == 7 || i == 11);
    }
}

/* Every id can occur, also all 65535 of them; calls do not see each other. */
static void every_instance_id_works(void)
{
    enum { SIDE = 256 };
    uint16_t *instance = sm_alloc(SIDE * SIDE * sizeof *instance);
    float *vectors = sm_alloc(SIDE * SIDE * 2 * sizeof *vectors);
    sm_sample sample = sample_of(SIDE, SIDE, INSTANCE, instance);
    sm_geometry same = sm_geometry_whole(SIDE, SIDE, SIDE, SIDE);

    for (int i = 0; i < SIDE * SIDE; i++) {
        instance[i] = (uint16_t)i;
    }
    for (int round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL(build("instance", &sample, &same, vectors), SIDE * SIDE - 1);
        CU_ASSERT_TRUE(isnan(vectors[0]) && isnan(vectors[1]));
        for (int i = 2; i < SIDE * SIDE * 2; i++) {
            CU_ASSERT_TRUE(vectors[i] == 0);
        }
    }
    memset(instance, 0, SIDE * SIDE * sizeof *instance);
    CU_ASSERT_EQUAL(build("instance", &sample, &same, vectors), 0);
    sm_free(vectors);
    sm_free(instance);
}

/* Each output pixel holds what sm_geometry_nearest() points to. */
static void maps_take_the_nearest_pixel(void)
{
    enum { HEIGHT = 23, WIDTH = 37, OUT_HEIGHT = 29, OUT_WIDTH = 31 };
    uint8_t semantic[HEIGHT * WIDTH], labels[OUT_HEIGHT * OUT_WIDTH];
    float disparity[HEIGHT * WIDTH], depths[OUT_HEIGHT * OUT_WIDTH];
    sm_sample sample = sample_of(HEIGHT, WIDTH, SEMANTIC, semantic);
    sm_sample_add(&sample, &targets[DISPARITY], disparity);
    sm_random random = sm_random_new(11, 0, 0);

    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        semantic[i] = (uint8_t)(i % 6 == 5 ? 255 : i % 6); /* 4 is no class of the task: invalid */
        disparity[i] = i % 7 == 0 ? NAN : (float)(i % 50) - 3;
    }
    for (int round = 0; round < 40; round++) {
        sm_geometry geometry = {OUT_HEIGHT,
                                OUT_WIDTH,
                                sm_random_range(&random, 0.5f, 2.2f),
                                sm_random_range(&random, 0.5f, 2.2f),
                                sm_random_range(&random, -12, 12),
                                sm_random_range(&random, -12, 12),
                                round % 2,
                                round < 20 ? 0 : sm_random_range(&random, -0.9f, 0.9f)};
        int64_t valid = build("semantic", &sample, &geometry, labels);
        int64_t measured = build("depth", &sample, &geometry, depths);
        for (int i = 0; i < OUT_HEIGHT * OUT_WIDTH; i++) {
            int64_t stored = sm_geometry_nearest(&geometry, HEIGHT, WIDTH, i % OUT_WIDTH, i / OUT_WIDTH);
            int label = stored < 0 || semantic[stored] >= 4 ? 255 : semantic[stored];
            CU_ASSERT_EQUAL(labels[i], label);
            valid -= label != 255;
            int is_measured = stored >= 0 && !isnan(disparity[stored]);
            CU_ASSERT_EQUAL(!isnan(depths[i]), is_measured);
            if (is_measured) {
                SM_TEST_AT_MOST(fabs(depths[i] - disparity[stored] * geometry.scale_x), 1e-5);
                measured--;
            }
        }
        CU_ASSERT_EQUAL(valid, 0);
        CU_ASSERT_EQUAL(measured, 0);
    }
}

static void a_sample_without_the_map_is_invalid(void)
{
    sm_sample sample = {.height = 5, .width = 7};
    sm_geometry same = sm_geometry_whole(5, 7, 5, 7);
    uint8_t labels[35];
    float vectors[70];

    CU_ASSERT_EQUAL(build("semantic", &sample, &same, labels), 0);
    for (int i = 0; i < 35; i++) {
        CU_ASSERT_EQUAL(labels[i], 255);
    }
    CU_ASSERT_EQUAL(build("instance", &sample, &same, vectors), 0);
    for (int i = 0; i < 70; i++) {
        CU_ASSERT_TRUE(isnan(vectors[i]));
    }
    CU_ASSERT_EQUAL(build("depth", &sample, &same, vectors), 0);
    for (int i = 0; i < 35; i++) {
        CU_ASSERT_TRUE(isnan(vectors[i]));
    }
}

/* A normal without length says nothing; one that is not of length 1 does. */
static void normals_without_length_are_invalid(void)
{
    sm_target normal = *sm_standard_target("normal");
    const sm_task task = {.kind = sm_task_kind_find("normals"), .target = &normal, .channels = 3};
    const float stored[12] = {0, 0, 0, 0, 0.5f, 0, 0, -0.0f, 0, 0.6f, 0, 0.8f};
    float built[12];
    sm_sample sample = {.height = 2, .width = 2};
    sm_geometry same = sm_geometry_whole(2, 2, 2, 2);
    sm_sample_add(&sample, &normal, stored);
    CU_ASSERT_EQUAL(task.kind->build_target(&task, &sample, &same, built), 2);
    for (int i = 0; i < 12; i++) {
        int is_valid = i / 3 % 2 == 1;
        CU_ASSERT(is_valid ? built[i] == stored[i] : isnan(built[i]));
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    describe_targets();
    SM_TEST(vectors_equal_scipy);
    SM_TEST(centroid_moves_with_flip_scale_turn_and_crop);
    SM_TEST(vector_noise_follows_the_geometry);
    SM_TEST(unknown_noise_is_invalid);
    SM_TEST(every_instance_id_works);
    SM_TEST(maps_take_the_nearest_pixel);
    SM_TEST(a_sample_without_the_map_is_invalid);
    SM_TEST(normals_without_length_are_invalid);
    return sm_test_end();
}
