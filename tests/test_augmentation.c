/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/augmentation.h>

#include <math.h>
#include <string.h>

static const double mean[3] = {0.4, 0.5, 0.6}, std[3] = {0.2, 0.25, 0.3};

static uint8_t *random_image(int height, int width, uint32_t seed)
{
    size_t count = (size_t)height * (size_t)width * 3;
    uint8_t *image = sm_alloc(count);
    sm_random random = sm_random_new(seed, 3, 0);
    for (size_t i = 0; i < count; i++) {
        image[i] = (uint8_t)sm_random_u32(&random);
    }
    return image;
}

static float *sampled(const uint8_t *image, int height, int width, const sm_geometry *geometry)
{
    double scale = fmin(geometry->scale_x, geometry->scale_y);
    size_t floats = sm_image_sample_workspace(height, width, geometry->out_height, geometry->out_width, scale);
    float *workspace = sm_alloc((floats + 1) * sizeof *workspace);
    workspace[floats] = 12345;
    float *out = sm_alloc((size_t)geometry->out_height * (size_t)geometry->out_width * 3 * sizeof *out);
    sm_image_sample(image, height, width, geometry, mean, std, out, workspace);
    CU_ASSERT(workspace[floats] == 12345);
    sm_free(workspace);
    return out;
}

static float normalised(double value, int c)
{
    return (float)((value / 255 - mean[c]) / std[c]);
}

static void identity_and_whole_shifts_copy_exactly(void)
{
    enum { H = 13, W = 17, OH = 9, OW = 21 };
    uint8_t *image = random_image(H, W, 1);
    for (int flip = 0; flip < 2; flip++) {
        for (int shift = -3; shift < 4; shift += 3) {
            sm_geometry geometry = {OH, OW, 1, 1, shift, shift + 1, flip, 0};
            float *out = sampled(image, H, W, &geometry);
            for (int y = 0; y < OH; y++) {
                for (int x = 0; x < OW * 3; x++) {
                    int ys = y + shift + 1, xs = flip ? W - 1 - (x / 3 + shift) : x / 3 + shift;
                    int inside = ys >= 0 && ys < H && xs >= 0 && xs < W;
                    float expected = inside ? normalised(image[(ys * W + xs) * 3 + x % 3], x % 3) : 0;
                    CU_ASSERT(out[y * OW * 3 + x] == expected);
                }
            }
            sm_free(out);
        }
    }
    sm_free(image);
}

/* Bilinear sampling keeps linear functions away from the edges, and so does the widened triangle where it is symmetric
 * about the pixels (scale 1/2, 1/4; not in turned pictures): a ramp has a closed form under scale, turn, flip and crop. */
static void ramps_keep_their_closed_form(void)
{
    enum { H = 60, W = 80, OH = 20, OW = 24 };
    uint8_t *image = sm_alloc(H * W * 3);
    for (int i = 0; i < H * W; i++) {
        int y = i / W, x = i % W;
        image[3 * i] = (uint8_t)(3 * x);
        image[3 * i + 1] = (uint8_t)(4 * y);
        image[3 * i + 2] = (uint8_t)(x + 2 * y);
    }
    static const double scales[5][2] = {{1, 1}, {2, 2}, {1.37, 1.9}, {0.5, 0.5}, {0.25, 0.5}};
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        for (int form = 0; form < 6; form++) {
            int flip = form % 2, turn = form / 2 - 1;
            if (turn && scales[s][0] < 1) {
                continue;
            }
            double sine = turn * 0.6, cosine = turn ? 0.8 : 1;
            sm_geometry geometry = {OH, OW, scales[s][0], scales[s][1], 7, 6.25, flip, sine};
            float *out = sampled(image, H, W, &geometry);
            double worst = 0;
            for (int i = 0; i < OH * OW; i++) {
                double right = i % OW - 0.5 * (OW - 1), down = i / OW - 0.5 * (OH - 1);
                double x = 0.5 * (OW - 1) + cosine * right - sine * down;
                double y = 0.5 * (OH - 1) + sine * right + cosine * down;
                double xs = (x + 7.5) / scales[s][0] - 0.5, ys = (y + 6.75) / scales[s][1] - 0.5;
                xs = flip ? W - 1 - xs : xs;
                if (xs > 4 && xs < W - 5 && ys > 4 && ys < H - 5) { /* no tap is cut off */
                    double expected[3] = {3 * xs, 4 * ys, xs + 2 * ys};
                    for (int c = 0; c < 3; c++) {
                        sm_test_worse(&worst, fabs(out[3 * i + c] - normalised(expected[c], c)));
                    }
                }
            }
            SM_TEST_AT_MOST(
                worst, 2e-6); /* float sums of up to 25 values up to 255, scaled to about 2: 255 * 2^-24 * few / 51 */
            sm_free(out);
        }
    }
    sm_free(image);
}

