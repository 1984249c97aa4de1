#include <sigmatic/data/target_picture.h>

#include <math.h>
#include <string.h>

/* Made in OKLCh: lightness rises from 0.30 to 0.95 and hue falls from 300 to 105 degrees in even steps; chroma is
 * 0.15, or less where sRGB cannot show that, without a step. */
static const uint8_t ramp[][3] = {
    {60, 8, 107},    {57, 32, 126},   {49, 52, 142},   {36, 72, 152},   {15, 90, 156},   {1, 107, 157},
    {4, 123, 158},   {0, 139, 161},   {3, 154, 163},   {7, 170, 164},   {22, 186, 160},  {60, 200, 153},
    {101, 212, 142}, {141, 223, 131}, {180, 231, 121}, {218, 238, 115}, {254, 244, 115},
};

void sm_picture_ramp(double value, uint8_t rgb[3])
{
    enum { LAST = sizeof ramp / sizeof *ramp - 1 };
    if (isnan(value)) {
        memset(rgb, 0, 3);
        return;
    }
    double position = fmin(fmax(value, 0), 1) * LAST;
    int below = position < LAST ? (int)position : LAST - 1;
    double fraction = position - below;
    for (int k = 0; k < 3; k++) {
        rgb[k] = (uint8_t)lrint(ramp[below][k] * (1 - fraction) + ramp[below + 1][k] * fraction);
    }
}

/* Of HSV. \param hue  in turns */
static void colour_of(double hue, double saturation, double brightness, uint8_t rgb[3])
{
    for (int k = 0; k < 3; k++) {
        double distance = fabs(remainder(hue - k / 3.0, 1)); /* from red, green, blue; at most 1/2 turn */
        double pure = fmin(fmax(2 - 6 * distance, 0), 1);
        rgb[k] = (uint8_t)lrint(255 * brightness * (1 - saturation + saturation * pure));
    }
}

void sm_picture_hue(double hue, double brightness, uint8_t rgb[3])
{
    colour_of(hue, 0.7, brightness, rgb);
}

/* A bit more than a quarter of a turn from hue to hue, each in another of five tones, which tell near hues apart. Step and
 * tones were searched for the largest least distance of any two of the first 20 and 32 in CIE Lab: 25 and 22. After 35,
 * nine turns, the same would come again: the next ones lie between these. */
void sm_picture_number(int number, uint8_t rgb[3])
{
    enum { ROUND = 35 };
    static const struct {
        double saturation, brightness;
    } tones[] = {{0.36, 0.98}, {1, 0.76}, {0.46, 0.68}, {0.8, 0.5}, {0.95, 1}};
    size_t tone = (size_t)number % (sizeof tones / sizeof *tones);
    int round = number / ROUND;
    colour_of(0.257 * number + 0.07 * round, tones[tone].saturation, tones[tone].brightness, rgb);
}

void sm_picture_class(const sm_class_list *classes, int id, uint8_t rgb[3])
{
    if (classes->palette) {
        memcpy(rgb, classes->palette[id], 3);
    } else {
        sm_picture_number(id, rgb);
    }
}

/* ---- one pixel of each type; `rgb` is black before ---------------------------------------------------------------- */

typedef struct value_range {
    double least, most;
} value_range;

static double share_of(value_range range, double value)
{
    return range.most > range.least ? (value - range.least) / (range.most - range.least) : 0.5;
}

static void draw_class(const sm_target *target, value_range range, const void *data, size_t pixel, uint8_t *rgb)
{
    (void)range;
    int id = ((const uint8_t *)data)[pixel];
    if (id < target->classes->count) {
        sm_picture_class(target->classes, id, rgb);
    }
}

static void draw_labels(const sm_target *target, value_range range, const void *data, size_t pixel, uint8_t *rgb)
{
    (void)range;
    const uint8_t *labels = (const uint8_t *)data + pixel * (size_t)target->components;
    for (int c = 0; c < target->components; c++) {
        if (labels[c] == 1) {
            sm_picture_class(target->classes, c, rgb);
            return;
        }
    }
}

static void draw_instance(const sm_target *target, value_range range, const void *data, size_t pixel, uint8_t *rgb)
{
    (void)target;
    (void)range;
    int id = ((const uint16_t *)data)[pixel];
    if (id != 0) {
        sm_picture_number(id, rgb);
    }
}

static void draw_vector(value_range range, const float *value, uint8_t *rgb)
{
    double longest = fmax(fabs(range.least), fabs(range.most));
    double length = longest > 0 ? hypot(value[0], value[1]) / longest : 0;
    const double turn = 6.283185307179586;
    sm_picture_hue(atan2(value[1], value[0]) / turn, fmin(0.25 + 0.75 * length, 1), rgb);
}

static void draw_real(const sm_target *target, value_range range, const void *data, size_t pixel, uint8_t *rgb)
{
    const float *value = (const float *)data + pixel * (size_t)target->components;
    for (int c = 0; c < target->components; c++) {
        if (isnan(value[c])) {
            return;
        }
    }
    if (target->components == 1) {
        double share = share_of(range, value[0]); /* a root spreads the far half of a street over more colours */
        sm_picture_ramp(target->scaling == SM_SCALING_WIDTH ? sqrt(fmax(share, 0)) : share, rgb);
    } else if (target->components == 2) {
        draw_vector(range, value, rgb);
    } else {
        for (int k = 0; k < 3; k++) {
            rgb[k] = (uint8_t)lrint(255 * fmin(fmax(share_of(range, value[k]), 0), 1));
        }
    }
}

static void (*const draw_pixel[SM_TARGET_TYPES])(const sm_target *target, value_range range, const void *data,
                                                 size_t pixel, uint8_t *rgb) = {[SM_TARGET_CLASS] = draw_class,
                                                                                [SM_TARGET_INSTANCE] = draw_instance,
                                                                                [SM_TARGET_REAL] = draw_real,
                                                                                [SM_TARGET_LABELS] = draw_labels};

void sm_target_picture(const sm_target *target, int height, int width, const void *data, double least, double most,
                       uint8_t *rgb)
{
    size_t pixels = (size_t)height * (size_t)width;
    memset(rgb, 0, 3 * pixels);
    for (size_t i = 0; i < pixels; i++) {
        draw_pixel[target->type](target, (value_range){least, most}, data, i, rgb + 3 * i);
    }
}
