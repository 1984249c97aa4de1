/** \file
 * Random flip, scale, crop and rotation, colours and blanked rectangles, and the sampling of images through the resulting geometry. */
#ifndef SIGMATIC_DATA_AUGMENTATION_H
#define SIGMATIC_DATA_AUGMENTATION_H

#include <sigmatic/data/colours.h>
#include <sigmatic/data/sample.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Parameters of the random changes. Zeroed ones, with both scales 1, change nothing. */
typedef struct sm_augmentation {
    int height, width;           /**< of the whole image at scale 1 */
    int crop_height, crop_width; /**< of the output; equal to height, width without cropping */
    int flip;                    /**< 1: mirror every second image, at random */
    double scale_min, scale_max; /**< uniform; 1, 1: none */
    double
        rotation_degrees; /**< turned by an angle uniform in [-rotation_degrees, rotation_degrees); 0: none; below 90 */
    double colour
        [SM_COLOUR_CHANGES]; /**< x: factors from [max(0, 1 - x), 1 + x), of the hue from [-x, x), x up to 0.5; 0: none */
    double erasing;          /**< share of the images of which a rectangle is blanked */
    double erasing_area;     /**< largest share of the output that it covers; the smallest is 0.02, or this */
} sm_augmentation;

/** \return the geometry of one sample in one epoch: a function of the arguments alone, whatever the rank, thread or batch.
 *
 * The stored image (stored_height, stored_width) becomes (height, width) times a scale drawn from [scale_min, scale_max); the crop's origin is uniform over whole pixels
 * such that the crop lies in the image, or the image in the crop where it is smaller; that crop is turned about its centre.
 * Every kind of change draws its own numbers: one more leaves the others as they were. */
sm_geometry sm_augmentation_geometry(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                     int64_t sample_index, int stored_height, int stored_width);

/** \return the change of colours of one sample in one epoch; as the geometry a function of the arguments alone. All four changes come in random order. */
sm_colour_change sm_augmentation_colours(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                         int64_t sample_index);

/** Pixels [top, top + height) x [left, left + width) of the output. */
typedef struct sm_rectangle {
    int top, left, height, width; /**< no height: none */
} sm_rectangle;

/** \return the rectangle to blank in one sample in one epoch: its area uniform, the logarithm of height / width too, from 1 / 3.3 to 3.3, its place anywhere inside; none if ten such rectangles are larger than the output (torchvision's RandomErasing). */
sm_rectangle sm_augmentation_erasing(const sm_augmentation *augmentation, uint64_t seed, int64_t epoch,
                                     int64_t sample_index);

/** \return floats of workspace that sm_image_sample() needs for this stored and output size at any scale >= scale_min (output pixels a stored pixel, the smaller of both axes). */
size_t sm_image_sample_workspace(int height, int width, int out_height, int out_width, double scale_min);

/** Samples the image through the geometry and normalises it:
 *
 *     out[y][x][c] = (I_c(xs, ys) / 255 - mean[c]) / std[c],   0 (the mean colour) where (xs, ys) is outside the stored image
 *
 * I is bilinear between pixel centres, edges repeated (in a turned picture too: along the stored rows and columns). Where the image shrinks (scale < 1) the triangle is widened to 1 / scale pixels, so that every stored pixel counts (PyTorch's interpolate with antialias = True);
 * a shift by whole pixels at scale 1, flipped or not, copies exactly.
 *
 * \param [in]  image      (height, width, 3) RGB
 * \param [out] out        (out_height, out_width, 3)
 * \param       workspace  sm_image_sample_workspace() floats
 */
void sm_image_sample(const uint8_t *image, int height, int width, const sm_geometry *geometry, const double mean[3],
                     const double std[3], float *out, float *workspace);

#ifdef __cplusplus
}
#endif
#endif
