/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/data/scenes.h>

#include <math.h>
#include <string.h>

enum { FIRST_THING = 11, SKY = 10, ROAD = 0, PERSON = 11, CAR = 13, BUS = 15, TRAIN = 16 };

static sm_scene new_scene(const sm_scene_options *options)
{
    size_t count = (size_t)options->height * (size_t)options->width;
    return (sm_scene){.image = sm_alloc(3 * count),
                      .semantic = sm_alloc(count),
                      .instance = sm_alloc(count * sizeof(uint16_t)),
                      .disparity = sm_alloc(count * sizeof(float)),
                      .vector_noise_map = sm_alloc(2 * count * sizeof(float))};
}

static void free_scene(sm_scene *scene)
{
    sm_free(scene->image);
    sm_free(scene->semantic);
    sm_free(scene->instance);
    sm_free(scene->disparity);
    sm_free(scene->vector_noise_map);
}

static sm_scene_options sized(int height, int width)
{
    sm_scene_options options = sm_scene_options_default();
    options.height = height;
    options.width = width;
    options.seed = 7;
    return options;
}

static size_t pixels(const sm_scene_options *options)
{
    return (size_t)options->height * (size_t)options->width;
}

static int same_bits(const sm_scene *a, const sm_scene *b, size_t count)
{
    return memcmp(a->image, b->image, 3 * count) == 0 && memcmp(a->semantic, b->semantic, count) == 0 &&
           memcmp(a->instance, b->instance, count * sizeof(uint16_t)) == 0 &&
           memcmp(a->disparity, b->disparity, count * sizeof(float)) == 0 &&
           memcmp(a->vector_noise_map, b->vector_noise_map, 2 * count * sizeof(float)) == 0 &&
           a->instance_count == b->instance_count && a->camera_pitch_radians == b->camera_pitch_radians;
}

/* Of the disparity at the bottom left pixel that has one. */
static float first_noise(const sm_scene_options *noisy_options, uint64_t index)
{
    sm_scene_options options = *noisy_options;
    sm_scene exact = new_scene(&options), noisy = new_scene(&options);
    options.disparity_noise = 0;
    SM_TEST_OK(sm_scene_generate(&options, index, &exact));
    SM_TEST_OK(sm_scene_generate(noisy_options, index, &noisy));
    float noise = NAN;
    for (size_t i = 0; i < pixels(&options); i++) {
        noise = exact.disparity[i] > 0 ? noisy.disparity[i] - exact.disparity[i] : noise;
    }
    free_scene(&exact);
    free_scene(&noisy);
    return noise;
}

static void same_bits_in_any_order_and_thread(void)
{
    enum { SCENES = 6 };
    sm_scene_options options = sized(49, 97);
    options.semantic_noise = options.disparity_noise = options.vector_noise = 0.5;
    sm_scene forwards[SCENES], backwards[SCENES];
    int failures = 0;
    for (int i = 0; i < SCENES; i++) {
        forwards[i] = new_scene(&options);
        backwards[i] = new_scene(&options);
        memset(forwards[i].image, 1, 3 * pixels(&options)); /* what was there before must not matter */
        SM_TEST_OK(sm_scene_generate(&options, (uint64_t)i, &forwards[i]));
    }
#pragma omp parallel for num_threads(3) schedule(dynamic, 1) reduction(+ : failures)
    for (int i = SCENES - 1; i >= 0; i--) {
        failures += sm_scene_generate(&options, (uint64_t)i, &backwards[i]) != SM_OK;
    }
    CU_ASSERT(failures == 0);
    for (int i = 0; i < SCENES; i++) {
        CU_ASSERT(same_bits(&forwards[i], &backwards[i], pixels(&options)));
    }
    CU_ASSERT(memcmp(forwards[0].image, forwards[1].image, 3 * pixels(&options)) != 0);
    options.seed++;
    SM_TEST_OK(sm_scene_generate(&options, 0, &backwards[0]));
    CU_ASSERT(memcmp(forwards[0].image, backwards[0].image, 3 * pixels(&options)) != 0);
    CU_ASSERT(memcmp(forwards[0].vector_noise_map, forwards[1].vector_noise_map, 100) != 0);
    CU_ASSERT(first_noise(&options, 0) != first_noise(&options, 1));
    for (int i = 0; i < SCENES; i++) {
        free_scene(&forwards[i]);
        free_scene(&backwards[i]);
    }
}