/* torch.nn.functional.interpolate(x, (4, 3), mode="bilinear", antialias=True, align_corners=False) of PyTorch 1.13,
 * x[y][x] = (37 * y + 101 * x) mod 256 of shape (7, 8). */
static void shrinking_agrees_with_pytorch(void)
{
    enum { H = 7, W = 8, OH = 4, OW = 3 };
    static const double expected[OH][OW] = {{107.914787, 137.198413, 151.190476},
                                            {119.875789, 118.14, 115.595789},
                                            {155.618947, 118.197143, 134.092632},
                                            {126.581454, 125.098639, 115.641604}};
    uint8_t image[H * W * 3];
    for (int i = 0; i < H * W; i++) {
        memset(image + 3 * i, (37 * (i / W) + 101 * (i % W)) % 256, 3);
    }
    sm_geometry geometry = sm_geometry_whole(H, W, OH, OW);
    float *out = sampled(image, H, W, &geometry);
    for (int i = 0; i < OH * OW * 3; i++) {
        int c = i % 3;
        SM_TEST_AT_MOST(fabs(out[i] - normalised(expected[i / 3 / OW][i / 3 % OW], c)),
                        2e-6); /* printed digits and float sums */
    }
    sm_free(out);
}

static void outside_is_the_mean_colour(void)
{
    enum { H = 10, W = 10, O = 16 };
    uint8_t *image = random_image(H, W, 2);
    for (int turn = -1; turn <= 1; turn++) {
        sm_geometry geometry = {O, O, 0.7, 1.3, -3, -2, 1, 0.28 * turn};
        float *out = sampled(image, H, W, &geometry);
        int outside = 0;
        for (int i = 0; i < O * O; i++) {
            if (sm_geometry_nearest(&geometry, H, W, i % O, i / O) < 0) {
                CU_ASSERT(out[3 * i] == 0 && out[3 * i + 1] == 0 && out[3 * i + 2] == 0);
                outside++;
            } else {
                CU_ASSERT(out[3 * i] != 0 || out[3 * i + 1] != 0);
            }
        }
        CU_ASSERT(outside > 0 && outside < O * O);
        sm_free(out);
    }
    sm_free(image);
}

/* In a turned picture a shrinking triangle is what it is in an upright one, about the place that the geometry says. */
static void shrunk_and_turned_pixels_are_weighted_means(void)
{
    enum { H = 40, W = 50, OH = 9, OW = 11 };
    uint8_t *image = random_image(H, W, 5);
    sm_geometry geometry = {OH, OW, 0.3, 0.45, 2.5, 3, 0, -0.28};
    float *out = sampled(image, H, W, &geometry);
    double worst = 0;
    for (int i = 0; i < OH * OW; i++) {
        double right = i % OW - 5, down = i / OW - 4; /* from the centre */
        double xs = (5 + 0.96 * right + 0.28 * down + 3) / 0.3 - 0.5,
               ys = (4 - 0.28 * right + 0.96 * down + 3.5) / 0.45 - 0.5;
        double sum[3] = {0, 0, 0}, weights = 0;
        for (int p = 0; p < H * W; p++) {
            double weight = fmax(0, 1 - 0.3 * fabs(p % W - xs)) * fmax(0, 1 - 0.45 * fabs(p / W - ys));
            weights += weight;
            for (int c = 0; c < 3; c++) {
                sum[c] += weight * image[3 * p + c];
            }
        }
        for (int c = 0; c < 3; c++) {
            sm_test_worse(&worst, fabs(out[3 * i + c] - normalised(sum[c] / weights, c)));
        }
    }
    SM_TEST_AT_MOST(worst, 2e-6); /* as the ramps */
    sm_free(out);
    sm_free(image);
}

