/** \file
 * One sample of a dataset as stored, and the mapping from an augmented output to it. Plain structs: the only header of data/ that task/ reads. */
#ifndef SIGMATIC_DATA_SAMPLE_H
#define SIGMATIC_DATA_SAMPLE_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Views of the stored maps; NULL where the file has none. Memory belongs to whoever made the sample. */
typedef struct sm_sample {
    int64_t index;                /**< in the split, over all files */
    int height, width;            /**< of every map below, in pixels */
    const uint8_t *image;         /**< (H,W,3) RGB */
    const uint8_t *semantic;      /**< (H,W) class ids; 255 ignored */
    const uint16_t *instance;     /**< (H,W) ids of thing instances; 0 none */
    const float *instance_offset; /**< (H,W,2) x then y, pixels added to each pixel's centroid vector (label noise) */
    const float *disparity;       /**< (H,W) pixels at this resolution; NaN invalid */
    double baseline_metres;       /**< NaN unknown */
    double fx_pixels;             /**< at original_width; NaN unknown */
    int original_height, original_width;
} sm_sample;

/** How an output image of (out_height, out_width) is cut from a stored one: mirror if `flip`, then scale, then crop.
 *
 * Output pixel x lies at stored coordinate  xs = (x + offset_x + 0.5) / scale_x - 0.5,  mirrored to  W - 1 - xs  if flipped; y alike without mirror.
 * Pixel coordinates are of pixel centres. Pixels outside the stored image are invalid (image: mean colour; targets: ignored). */
typedef struct sm_geometry {
    int out_height, out_width;
    double scale_x, scale_y;   /**< output pixels a stored pixel */
    double offset_x, offset_y; /**< crop origin in scaled pixels; may be negative */
    int flip;
} sm_geometry;

/** \return the identity mapping when the sizes agree, else the whole image scaled to the output. */
static inline sm_geometry sm_geometry_whole(int height, int width, int out_height, int out_width)
{
    return (sm_geometry){out_height, out_width, (double)out_width / width, (double)out_height / height, 0, 0, 0};
}

/** \return the stored x coordinate of output column x. */
static inline double sm_geometry_source_x(const sm_geometry *geometry, int width, double x)
{
    double xs = (x + geometry->offset_x + 0.5) / geometry->scale_x - 0.5;
    return geometry->flip ? width - 1 - xs : xs;
}

static inline double sm_geometry_source_y(const sm_geometry *geometry, double y)
{
    return (y + geometry->offset_y + 0.5) / geometry->scale_y - 0.5;
}

/** \return the output x coordinate of stored x: the inverse of sm_geometry_source_x(). May lie outside the output. */
static inline double sm_geometry_output_x(const sm_geometry *geometry, int width, double xs)
{
    double mirrored = geometry->flip ? width - 1 - xs : xs;
    return (mirrored + 0.5) * geometry->scale_x - 0.5 - geometry->offset_x;
}

static inline double sm_geometry_output_y(const sm_geometry *geometry, double ys)
{
    return (ys + 0.5) * geometry->scale_y - 0.5 - geometry->offset_y;
}

/** \return the nearest stored pixel of output pixel (x, y), or -1 outside. */
static inline int64_t sm_geometry_nearest(const sm_geometry *geometry, int height, int width, int x, int y)
{
    double xs = floor(sm_geometry_source_x(geometry, width, x) + 0.5);
    double ys = floor(sm_geometry_source_y(geometry, y) + 0.5);
    return xs >= 0 && ys >= 0 && xs < width && ys < height ? (int64_t)ys * width + (int64_t)xs : -1;
}

/** Builds one task's target of one sample; called by the loader's threads, so it must be a pure function.
 *
 * \param [in]  user      the task
 * \param [in]  sample    with the map that the task reads, or with NULL there (then everything is invalid)
 * \param [out] target    bytes_per_pixel * out_height * out_width bytes
 * \return the number of valid pixels */
typedef int64_t (*sm_target_build)(const void *user, const sm_sample *sample, const sm_geometry *geometry,
                                   void *target);

/** What the loader needs to know of a task. */
typedef struct sm_target_builder {
    sm_target_build build;
    const void *user;
    int bytes_per_pixel;
} sm_target_builder;

#ifdef __cplusplus
}
#endif
#endif
