/** \file
 * Synthetic street scenes with exact ground truth: the data of the demo and of the experiments.
 *
 * A scene is a street seen by a car's camera (pinhole, baseline 0.209313 m and focal length 2262.52 px * width / 2048,
 * as Cityscapes), ray-cast at the image's resolution: every pixel's label, instance and disparity are those of the
 * surface that the ray through the pixel's centre meets first. Only the colours are smoothed over the pixel.
 *
 * Everything here is a pure function of (options, index): the same bits on any rank, with any number of threads, in any
 * order. Calls share no state and may run at the same time. */
#ifndef SIGMATIC_DATA_SCENES_H
#define SIGMATIC_DATA_SCENES_H

#include <stdint.h>

#include <sigmatic/base/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SM_SCENE_CLASSES = 19, /**< Cityscapes' train ids: sm_cityscapes_classes */
    SM_SCENE_IGNORE = 255,
    SM_SCENE_MIN_SIDE = 32,   /**< smallest height and width */
    SM_SCENE_MAX_SIDE = 8192, /**< largest height and width */
    SM_SCENE_MAX_DIFFICULTY = 2
};

typedef struct sm_scene_options {
    int height, width; /**< pixels, each in [SM_SCENE_MIN_SIDE, SM_SCENE_MAX_SIDE] */
    uint64_t seed;     /**< names the data set; splits take different seeds or disjoint indices */
    /** 0 easy .. 1 hard (default) .. 2: likeness of the classes' colours, light, haze, clutter, crowding, noise */
    double difficulty;
    /** probability in [0, 1] that a labelled pixel gets one of the 18 other classes, each as likely */
    double semantic_noise;
    double disparity_noise; /**< standard deviation in px at this resolution, >= 0 */
    double vector_noise;    /**< standard deviation in px of each component of vector_noise_map, >= 0 */
} sm_scene_options;

/** \return 128 x 256, seed 0, difficulty 1, no label noise. */
sm_scene_options sm_scene_options_default(void);

/** One scene. The caller owns all buffers; rows lie one after another without padding.
 *
 * Noise of the labels comes from random numbers of its own: it changes neither the image nor the other labels, and 0
 * leaves the exact labels.
 * - semantic: wrong labels are independent from pixel to pixel; `ignore` stays `ignore`. With noise a pixel's class may
 *   contradict its instance and its disparity, which stay exact.
 * - disparity: N(0, disparity_noise) is added to every valid pixel except the sky, which stays 0; not clamped, so that
 *   it has no bias.
 * - vectors to the centroids are built from the instance ids and so cannot carry noise there. vector_noise_map is N(0,
 *   vector_noise) for every pixel; a dataset stores it beside the ids (`instance_offset`, f32 (N,H,W,2)) and whoever
 *   builds the vectors adds it: target(y, x) = centroid - (x, y) + vector_noise_map(y, x). It must be scaled and
 *   flipped with the vectors. */
typedef struct sm_scene {
    uint8_t *image;     /**< [out] (H,W,3) RGB */
    uint8_t *semantic;  /**< [out] (H,W) Cityscapes train ids, 255 = ignore */
    uint16_t *instance; /**< [out] (H,W) 0 = none; the visible things are numbered 1, 2, .. without gaps */
    /** [out] (H,W) px: baseline * fx / depth along the optical axis; sky 0; NaN where a stereo pair gives none: hidden
     * from the right camera, outside its image, reflections, the own bonnet */
    float *disparity;
    float *vector_noise_map;     /**< [out] (H,W,2) px, x then y; may be NULL */
    double baseline_metres;      /**< [out] */
    double fx_pixels;            /**< [out] at this resolution */
    double camera_height_metres; /**< [out] above the road's plane, 1.1 .. 1.9 */
    /** [out] downwards; the centre of a pixel of row y sees the road at the disparity
     * baseline / camera_height * ((y + 0.5 - H/2) cos(pitch) + fx sin(pitch)) */
    double camera_pitch_radians;
    int instance_count; /**< [out] the largest id in `instance` */
} sm_scene;

/** Generates scene `index` of the endless data set (options->seed).
 *
 * Not collective. Uses one thread and about 40 bytes a pixel of working memory.
 *
 * \param [in]     options  checked
 * \param [in]     index    any number
 * \param [in,out] scene    buffers set by the caller; contents and the scalars are written
 * \return SM_OK, or SM_ERR_CONFIG for an option out of range (nothing is written then) */
sm_status sm_scene_generate(const sm_scene_options *options, uint64_t index, sm_scene *scene);

#ifdef __cplusplus
}
#endif
#endif
