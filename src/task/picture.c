#include "task/picture.h"

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

void sm_picture_hue(double hue, double brightness, uint8_t rgb[3])
{
    const double saturation = 0.7;
    for (int k = 0; k < 3; k++) {
        double distance = fabs(remainder(hue - k / 3.0, 1)); /* from red, green, blue; at most 1/2 turn */
        double pure = fmin(fmax(2 - 6 * distance, 0), 1);
        rgb[k] = (uint8_t)lrint(255 * brightness * (1 - saturation + saturation * pure));
    }
}
