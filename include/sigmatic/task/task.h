/** \file
 * A task: its target, loss, gradient, metrics, decoding and picture. Kinds are rows of a table; a config section [task.NAME] makes an instance.
 *
 * All maps are (N,H,W,channels) contiguous. Losses are sums over the local batch; the caller divides by the global count of valid pixels. */
#ifndef SIGMATIC_TASK_TASK_H
#define SIGMATIC_TASK_TASK_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/sample.h>
#include <sigmatic/io/config.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_task sm_task;

/** What the dataset says of the classes (attributes of `semantic`). */
typedef struct sm_class_info {
    int count;
    char (*names)[32];     /**< count */
    uint8_t (*palette)[3]; /**< count, RGB */
    uint8_t *thing;        /**< count, 1 = has instances */
    int ignore;            /**< 255 */
} sm_class_info;

/** Sums of a loss over pixels. */
typedef struct sm_loss_sums {
    double loss; /**< sum over valid pixels of the loss, itself summed over the D components */
    double
        slope; /**< sum over valid pixels of d loss / ds at fixed logits where inverse_temperature = exp(-s), which `categorical_scaled` needs; 0 for regressions */
} sm_loss_sums;

typedef struct sm_metric {
    const char *name; /**< "miou", "error_pixels" */
    const char *unit; /**< "%", "px", "m" */
    int higher_is_better;
    const char *meaning;    /**< what is measured, for the legend of tables */
    const char *unmeasured; /**< why its value may be NaN */
} sm_metric;

/** One row of the table of kinds. */
typedef struct sm_task_kind {
    const char *name;           /**< "semantic" */
    const char *target_dataset; /**< the map of the dataset file that it needs: "semantic", "instance", "disparity" */
    const char *losses;         /**< allowed values of the key `loss`, the default first: "l1|l2" */
    int target_bytes_per_pixel;
    sm_target_build
        build_target; /**< user = the sm_task; semantic u8 (255 invalid); instance float[2] and depth float (NaN invalid) */

    /** Loss sums of `pixels` pixels. \param inverse_temperature  multiplies the logits of a cross-entropy (1, or exp(-s)) */
    sm_loss_sums (*loss_forward)(const sm_task *task, size_t pixels, const float *logits, const void *target,
                                 double inverse_temperature, int threads);
    /** grad_logits = scale * d(sum of the loss)/d logits; zero at invalid pixels. */
    void (*loss_backward)(const sm_task *task, size_t pixels, const float *logits, const void *target,
                          double inverse_temperature, double scale, float *grad_logits, int threads);

    /** Numbers that a metric accumulates over samples; both kinds simply add up over ranks. */
    size_t (*metric_counts)(const sm_task *task);
    size_t (*metric_sums)(const sm_task *task);
    /** Adds one sample. \param metres_pixels  baseline * fx * current width / original width, so that metres = this / disparity; NaN unknown */
    void (*metric_add)(const sm_task *task, int height, int width, const float *logits, const void *target,
                       double metres_pixels, int64_t *counts, double *sums);
    /** \param [out] values  one a row of `metrics`; NaN where nothing was measured */
    void (*metric_values)(const sm_task *task, const int64_t *counts, const double *sums, double *values);
    const sm_metric *metrics; /**< ends with a NULL name; the first decides "best" */

    /** Draws a map as RGB. Exactly one of logits and target is given, the other is NULL.
     * \param [in] thing  (H,W) 1 where a thing is (for instances), or NULL = everywhere valid */
    void (*picture)(const sm_task *task, int height, int width, const float *logits, const void *target,
                    const uint8_t *thing, uint8_t *rgb);
} sm_task_kind;

/** All kinds; ends with a NULL name. */
extern const sm_task_kind sm_task_kinds[];

/** Keys of a section [task.NAME] that belong to the task itself: kind, loss, ... */
extern const sm_key sm_task_keys[];

/** A task as configured. */
struct sm_task {
    char *name; /**< NAME of [task.NAME] */
    const sm_task_kind *kind;
    const char *loss;             /**< "cross_entropy", "l1", "l2" */
    int channels;                 /**< D: classes, 2, 1 */
    const sm_class_info *classes; /**< of the dataset, owned by the caller; NULL if it has no semantic map */
    float *
        class_weights; /**< channels, multiply each pixel's cross-entropy by its true class; NULL = 1. The mean stays one over pixels */
};

/** Makes the task of section [task.NAME].
 * \param classes  of the training set, kept by reference; NULL if there are none
 * \return SM_ERR_CONFIG naming the key */
sm_status sm_task_new(const sm_config *config, const char *name, const sm_class_info *classes, sm_task **out);
void sm_task_free(sm_task *task);

/** Intersection over union of every class of a semantic task, in [0, 1]; NaN for a class that is neither in the truth nor predicted.
 * \param counts  as accumulated by metric_add: the confusion matrix, row truth, column prediction
 * \param [out] iou  channels */
void sm_task_class_iou(const sm_task *semantic, const int64_t *counts, double *iou);

/** Marks pixels predicted (or labelled) as things. \param [out] thing  (H,W) 0 or 1 */
void sm_task_thing_mask(const sm_task *semantic, int height, int width, const float *logits, const void *target,
                        uint8_t *thing);

#ifdef __cplusplus
}
#endif
#endif
