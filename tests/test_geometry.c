/* ranks: 1 */
/* What flips, scales and turns must leave true of every kind of target, whatever the picture. */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/task/task.h>
#include <sigmatic/task/task_kinds.h>

#include <math.h>
#include <string.h>

enum { H = 18, W = 26, PIXELS = H * W };
enum { SEMANTIC, INSTANCE, NOISE, DISPARITY, HEIGHT, NORMAL, NORMAL_UP, GRAVITY, TARGETS };

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
    targets[HEIGHT] = (sm_target){.name = "height", .type = SM_TARGET_REAL, .components = 1, .unit = "m"};
    targets[NORMAL] = targets[NORMAL_UP] = targets[GRAVITY] = *sm_standard_target("normal");
    targets[NORMAL_UP].name = "normal_up";
    targets[NORMAL_UP].turning = SM_TURNING_Y_UP;
    targets[GRAVITY].name = "gravity";
    targets[GRAVITY].scope = SM_SCOPE_SAMPLE;
}

/* What is stored of one sample. */
typedef struct stored_sample {
    uint8_t semantic[PIXELS];
    uint16_t instance[PIXELS];
    float noise[2 * PIXELS], disparity[PIXELS], height[PIXELS], normal[3 * PIXELS], normal_up[3 * PIXELS], gravity[3];
} stored_sample;

static sm_sample sample_of(const stored_sample *stored)
{
    const void *const data[TARGETS] = {stored->semantic, stored->instance, stored->noise,     stored->disparity,
                                       stored->height,   stored->normal,   stored->normal_up, stored->gravity};
    sm_sample sample = {.height = H, .width = W};
    for (int t = 0; t < TARGETS; t++) {
        sm_sample_add(&sample, &targets[t], data[t]);
    }
    return sample;
}

static void make_sample(stored_sample *stored, uint64_t seed)
{
    sm_random random = sm_random_new(seed, 1, 0);
    for (int i = 0; i < PIXELS; i++) {
        stored->semantic[i] = (uint8_t)sm_random_below(&random, 5);
        stored->semantic[i] = stored->semantic[i] == 4 ? SM_CLASS_IGNORED : stored->semantic[i];
        stored->instance[i] = (uint16_t)(i % W / 7 + i / W / 6 * 4);
        stored->disparity[i] = i % 11 == 0 ? NAN : sm_random_range(&random, 0, 60);
        stored->height[i] = sm_random_range(&random, 0, 9);
        for (int c = 0; c < 3; c++) {
            stored->normal[3 * i + c] = sm_random_range(&random, -1, 1);
            stored->normal_up[3 * i + c] = (c == 1 ? -1 : 1) * stored->normal[3 * i + c];
        }
        stored->noise[2 * i] = sm_random_range(&random, -3, 3);
        stored->noise[2 * i + 1] = sm_random_range(&random, -3, 3);
    }
    memcpy(stored->gravity, stored->normal, sizeof stored->gravity);
}

/* What a task of real values, classes or instances would train on. Everything is written. */
static int64_t build(int target, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    const sm_target_build builds[SM_TARGET_TYPES] = {sm_build_classes, sm_task_kind_find("instance")->build_target,
                                                     sm_build_reals};
    sm_task task = {.target = &targets[target],
                    .kind = sm_task_kind_find(target == SEMANTIC ? "semantic" : "instance")};
    task.channels = target == SEMANTIC ? classes.count : target == INSTANCE ? 2 : targets[target].components;
    size_t items = sm_scope_items(targets[target].scope, geometry->out_height, geometry->out_width);
    memset(built, 0x5a, items * (target == INSTANCE ? 2 * sizeof(float) : sm_target_item_bytes(&targets[target])));
    return builds[targets[target].type](&task, sample, geometry, built);
}

static sm_geometry mirror(void)
{
    sm_geometry geometry = sm_geometry_whole(H, W, H, W);
    geometry.flip = 1;
    return geometry;
}