/* Counter-clockwise as it is seen: what lies to the right of the centre comes up. */
static void output_undoes_source(void)
{
    sm_random random = sm_random_new(5, 0, 0);
    for (int round = 0; round < 200; round++) {
        sm_geometry g = {20,
                         31,
                         sm_random_range(&random, 0.3f, 3),
                         sm_random_range(&random, 0.3f, 3),
                         sm_random_range(&random, -9, 9),
                         sm_random_range(&random, -9, 9),
                         round % 2,
                         round < 20 ? 0 : sm_random_range(&random, -0.7f, 0.7f)};
        double x = sm_random_range(&random, -40, 40), y = sm_random_range(&random, -40, 40), xs, ys, x_again, y_again;
        sm_geometry_source(&g, 77, x, y, &xs, &ys);
        sm_geometry_output(&g, 77, xs, ys, &x_again, &y_again);
        SM_TEST_AT_MOST(fabs(x_again - x) + fabs(y_again - y), 1e-11);
    }
    sm_geometry turned = {11, 11, 1, 1, 0, 0, 0, 0.6};
    double x, y;
    sm_geometry_output(&turned, 11, 10, 5, &x, &y);
    SM_TEST_AT_MOST(fabs(x - 9) + fabs(y - 2), 1e-12); /* 5 to the right: 4 to the right and 3 up */
}

static void angles_are_uniform_and_leave_the_rest_alone(void)
{
    sm_augmentation plain = {
        .height = 100, .width = 200, .crop_height = 60, .crop_width = 80, .flip = 1, .scale_min = 0.7, .scale_max = 2};
    sm_augmentation turning = plain;
    turning.rotation_degrees = 10;
    enum { SAMPLES = 2000 };
    double sum = 0, squares = 0, most = 0;
    for (int i = 0; i < SAMPLES; i++) {
        sm_geometry g = sm_augmentation_geometry(&plain, 9, 3, i, 128, 256);
        sm_geometry t = sm_augmentation_geometry(&turning, 9, 3, i, 128, 256);
        double degrees = asin(t.sine) * 180 / 3.141592653589793;
        CU_ASSERT(g.sine == 0);
        CU_ASSERT(g.scale_x == t.scale_x && g.scale_y == t.scale_y && g.offset_x == t.offset_x &&
                  g.offset_y == t.offset_y && g.flip == t.flip);
        sum += degrees;
        squares += degrees * degrees;
        most = fmax(most, fabs(degrees));
    }
    CU_ASSERT(most <= 10.000001 && most > 9.98);
    SM_TEST_AT_MOST(fabs(sum / SAMPLES), 5 * 10 / sqrt(3.0 * SAMPLES)); /* five standard deviations of a uniform mean */
    SM_TEST_AT_MOST(fabs(squares / SAMPLES - 100 / 3.0), 5 * 100 * sqrt(4 / 45.0 / SAMPLES));
}

