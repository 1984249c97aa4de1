/** \file
 * Colours of pictures. */
#ifndef SIGMATIC_TASK_PICTURE_H
#define SIGMATIC_TASK_PICTURE_H

#include <stdint.h>

/** Dark violet (0) over blue and green to light yellow (1), evenly brighter.
 * \param value  outside [0, 1]: the ends; NaN: black */
void sm_picture_ramp(double value, uint8_t rgb[3]);

/** A vivid colour. \param hue  in turns, any number \param brightness  in [0, 1] */
void sm_picture_hue(double hue, double brightness, uint8_t rgb[3]);

#endif
