/* ranks: 1 */
#include "golden.h"
#include "harness.h"
#include "task/loss_item.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/task/task.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Float exponentials and logarithms are good to 1e-7 of the largest term; sums are in double. */
static const double tolerance = 2e-6;

/* \return the loss sum at one set of logits, single-threaded. */
static double loss_at(const sm_task *task, size_t pixels, const float *logits, const void *target, double inverse)
{
    return sm_task_loss(task, pixels, logits, target, NULL, inverse, 1).loss;
}

static void compare_gradient(const float *gradient, const double *expected, size_t count, double scale)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += pow(gradient[i] - scale * expected[i], 2);
        norm += pow(scale * expected[i], 2);
        CU_ASSERT_TRUE(expected[i] != 0 || gradient[i] == 0);
    }
    SM_TEST_AT_MOST(sqrt(error), tolerance * sqrt(norm));
}

/* Loss, slope and gradient of one case of the golden file. */
static void compare_case(const sm_h5 *file, const char *group, const char *kind, const char *loss)
{
    const double scale = 0.125;
    sm_h5_info shape;
    sm_task task = {.kind = sm_task_kind_find(kind), .loss = loss};
    int has_ids = sm_task_is_classification(&task) || sm_task_is_labelling(&task);
    float *logits = golden_read(file, group, "logits", SM_H5_FLOAT, &shape);
    void *target = golden_read(file, group, "target", has_ids ? SM_H5_U8 : SM_H5_FLOAT, NULL);
    double *expected = golden_read(file, group, "gradient", SM_H5_DOUBLE, NULL);
    double inverse = 1;
    size_t pixels = shape.shape[0], count = shape.count;
    float *gradient = sm_alloc(count * sizeof *gradient);

    task.is_heteroscedastic = strncmp(group, "per_pixel", 9) == 0;
    task.likelihood = task.is_heteroscedastic ? sm_likelihood_of_loss(loss) : NULL;
    task.channels = (int)shape.shape[1] - task.is_heteroscedastic;
    task.huber_delta = strcmp(loss, "huber") == 0 ? golden_number(file, group, "delta") : 0;
    if (has_ids) {
        task.class_weights = golden_read(file, group, "class_weights", SM_H5_FLOAT, NULL);
        inverse = exp(-golden_number(file, group, "log_variance"));
    }
    double true_loss = golden_number(file, group, "loss"), true_slope = golden_number(file, group, "slope");
    for (int threads = 1; threads <= 3; threads++) {
        sm_loss_sums sums = sm_task_loss(&task, pixels, logits, target, NULL, inverse, threads);
        SM_TEST_AT_MOST(fabs(sums.loss - true_loss), tolerance * fabs(true_loss));
        SM_TEST_AT_MOST(fabs(sums.slope - true_slope), tolerance * fmax(fabs(true_slope), fabs(true_loss)));
        memset(gradient, 0xff, count * sizeof *gradient); /* NaN: what is not written shows */
        sm_task_loss_gradient(&task, pixels, logits, target, NULL, inverse, scale, gradient, threads);
        compare_gradient(gradient, expected, count, scale);
    }
    sm_free(task.class_weights);
    sm_free(gradient);
    sm_free(expected);
    sm_free(target);
    sm_free(logits);
}

static void cross_entropy_equals_pytorch(void)
{
    static const char *const cases[] = {"two", "steep", "warm", "cold", "one", "none"};
    sm_h5 *file = golden_open("tasks.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *group = sm_format("cross_entropy/%s", cases[i]);
        compare_case(file, group, "semantic", "cross_entropy");
        sm_free(group);
    }
    sm_h5_close(file);
}

static void regressions_equal_pytorch(void)
{
    sm_h5 *file = golden_open("tasks.h5");
    compare_case(file, "instance/l1", "instance", "l1");
    compare_case(file, "instance/l2", "instance", "l2");
    compare_case(file, "depth/l1", "depth", "l1");
    compare_case(file, "depth/l2", "depth", "l2");
    sm_h5_close(file);
}

