/** \file
 * One sample of a dataset as stored, and the mapping from an augmented output to it. Plain structs: with target.h and target_picture.h all of data/ that task/ uses. */
#ifndef SIGMATIC_DATA_SAMPLE_H
#define SIGMATIC_DATA_SAMPLE_H

#include <sigmatic/data/target.h>

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A stored array of one sample. */
typedef struct sm_target_view {
    const sm_target *target;
    const void *data; /**< items of `target` in memory order: (H,W,components) or (components) */
} sm_target_view;

/** Views of what is stored; memory belongs to whoever made the sample. */
typedef struct sm_sample {
    int64_t index;     /**< in the split, over all files */
    int height, width; /**< of the input and of every target of scope pixel, in pixels */
    const void *input; /**< of the dataset's kind of input: (H,W,3) RGB u8 */
    sm_target_view target[SM_TARGETS_MAX];
    int target_count;                    /**< of those that this sample has */
    double baseline_metres;              /**< NaN unknown */
    double fx_pixels;                    /**< at original_width; NaN unknown */
    int original_height, original_width; /**< in pixels of the original: of what of it (and of borders) this shows */
} sm_sample;

/** \return the view of a target, NULL if the sample has none of that name. */
static inline const sm_target_view *sm_sample_find(const sm_sample *sample, const char *name)
{
    for (int t = 0; t < sample->target_count; t++) {
        if (strcmp(sample->target[t].target->name, name) == 0) {
            return &sample->target[t];
        }
    }
    return NULL;
}

/** Gives the sample one more target. \param target  kept by reference */
static inline void sm_sample_add(sm_sample *sample, const sm_target *target, const void *data)
{
    assert(sample->target_count < SM_TARGETS_MAX);
    sm_target_view *view = &sample->target[sample->target_count++];
    view->target = target;
    view->data = data;
}

/** How an output image of (out_height, out_width) is cut from a stored one: mirror if `flip`, then scale, then turn about the centre of the crop, then crop.
 *
 * With the centre (cx, cy) = ((out_width - 1) / 2, (out_height - 1) / 2), output pixel (x, y) lies in the crop of the image before it was turned at
 *
 *     x' = cx + cosine (x - cx) - sine (y - cy),   y' = cy + sine (x - cx) + cosine (y - cy)
 *
 * and that at the stored  xs = (x' + offset_x + 0.5) / scale_x - 0.5,  mirrored to  W - 1 - xs  if flipped; ys alike without mirror.
 * Pixel coordinates are of pixel centres. Pixels outside the stored image are invalid (image: mean colour; targets: ignored). */
typedef struct sm_geometry {
    int out_height, out_width;
    double scale_x, scale_y;   /**< output pixels a stored pixel */
    double offset_x, offset_y; /**< crop origin in scaled pixels; may be negative */
    int flip;
    double
        sine; /**< of the angle by which the picture is turned counter-clockwise, less than 90 degrees; 0: not turned */
} sm_geometry;

/** \return the identity mapping when the sizes agree, else the whole image scaled to the output. */
static inline sm_geometry sm_geometry_whole(int height, int width, int out_height, int out_width)
{
    sm_geometry geometry = {out_height, out_width, (double)out_width / width, (double)out_height / height, 0, 0, 0, 0};
    return geometry;
}

/** \return the stored column of column x of the crop that is not turned. */
static inline double sm_geometry_column(const sm_geometry *geometry, int width, double x)
{
    double xs = (x + geometry->offset_x + 0.5) / geometry->scale_x - 0.5;
    return geometry->flip ? width - 1 - xs : xs;
}

/** \return the stored row of row y of the crop that is not turned. */
static inline double sm_geometry_row(const sm_geometry *geometry, double y)
{
    return (y + geometry->offset_y + 0.5) / geometry->scale_y - 0.5;
}

/** Turns a vector of output pixels, x to the right and y down, as the picture was turned. */
static inline void sm_geometry_turn(const sm_geometry *geometry, double *x, double *y)
{
    double sine = geometry->sine, cosine = sqrt(1 - sine * sine), before = *x;
    *x = cosine * before + sine * *y;
    *y = cosine * *y - sine * before;
}

/** Finds the stored coordinates (xs, ys) of output pixel (x, y). */
static inline void sm_geometry_source(const sm_geometry *geometry, int width, double x, double y, double *xs,
                                      double *ys)
{
    if (geometry->sine != 0) {
        double sine = geometry->sine, cosine = sqrt(1 - sine * sine);
        double cx = 0.5 * (geometry->out_width - 1), cy = 0.5 * (geometry->out_height - 1), right = x - cx;
        x = cx + (cosine * right - sine * (y - cy));
        y = cy + (sine * right + cosine * (y - cy));
    }
    *xs = sm_geometry_column(geometry, width, x);
    *ys = sm_geometry_row(geometry, y);
}

/** Finds the output coordinates (x, y) of stored ones: the inverse of sm_geometry_source(). They may lie outside the output. */
static inline void sm_geometry_output(const sm_geometry *geometry, int width, double xs, double ys, double *x,
                                      double *y)
{
    double mirrored = geometry->flip ? width - 1 - xs : xs;
    *x = (mirrored + 0.5) * geometry->scale_x - 0.5 - geometry->offset_x;
    *y = (ys + 0.5) * geometry->scale_y - 0.5 - geometry->offset_y;
    if (geometry->sine != 0) {
        double cx = 0.5 * (geometry->out_width - 1), cy = 0.5 * (geometry->out_height - 1);
        *x -= cx;
        *y -= cy;
        sm_geometry_turn(geometry, x, y);
        *x += cx;
        *y += cy;
    }
}

/** \return the nearest stored pixel of output pixel (x, y), or -1 outside. */
static inline int64_t sm_geometry_nearest(const sm_geometry *geometry, int height, int width, int x, int y)
{
    double xs, ys;
    sm_geometry_source(geometry, width, x, y, &xs, &ys);
    xs += 0.5; /* of what is not negative the next lower whole number is that without its fraction */
    ys += 0.5;
    return xs >= 0 && ys >= 0 && xs < width && ys < height ? (int64_t)ys * width + (int64_t)xs : -1;
}

/** Builds what a task trains on from one sample; called by the loader's threads, so it must be a pure function.
 *
 * \param [in]  user    the task
 * \param [in]  sample  where the stored target is missing everything is invalid
 * \param [out] built   item_bytes for each item of the output
 * \return the number of valid items */
typedef int64_t (*sm_target_build)(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);

/** What the loader needs to know of a task. */
typedef struct sm_target_builder {
    sm_target_build build;
    const void *user;
    sm_scope scope;
    size_t item_bytes;
    int (*reads)(const void *user,
                 const char *target); /**< whether `build` looks at this target; NULL: it may at any */
} sm_target_builder;

#ifdef __cplusplus
}
#endif
#endif