/* Mirrored targets are stored, and mirrored again: each comes back bit by bit. */
static void flipping_twice_is_the_identity(void)
{
    static stored_sample original, mirrored, back;
    sm_geometry flip = mirror();
    make_sample(&original, 1);
    memcpy(&mirrored, &original, sizeof original);
    for (int round = 0; round < 2; round++) {
        stored_sample *from = round ? &mirrored : &original, *to = round ? &back : &mirrored;
        sm_sample sample = sample_of(from);
        build(SEMANTIC, &sample, &flip, to->semantic);
        build(NOISE, &sample, &flip, to->noise);
        build(DISPARITY, &sample, &flip, to->disparity);
        build(HEIGHT, &sample, &flip, to->height);
        build(NORMAL, &sample, &flip, to->normal);
        build(NORMAL_UP, &sample, &flip, to->normal_up);
        build(GRAVITY, &sample, &flip, to->gravity);
        for (int i = 0; i < PIXELS; i++) {
            to->instance[i] = from->instance[i / W * W + W - 1 - i % W];
        }
    }
    CU_ASSERT(memcmp(original.normal, mirrored.normal, sizeof original.normal) != 0);
    CU_ASSERT(memcmp(original.semantic, back.semantic, sizeof original.semantic) == 0);
    CU_ASSERT(memcmp(original.noise, back.noise, sizeof original.noise) == 0);
    CU_ASSERT(memcmp(original.height, back.height, sizeof original.height) == 0);
    CU_ASSERT(memcmp(original.normal, back.normal, sizeof original.normal) == 0);
    CU_ASSERT(memcmp(original.normal_up, back.normal_up, sizeof original.normal_up) == 0);
    CU_ASSERT(memcmp(original.gravity, back.gravity, sizeof original.gravity) == 0);
    for (int i = 0; i < PIXELS; i++) {
        CU_ASSERT(original.disparity[i] == back.disparity[i] ||
                  (isnan(original.disparity[i]) && isnan(back.disparity[i])));
    }
    /* the centroid vectors of the mirrored map are the mirrored vectors of the map */
    static float vectors[2][2 * PIXELS];
    sm_geometry same = sm_geometry_whole(H, W, H, W);
    sm_sample sample = sample_of(&original), other = sample_of(&mirrored);
    CU_ASSERT(build(INSTANCE, &sample, &flip, vectors[0]) == build(INSTANCE, &other, &same, vectors[1]));
    for (int i = 0; i < 2 * PIXELS; i++) {
        CU_ASSERT_EQUAL(isnan(vectors[0][i]), isnan(vectors[1][i]));
        CU_ASSERT(isnan(vectors[0][i]) || fabs(vectors[0][i] - vectors[1][i]) <= 1e-5); /* floats up to 26 */
    }
}

static sm_geometry random_geometry(sm_random *random, int turned)
{
    return (sm_geometry){H + 5,
                         W - 3,
                         sm_random_range(random, 0.6f, 2),
                         sm_random_range(random, 0.6f, 2),
                         sm_random_range(random, -4, 8),
                         sm_random_range(random, -4, 8),
                         (int)sm_random_below(random, 2),
                         turned ? sm_random_range(random, -0.7f, 0.7f) : 0};
}

enum { OUT_W = W - 3, OUT_PIXELS = (H + 5) * OUT_W };

/* Scaled, turned, mirrored or cropped: a metre stays a metre, and a disparity is multiplied by the factor of the width. */
static void metres_stay_and_disparities_scale(void)
{
    static stored_sample stored;
    static float heights[OUT_PIXELS], disparities[OUT_PIXELS];
    sm_random random = sm_random_new(3, 0, 0);
    make_sample(&stored, 2);
    sm_sample sample = sample_of(&stored);
    for (int round = 0; round < 40; round++) {
        sm_geometry geometry = random_geometry(&random, round % 2);
        build(HEIGHT, &sample, &geometry, heights);
        build(DISPARITY, &sample, &geometry, disparities);
        int valid = 0;
        for (int i = 0; i < OUT_PIXELS; i++) {
            int64_t from = sm_geometry_nearest(&geometry, H, W, i % OUT_W, i / OUT_W);
            CU_ASSERT_EQUAL(isnan(heights[i]), from < 0);
            CU_ASSERT(from < 0 || heights[i] == stored.height[from]);
            CU_ASSERT_EQUAL(isnan(disparities[i]), from < 0 || isnan(stored.disparity[from]));
            CU_ASSERT(isnan(disparities[i]) || disparities[i] == (float)geometry.scale_x * stored.disparity[from]);
            valid += from >= 0;
        }
        CU_ASSERT(valid > OUT_PIXELS / 10);
    }
}

/* A normal is seen where its pixel is seen, and points where it pointed in the picture: it stays as long as it was, and
 * keeps its angle to the way that the picture's columns and rows have turned. */
