/** \file
 * Pictures of targets, by their description, and the colours of all pictures. */
#ifndef SIGMATIC_DATA_TARGET_PICTURE_H
#define SIGMATIC_DATA_TARGET_PICTURE_H

#include <sigmatic/data/target.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Draws a target that has a value a pixel. Classes in the colours of their palette, or in vivid ones; of several labels
 * the first; each instance in a colour of its own; one real value on the ramp, of disparities the root; two by direction
 * (hue) and length (brightness); of three and more the first three as red, green and blue. What is invalid is black.
 *
 * \param [in]  data   (height, width, components) in memory order
 * \param [in]  least  the real value that is drawn darkest, \param most brightest; not of classes and instances
 * \param [out] rgb    (height, width, 3) */
void sm_target_picture(const sm_target *target, int height, int width, const void *data, double least, double most,
                       uint8_t *rgb);

/** The colour of a class: of its palette, else sm_picture_number() of its id. */
void sm_picture_class(const sm_class_list *classes, int id, uint8_t rgb[3]);

/** Dark violet (0) over blue and green to light yellow (1), evenly brighter.
 * \param value  outside [0, 1]: the ends; NaN: black */
void sm_picture_ramp(double value, uint8_t rgb[3]);

/** A vivid colour. \param hue  in turns, any number \param brightness  in [0, 1] */
void sm_picture_hue(double hue, double brightness, uint8_t rgb[3]);

/** A colour of its own for each number from 0 on, none near black: of instances, and of classes without a palette. Any two of
 * the first 32 are 22 apart in CIE Lab at least, which is seen at a glance; of the first 70 9. */
void sm_picture_number(int number, uint8_t rgb[3]);

#ifdef __cplusplus
}
#endif
#endif
