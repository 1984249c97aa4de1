/** \file
 * Random colours and blanked rectangles: changes of an image that leave its targets as they are. */
#ifndef SIGMATIC_DATA_COLOURS_H
#define SIGMATIC_DATA_COLOURS_H

#include <sigmatic/data/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of change, with v a channel in [0, 1], f the factor, each result cut to [0, 1]:
 *
 *     brightness  f v
 *     contrast    f v + (1 - f) mean of the picture's grey
 *     saturation  f v + (1 - f) grey of the pixel,     grey = 0.2989 R + 0.587 G + 0.114 B
 *     hue         the hue of HSV goes f times around its circle
 *
 * as torchvision's ColorJitter defines them. */
enum { SM_COLOUR_BRIGHTNESS, SM_COLOUR_CONTRAST, SM_COLOUR_SATURATION, SM_COLOUR_HUE, SM_COLOUR_CHANGES };

/** The changes of one image. */
typedef struct sm_colour_change {
    double factor[SM_COLOUR_CHANGES]; /**< 1, of the hue 0: nothing changes */
    int order[SM_COLOUR_CHANGES];     /**< which comes first, second, ... */
} sm_colour_change;

/** \return 1 if an image is not as it was afterwards. */
int sm_colour_changes(const sm_colour_change *change);

/** \return floats of workspace that sm_image_recolour() needs. */
size_t sm_image_recolour_workspace(int out_width);

/** Changes the colours of a normalised image, out = (v - mean) / std. What lies outside of the stored image (height, width) stays as it is and counts for nothing.
 *
 * \param [in,out] image  (geometry->out_height, geometry->out_width, 3)
 * \param          workspace  sm_image_recolour_workspace() floats */
void sm_image_recolour(const sm_colour_change *change, int height, int width, const sm_geometry *geometry,
                       const double mean[3], const double std[3], float *image, float *workspace);

#ifdef __cplusplus
}
#endif
#endif