static void losses_of_labels_equal_pytorch(void)
{
    static const char *const cases[] = {"one", "many", "steep", "warm", "cold"};
    sm_h5 *file = golden_open("losses.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *group = sm_format("labels/%s", cases[i]);
        compare_case(file, group, "labels", "binary_cross_entropy");
        sm_free(group);
    }
    sm_h5_close(file);
}

static void huber_and_cosine_equal_pytorch(void)
{
    sm_h5 *file = golden_open("losses.h5");
    compare_case(file, "huber/one", "depth", "huber");
    compare_case(file, "huber/narrow", "normals", "huber");
    compare_case(file, "huber/wide", "instance", "huber");
    compare_case(file, "cosine/space", "normals", "cosine");
    compare_case(file, "cosine/plane", "regression", "cosine");
    sm_h5_close(file);
}

/* The negative log-likelihoods of Kendall and Gal with a log-variance of each item. */
static void losses_with_own_variances_equal_pytorch(void)
{
    sm_h5 *file = golden_open("losses.h5");
    compare_case(file, "per_pixel/laplace", "instance", "l1");
    compare_case(file, "per_pixel/gaussian", "depth", "l2");
    compare_case(file, "per_pixel/huber", "normals", "huber");
    compare_case(file, "per_pixel/fisher", "normals", "cosine");
    sm_h5_close(file);
}

/* Item by item, by the noise that the file holds. */
static void compare_draws(const sm_h5 *file, const char *group, int of_labels)
{
    const double scale = 0.125;
    sm_h5_info shape, noise_shape;
    float *logits = golden_read(file, group, "logits", SM_H5_FLOAT, &shape);
    float *noise = golden_read(file, group, "noise", SM_H5_FLOAT, &noise_shape);
    uint8_t *target = golden_read(file, group, "target", SM_H5_U8, NULL);
    float *weights = golden_read(file, group, "class_weights", SM_H5_FLOAT, NULL);
    double *losses = golden_read(file, group, "losses", SM_H5_DOUBLE, NULL);
    double *expected = golden_read(file, group, "gradient", SM_H5_DOUBLE, NULL);
    int channels = (int)shape.shape[1] - 1, draws = (int)noise_shape.shape[1];
    float *gradient = sm_alloc(shape.count * sizeof *gradient);
    for (size_t i = 0; i < shape.shape[0]; i++) {
        size_t at = i * (size_t)(channels + 1);
        const float *own = noise + i * (size_t)(draws * channels);
        double s = logits[at + (size_t)channels], grad_s = NAN;
        double loss =
            of_labels ? sm_sampled_binary_cross_entropy(channels, draws, logits + at, s, target + i * (size_t)channels,
                                                        weights, own, scale, gradient + at, &grad_s)
                      : sm_sampled_cross_entropy(channels, draws, logits + at, s, target[i], own, scale, gradient + at,
                                                 &grad_s);
        SM_TEST_AT_MOST(fabs(loss - losses[i]), tolerance * fmax(1, losses[i]));
        gradient[at + (size_t)channels] = (float)grad_s;
    }
    compare_gradient(gradient, expected, shape.count, scale);
    sm_free(gradient);
    sm_free(expected);
    sm_free(losses);
    sm_free(weights);
    sm_free(target);
    sm_free(noise);
    sm_free(logits);
}

static void drawn_losses_equal_pytorch(void)
{
    sm_h5 *file = golden_open("losses.h5");
    compare_draws(file, "drawn/classes", 0);
    compare_draws(file, "drawn/one", 0);
    compare_draws(file, "drawn/labels", 1);
    sm_h5_close(file);
}