static void geometry_is_a_function_of_seed_epoch_and_sample(void)
{
    sm_augmentation augmentation = {.height = 100,
                                    .width = 200,
                                    .crop_height = 60,
                                    .crop_width = 80,
                                    .flip = 1,
                                    .scale_min = 0.7,
                                    .scale_max = 2.0};
    int flips = 0, different = 0;
    enum { SAMPLES = 2000 };
    double low = 10, high = 0, scale_sum = 0;
    for (int i = 0; i < SAMPLES; i++) {
        sm_geometry g = sm_augmentation_geometry(&augmentation, 9, 3, i, 128, 256);
        sm_geometry again = sm_augmentation_geometry(&augmentation, 9, 3, i, 128, 256);
        sm_geometry other = sm_augmentation_geometry(&augmentation, 9, 4, i, 128, 256);
        CU_ASSERT(g.flip == again.flip && g.scale_x == again.scale_x && g.offset_x == again.offset_x &&
                  g.offset_y == again.offset_y);
        different += g.scale_x != other.scale_x;
        double scale = g.scale_x * 256 / 200;
        CU_ASSERT(fabs(g.scale_y * 128 / 100 - scale) < 1e-12);
        CU_ASSERT(g.out_height == 60 && g.out_width == 80);
        CU_ASSERT(g.offset_x == floor(g.offset_x) && g.offset_x >= 0 && g.offset_x + 80 <= 200 * scale);
        CU_ASSERT(g.offset_y == floor(g.offset_y) && g.offset_y >= 0 && g.offset_y + 60 <= 100 * scale);
        flips += g.flip;
        low = fmin(low, scale);
        high = fmax(high, scale);
        scale_sum += scale;
    }
    CU_ASSERT(different > SAMPLES - 10);
    SM_TEST_AT_MOST(fabs(flips - SAMPLES / 2.0), 5 * sqrt(SAMPLES / 4.0));             /* five standard deviations */
    SM_TEST_AT_MOST(fabs(scale_sum / SAMPLES - 1.35), 5 * 1.3 / sqrt(12.0 * SAMPLES)); /* of a uniform mean */
    CU_ASSERT(low >= 0.7 && low < 0.71 && high < 2.0 && high > 1.99);
}

static void small_images_lie_inside_the_crop(void)
{
    sm_augmentation augmentation = {
        .height = 40, .width = 50, .crop_height = 64, .crop_width = 60, .flip = 0, .scale_min = 0.5, .scale_max = 1.0};
    int origins = 0;
    for (int i = 0; i < 200; i++) {
        sm_geometry g = sm_augmentation_geometry(&augmentation, 1, 0, i, 40, 50);
        CU_ASSERT(g.offset_x <= 0 && g.offset_y <= 0 && !g.flip);
        CU_ASSERT(50 * g.scale_x - g.offset_x <= 60.000001 && 40 * g.scale_y - g.offset_y <= 64.000001);
        origins += g.offset_x < 0;
    }
    CU_ASSERT(origins > 150);
}

static void no_augmentation_is_the_identity(void)
{
    sm_augmentation augmentation = {
        .height = 48, .width = 96, .crop_height = 48, .crop_width = 96, .flip = 0, .scale_min = 1, .scale_max = 1};
    sm_geometry g = sm_augmentation_geometry(&augmentation, 3, 1, 4, 48, 96);
    CU_ASSERT(g.scale_x == 1 && g.scale_y == 1 && g.offset_x == 0 && g.offset_y == 0 && g.flip == 0);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(identity_and_whole_shifts_copy_exactly);
    SM_TEST(ramps_keep_their_closed_form);
    SM_TEST(shrinking_agrees_with_pytorch);
    SM_TEST(outside_is_the_mean_colour);
    SM_TEST(shrunk_and_turned_pixels_are_weighted_means);
    SM_TEST(output_undoes_source);
    SM_TEST(angles_are_uniform_and_leave_the_rest_alone);
    SM_TEST(geometry_is_a_function_of_seed_epoch_and_sample);
    SM_TEST(small_images_lie_inside_the_crop);
    SM_TEST(no_augmentation_is_the_identity);
    return sm_test_end();
}
