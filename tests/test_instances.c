/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/random.h>
#include <sigmatic/task/instances.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROAD, CAR, PERSON, CLASSES };
static const char *const names[CLASSES] = {"road", "car", "person"};
static const uint8_t thing[CLASSES] = {0, 1, 1};
static const sm_class_list classes = {.count = CLASSES, .names = names, .thing = thing};

enum { MOST_IDS = 32 };

/* A synthetic image: the id of each pixel's instance (0 none) and the class of each id. */
typedef struct picture {
    int height, width;
    uint8_t *ids;
    int class_of[MOST_IDS];
    float *vectors, *logits;
} picture;

static picture new_picture(int height, int width)
{
    size_t pixels = (size_t)height * (size_t)width;
    return (picture){height,
                     width,
                     sm_alloc_zeroed(pixels),
                     {ROAD},
                     sm_alloc(2 * pixels * sizeof(float)),
                     sm_alloc(CLASSES * pixels * sizeof(float))};
}

static void free_picture(picture *p)
{
    sm_free(p->ids);
    sm_free(p->vectors);
    sm_free(p->logits);
}

static void put_box(picture *p, int id, int class_id, int left, int top, int width, int height)
{
    p->class_of[id] = class_id;
    for (int y = top; y < top + height; y++) {
        memset(p->ids + y * p->width + left, id, (size_t)width);
    }
}

/* Perfect logits with `noise` px on the vectors; where nothing is they point anywhere. */
static void predict(picture *p, float noise, unsigned seed)
{
    double x[MOST_IDS] = {0}, y[MOST_IDS] = {0}, pixels[MOST_IDS] = {0};
    sm_random random = sm_random_new(seed, 0, 0);
    for (int i = 0; i < p->height * p->width; i++) {
        x[p->ids[i]] += i % p->width;
        y[p->ids[i]] += i / p->width;
        pixels[p->ids[i]]++;
    }
    for (int i = 0; i < p->height * p->width; i++) {
        int id = p->ids[i];
        float spread = id ? noise : 40;
        p->vectors[2 * i] = (float)(x[id] / pixels[id] - i % p->width) + spread * sm_random_normal(&random);
        p->vectors[2 * i + 1] = (float)(y[id] / pixels[id] - i / p->width) + spread * sm_random_normal(&random);
        for (int c = 0; c < CLASSES; c++) {
            p->logits[CLASSES * i + c] = c == p->class_of[id] ? 3 : 0;
        }
    }
}

static sm_instance_list *decode(const picture *p, const sm_instance_options *options)
{
    const sm_instance_input input = {p->height, p->width, p->vectors, &classes, p->logits, NULL};
    return sm_instances_decode(options, &input);
}

/* \return the least intersection over union of an instance of the image with what was found, each matched to its most
 * frequent label. */
static double least_overlap(const picture *p, const sm_instance_list *list)
{
    double least = 1;
    for (int id = 1; id < MOST_IDS; id++) {
        int64_t size = 0, best = 0, of_best = 0;
        int64_t *counts = sm_alloc_zeroed((size_t)(list->count + 1) * sizeof *counts);
        for (int i = 0; i < p->height * p->width; i++) {
            size += p->ids[i] == id;
            counts[list->labels[i] + 1] += p->ids[i] == id;
        }
        for (int k = 0; k < list->count; k++) {
            if (counts[k + 1] > best) {
                best = counts[k + 1];
                of_best = list->instances[k].pixels;
            }
        }
        least = size > 0 ? fmin(least, (double)best / (double)(size + of_best - best)) : least;
        sm_free(counts);
    }
    return least;
}