static void check_labels(const sm_scene_options *options, const sm_scene *scene)
{
    int class_of[UINT16_MAX + 1];
    size_t invalid = 0, ignored = 0;
    memset(class_of, -1, sizeof class_of);
    int wrong = 0;
    for (size_t i = 0; i < pixels(options); i++) {
        int semantic = scene->semantic[i], instance = scene->instance[i];
        int is_thing = semantic < SM_SCENE_CLASSES && semantic >= FIRST_THING;
        wrong += semantic >= SM_SCENE_CLASSES && semantic != SM_SCENE_IGNORE;
        wrong += is_thing != (instance > 0);
        if (instance > 0) {
            wrong += class_of[instance] >= 0 && class_of[instance] != semantic;
            class_of[instance] = semantic;
        }
        wrong += (semantic == SKY) != (scene->disparity[i] == 0);
        wrong += scene->disparity[i] < 0 || isinf(scene->disparity[i]);
        wrong += scene->vector_noise_map[2 * i] != 0 || scene->vector_noise_map[2 * i + 1] != 0;
        invalid += isnan(scene->disparity[i]);
        ignored += semantic == SM_SCENE_IGNORE;
    }
    CU_ASSERT(wrong == 0);
    for (int id = 1; id <= scene->instance_count; id++) {
        CU_ASSERT(class_of[id] >= FIRST_THING);
    }
    CU_ASSERT(scene->instance_count == UINT16_MAX || class_of[scene->instance_count + 1] < 0);
    SM_TEST_AT_MOST((double)invalid / (double)pixels(options), 0.4);
    SM_TEST_AT_MOST((double)ignored / (double)pixels(options), 0.4);
}

static void labels_agree_at_every_size_and_difficulty(void)
{
    static const int sizes[][2] = {{32, 32}, {33, 47}, {64, 128}, {101, 199}, {150, 40}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int difficulty = 0; difficulty <= SM_SCENE_MAX_DIFFICULTY; difficulty++) {
            sm_scene_options options = sized(sizes[s][0], sizes[s][1]);
            options.difficulty = difficulty;
            sm_scene scene = new_scene(&options);
            for (uint64_t index = 0; index < 6; index++) {
                SM_TEST_OK(sm_scene_generate(&options, index, &scene));
                check_labels(&options, &scene);
            }
            free_scene(&scene);
        }
    }
}

static void every_class_occurs(void)
{
    enum { SCENES = 120 };
    sm_scene_options options = sized(48, 96);
    sm_scene scene = new_scene(&options);
    size_t counts[256] = {0};
    for (uint64_t index = 0; index < SCENES; index++) {
        SM_TEST_OK(sm_scene_generate(&options, index, &scene));
        for (size_t i = 0; i < pixels(&options); i++) {
            counts[scene.semantic[i]]++;
        }
    }
    for (int c = 0; c < SM_SCENE_CLASSES; c++) {
        CU_ASSERT(counts[c] > 0 || c == TRAIN);
        CU_ASSERT(sm_cityscapes_classes.thing[c] == (c >= FIRST_THING));
    }
    double all = (double)SCENES * (double)pixels(&options);
    CU_ASSERT((double)counts[ROAD] > 0.2 * all && (double)counts[ROAD] < 0.5 * all);
    CU_ASSERT((double)counts[CAR] > 0.03 * all);
    free_scene(&scene);
}

/* Whoever sees the road's plane from a height h under a pitch p sees it at b / h ((y - cy) cos p + f sin p). */
static void road_has_the_disparity_of_its_plane(void)
{
    sm_scene_options options = sized(96, 192);
    sm_scene scene = new_scene(&options);
    double worst = 0;
    size_t seen = 0;
    for (uint64_t index = 0; index < 10; index++) {
        SM_TEST_OK(sm_scene_generate(&options, index, &scene));
        CU_ASSERT(scene.camera_height_metres >= 1.1 && scene.camera_height_metres <= 1.9);
        CU_ASSERT_DOUBLE_EQUAL(scene.fx_pixels, 2262.52 * 192 / 2048, 1e-9);
        double slope = scene.baseline_metres / scene.camera_height_metres;
        for (size_t i = 0; i < pixels(&options); i++) {
            if (scene.semantic[i] == ROAD && !isnan(scene.disparity[i])) {
                double row = (double)(i / 192) + 0.5 - 48;
                double expected =
                    slope * (row * cos(scene.camera_pitch_radians) + scene.fx_pixels * sin(scene.camera_pitch_radians));
                sm_test_worse(&worst, fabs(scene.disparity[i] - expected));
                seen++;
            }
        }
    }
    CU_ASSERT(seen > 2 * pixels(&options));
    SM_TEST_AT_MOST(worst, 2e-5); /* disparities below 16 px in single precision, a few roundings */
    free_scene(&scene);
}

