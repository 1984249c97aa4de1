/* ranks: 1 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/augmentation.h>
#include <sigmatic/io/h5.h>

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

/* What 8 bits can tell apart is 4e-3; floats through HSV and back, and the normalisation, err by some 1e-7. */
static void colours_agree_with_torchvision(void)
{
    sm_h5 *file = golden_open("colours.h5");
    sm_h5_info info;
    uint8_t *images = golden_read(file, "jitter", "image", SM_H5_U8, &info);
    int32_t *orders = golden_read(file, "jitter", "order", SM_H5_INT32, NULL);
    double *factors = golden_read(file, "jitter", "factor", SM_H5_DOUBLE, NULL);
    double *expected = golden_read(file, "jitter", "expected", SM_H5_DOUBLE, NULL), worst = 0;
    int height = (int)info.shape[1], width = (int)info.shape[2];
    size_t floats = sm_image_recolour_workspace(width), pixels = (size_t)height * (size_t)width;
    float *workspace = sm_alloc((floats + 1) * sizeof *workspace);
    sm_geometry same = sm_geometry_whole(height, width, height, width);
    for (size_t k = 0; k < info.shape[0]; k++) {
        float *image = sampled(images + 3 * k * pixels, height, width, &same);
        sm_colour_change change;
        for (int i = 0; i < SM_COLOUR_CHANGES; i++) {
            change.order[i] = orders[4 * k + (size_t)i];
            change.factor[i] = factors[4 * k + (size_t)i];
        }
        workspace[floats] = 12345;
        sm_image_recolour(&change, height, width, &same, mean, std, image, workspace);
        CU_ASSERT(workspace[floats] == 12345 && sm_colour_changes(&change));
        for (size_t i = 0; i < 3 * pixels; i++) {
            sm_test_worse(&worst, fabs(image[i] * std[i % 3] + mean[i % 3] - expected[3 * k * pixels + i]));
        }
        sm_free(image);
    }
    SM_TEST_AT_MOST(worst, 2e-6);
    sm_free(workspace);
    sm_free(expected);
    sm_free(factors);
    sm_free(orders);
    sm_free(images);
    sm_h5_close(file);
}

/* Pixels from outside stay the mean colour, and do not weigh on the mean of contrast: inside, the picture becomes what
 * the window that it fills would become. */
static void colours_are_of_the_inside(void)
{
    enum { H = 12, W = 14, O = 20, LEFT = 3, TOP = 5 };
    const sm_colour_change change = {{1.3, 0.6, 1.4, -0.2}, {2, 0, 1, 3}};
    uint8_t *image = random_image(H, W, 8);
    float workspace[3 * O];
    sm_geometry whole = sm_geometry_whole(H, W, H, W), wide = {O, O, 1, 1, -LEFT, -TOP, 0, 0};
    float *inside = sampled(image, H, W, &whole), *all = sampled(image, H, W, &wide);
    sm_image_recolour(&change, H, W, &whole, mean, std, inside, workspace);
    sm_image_recolour(&change, H, W, &wide, mean, std, all, workspace);
    for (int i = 0; i < O * O * 3; i++) {
        int x = i / 3 % O - LEFT, y = i / 3 / O - TOP, is_inside = x >= 0 && y >= 0 && x < W && y < H;
        CU_ASSERT(is_inside ? all[i] == inside[(y * W + x) * 3 + i % 3] : all[i] == 0);
    }
    sm_geometry turned = {O, O, 1, 1, -LEFT, -TOP, 0, 0.28};
    float *before = sampled(image, H, W, &turned), *after = sampled(image, H, W, &turned);
    sm_image_recolour(&change, H, W, &turned, mean, std, after, workspace);
    for (int i = 0; i < O * O; i++) {
        int is_outside = sm_geometry_nearest(&turned, H, W, i % O, i / O) < 0;
        CU_ASSERT((memcmp(before + 3 * i, after + 3 * i, 3 * sizeof *after) == 0) == is_outside);
    }
    sm_free(before);
    sm_free(after);
    sm_free(inside);
    sm_free(all);
    sm_free(image);
}