/* Each found instance is one of the image, pixel for pixel, with its class, centroid and box. */
static void expect_exactly(const picture *p, const sm_instance_list *list, int expected)
{
    CU_ASSERT_EQUAL(list->count, expected);
    CU_ASSERT_EQUAL(least_overlap(p, list), 1);
    int next = 0, wrong = 0;
    for (int i = 0; i < p->height * p->width; i++) {
        if (list->labels[i] == next) { /* first pixels come in the order of instances */
            CU_ASSERT_EQUAL(list->instances[next].class_id, p->class_of[p->ids[i]]);
            CU_ASSERT_EQUAL(list->instances[next].top, i / p->width);
            next++;
        }
        wrong += list->labels[i] >= next || (list->labels[i] >= 0) != (p->ids[i] > 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Touching cars, a person before a car that divides it in two, a person one pixel apart from another. */
static picture crowd(int scale)
{
    picture p = new_picture(128 * scale, 256 * scale);
    put_box(&p, 1, CAR, 10 * scale, 40 * scale, 30 * scale, 20 * scale);
    put_box(&p, 2, CAR, 40 * scale, 40 * scale, 30 * scale, 20 * scale);
    put_box(&p, 3, CAR, 100 * scale, 60 * scale, 60 * scale, 30 * scale);
    put_box(&p, 4, PERSON, 115 * scale, 50 * scale, 8 * scale, 45 * scale);
    put_box(&p, 5, PERSON, 200 * scale, 50 * scale, 7 * scale, 20 * scale);
    put_box(&p, 6, PERSON, 208 * scale, 51 * scale, 7 * scale, 20 * scale);
    put_box(&p, 7, PERSON, 250 * scale, 120 * scale, 6 * scale, 8 * scale);
    return p;
}

static void perfect_vectors_give_the_true_instances(void)
{
    const sm_instance_options defaults = {0}, apart = {.by_class = 1};
    for (int scale = 1; scale <= 4; scale *= 2) {
        picture p = crowd(scale);
        predict(&p, 0, 1);
        sm_instance_list *list = decode(&p, &defaults);
        expect_exactly(&p, list, 7);
        for (int k = 0; k < list->count; k++) {
            SM_TEST_AT_MOST(fabs(list->instances[k].confidence - exp(3) / (exp(3) + 2)), 1e-6);
        }
        CU_ASSERT_EQUAL(list->instances[0].left, 10 * scale);
        CU_ASSERT_EQUAL(list->instances[0].right, 40 * scale - 1);
        CU_ASSERT_EQUAL(list->instances[0].bottom, 60 * scale - 1);
        CU_ASSERT_EQUAL(list->instances[0].pixels, 600 * scale * scale);
        SM_TEST_AT_MOST(fabs(list->instances[0].x - (25 * scale - 0.5)), 1e-4);
        SM_TEST_AT_MOST(fabs(list->instances[0].y - (50 * scale - 0.5)), 1e-4);
        sm_instance_list_free(list);
        list = decode(&p, &apart);
        CU_ASSERT_EQUAL(list->count, 7);
        CU_ASSERT_EQUAL(least_overlap(&p, list), 1);
        sm_instance_list_free(list);
        free_picture(&p);
    }
}

/* 1.5 px is what a trained network errs by on most pixels of small objects at 128 x 256. */
static void noisy_vectors_give_nearly_the_true_instances(void)
{
    const sm_instance_options defaults = {0};
    for (int scale = 1; scale <= 4; scale *= 2) {
        picture p = crowd(scale);
        predict(&p, 1.2f * (float)scale, 2);
        sm_instance_list *list = decode(&p, &defaults);
        CU_ASSERT_EQUAL(list->count, 7);
        CU_ASSERT_TRUE(least_overlap(&p, list) >= 0.95);
        sm_instance_list_free(list);
        free_picture(&p);
    }
}

/* Eight objects of 65,536 pixels each at the size of Cityscapes. The time is printed, not asserted. */
static void a_large_image_takes_seconds(void)
{
    const sm_instance_options defaults = {0};
    picture p = new_picture(1024, 2048);
    for (int k = 0; k < 8; k++) {
        put_box(&p, k + 1, k % 2 ? CAR : PERSON, 20 + 260 * (k % 4), 100 + 300 * (k / 4), 256, 256);
    }
    predict(&p, 10, 12);
    clock_t begin = clock();
    sm_instance_list *list = decode(&p, &defaults);
    printf("instances of %d thing pixels at 1024x2048: %.2f s of the processor\n", 8 * 256 * 256,
           (double)(clock() - begin) / CLOCKS_PER_SEC);
    CU_ASSERT_EQUAL(list->count, 8);
    CU_ASSERT_TRUE(least_overlap(&p, list) >= 0.95);
    sm_instance_list_free(list);
    free_picture(&p);
}

/* Every stride: what is not clustered joins, so that perfect vectors still give all pixels. */
static void a_stride_leaves_no_pixel_out(void)
{
    picture p = crowd(2);
    predict(&p, 0, 3);
    for (int stride = 1; stride <= 5; stride++) {
        const sm_instance_options options = {.stride = stride, .min_samples = 3};
        sm_instance_list *list = decode(&p, &options);
        expect_exactly(&p, list, 7);
        sm_instance_list_free(list);
    }
    free_picture(&p);
}

static void no_thing_gives_no_instance(void)
{
    const sm_instance_options defaults = {0};
    picture p = new_picture(32, 64);
    predict(&p, 0, 4);
    sm_instance_list *list = decode(&p, &defaults);
    CU_ASSERT_EQUAL(list->count, 0);
    for (int i = 0; i < 32 * 64; i++) {
        CU_ASSERT_EQUAL(list->labels[i], -1);
    }
    sm_instance_list_free(list);
    const sm_class_list stuff = {.count = CLASSES, .names = names};
    const sm_instance_input input = {32, 64, p.vectors, &stuff, p.logits, NULL};
    list = sm_instances_decode(&defaults, &input);
    CU_ASSERT_EQUAL(list->count, 0);
    sm_instance_list_free(list);
    free_picture(&p);
}

/* One pixel is noise, as two are unless so few make a cluster; min_pixels drops what is smaller. */
static void small_things_need_small_limits(void)
{
    picture p = new_picture(32, 64);
    put_box(&p, 1, CAR, 5, 5, 1, 1);
    put_box(&p, 2, CAR, 20, 5, 2, 1);
    put_box(&p, 3, PERSON, 40, 10, 4, 5);
    predict(&p, 0, 5);
    static const struct {
        int min_samples, min_pixels, expected;
    } cases[] = {{2, 1, 2}, {2, 2, 2}, {2, 3, 1}, {3, 1, 1}, {20, 20, 1}, {21, 1, 0}, {2, 21, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sm_instance_options options = {.min_samples = cases[i].min_samples, .min_pixels = cases[i].min_pixels};
        sm_instance_list *list = decode(&p, &options);
        CU_ASSERT_EQUAL(list->count, cases[i].expected);
        CU_ASSERT_EQUAL(list->labels[5 * 64 + 5], -1);
        sm_instance_list_free(list);
    }
    free_picture(&p);
    picture dot = new_picture(1, 1);
    put_box(&dot, 1, CAR, 0, 0, 1, 1);
    predict(&dot, 0, 6);
    const sm_instance_options defaults = {0};
    sm_instance_list *list = decode(&dot, &defaults);
    CU_ASSERT_EQUAL(list->count, 0);
    sm_instance_list_free(list);
    free_picture(&dot);
}

/* A pixel that points 3 px from a cluster joins it if it may, and none if not; one with no vector is no one's. */
static void noise_joins_what_is_near(void)
{
    picture p = new_picture(32, 64);
    put_box(&p, 1, CAR, 10, 10, 12, 8);
    predict(&p, 0, 7);
    int near = 12 * 64 + 12, far = 13 * 64 + 13, broken = 14 * 64 + 14, infinite = 15 * 64 + 15;
    p.vectors[2 * near] += 3;
    p.vectors[2 * far] -= 20;
    p.vectors[2 * broken] = NAN;
    p.vectors[2 * infinite + 1] = INFINITY;
    for (int wide = 0; wide < 2; wide++) {
        const sm_instance_options options = {
            .min_samples = 5, .min_pixels = 1, .distance = 1, .max_distance = wide ? 3.001 : 2.999};
        sm_instance_list *list = decode(&p, &options);
        CU_ASSERT_EQUAL(list->count, 1);
        CU_ASSERT_EQUAL(list->instances[0].pixels, 96 - 4 + wide);
        CU_ASSERT_EQUAL(list->labels[near], wide - 1);
        CU_ASSERT_TRUE(list->labels[far] == -1 && list->labels[broken] == -1 && list->labels[infinite] == -1);
        CU_ASSERT_TRUE(isfinite(list->instances[0].x) && isfinite(list->instances[0].y));
        sm_instance_list_free(list);
    }
    free_picture(&p);
}

/* A person in the middle of a car: one cluster, of the class of most pixels, unless classes are clustered apart. */
static void classes_can_be_clustered_apart(void)
{
    picture p = new_picture(64, 128);
    put_box(&p, 1, CAR, 20, 20, 40, 20);
    put_box(&p, 2, PERSON, 37, 15, 6, 30);
    predict(&p, 0, 8);
    const sm_instance_options together = {0}, apart = {.by_class = 1};
    sm_instance_list *list = decode(&p, &together);
    CU_ASSERT_EQUAL(list->count, 1);
    CU_ASSERT_EQUAL(list->instances[0].class_id, CAR);
    CU_ASSERT_EQUAL(list->instances[0].pixels, 40 * 20 + 6 * 10);
    double car = exp(3) / (exp(3) + 2), person = 1 / (exp(3) + 2);
    SM_TEST_AT_MOST(fabs(list->instances[0].confidence - (680 * car + 180 * person) / 860), 1e-6);
    sm_instance_list_free(list);
    list = decode(&p, &apart);
    expect_exactly(&p, list, 2);
    sm_instance_list_free(list);
    free_picture(&p);
}

/* Without a task of classes: a mask, or all pixels. */
static void a_mask_does_without_classes(void)
{
    picture p = new_picture(32, 64);
    put_box(&p, 1, CAR, 3, 3, 8, 8);
    put_box(&p, 2, CAR, 30, 3, 8, 8);
    predict(&p, 0, 9);
    uint8_t *mask = sm_alloc_zeroed(32 * 64);
    for (int i = 0; i < 32 * 64; i++) {
        mask[i] = p.ids[i] == 2;
    }
    const sm_instance_options options = {.min_samples = 20};
    const sm_instance_input masked = {32, 64, p.vectors, .thing = mask}, all = {32, 64, p.vectors, .thing = NULL};
    sm_instance_list *list = sm_instances_decode(&options, &masked);
    CU_ASSERT_EQUAL(list->count, 1);
    CU_ASSERT_TRUE(list->instances[0].class_id == -1 && list->instances[0].confidence == 1);
    CU_ASSERT_EQUAL(list->instances[0].left, 30);
    sm_instance_list_free(list);
    list = sm_instances_decode(&options, &all);
    CU_ASSERT_EQUAL(list->count, 2); /* what points anywhere is too thin */
    sm_instance_list_free(list);
    for (int i = 0; i < 32 * 64; i++) { /* the first in halves of two marks */
        mask[i] = p.ids[i] == 1 ? (uint8_t)(1 + i / 64 % 2) : 0;
    }
    for (int by_class = 0; by_class < 2; by_class++) {
        const sm_instance_options marked = {.min_samples = 20, .by_class = by_class};
        list = sm_instances_decode(&marked, &masked);
        CU_ASSERT_EQUAL(list->count, 1 + by_class);
        sm_instance_list_free(list);
    }
    sm_free(mask);
    free_picture(&p);
}

/* The same image elsewhere in a larger one: the same instances, shifted. */
static void translation_moves_the_instances(void)
{
    enum { RIGHT = 8, DOWN = 4 };
    const sm_instance_options options = {
        .stride = 2, .min_samples = 4, .distance = 1.5, .max_distance = 4, .min_pixels = 5};
    picture p = crowd(1), q = new_picture(128 + DOWN, 256 + RIGHT);
    predict(&p, 1, 10);
    predict(&q, 0, 11);
    for (int y = 0; y < 128; y++) {
        size_t from = (size_t)y * 256, to = (size_t)(y + DOWN) * (256 + RIGHT) + RIGHT;
        memcpy(q.vectors + 2 * to, p.vectors + 2 * from, 2 * 256 * sizeof(float));
        memcpy(q.logits + CLASSES * to, p.logits + CLASSES * from, CLASSES * 256 * sizeof(float));
    }
    sm_instance_list *before = decode(&p, &options), *after = decode(&q, &options);
    CU_ASSERT_EQUAL_FATAL(before->count, after->count);
    for (int y = 0; y < 128; y++) {
        CU_ASSERT_EQUAL(
            memcmp(before->labels + y * 256, after->labels + (y + DOWN) * (256 + RIGHT) + RIGHT, 256 * sizeof(int32_t)),
            0);
    }
    for (int k = 0; k < before->count; k++) {
        CU_ASSERT_EQUAL(before->instances[k].left + RIGHT, after->instances[k].left);
        CU_ASSERT_EQUAL(before->instances[k].bottom + DOWN, after->instances[k].bottom);
        SM_TEST_AT_MOST(fabs(before->instances[k].x + RIGHT - after->instances[k].x), 1e-4);
        CU_ASSERT_EQUAL(before->instances[k].confidence, after->instances[k].confidence);
    }
    sm_instance_list_free(before);
    sm_instance_list_free(after);
    free_picture(&p);
    free_picture(&q);
}

static void defaults_grow_with_the_image(void)
{
    const sm_instance_options none = {0};
    sm_instance_options small = sm_instance_options_for(&none, 128, 256);
    sm_instance_options large = sm_instance_options_for(&none, 1024, 2048);
    CU_ASSERT_TRUE(small.stride == 1 && large.stride == 4);
    CU_ASSERT_TRUE(large.distance == 8 * small.distance && large.max_distance == 8 * small.max_distance);
    CU_ASSERT_EQUAL(large.min_samples, small.min_samples * 64 / 16);
    CU_ASSERT_EQUAL(large.min_pixels, small.min_pixels * 64);
    const sm_instance_options given = {3, 7, 2.5, 9, 11, 1};
    sm_instance_options kept = sm_instance_options_for(&given, 512, 512);
    CU_ASSERT_TRUE(kept.stride == 3 && kept.min_samples == 7 && kept.distance == 2.5 && kept.max_distance == 9 &&
                   kept.min_pixels == 11 && kept.by_class == 1);
    const sm_instance_options narrow = {.max_distance = 0.5}, wide = {.distance = 50};
    CU_ASSERT_EQUAL(sm_instance_options_for(&narrow, 128, 256).distance, 0.5);
    CU_ASSERT_EQUAL(sm_instance_options_for(&wide, 128, 256).max_distance, 50);
    CU_ASSERT_TRUE(sm_instance_options_for(&none, 1, 1).min_samples == 2);
}

static void what_is_set_grows_with_the_image(void)
{
    const sm_instance_options given = {3, 7, 2.5, 9, 11, 1}, automatic = {.min_samples = 8}, none = {0};
    sm_instance_options larger = sm_instance_options_grown(&given, 256, 256, 1024, 4, 2);
    CU_ASSERT(larger.stride == 3 && larger.min_samples == 56 && larger.min_pixels == 88 && larger.by_class == 1);
    CU_ASSERT(larger.distance == 10 && larger.max_distance == 36);
    CU_ASSERT_EQUAL(sm_instance_options_grown(&automatic, 512, 1024, 2048, 4, 4).min_samples, 8); /* every 16th */
    CU_ASSERT_EQUAL(sm_instance_options_grown(&automatic, 2048, 128, 512, 0.25, 0.25).min_samples, 8);
    CU_ASSERT_EQUAL(sm_instance_options_grown(&automatic, 512, 512, 1023, 2, 2).min_samples, 32);
    sm_instance_options smaller = sm_instance_options_grown(&given, 256, 32, 64, 0.25, 0.25);
    CU_ASSERT(smaller.min_samples == 2 && smaller.min_pixels == 1);
    const sm_instance_options many = {.min_samples = 1000000, .min_pixels = 1000000000};
    sm_instance_options most = sm_instance_options_grown(&many, 256, 1280, 2560, 10, 10);
    CU_ASSERT(most.min_samples == 1280 * 2560 + 1 && most.min_pixels == 1280 * 2560 + 1);
    sm_instance_options nothing = sm_instance_options_grown(&none, 256, 32, 64, 0.25, 0.25);
    CU_ASSERT(nothing.min_samples == 0 && nothing.min_pixels == 0 && nothing.distance == 0 && nothing.stride == 0);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(perfect_vectors_give_the_true_instances);
    SM_TEST(noisy_vectors_give_nearly_the_true_instances);
    SM_TEST(a_large_image_takes_seconds);
    SM_TEST(a_stride_leaves_no_pixel_out);
    SM_TEST(no_thing_gives_no_instance);
    SM_TEST(small_things_need_small_limits);
    SM_TEST(noise_joins_what_is_near);
    SM_TEST(classes_can_be_clustered_apart);
    SM_TEST(a_mask_does_without_classes);
    SM_TEST(translation_moves_the_instances);
    SM_TEST(defaults_grow_with_the_image);
    SM_TEST(what_is_set_grows_with_the_image);
    return sm_test_end();
}