/* Three times the resolution: every third ray in both directions is the same ray. */
static void a_finer_image_shows_the_same_world(void)
{
    enum { HEIGHT = 64, WIDTH = 128 };
    sm_scene_options coarse_options = sized(HEIGHT, WIDTH), fine_options = sized(3 * HEIGHT, 3 * WIDTH);
    sm_scene coarse = new_scene(&coarse_options), fine = new_scene(&fine_options);
    int compared = 0, other_class = 0, other_disparity = 0;
    for (uint64_t index = 0; index < 4; index++) {
        SM_TEST_OK(sm_scene_generate(&coarse_options, index, &coarse));
        SM_TEST_OK(sm_scene_generate(&fine_options, index, &fine));
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                int here = y * WIDTH + x, there = (3 * y + 1) * 3 * WIDTH + 3 * x + 1;
                other_class += coarse.semantic[here] != fine.semantic[there];
                if (!isnan(coarse.disparity[here]) && !isnan(fine.disparity[there])) {
                    compared++;
                    other_disparity += fabsf(3 * coarse.disparity[here] - fine.disparity[there]) > 1e-3f;
                }
            }
        }
    }
    CU_ASSERT(compared > 4 * HEIGHT * WIDTH * 3 / 4);
    /* Rays that graze an edge may fall on either side of it. */
    SM_TEST_AT_MOST(other_class, 4 * HEIGHT * WIDTH * 0.001);
    SM_TEST_AT_MOST(other_disparity, 4 * HEIGHT * WIDTH * 0.001);
    free_scene(&coarse);
    free_scene(&fine);
}

/* Pixels taken back to space lie where such a thing can be. */
static void depth_and_labels_give_things_of_their_size(void)
{
    static const double longest[SM_SCENE_CLASSES] = {
        [PERSON] = 1.2, [12] = 1.6, [CAR] = 5.8, [14] = 10.8, [15] = 13.2, [16] = 30.5, [17] = 2.4, [18] = 2.2};
    sm_scene_options options = sized(96, 192);
    sm_scene scene = new_scene(&options);
    for (uint64_t index = 0; index < 30; index++) {
        SM_TEST_OK(sm_scene_generate(&options, index, &scene));
        for (int id = 1; id <= scene.instance_count; id++) {
            double nearest = INFINITY, farthest = 0, top = 0, below = 0;
            int semantic = -1;
            for (size_t i = 0; i < pixels(&options); i++) {
                if (scene.instance[i] == id && !isnan(scene.disparity[i])) {
                    double depth = scene.baseline_metres * scene.fx_pixels / scene.disparity[i];
                    double down = ((double)(i / 192) + 0.5 - 48) / scene.fx_pixels;
                    double height = scene.camera_height_metres -
                                    depth * (down * cos(scene.camera_pitch_radians) + sin(scene.camera_pitch_radians));
                    nearest = fmin(nearest, depth);
                    sm_test_worse(&farthest, depth);
                    sm_test_worse(&top, height);
                    sm_test_worse(&below, -height);
                    semantic = scene.semantic[i];
                }
            }
            if (semantic < 0) {
                continue;
            }
            SM_TEST_AT_MOST(farthest - nearest, longest[semantic]);
            SM_TEST_AT_MOST(below, 0.05);
            SM_TEST_AT_MOST(top, semantic == PERSON ? 2.3 : 4.2);
        }
    }
    free_scene(&scene);
}

/* Where a row shows a vehicle, another thing, and the same vehicle again, the other one is in front: vehicles have
 * hardly any holes to look through. */