static void colours_are_drawn_evenly(void)
{
    enum { SAMPLES = 4800 };
    const sm_augmentation augmentation = {.colour = {0.4, 2, 0, 0.1}};
    int first[SM_COLOUR_CHANGES] = {0}, last[SM_COLOUR_CHANGES] = {0};
    double sums[SM_COLOUR_CHANGES] = {0};
    for (int i = 0; i < SAMPLES; i++) {
        sm_colour_change change = sm_augmentation_colours(&augmentation, 9, 3, i);
        sm_colour_change again = sm_augmentation_colours(&augmentation, 9, 3, i);
        int found = 0;
        for (int c = 0; c < SM_COLOUR_CHANGES; c++) {
            CU_ASSERT(change.factor[c] == again.factor[c] && change.order[c] == again.order[c]);
            found |= 1 << change.order[c];
            sums[c] += change.factor[c] / SAMPLES;
        }
        CU_ASSERT(found == 15);
        first[change.order[0]]++;
        last[change.order[3]]++;
        CU_ASSERT(change.factor[0] >= 0.6 && change.factor[0] <= 1.4);
        CU_ASSERT(change.factor[1] >= 0 && change.factor[1] <= 3);
        CU_ASSERT(change.factor[2] == 1);
        CU_ASSERT(fabs(change.factor[3]) <= 0.1);
    }
    static const double means[] = {1, 1.5, 1, 0}, widths[] = {0.8, 3, 0, 0.2};
    for (int c = 0; c < SM_COLOUR_CHANGES; c++) { /* five standard deviations */
        SM_TEST_AT_MOST(fabs(sums[c] - means[c]), 5 * widths[c] / sqrt(12.0 * SAMPLES) + 1e-12);
        SM_TEST_AT_MOST(fabs(first[c] - SAMPLES / 4.0), 5 * sqrt(SAMPLES * 3 / 16.0));
        SM_TEST_AT_MOST(fabs(last[c] - SAMPLES / 4.0), 5 * sqrt(SAMPLES * 3 / 16.0));
    }
    const sm_augmentation none = {.flip = 1};
    sm_colour_change change = sm_augmentation_colours(&none, 9, 3, 1);
    CU_ASSERT(!sm_colour_changes(&change));
}

static void rectangles_lie_inside_and_cover_what_was_asked(void)
{
    enum { SAMPLES = 4000, H = 60, W = 100 };
    const sm_augmentation augmentation = {
        .crop_height = H, .crop_width = W, .erasing = 0.25, .erasing_area = 0.2, .scale_min = 1, .scale_max = 1};
    int blanked = 0, different = 0;
    double area = 0, tall = 0, left = 1, right = 0;
    for (int i = 0; i < SAMPLES; i++) {
        sm_rectangle r = sm_augmentation_erasing(&augmentation, 9, 3, i),
                     s = sm_augmentation_erasing(&augmentation, 9, 3, i);
        CU_ASSERT(r.top == s.top && r.left == s.left && r.height == s.height && r.width == s.width);
        sm_rectangle other = sm_augmentation_erasing(&augmentation, 9, 4, i);
        different += r.height != other.height || r.left != other.left;
        CU_ASSERT(r.top >= 0 && r.left >= 0 && r.top + r.height <= H && r.left + r.width <= W);
        if (r.height == 0) {
            continue;
        }
        double share = (double)r.height * r.width / (H * W);
        CU_ASSERT(share > 0.015 && share < 0.21); /* sides are whole pixels */
        CU_ASSERT(r.height > 0.27 * r.width && r.width > 0.27 * r.height);
        blanked++;
        area += share;
        tall += r.height > r.width;
        left = fmin(left, (double)r.left / W);
        right = fmax(right, (double)(r.left + r.width) / W);
    }
    CU_ASSERT(different > SAMPLES / 3); /* 7 of 16 have one in one of two epochs */
    SM_TEST_AT_MOST(fabs(blanked - SAMPLES / 4.0), 5 * sqrt(SAMPLES * 3 / 16.0));
    SM_TEST_AT_MOST(fabs(area / blanked - 0.11), 5 * 0.18 / sqrt(12.0 * blanked) + 0.003); /* the tallest do not fit */
    CU_ASSERT(tall > 0.4 * blanked && tall < 0.6 * blanked && left == 0 && right == 1);
    const sm_augmentation none = {.crop_height = H, .crop_width = W, .erasing_area = 0.3};
    CU_ASSERT_EQUAL(sm_augmentation_erasing(&none, 1, 2, 3).height, 0);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(identity_and_whole_shifts_copy_exactly);
    SM_TEST(ramps_keep_their_closed_form);
    SM_TEST_BY_SETS(shrinking_agrees_with_pytorch);
    SM_TEST(outside_is_the_mean_colour);
    SM_TEST(shrunk_and_turned_pixels_are_weighted_means);
    SM_TEST(output_undoes_source);
    SM_TEST(angles_are_uniform_and_leave_the_rest_alone);
    SM_TEST_BY_SETS(colours_agree_with_torchvision);
    SM_TEST(colours_are_of_the_inside);
    SM_TEST(colours_are_drawn_evenly);
    SM_TEST(rectangles_lie_inside_and_cover_what_was_asked);
    SM_TEST(geometry_is_a_function_of_seed_epoch_and_sample);
    SM_TEST(small_images_lie_inside_the_crop);
    SM_TEST(no_augmentation_is_the_identity);
    return sm_test_end();
}
