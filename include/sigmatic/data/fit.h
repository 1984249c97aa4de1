/** \file
 * How an image of any size becomes one of a given size. */
#ifndef SIGMATIC_DATA_FIT_H
#define SIGMATIC_DATA_FIT_H

#include <sigmatic/data/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_fit {
    SM_FIT_STRETCH,   /**< all of it, each axis scaled by itself: shapes change where the proportions do */
    SM_FIT_LETTERBOX, /**< all of it, both axes scaled alike; what it does not fill lies outside of it on both sides */
    SM_FIT_CROP,      /**< both axes scaled alike so that it fills all; of the longer axis the middle */
    SM_FITS
} sm_fit;

/** "stretch", "letterbox", "crop": the words of options and of the attribute `fit` of dataset files. */
extern const char *const sm_fit_names[SM_FITS];

/** \return the mapping of the whole output to a stored image: the identity where the sizes agree.
 *
 * Scaled sizes are rounded to whole pixels, so that no pixel is partly outside and both axes' scales differ by what
 * that takes. */
sm_geometry sm_fit_geometry(sm_fit fit, int height, int width, int out_height, int out_width);

#ifdef __cplusplus
}
#endif
#endif
