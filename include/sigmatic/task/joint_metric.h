/** \file
 * Metrics that read what several tasks say of a sample at once: of classes and of instances. A kind of task names its own (sm_task_kind.joint).
 *
 * What they accumulate adds up over samples and ranks: counts and sums by addition, records one after the other. */
#ifndef SIGMATIC_TASK_JOINT_METRIC_H
#define SIGMATIC_TASK_JOINT_METRIC_H

#include <sigmatic/data/sample.h>
#include <sigmatic/data/target.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sm_task;

/** A metric of which the higher value is better, but whose 0 is a level like others (of R2 that of the true mean): the ratio of
 * two values says nothing. */
enum { SM_HIGHER_WITHOUT_RATIO = 2 };

typedef struct sm_metric {
    const char *name;       /**< "miou", "error_pixels" */
    const char *unit;       /**< "%", "px", "m"; NULL: the target's */
    int higher_is_better;   /**< 1; or SM_HIGHER_WITHOUT_RATIO */
    const char *meaning;    /**< what is measured, for the legend of tables */
    const char *unmeasured; /**< why its value may be NaN; NULL: it is then left out of tables */
} sm_metric;

/** What a sample shows, as it is and as tasks see it: maps of (height, width) pixels; NULL where there is none. */
typedef struct sm_joint_sample {
    int height, width;
    double
        area_scale; /**< pixels measured at for each of the original image: areas that are known of originals times this are areas here */
    const sm_class_list *classes;
    const uint8_t *class_truth;     /**< SM_CLASS_IGNORED: unknown */
    const uint8_t *class_predicted; /**< the likeliest */
    const float *class_logits;      /**< (H,W,classes) */
    const uint16_t *instance_truth; /**< ids within the sample; 0: no instance */
    const float *vectors;           /**< (H,W,2) predicted, from each pixel to its instance's centroid, pixels */
} sm_joint_sample;

/** A list of numbers that grows. All zero is an empty one; `numbers` is freed with sm_free(). */
typedef struct sm_records {
    double *numbers;
    size_t count, capacity;
} sm_records;

void sm_records_add(sm_records *records, const double *numbers, size_t count);

/** What a metric has accumulated. */
typedef struct sm_metric_numbers {
    int64_t *counts;
    double *sums;
    sm_records records;
} sm_metric_numbers;

/** The metrics of a kind of task that read a whole sample of several tasks. */
typedef struct sm_joint_metric {
    const sm_metric *metrics; /**< ends with a NULL name */
    int needs_vectors; /**< 1: of `vectors`, which decoding makes instances of: slower than a small network, so an evaluation asks for it */
    size_t (*counts)(const sm_class_list *classes);
    size_t (*sums)(const sm_class_list *classes);
    /** Adds one sample, with classes and instances as they are and as predicted. */
    void (*add)(const struct sm_task *task, const sm_joint_sample *sample, sm_metric_numbers *numbers);
    /** \param [out] values  one a row of `metrics`, NaN where nothing was measured
     * \param [out] class_values  (rows of `metrics`, classes) the same of each class; or NULL */
    void (*values)(const sm_class_list *classes, const sm_metric_numbers *numbers, double *values,
                   double *class_values);
} sm_joint_metric;

/** Instance-weighted intersection over union (src/task/instance_iou.c), and average precision (src/task/average_precision.c). */
extern const sm_joint_metric sm_joint_instance_iou, sm_joint_average_precision;

/** Builds the ids of a target of instances, u16 a pixel, as the geometry says (sm_target_builder). \param user  name of the target
 * \return pixels that belong to an instance */
int64_t sm_build_instance_ids(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built);

#ifdef __cplusplus
}
#endif
#endif