static void the_nearer_thing_hides_the_farther(void)
{
    enum { WIDTH = 256, HEIGHT = 128 };
    sm_scene_options options = sized(HEIGHT, WIDTH);
    sm_scene scene = new_scene(&options);
    int in_front = 0, behind = 0;
    for (uint64_t index = 0; index < 60; index++) {
        SM_TEST_OK(sm_scene_generate(&options, index, &scene));
        for (int y = 0; y < HEIGHT; y++) {
            int last = -1; /* the last pixel of a vehicle in this row */
            for (int x = 0; x < WIDTH; x++) {
                int here = y * WIDTH + x, there = y * WIDTH + last;
                if (scene.semantic[here] < CAR || scene.semantic[here] > BUS) {
                    continue;
                }
                if (last >= 0 && last < x - 1 && scene.instance[there] == scene.instance[here]) {
                    int between = y * WIDTH + (last + x) / 2;
                    float around = fmaxf(scene.disparity[here], scene.disparity[there]);
                    in_front += scene.instance[between] > 0 && scene.disparity[between] > around;
                    behind += scene.instance[between] > 0 && scene.disparity[between] < around;
                }
                last = x;
            }
        }
    }
    CU_ASSERT(in_front > 200);
    SM_TEST_AT_MOST(behind, 0.02 * in_front);
    free_scene(&scene);
}

static void semantic_noise_has_its_rate_and_touches_nothing_else(void)
{
    const double rate = 0.2;
    sm_scene_options options = sized(128, 256), noisy_options = options;
    noisy_options.semantic_noise = rate;
    sm_scene exact = new_scene(&options), noisy = new_scene(&options);
    size_t labelled = 0, wrong = 0, shifts[SM_SCENE_CLASSES] = {0};
    SM_TEST_OK(sm_scene_generate(&options, 3, &exact));
    SM_TEST_OK(sm_scene_generate(&noisy_options, 3, &noisy));
    for (size_t i = 0; i < pixels(&options); i++) {
        CU_ASSERT((exact.semantic[i] == SM_SCENE_IGNORE) == (noisy.semantic[i] == SM_SCENE_IGNORE));
        if (exact.semantic[i] != SM_SCENE_IGNORE) {
            labelled++;
            wrong += exact.semantic[i] != noisy.semantic[i];
            shifts[(noisy.semantic[i] + SM_SCENE_CLASSES - exact.semantic[i]) % SM_SCENE_CLASSES]++;
        }
    }
    double count = (double)labelled; /* 5 standard deviations of a binomial count */
    SM_TEST_AT_MOST(fabs((double)wrong - rate * count), 5 * sqrt(count * rate * (1 - rate)));
    for (int shift = 1; shift < SM_SCENE_CLASSES; shift++) {
        double share = rate / (SM_SCENE_CLASSES - 1);
        SM_TEST_AT_MOST(fabs((double)shifts[shift] - share * count), 5 * sqrt(count * share));
    }
    memcpy(noisy.semantic, exact.semantic, pixels(&options));
    CU_ASSERT(same_bits(&exact, &noisy, pixels(&options)));
    noisy_options.semantic_noise = 1;
    SM_TEST_OK(sm_scene_generate(&noisy_options, 3, &noisy));
    for (size_t i = 0; i < pixels(&options); i++) {
        CU_ASSERT(noisy.semantic[i] == SM_SCENE_IGNORE || noisy.semantic[i] != exact.semantic[i]);
    }
    free_scene(&exact);
    free_scene(&noisy);
}

/* Mean and variance of `count` numbers that should be N(0, deviation), within 5 standard errors. */
static void check_moments(double sum, double squares, double count, double deviation)
{
    SM_TEST_AT_MOST(fabs(sum / count), 5 * deviation / sqrt(count));
    SM_TEST_AT_MOST(fabs(squares / count / (deviation * deviation) - 1), 5 * sqrt(2 / count));
}