/* Of moments of a standard normal distribution: standard errors of 1/sqrt(n), sqrt(2/n), sqrt(96/n). */
static void the_noise_is_normal_and_named_by_its_place(void)
{
    enum { ITEMS = 500, NUMBERS = 190, COUNT = ITEMS * NUMBERS };
    static float noise[COUNT + 3], other[NUMBERS + 3];
    sm_task task = {.name = "labels"};
    const sm_loss_place place = {7, 3, 2, 100}, later = {7, 3, 4, 100}, next = {7, 4, 2, 100}, seeded = {8, 3, 2, 100};
    const sm_loss_place *const others[] = {&next, &seeded};
    double moments[4] = {0};
    for (size_t i = 0; i < ITEMS; i++) {
        sm_item_noise(&task, &place, i, NUMBERS, noise + i * NUMBERS);
    }
    for (int i = 0; i < COUNT; i++) {
        double x = noise[i];
        moments[0] += x / COUNT;
        moments[1] += x * x / COUNT;
        moments[2] += x * x * x * x / COUNT;
        moments[3] += i > 0 ? x * noise[i - 1] / COUNT : 0;
    }
    SM_TEST_AT_MOST(fabs(moments[0]), 4 / sqrt(COUNT));
    SM_TEST_AT_MOST(fabs(moments[1] - 1), 4 * sqrt(2.0 / COUNT));
    SM_TEST_AT_MOST(fabs(moments[2] - 3), 4 * sqrt(96.0 / COUNT));
    SM_TEST_AT_MOST(fabs(moments[3]), 4 / sqrt(COUNT));
    sm_item_noise(&task, &later, 17, NUMBERS, other); /* item 17 of sample 4 is item 217 from sample 2 on */
    CU_ASSERT(memcmp(other, noise + (200 + 17) * NUMBERS, NUMBERS * sizeof *other) == 0);
    for (int k = 0; k < 2; k++) {
        sm_item_noise(&task, others[k], 17, NUMBERS, other);
        CU_ASSERT(other[0] != noise[17 * NUMBERS] && other[5] != noise[17 * NUMBERS + 5]);
    }
    task.name = "tags";
    sm_item_noise(&task, &place, 17, NUMBERS, other);
    CU_ASSERT(other[0] != noise[17 * NUMBERS]);
}

/* Without noise a drawn loss is the loss itself, and its sigma matters no more. */
static void a_small_sigma_gives_the_loss_itself(void)
{
    enum { ITEMS = 40, CLASSES = 5 };
    const sm_loss_place place = {1, 2, 3, ITEMS};
    float output[ITEMS * (CLASSES + 1)], logits[ITEMS * CLASSES], wide[ITEMS * (CLASSES + 1)], narrow[ITEMS * CLASSES];
    uint8_t target[ITEMS], tags[ITEMS * CLASSES];
    sm_test_fill(output, ITEMS * (CLASSES + 1), 12);
    for (int i = 0; i < ITEMS; i++) {
        target[i] = (uint8_t)(i % 6 == 5 ? 255 : i % 6);
        output[i * (CLASSES + 1) + CLASSES] = -40; /* as if -20: sigma 4.5e-5 */
        memcpy(logits + i * CLASSES, output + i * (CLASSES + 1), CLASSES * sizeof *logits);
        for (int c = 0; c < CLASSES; c++) {
            tags[i * CLASSES + c] = (uint8_t)((i + c) % 3 == 2 ? 255 : (i + c) % 3);
        }
    }
    for (int of_labels = 0; of_labels <= 1; of_labels++) {
        const void *truth = of_labels ? tags : target;
        sm_task task = {.name = "labels",
                        .kind = sm_task_kind_find(of_labels ? "labels" : "semantic"),
                        .loss = of_labels ? "binary_cross_entropy" : "cross_entropy",
                        .channels = CLASSES,
                        .noise_draws = 10};
        double plain = sm_task_loss(&task, ITEMS, logits, truth, NULL, 1, 2).loss;
        sm_task_loss_gradient(&task, ITEMS, logits, truth, NULL, 1, 1, narrow, 2);
        task.is_heteroscedastic = 1;
        sm_loss_sums drawn = sm_task_loss(&task, ITEMS, output, truth, &place, 1, 2);
        sm_task_loss_gradient(&task, ITEMS, output, truth, &place, 1, 1, wide, 2);
        SM_TEST_AT_MOST(fabs(drawn.loss - plain), 1e-4 * plain);
        for (int i = 0; i < ITEMS; i++) {
            for (int c = 0; c < CLASSES; c++) {
                SM_TEST_AT_MOST(fabs(wide[i * (CLASSES + 1) + c] - narrow[i * CLASSES + c]), 2e-4);
            }
            SM_TEST_AT_MOST(fabs(wide[i * (CLASSES + 1) + CLASSES]), 1e-4);
        }
        sm_task_take_logits(&task, ITEMS, output);
        CU_ASSERT(memcmp(output, logits, sizeof logits) == 0);
        sm_test_fill(output, ITEMS * (CLASSES + 1), 12);
        for (int i = 0; i < ITEMS; i++) {
            output[i * (CLASSES + 1) + CLASSES] = -40;
        }
    }
}

