/** \file
 * From the vectors of an instance task to instances (Kendall, Gal and Cipolla 2018, section 4.2): a thing's pixel plus its
 * vector is where it takes its instance's centroid to be; OPTICS clusters these predicted centroids; each cluster is an
 * instance, of the class that most of its pixels have.
 *
 * Pure functions of one image on one thread; not collective. */
#ifndef SIGMATIC_TASK_INSTANCES_H
#define SIGMATIC_TASK_INSTANCES_H

#include <sigmatic/data/target.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How to find instances: keys `cluster_*` of a section [task.NAME] of kind instance. 0 = a default that follows from the
 * size of the image: lengths grow with its width, numbers of pixels with its area. */
typedef struct sm_instance_options {
    int stride;      /**< every stride-th pixel of every stride-th row is clustered; the rest joins like noise */
    int min_samples; /**< of these pixels, itself one, that must point to within `distance` of where a pixel of a core points; 0 or at least 2 */
    double distance; /**< greatest reachability within a cluster, pixels */
    double
        max_distance; /**< a pixel in no cluster joins that of the nearest predicted centroid, if that is not farther, pixels; at least `distance` */
    int min_pixels;   /**< smaller instances are dropped */
    int by_class;     /**< 1: pixels of different classes are clustered apart; 0: together */
} sm_instance_options;

/** \return the options with every 0 replaced by its value for that size. */
sm_instance_options sm_instance_options_for(const sm_instance_options *options, int height, int width);

/** From options that are said of one size to those of an image that shows the same things larger or smaller. Lengths grow as
 * its width, numbers of pixels as its area, min_samples as the pixels that are sampled: an automatic stride makes them fewer.
 *
 * \param width             of the images that the options are said of
 * \param height,new_width  of the other image
 * \param growth_x,growth_y its pixels a pixel of theirs
 * \return what is 0 stays 0; numbers of pixels beyond the image's stop there */
sm_instance_options sm_instance_options_grown(const sm_instance_options *options, int width, int height, int new_width,
                                              double growth_x, double growth_y);

/** One image. */
typedef struct sm_instance_input {
    int height, width;
    const float *
        vectors; /**< (H,W,2) x then y, pixels: logits of the instance task; pixels with a NaN or infinity are no one's */
    const sm_class_list *classes; /**< of a task of classes; NULL: there is none */
    const float *
        class_logits; /**< (H,W,classes->count) of that task, or logarithms of (averaged) probabilities; a pixel is a thing if its likeliest class is. NULL with `classes` */
    const uint8_t
        *thing; /**< without classes: (H,W) 0: no thing; else any number of its class; NULL: one thing's everywhere */
} sm_instance_input;

typedef struct sm_instance {
    int class_id;      /**< of most of its pixels, of equals the first; -1 without classes */
    double confidence; /**< mean over its pixels of the probability (softmax) of class_id; 1 without classes */
    int64_t pixels;
    double x, y;                  /**< mean of its pixels' predicted centroids */
    int left, top, right, bottom; /**< its pixels' bounding box, the last column and row included */
} sm_instance;

/** Instances do not overlap; their order is that of their first pixels, row by row. */
typedef struct sm_instance_list {
    int height, width, count;
    int32_t *labels;        /**< (H,W) index of an instance, -1 none */
    sm_instance *instances; /**< count */
} sm_instance_list;

/** Finds the instances. About 150 bytes a thing pixel are held meanwhile.
 * \param [in] options  zeros as in sm_instance_options
 * \return freed with sm_instance_list_free() */
sm_instance_list *sm_instances_decode(const sm_instance_options *options, const sm_instance_input *input);

/** NULL is legal. */
void sm_instance_list_free(sm_instance_list *list);

#ifdef __cplusplus
}
#endif
#endif
