#include "task/picture.h"

#include <math.h>
#include <string.h>

/* Made in OKLCh: lightness rises from 0.30 to 0.93 and hue falls from 300 to 105 degrees in even steps; chroma is 0.16, or
 * the most that sRGB shows there. */
static const uint8_t ramp[][3] = {
    {61, 0, 111},   {57, 27, 131},   {48, 48, 148},   {27, 67, 162},  {4, 88, 157},   {0, 105, 155},
    {6, 121, 155},  {9, 135, 158},   {5, 151, 160},   {7, 166, 160},  {12, 181, 157}, {2, 198, 146},
    {80, 210, 132}, {130, 219, 119}, {173, 226, 107}, {211, 232, 98}, {248, 237, 96},
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
    double share = position - below;
    for (int k = 0; k < 3; k++) {
        rgb[k] = (uint8_t)lrint(ramp[below][k] * (1 - share) + ramp[below + 1][k] * share);
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