/* Log-variances out of their bounds come back, and do not go further. */
static void log_variances_of_pixels_are_bounded(void)
{
    const float output[] = {3, 100, 3, -100, 3, -100}, truth[] = {1, 1, 3};
    sm_task task = {.kind = sm_task_kind_find("depth"), .loss = "l1", .channels = 1, .is_heteroscedastic = 1};
    float gradient[6];
    task.likelihood = sm_likelihood_find("laplace");
    sm_loss_sums sums = sm_task_loss(&task, 3, output, truth, NULL, 1, 1);
    double expected = 2 * exp(-10) + 10 + 2 * exp(10) - 10 - 10;
    SM_TEST_AT_MOST(fabs(sums.loss - expected), 1e-9 * expected);
    CU_ASSERT(sums.slope == 20 - 20 - 20);
    sm_task_loss_gradient(&task, 3, output, truth, NULL, 1, 1, gradient, 1);
    CU_ASSERT(gradient[1] > 0 && gradient[3] < 0 && gradient[5] == 0);
    float sigma[3];
    const float moderate[] = {0, 2, 0, 0, 0, -4};
    sm_task_sigma(&task, 3, moderate, sigma);
    SM_TEST_AT_MOST(fabs(sigma[0] - exp(1)), 1e-6);
    CU_ASSERT(sigma[1] == 1 && fabs(sigma[2] - exp(-2)) < 1e-7);
}

/* Turned by an angle, whatever its length, a direction's loss is 1 - cos; its gradient is across it and grows as the
 * length shrinks. */
static void a_cosine_is_of_the_angle(void)
{
    sm_task task = {.kind = sm_task_kind_find("normals"), .loss = "cosine", .channels = 3};
    const float truth[3] = {0, 0, 1};
    for (int degrees = 0; degrees <= 180; degrees += 15) {
        for (double length = 0.01; length < 200; length *= 10) {
            double angle = degrees * 3.14159265358979323846 / 180;
            const float x[3] = {(float)(length * sin(angle)), 0, (float)(length * cos(angle))};
            float gradient[3];
            SM_TEST_AT_MOST(fabs(loss_at(&task, 1, x, truth, 1) - (1 - cos(angle))), 2e-7);
            sm_task_loss_gradient(&task, 1, x, truth, NULL, 1, 1, gradient, 1);
            SM_TEST_AT_MOST(fabs(gradient[0] - sin(angle) * cos(angle) / length), 3e-7 / length);
            SM_TEST_AT_MOST(fabs(gradient[2] + sin(angle) * sin(angle) / length), 3e-7 / length);
        }
    }
}