static void disparity_noise_has_its_scale_and_touches_nothing_else(void)
{
    const double deviation = 0.7;
    sm_scene_options options = sized(128, 256), noisy_options = options;
    noisy_options.disparity_noise = deviation;
    sm_scene exact = new_scene(&options), noisy = new_scene(&options);
    double sum = 0, squares = 0, count = 0;
    SM_TEST_OK(sm_scene_generate(&options, 4, &exact));
    SM_TEST_OK(sm_scene_generate(&noisy_options, 4, &noisy));
    for (size_t i = 0; i < pixels(&options); i++) {
        CU_ASSERT(isnan(exact.disparity[i]) == isnan(noisy.disparity[i]));
        if (exact.semantic[i] == SKY) {
            CU_ASSERT(noisy.disparity[i] == 0);
        } else if (!isnan(exact.disparity[i])) {
            double noise = (double)noisy.disparity[i] - exact.disparity[i];
            sum += noise;
            squares += noise * noise;
            count++;
        }
    }
    check_moments(sum, squares, count, deviation);
    memcpy(noisy.disparity, exact.disparity, pixels(&options) * sizeof(float));
    CU_ASSERT(same_bits(&exact, &noisy, pixels(&options)));
    free_scene(&exact);
    free_scene(&noisy);
}

static void vector_noise_has_its_scale_and_touches_nothing_else(void)
{
    const double deviation = 3;
    sm_scene_options options = sized(128, 256), noisy_options = options;
    noisy_options.vector_noise = deviation;
    sm_scene exact = new_scene(&options), noisy = new_scene(&options);
    double sums[2] = {0}, squares[2] = {0}, product = 0, count = (double)pixels(&options);
    SM_TEST_OK(sm_scene_generate(&options, 5, &exact));
    SM_TEST_OK(sm_scene_generate(&noisy_options, 5, &noisy));
    for (size_t i = 0; i < 2 * pixels(&options); i++) {
        sums[i % 2] += noisy.vector_noise_map[i];
        squares[i % 2] += (double)noisy.vector_noise_map[i] * noisy.vector_noise_map[i];
        product += i % 2 ? (double)noisy.vector_noise_map[i] * noisy.vector_noise_map[i - 1] : 0;
    }
    check_moments(sums[0], squares[0], count, deviation);
    check_moments(sums[1], squares[1], count, deviation);
    SM_TEST_AT_MOST(fabs(product / count), 5 * deviation * deviation / sqrt(count));
    memset(noisy.vector_noise_map, 0, 2 * pixels(&options) * sizeof(float));
    CU_ASSERT(same_bits(&exact, &noisy, pixels(&options)));

    sm_scene without = noisy;
    without.vector_noise_map = NULL;
    SM_TEST_OK(sm_scene_generate(&noisy_options, 5, &without));
    CU_ASSERT(same_bits(&exact, &noisy, pixels(&options)));
    free_scene(&exact);
    free_scene(&noisy);
}

static void options_out_of_range_are_named(void)
{
    sm_scene_options good = sized(32, 32);
    sm_scene scene = new_scene(&good);
    sm_scene_options bad = good;
    bad.height = 31;
    CU_ASSERT(sm_scene_generate(&bad, 0, &scene) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("height is 31");
    bad = good;
    bad.width = SM_SCENE_MAX_SIDE + 1;
    CU_ASSERT(sm_scene_generate(&bad, 0, &scene) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("width");
    bad = good;
    bad.difficulty = NAN;
    CU_ASSERT(sm_scene_generate(&bad, 0, &scene) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("difficulty");
    bad = good;
    bad.semantic_noise = 1.5;
    CU_ASSERT(sm_scene_generate(&bad, 0, &scene) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("semantic_noise is 1.5");
    bad = good;
    bad.vector_noise = -1;
    CU_ASSERT(sm_scene_generate(&bad, 0, &scene) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("vector_noise");
    free_scene(&scene);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(same_bits_in_any_order_and_thread);
    SM_TEST(labels_agree_at_every_size_and_difficulty);
    SM_TEST(every_class_occurs);
    SM_TEST(road_has_the_disparity_of_its_plane);
    SM_TEST(a_finer_image_shows_the_same_world);
    SM_TEST(depth_and_labels_give_things_of_their_size);
    SM_TEST(the_nearer_thing_hides_the_farther);
    SM_TEST(semantic_noise_has_its_rate_and_touches_nothing_else);
    SM_TEST(disparity_noise_has_its_scale_and_touches_nothing_else);
    SM_TEST(vector_noise_has_its_scale_and_touches_nothing_else);
    SM_TEST(options_out_of_range_are_named);
    return sm_test_end();
}