static void normals_turn_with_the_picture(void)
{
    static stored_sample stored;
    static float down[3 * OUT_PIXELS], up[3 * OUT_PIXELS];
    sm_random random = sm_random_new(4, 0, 0);
    make_sample(&stored, 3);
    sm_sample sample = sample_of(&stored);
    for (int round = 0; round < 40; round++) {
        sm_geometry g = random_geometry(&random, round > 9);
        double x0, y0, x1, y1, x2, y2; /* images of a point, of one further right, of one further down */
        sm_geometry_output(&g, W, 3, 4, &x0, &y0);
        sm_geometry_output(&g, W, 4, 4, &x1, &y1);
        sm_geometry_output(&g, W, 3, 5, &x2, &y2);
        double right[2] = {(x1 - x0) / g.scale_x, (y1 - y0) / g.scale_x};
        double below[2] = {(x2 - x0) / g.scale_y, (y2 - y0) / g.scale_y};
        build(NORMAL, &sample, &g, down);
        build(NORMAL_UP, &sample, &g, up);
        double worst = 0;
        for (int i = 0; i < OUT_PIXELS; i++) {
            int64_t from = sm_geometry_nearest(&g, H, W, i % OUT_W, i / OUT_W);
            CU_ASSERT_EQUAL(isnan(down[3 * i]), from < 0);
            if (from < 0) {
                continue;
            }
            const float *n = stored.normal + 3 * from;
            for (int axis = 0; axis < 2; axis++) {
                double expected = n[0] * right[axis] + n[1] * below[axis];
                sm_test_worse(&worst, fabs(down[3 * i + axis] - expected));
                sm_test_worse(&worst, fabs(up[3 * i + axis] - (axis ? -expected : expected)));
            }
            CU_ASSERT(down[3 * i + 2] == n[2] && up[3 * i + 2] == n[2]);
        }
        SM_TEST_AT_MOST(worst, 1e-6); /* floats up to 1.5 */
        float gravity[3];
        CU_ASSERT_EQUAL(build(GRAVITY, &sample, &g, gravity), 1);
        for (int axis = 0; axis < 2; axis++) {
            double expected = stored.gravity[0] * right[axis] + stored.gravity[1] * below[axis];
            SM_TEST_AT_MOST(fabs(gravity[axis] - expected), 1e-6);
        }
    }
}

/* Pixel + vector is one place for all pixels of an instance, and that is where the geometry takes the mean of its stored
 * pixels; with noise of the labels, that noise in the turned picture is added. */
static void vectors_point_at_centroids(void)
{
    static stored_sample stored;
    static float plain[2 * OUT_PIXELS], noisy[2 * OUT_PIXELS], noise[2 * OUT_PIXELS];
    sm_random random = sm_random_new(6, 0, 0);
    make_sample(&stored, 5);
    sm_sample with = sample_of(&stored), without = with;
    without.target[NOISE] = without.target[DISPARITY];
    for (int round = 0; round < 40; round++) {
        sm_geometry g = random_geometry(&random, round > 9);
        CU_ASSERT(build(INSTANCE, &without, &g, plain) == build(INSTANCE, &with, &g, noisy));
        build(NOISE, &with, &g, noise);
        double worst = 0;
        int seen = 0;
        for (int i = 0; i < OUT_PIXELS; i++) {
            int64_t from = sm_geometry_nearest(&g, H, W, i % OUT_W, i / OUT_W);
            int id = from < 0 ? 0 : stored.instance[from];
            CU_ASSERT_EQUAL(isnan(plain[2 * i]), id == 0);
            if (id == 0) {
                continue;
            }
            double x = 0, y = 0, pixels = 0;
            for (int p = 0; p < PIXELS; p++) {
                if (stored.instance[p] == id) {
                    x += p % W;
                    y += p / W;
                    pixels++;
                }
            }
            sm_geometry_output(&g, W, x / pixels, y / pixels, &x, &y);
            sm_test_worse(&worst, fabs(i % OUT_W + (double)plain[2 * i] - x));
            sm_test_worse(&worst, fabs(i / OUT_W + (double)plain[2 * i + 1] - y));
            sm_test_worse(&worst, fabs((double)plain[2 * i] + noise[2 * i] - noisy[2 * i]));
            sm_test_worse(&worst, fabs((double)plain[2 * i + 1] + noise[2 * i + 1] - noisy[2 * i + 1]));
            seen++;
        }
        SM_TEST_AT_MOST(worst, 1e-5); /* floats up to 60 */
        CU_ASSERT(seen > OUT_PIXELS / 10);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    describe_targets();
    SM_TEST(flipping_twice_is_the_identity);
    SM_TEST(metres_stay_and_disparities_scale);
    SM_TEST(normals_turn_with_the_picture);
    SM_TEST(vectors_point_at_centroids);
    return sm_test_end();
}