/* d/ds of the cross-entropy of logits * exp(-s), by central differences of the loss itself. */
static void slope_equals_finite_differences(void)
{
    enum { PIXELS = 300, CLASSES = 11 };
    const double s = 0.7, h = 1e-2;
    static float logits[PIXELS * CLASSES];
    uint8_t target[PIXELS];
    float weights[CLASSES];
    sm_task task = {.kind = sm_task_kind_find("semantic"), .loss = "cross_entropy", .channels = CLASSES};

    sm_test_fill(logits, PIXELS * CLASSES, 3);
    for (int i = 0; i < PIXELS; i++) {
        target[i] = (uint8_t)(i % 13 < CLASSES ? i % 13 : 255);
    }
    for (int c = 0; c < CLASSES; c++) {
        weights[c] = 0.5f + (float)c;
    }
    task.class_weights = weights;
    double slope = sm_task_loss(&task, PIXELS, logits, target, NULL, exp(-s), 2).slope;
    double difference =
        loss_at(&task, PIXELS, logits, target, exp(-s - h)) - loss_at(&task, PIXELS, logits, target, exp(-s + h));
    CU_ASSERT_TRUE(fabs(slope) > 1);
    /* the third derivative times h^2 / 6 is about 2e-5 of the slope */
    SM_TEST_AT_MOST(fabs(difference / (2 * h) - slope), 1e-4 * fabs(slope));
}

static void threads_change_no_bit(void)
{
    enum { PIXELS = 4099, CHANNELS = 5 };
    static float logits[PIXELS * CHANNELS], one[PIXELS * CHANNELS], many[PIXELS * CHANNELS];
    static uint8_t labels[PIXELS];
    static float vectors[PIXELS * 2];
    static uint8_t tags[PIXELS * CHANNELS];
    const struct {
        const char *kind, *loss;
        int channels;
        const void *target;
    } cases[] = {{"semantic", "cross_entropy", CHANNELS, labels},
                 {"labels", "binary_cross_entropy", CHANNELS, tags},
                 {"instance", "l1", 2, vectors},
                 {"instance", "l2", 2, vectors},
                 {"instance", "huber", 2, vectors},
                 {"regression", "cosine", 2, vectors}};

    sm_test_fill(logits, PIXELS * CHANNELS, 5);
    sm_test_fill(vectors, PIXELS * 2, 6);
    for (int i = 0; i < PIXELS * CHANNELS; i++) {
        tags[i] = (uint8_t)(i % 3 == 2 ? 255 : i % 3);
        logits[i] *= powf(10, (float)(i * 7 % 11 - 6)); /* sums of such numbers round: their order shows */
    }
    for (int i = 0; i < PIXELS; i++) {
        labels[i] = (uint8_t)(i % 7 == 6 ? 255 : i % CHANNELS);
        vectors[2 * i] = vectors[2 * i + 1] = i % 3 == 0 ? NAN : vectors[2 * i];
    }
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sm_task task = {.kind = sm_task_kind_find(cases[k].kind),
                        .loss = cases[k].loss,
                        .channels = cases[k].channels,
                        .huber_delta = 1};
        sm_loss_sums reference = sm_task_loss(&task, PIXELS, logits, cases[k].target, NULL, 0.9, 1);
        sm_task_loss_gradient(&task, PIXELS, logits, cases[k].target, NULL, 0.9, 0.3, one, 1);
        for (int threads = 2; threads <= 7; threads++) {
            sm_loss_sums sums = sm_task_loss(&task, PIXELS, logits, cases[k].target, NULL, 0.9, threads);
            CU_ASSERT_TRUE(sums.loss == reference.loss && sums.slope == reference.slope);
            sm_task_loss_gradient(&task, PIXELS, logits, cases[k].target, NULL, 0.9, 0.3, many, threads);
            CU_ASSERT_EQUAL(memcmp(one, many, (size_t)PIXELS * (size_t)task.channels * sizeof *one), 0);
        }
    }
}

/* What is at an invalid pixel must not matter, what is at a valid one must show. */
static void non_finite_logits_show_at_valid_pixels_only(void)
{
    enum { PIXELS = 9 };
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float logits[3 * PIXELS], gradient[3 * PIXELS], vectors[2 * PIXELS] = {0};
    float directions[2 * PIXELS];
    uint8_t labels[PIXELS] = {0, 1, 2, 255, 1}, tags[PIXELS] = {0, 1, 0, 255, 1};
    const struct {
        const char *kind, *loss;
        int channels;
        const void *target;
    } cases[] = {{"semantic", "cross_entropy", 3, labels},
                 {"instance", "l1", 2, vectors},
                 {"depth", "l2", 1, vectors},
                 {"labels", "binary_cross_entropy", 1, tags},
                 {"depth", "huber", 1, vectors},
                 {"regression", "cosine", 2, directions}};

    for (int i = 0; i < 2 * PIXELS; i++) {
        directions[i] = i / 2 == 3 ? NAN : 0.6f;
    }
    vectors[2 * 3] = vectors[2 * 3 + 1] = vectors[3] = NAN;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sm_task task = {.kind = sm_task_kind_find(cases[k].kind),
                        .loss = cases[k].loss,
                        .channels = cases[k].channels,
                        .huber_delta = 1};
        for (int b = 0; b < 3; b++) {
            for (int channel = 0; channel < task.channels; channel++) {
                sm_test_fill(logits, 3 * PIXELS, 8);
                logits[3 * task.channels + channel] = bad[b];
                CU_ASSERT_TRUE(isfinite(loss_at(&task, PIXELS, logits, cases[k].target, 1)));
                sm_task_loss_gradient(&task, PIXELS, logits, cases[k].target, NULL, 1, 1, gradient, 1);
                for (int i = 0; i < PIXELS * task.channels; i++) {
                    CU_ASSERT_TRUE(i / task.channels == 3 ? gradient[i] == 0 : isfinite(gradient[i]));
                }
                logits[4 * task.channels + channel] = bad[b];
                int is_harmless = (b == 2 && k == 0 && channel != labels[4]) || (b == 1 && k == 3); /* exp(-inf) = 0 */
                CU_ASSERT_EQUAL(!isfinite(loss_at(&task, PIXELS, logits, cases[k].target, 1)), !is_harmless);
                sm_task_loss_gradient(&task, PIXELS, logits, cases[k].target, NULL, 1, 1, gradient, 1);
                CU_ASSERT_TRUE(b > 0 || isnan(gradient[4 * task.channels + channel]));
            }
        }
    }
}

static void no_pixels_give_nothing(void)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        const sm_task_kind *kind = sm_task_kinds[k];
        char loss[32];
        snprintf(loss, sizeof loss, "%.*s", (int)strcspn(kind->losses, "|"), kind->losses);
        sm_task task = {.kind = kind, .loss = loss, .channels = 2};
        CU_ASSERT_EQUAL(sm_task_loss(&task, 0, NULL, NULL, NULL, 1, 2).loss, 0);
        sm_task_loss_gradient(&task, 0, NULL, NULL, NULL, 1, 1, NULL, 2);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST_BY_SETS(cross_entropy_equals_pytorch);
    SM_TEST_BY_SETS(regressions_equal_pytorch);
    SM_TEST(losses_of_labels_equal_pytorch);
    SM_TEST_BY_SETS(huber_and_cosine_equal_pytorch);
    SM_TEST(losses_with_own_variances_equal_pytorch);
    SM_TEST(drawn_losses_equal_pytorch);
    SM_TEST(the_noise_is_normal_and_named_by_its_place);
    SM_TEST(a_small_sigma_gives_the_loss_itself);
    SM_TEST(log_variances_of_pixels_are_bounded);
    SM_TEST(a_cosine_is_of_the_angle);
    SM_TEST(slope_equals_finite_differences);
    SM_TEST(threads_change_no_bit);
    SM_TEST_BY_SETS(non_finite_logits_show_at_valid_pixels_only);
    SM_TEST(no_pixels_give_nothing);
    return sm_test_end();
}
